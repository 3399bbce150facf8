//! `vestibule session clear`.

use std::path::Path;

use super::{Failure, counted};
use crate::cli::{output, remote};
use crate::server::session_commands::{Cleared, SessionCommand};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let cleared: Cleared = remote::sessions::execute(file, &SessionCommand::Clear {})?;
    if arguments.json {
        return output::json(&cleared);
    }
    output::say(&match cleared.cleared {
        0 => "no session was over".to_owned(),
        number => format!("cleared {} that had expired", counted(number)),
    })
}
