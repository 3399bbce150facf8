//! `vestibule group`.

use std::path::Path;

use clap::Subcommand;

use super::{Failure, output, remote, user};
use crate::accounts::{Command, GroupDetails, GroupRecord};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
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
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Show a group with its members
    Show {
        name: String,
        /// For programs
        #[arg(long)]
        json: bool,
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

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let (command, json) = match arguments.command {
        Verb::Create { name, permissions } => (Command::GroupCreate { name, permissions }, false),
        Verb::List { json } => (Command::GroupList {}, json),
        Verb::Show { name, json } => (Command::GroupShow { name }, json),
        Verb::Delete { name } => (Command::GroupDelete { name }, false),
        Verb::Add { name, users } => (Command::GroupAdd { name, users }, false),
        Verb::Remove { name, users } => (Command::GroupRemove { name, users }, false),
    };
    user::show(remote::execute(file, command)?, json)
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
