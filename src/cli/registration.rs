//! `vestibule registration`.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output, remote, user};
use crate::accounts::{Command, RegistrationRecord, Waiting};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the new accounts that wait for something
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Let somebody in who registered
    Approve { name: String },
    /// Turn somebody down who registered, and delete the account
    Reject { name: String },
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let (command, json) = match arguments.command {
        Verb::List { json } => (Command::RegistrationList {}, json),
        Verb::Approve { name } => (Command::RegistrationApprove { username: name }, false),
        Verb::Reject { name } => (Command::RegistrationReject { username: name }, false),
    };
    user::show(remote::execute(file, command)?, json)
}

pub(super) fn list(registrations: Vec<RegistrationRecord>) -> Result<(), Failure> {
    let row = |record: RegistrationRecord| {
        let waits_for = words(record.waits_for).to_owned();
        [record.username, record.email, waits_for, record.registered, record.address]
    };
    output::table(
        ["USER", "E-MAIL", "WAITS FOR", "REGISTERED", "FROM"],
        registrations.into_iter().map(row),
    )
}

fn words(waits_for: Waiting) -> &'static str {
    match waits_for {
        Waiting { confirmation: true, approval: true } => "confirmation, approval",
        Waiting { confirmation: true, approval: false } => "confirmation",
        Waiting { confirmation: false, approval: true } => "approval",
        Waiting { confirmation: false, approval: false } => "",
    }
}
