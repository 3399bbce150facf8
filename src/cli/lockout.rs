//! `vestibule lockout`: one file per subcommand.

mod lift;
mod list;

use std::path::Path;

use clap::Subcommand;

use super::Failure;
use crate::server::lockout_commands::LockoutRecord;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List who is locked out now
    List(list::Arguments),
    /// Let somebody in again, and forget the failures there were
    Lift(lift::Arguments),
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    match arguments.command {
        Verb::List(arguments) => list::run(&arguments, file),
        Verb::Lift(arguments) => lift::run(arguments, file),
    }
}

/// Who is locked out, in words.
fn described(record: &LockoutRecord) -> String {
    let user = match (&record.user, record.scope.as_str()) {
        (Some(name), _) => format!("`{name}`"),
        (None, "address") => "every account".to_owned(),
        (None, _) => "a name that nobody has".to_owned(),
    };
    match (&record.address, record.scope.as_str()) {
        (Some(address), _) => format!("{user} from {address}"),
        (None, "known_browser") => format!("{user} in a browser that is known"),
        (None, _) => format!("{user} in browsers that are not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockout_is_told_in_words() {
        let record = |scope: &str, user: Option<&str>, address: Option<&str>| LockoutRecord {
            scope: scope.to_owned(),
            user: user.map(str::to_owned),
            user_id: user.map(|_| 1),
            address: address.map(str::to_owned),
            failures: 5,
            failed_at: jiff::Timestamp::UNIX_EPOCH,
            until: jiff::Timestamp::UNIX_EPOCH,
        };
        let (ada, network) = (Some("ada"), Some("2001:db8::/64"));
        for (record, words) in [
            (record("account_from_address", ada, network), "`ada` from 2001:db8::/64"),
            (
                record("account_from_address", None, network),
                "a name that nobody has from 2001:db8::/64",
            ),
            (record("address", None, network), "every account from 2001:db8::/64"),
            (record("account", ada, None), "`ada` in browsers that are not known"),
            (record("known_browser", ada, None), "`ada` in a browser that is known"),
        ] {
            assert_eq!(described(&record), words);
        }
    }
}
