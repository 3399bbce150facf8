//! `vestibule session show`.

use std::path::Path;

use jiff::Timestamp as DateTime;

use super::{Failure, owner};
use crate::cli::{output, remote};
use crate::server::session_commands::{Item, LimitName, Limits, SessionCommand, SessionDetails};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Its key, of which a few digits are enough
    key: String,
    /// With the values that applications keep in it
    #[arg(long)]
    values: bool,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let Arguments { key, values, json } = arguments;
    let details = remote::sessions::execute(file, &SessionCommand::Show { key, values })?;
    if json { output::json(&details) } else { card(&details) }
}

fn card(SessionDetails { session, limits, data }: &SessionDetails) -> Result<(), Failure> {
    let mut lines = vec![
        ("key", session.key.clone()),
        ("user", owner(session.user.as_deref(), session.user_id)),
        ("device", session.device.clone()),
        ("address", session.address.to_string()),
        ("started", session.started.to_string()),
        ("last seen", session.last_seen.to_string()),
        ("expires", expiry(session.expires, limits)),
    ];
    lines.extend(others(limits).map(|end| ("", end)));
    lines.extend(data.iter().map(|item| ("data", kept(item))));
    output::card(&lines)
}

fn expiry(at: DateTime, limits: &Limits) -> String {
    format!("{at}, by {}", key_of(limits.first))
}

/// The limits that come later than the first.
fn others(limits: &Limits) -> impl Iterator<Item = String> {
    let all = [
        (LimitName::Age, Some(limits.age)),
        (LimitName::Idle, limits.idle),
        (LimitName::Absolute, limits.absolute),
    ];
    let first = limits.first;
    all.into_iter()
        .filter(move |(name, _)| *name != first)
        .filter_map(|(name, end)| Some(format!("{}, by {}", end?, key_of(name))))
}

/// What the file calls a limit.
fn key_of(limit: LimitName) -> &'static str {
    match limit {
        LimitName::Age => "cookie_age",
        LimitName::Idle => "idle_timeout",
        LimitName::Absolute => "absolute_timeout",
    }
}

fn kept(item: &Item) -> String {
    let unit = if item.size == 1 { "byte" } else { "bytes" };
    match &item.value {
        Some(value) => format!("{} = {value}", item.key),
        None => format!("{}, {} {unit}", item.key, item.size),
    }
}
