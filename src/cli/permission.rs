//! `vestibule permission`.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output, remote, user};
use crate::accounts::{Command, Holder, PermissionRecord};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,

    /// For programs
    #[arg(long, global = true)]
    json: bool,
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
    List,
    /// Show a permission and who was granted it
    Show {
        /// Its name, app.codename
        #[arg(value_name = "P")]
        permission: String,
    },
    /// Give a permission another description
    Set {
        /// Its name, app.codename
        #[arg(value_name = "P")]
        permission: String,
        /// What it allows, for people
        description: String,
    },
    /// Delete a permission; whoever has it loses it. One that the configuration declares comes back
    /// at the next start
    Delete {
        /// Its name, app.codename
        #[arg(value_name = "P")]
        permission: String,
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
pub(super) struct Whom {
    #[arg(long, value_name = "U")]
    user: Option<String>,
    #[arg(long, value_name = "G")]
    group: Option<String>,
}

impl Whom {
    pub(super) fn holder(self) -> Result<Holder, Failure> {
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
    let command = match arguments.command {
        Verb::Create { permission, description } => {
            Command::PermissionCreate { permission, description }
        }
        Verb::List => Command::PermissionList {},
        Verb::Show { permission } => Command::PermissionShow { permission },
        Verb::Set { permission, description } => Command::PermissionSet { permission, description },
        Verb::Delete { permission } => Command::PermissionDelete { permission },
        Verb::Grant { permission, to } => Command::PermissionGrant { permission, to: to.holder()? },
        Verb::Revoke { permission, from } => {
            Command::PermissionRevoke { permission, from: from.holder()? }
        }
    };
    user::show(remote::execute(file, command)?, arguments.json)
}

pub(super) fn card(record: &PermissionRecord) -> Result<(), Failure> {
    let mut lines = vec![
        ("permission", record.permission.clone()),
        ("description", record.description.clone()),
    ];
    lines.extend(record.users.iter().map(|user| ("user", user.clone())));
    lines.extend(record.groups.iter().map(|group| ("group", group.clone())));
    output::card(&lines)
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
