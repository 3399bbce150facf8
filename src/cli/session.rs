//! `vestibule session`.

mod copy;

use std::path::Path;

use clap::Subcommand;

use super::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy all live sessions from one store to another
    Copy(copy::Arguments),
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    match arguments.command {
        Verb::Copy(arguments) => copy::run(&arguments, file),
    }
}
