//! `vestibule invitation`.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;

use super::{Failure, output, remote, user};
use crate::accounts::{Command, InvitationRecord, Invited, NewInvitation, Reply};
use crate::config;
use crate::pages::settings::WhoMayRegister;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a link that somebody can register with once
    Create(Create),
    /// List invitations, used ones too
    List {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Take back an invitation that nobody has used
    Revoke {
        /// Its number, as `list` shows it
        id: i64,
    },
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Whom it is for; the account has this address then
    #[arg(long, value_name = "E", default_value = "")]
    email: String,
    /// A group to be a member of; may be given several times
    #[arg(long = "group", value_name = "G")]
    groups: Vec<String>,
    /// How long it is good
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = config::duration)]
    expires: Duration,
    /// For programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let (command, json) = match arguments.command {
        Verb::Create(create) => return invite(create, file),
        Verb::List { json } => (Command::InvitationList {}, json),
        Verb::Revoke { id } => (Command::InvitationRevoke { id }, false),
    };
    user::show(remote::execute(file, command)?, json)
}

fn invite(create: Create, file: Option<&Path>) -> Result<(), Failure> {
    let pages = super::load_for_accounts(file)?.pages;
    if pages.registration.who == WhoMayRegister::Nobody {
        let message = "nobody can register, invited or not\n\
                       hint: write `registration = \"invited\"` in `[accounts]`";
        return Err(Failure::No(message.to_owned()));
    }
    let Create { email, groups, expires, json } = create;
    let new = NewInvitation { email, groups, expires_in: expires.as_secs() };
    let reply = remote::execute(file, Command::InvitationCreate(new))?;
    if let (Reply::Invited(invited), false) = (&reply, json) {
        let host = pages.public_url.as_deref().unwrap_or_default().trim_end_matches('/');
        return output::say(&format!("{host}{}register/{}/", pages.prefix, invited.token));
    }
    user::show(reply, json)
}

pub(super) fn card(invited: &Invited) -> Result<(), Failure> {
    output::card(&[
        ("id", invited.id.to_string()),
        ("token", invited.token.clone()),
        ("e-mail", invited.email.clone()),
        ("expires", invited.expires.clone()),
    ])
}

pub(super) fn list(invitations: Vec<InvitationRecord>) -> Result<(), Failure> {
    let row = |record: InvitationRecord| {
        let state = match &record.used_by {
            Some(user) => format!("used by {user}"),
            None if record.is_expired => "expired".to_owned(),
            None => "open".to_owned(),
        };
        let InvitationRecord { id, email, groups, created_by, expires, .. } = record;
        [id.to_string(), state, email, groups.join(", "), created_by, expires]
    };
    output::table(
        ["ID", "STATE", "E-MAIL", "GROUPS", "BY", "EXPIRES"],
        invitations.into_iter().map(row),
    )
}
