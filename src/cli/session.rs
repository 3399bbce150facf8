//! `vestibule session`: one file per subcommand.

mod clear;
mod copy;
mod list;
mod recover;
mod revoke;
mod show;

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
    /// List the sessions that are live
    List(list::Arguments),
    /// Show everything that is known of a session
    Show(show::Arguments),
    /// End sessions: whoever came by one has to log in again
    Revoke(revoke::Arguments),
    /// Free the memory of sessions that are over, which happens by itself every minute
    Clear(clear::Arguments),
    /// Copy all live sessions from one store to another, so that nobody has to log in again
    Copy(copy::Arguments),
    /// Save what can be read of damaged sessions on disk, while no gateway runs
    Recover(recover::Arguments),
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    match arguments.command {
        Verb::List(arguments) => list::run(arguments, file),
        Verb::Show(arguments) => show::run(arguments, file),
        Verb::Revoke(arguments) => revoke::run(arguments, file),
        Verb::Clear(arguments) => clear::run(&arguments, file),
        Verb::Copy(arguments) => copy::run(&arguments, file),
        Verb::Recover(arguments) => recover::run(&arguments, file),
    }
}

/// Whose session it is, in a word.
fn owner(user: Option<&str>, user_id: Option<i64>) -> String {
    match (user, user_id) {
        (Some(name), _) => name.to_owned(),
        (None, Some(id)) => format!("(user {id} is gone)"),
        (None, None) => "(anonymous)".to_owned(),
    }
}

/// `1 session`, `2 sessions`.
fn counted(sessions: usize) -> String {
    if sessions == 1 { "1 session".to_owned() } else { format!("{sessions} sessions") }
}
