//! `vestibule permission`.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output, remote, user};
use crate::accounts::{Command, Holder, PermissionRecord};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a permission
    Create {
        /// Its name, app.codename
        #[arg(value_name = "P")]
        permission: String,
        /// What it allows, for people
        description: String,
    },
    /// List all permissions and who was granted them
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Give a permission to a user or a group
    Grant {
        /// Its name, app.codename
        #[arg(value_name = "P")]
        permission: String,
        #[command(flatten)]
        to: Whom,
    },
    /// Take a permission from a user or a group
    Revoke {
        /// Its name, app.codename
        #[arg(value_name = "P")]
        permission: String,
        #[command(flatten)]
        from: Whom,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    #[arg(long, value_name = "U")]
    user: Option<String>,
    #[arg(long, value_name = "G")]
    group: Option<String>,
}

impl Whom {
    fn holder(self) -> Result<Holder, Failure> {
        match (self.user, self.group) {
            (Some(user), None) => Ok(Holder::User(user)),
            (None, Some(group)) => Ok(Holder::Group(group)),
            (Some(_), Some(_)) | (None, None) => {
                Err(Failure::Usage("name one of `--user` and `--group`".to_owned()))
            }
        }
    }
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let (command, json) = match arguments.command {
        Verb::Create { permission, description } => {
            (Command::PermissionCreate { permission, description }, false)
        }
        Verb::List { json } => (Command::PermissionList {}, json),
        Verb::Grant { permission, to } => {
            (Command::PermissionGrant { permission, to: to.holder()? }, false)
        }
        Verb::Revoke { permission, from } => {
            (Command::PermissionRevoke { permission, from: from.holder()? }, false)
        }
    };
    user::show(remote::execute(file, command)?, json)
}

pub(super) fn list(permissions: Vec<PermissionRecord>) -> Result<(), Failure> {
    let row = |record: PermissionRecord| {
        let PermissionRecord { permission, description, users, groups } = record;
        [permission, description, users.join(", "), groups.join(", ")]
    };
    output::table(
        ["PERMISSION", "DESCRIPTION", "USERS", "GROUPS"],
        permissions.into_iter().map(row),
    )
}
