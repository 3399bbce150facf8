//! The keys of `[accounts]` that are about registration.

use super::problem::Problem;
use super::reader::{At, Table};
use crate::domain::email_address::EmailAddress;
use crate::pages::settings::{Registration, WhoMayRegister};

/// Reads them from `[accounts]`; `can_write` is whether there can be mail with links in it.
pub(super) fn read(table: &Table<'_>, can_write: bool) -> Registration {
    let report = table.report();
    let who = table.choice(
        "registration",
        &[
            ("closed", WhoMayRegister::Nobody),
            ("open", WhoMayRegister::Everybody),
            ("approved", WhoMayRegister::Approved),
            ("invited", WhoMayRegister::Invited),
        ],
    );
    let groups = table.texts("registration_groups");
    let domains = table.texts("registration_domains");
    let confirm = table.flag("confirm_email");
    if let Some(at) = confirm.as_ref().filter(|at| at.value && !can_write) {
        let message = "an address cannot be confirmed without mail that has links in it";
        let problem = Problem::error("contradiction", at.span.clone(), message);
        report.add(problem.hint("set `[mail]` and `server.public_url`, or leave it out"));
    }
    let confirm_email = confirm.map_or(can_write, |at| at.value);
    if let Some(at) = who.as_ref().filter(|at| at.value == WhoMayRegister::Everybody)
        && !confirm_email
    {
        let message = "whoever registers can give anybody's address as one's own";
        let problem = Problem::warning("unconfirmed-addresses", at.span.clone(), message);
        report.add(problem.hint(
            "set `[mail]` and `server.public_url`, so that addresses are confirmed; until then no \
             application should go by `Remote-Email`",
        ));
    }
    if let Some(at) = domains.as_ref().filter(|_| !confirm_email) {
        let message = "a domain proves nothing about an address that is not confirmed";
        let problem = Problem::warning("unconfirmed-addresses", at.key.clone(), message);
        report.add(problem.hint("set `[mail]` and `server.public_url`"));
    }
    let domains = domains.map(|at| at.value).unwrap_or_default();
    let domains = domains
        .into_iter()
        .filter_map(|at: At<String>| report.keep("bad-value", &at.span, domain(&at.value)));
    Registration {
        who: who.map(|at| at.value).unwrap_or_default(),
        confirm_email,
        domains: domains.collect(),
        groups: groups.into_iter().flat_map(|at| at.value).map(|at| at.value).collect(),
    }
}

/// A domain as it stands after the `@` of an address.
fn domain(text: &str) -> Result<String, String> {
    let is_fit = !text.starts_with(['.', '-']) && text.contains('.') && text.is_ascii();
    match EmailAddress::parse(&format!("name@{text}")) {
        Ok(address) if is_fit => Ok(address.domain().to_owned()),
        Ok(_) | Err(_) => Err(format!(
            "`{text}` is not the domain of addresses\nhint: write `example.org`; each is meant \
             alone, without those below it"
        )),
    }
}
