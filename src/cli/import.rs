//! `vestibule import`: users from elsewhere. Everything that is wrong with them is told at once,
//! and then nothing is imported.

mod batches;
mod carry_out;
mod comma_separated;
mod django;
mod dumpdata;
mod htpasswd;
mod json_lines;
mod source;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::Failure;
use crate::accounts::Existing;
use crate::accounts::django::{DjangoError, UserModel};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    from: From,

    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum From {
    /// Import users from a file that `htpasswd` made, for Apache or nginx
    Htpasswd(htpasswd::Arguments),
    /// Import users from comma-separated values, one a line below a line of names
    Csv(comma_separated::Arguments),
    /// Import users, groups and permissions from lines of JSON, as `vestibule export` writes them
    Json {
        /// The file; `-` for standard input
        file: PathBuf,
    },
    /// Import users, groups and permissions of a Django project
    Django(django::Arguments),
}

/// What is the same wherever users come from.
#[derive(Debug, clap::Args)]
struct How {
    /// Make users who are there already what the file says, as far as it speaks of it
    #[arg(long, global = true, conflicts_with = "skip_existing")]
    update: bool,
    /// With --update: give users who are there already the passwords of the file too
    #[arg(long, global = true)]
    passwords: bool,
    /// Leave users who are there already as they are
    #[arg(long, global = true)]
    skip_existing: bool,
    /// Import the others when something is wrong with some
    #[arg(long, global = true)]
    skip_invalid: bool,
    /// Write nothing, and say what would come of it
    #[arg(long, global = true)]
    dry_run: bool,
    /// For programs
    #[arg(long, global = true)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    if arguments.how.passwords && !arguments.how.update {
        let message = "`--passwords` says what `--update` does\nhint: new users get theirs anyway";
        return Err(Failure::Usage(message.to_owned()));
    }
    let source = match arguments.from {
        From::Htpasswd(arguments) => htpasswd::read(&arguments)?,
        From::Csv(arguments) => comma_separated::read(&arguments)?,
        From::Json { file } => json_lines::read(&file)?,
        From::Django(arguments) => django::read(&arguments)?,
    };
    carry_out::run(source.without_repeated(), &arguments.how, file)
}

impl How {
    fn existing(&self) -> Existing {
        match (self.update, self.skip_existing) {
            (true, _) => Existing::Update,
            (false, true) => Existing::Skip,
            (false, false) => Existing::Refuse,
        }
    }
}

/// The model of a project's users that was named, or Django's own.
fn user_model(name: Option<&str>) -> Result<UserModel, Failure> {
    let usage = |error: DjangoError| Failure::Usage(error.to_string());
    name.map_or_else(|| Ok(UserModel::default()), |name| UserModel::parse(name).map_err(usage))
}
