//! Where sessions are kept: `store` of `[sessions]` and what belongs to it.

use std::time::Duration;

use super::problem::Problem;
use super::reader::{At, Table};
use crate::sessions::{NotAnAddress, SharedSettings, Store, StoreUrl};

/// What a wrong `store` is answered with.
const HINT: &str =
    "write `store = \"memory\"`, or an address as in `store = \"redis://127.0.0.1:6379\"`";

pub(super) fn read(table: &Table<'_>) -> Store {
    let prefix = table.parsed("store_prefix", prefix);
    let grace = table.duration("store_grace", Duration::ZERO);
    let store = table.text("store").filter(|store| store.value != "memory");
    let Some(url) = store.and_then(|store| url(table, &store)) else { return Store::Memory };
    Store::Shared(SharedSettings {
        url,
        prefix: prefix.map_or_else(|| Store::PREFIX.to_owned(), |at| at.value),
        grace: grace.map_or(Store::GRACE, |at| at.value),
    })
}

fn url(table: &Table<'_>, store: &At<String>) -> Option<StoreUrl> {
    // The address itself stands in the source line, where its password is masked.
    let problem = |code, message: &str| {
        let problem = Problem::error(code, store.span.clone(), message.to_owned());
        table.report().add(problem.hint(HINT));
        None
    };
    if !StoreUrl::is_meant(&store.value) {
        return problem("bad-value", "this is no store that sessions can be kept in");
    }
    match StoreUrl::parse(&store.value) {
        Ok(url) => Some(url),
        Err(error @ NotAnAddress::Tls) => problem("not-yet", &error.to_string()),
        Err(NotAnAddress::Malformed(why)) => {
            problem("bad-value", &format!("this is not the address of a store: {why}"))
        }
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let is_fit = |b: u8| b.is_ascii_graphic() && !b"*?[]\\^".contains(&b);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_fit) {
        return Err(format!(
            "`{text}` cannot begin the names in a store\nhint: take a few letters and a `:`, `{}`",
            Store::PREFIX
        ));
    }
    Ok(text.to_owned())
}
