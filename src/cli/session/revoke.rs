//! `vestibule session revoke`.

use std::path::Path;

use super::{Failure, counted};
use crate::cli::{output, remote};
use crate::server::session_commands::{Revoke, Revoked, SessionCommand};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// For programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The session with this key, of which a few digits are enough
    key: Option<String>,
    /// All sessions of this user
    #[arg(long, value_name = "U")]
    user: Option<String>,
    /// All sessions of everybody
    #[arg(long)]
    all: bool,
}

pub(super) fn run(arguments: Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let Arguments { which: Which { key, user, .. }, json } = arguments;
    let revoke = match (key, &user) {
        (Some(key), _) => Revoke::Key(key),
        (None, Some(name)) => Revoke::User(name.clone()),
        (None, None) => Revoke::All {},
    };
    let revoked: Revoked = remote::sessions::execute(file, &SessionCommand::Revoke(revoke))?;
    if json {
        return output::json(&revoked);
    }
    output::say(&match (&revoked.session, user) {
        (Some(session), _) => {
            let what = match (&session.user, session.user_id) {
                (Some(name), _) => format!("the session of `{name}`"),
                (None, Some(id)) => format!("the session of user {id}, who is gone,"),
                (None, None) => "the anonymous session".to_owned(),
            };
            format!("ended {what} that began with {}", session.device)
        }
        (None, Some(name)) if revoked.ended == 0 => format!("`{name}` has no session"),
        (None, Some(name)) => format!("ended {} of `{name}`", counted(revoked.ended)),
        (None, None) if revoked.ended == 0 => "there is no session".to_owned(),
        (None, None) => format!("ended {}", counted(revoked.ended)),
    })
}
