//! `vestibule session`.

mod recover;

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
    /// Save what can be read of damaged sessions on disk, while no gateway runs
    Recover(recover::Arguments),
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    match arguments.command {
        Verb::Recover(arguments) => recover::run(&arguments, file),
    }
}
