//! `vestibule lockout list`.

use std::path::Path;

use super::{Failure, described};
use crate::cli::{output, remote};
use crate::server::lockout_commands::{LockoutCommand, LockoutRecord};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// For programs
    #[arg(long)]
    json: bool,
}

const HEADER: [&str; 4] = ["LOCKED OUT", "FAILURES", "LAST FAILURE", "UNTIL"];

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let records: Vec<LockoutRecord> = remote::lockouts::execute(file, &LockoutCommand::List {})?;
    if arguments.json {
        return output::json(&records);
    }
    if records.is_empty() {
        return output::say("nobody is locked out");
    }
    output::table(HEADER, records.iter().map(row))
}

fn row(record: &LockoutRecord) -> [String; 4] {
    [
        described(record),
        record.failures.to_string(),
        record.failed_at.to_string(),
        record.until.to_string(),
    ]
}
