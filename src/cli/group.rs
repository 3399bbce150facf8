//! `vestibule group`.

use std::path::Path;
use std::str::FromStr;

use clap::Subcommand;

use super::{Failure, output, remote, user};
use crate::accounts::{Command, GroupDetails, GroupRecord};

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
    /// Create a group
    Create {
        name: String,
        /// A permission that its members have, app.codename; may be given several times
        #[arg(long = "permission", value_name = "P")]
        permissions: Vec<String>,
    },
    /// List all groups
    List,
    /// Show a group with its members
    Show { name: String },
    /// Change a group: `name=NEW` gives it another name, its members and permissions stay
    Set {
        name: String,
        #[arg(value_name = "KEY=VALUE")]
        change: Change,
    },
    /// Delete a group; its members stay, without what it gave them
    Delete { name: String },
    /// Make users members of a group
    Add {
        name: String,
        #[arg(required = true, value_name = "USER")]
        users: Vec<String>,
    },
    /// End memberships in a group
    Remove {
        name: String,
        #[arg(required = true, value_name = "USER")]
        users: Vec<String>,
    },
}

/// What can be changed of a group.
#[derive(Debug, Clone)]
struct Change {
    name: String,
}

impl FromStr for Change {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once('=') {
            Some(("name", name)) => Ok(Self { name: name.to_owned() }),
            Some(("permissions" | "permission", _)) => {
                Err("use `vestibule permission grant P --group NAME`, or `revoke`")
            }
            Some(("members" | "users", _)) => Err("use `vestibule group add` or `remove`"),
            Some(_) | None => Err("write `name=NEW`"),
        }
    }
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let command = match arguments.command {
        Verb::Create { name, permissions } => Command::GroupCreate { name, permissions },
        Verb::List => Command::GroupList {},
        Verb::Show { name } => Command::GroupShow { name },
        Verb::Set { name, change } => Command::GroupRename { name, new_name: change.name },
        Verb::Delete { name } => Command::GroupDelete { name },
        Verb::Add { name, users } => Command::GroupAdd { name, users },
        Verb::Remove { name, users } => Command::GroupRemove { name, users },
    };
    user::show(remote::execute(file, command)?, arguments.json)
}

pub(super) fn list(groups: Vec<GroupRecord>) -> Result<(), Failure> {
    let row =
        |group: GroupRecord| [group.name, group.members.to_string(), group.permissions.join(", ")];
    output::table(["GROUP", "MEMBERS", "PERMISSIONS"], groups.into_iter().map(row))
}

pub(super) fn card(group: &GroupDetails) -> Result<(), Failure> {
    let mut lines = vec![("name", group.name.clone())];
    lines.extend(group.permissions.iter().map(|permission| ("permission", permission.clone())));
    lines.extend(group.members.iter().map(|member| ("member", member.clone())));
    output::card(&lines)
}
