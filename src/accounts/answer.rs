//! The server's half of `POST /v1/accounts` on the admin socket.

use serde::{Deserialize, Serialize};

use super::by::By;
use super::command::{Command, Outcome, Reply, ShutOut};
use super::directory::Directory;
use super::error::{AccountsError, CommandError};
use super::registration::Decided;
use crate::domain::Timestamp;

/// What a refused command is answered with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Complaint {
    /// For people; hints are on lines of their own.
    pub error: String,
    /// For programs.
    pub kind: ErrorKind,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Something that the command names is not there.
    NotFound,
    /// The command, or a value in it, cannot be.
    Invalid,
    /// It is there already.
    Conflict,
    /// Whoever orders it may not.
    Forbidden,
    /// Too much is going on; trying again helps.
    Busy,
    /// The database failed.
    Failed,
}

impl ErrorKind {
    /// Whose fault this is.
    pub fn of(error: &CommandError) -> Self {
        match error {
            CommandError::NotFound(_) => Self::NotFound,
            CommandError::Invalid(_) => Self::Invalid,
            CommandError::Conflict(_) => Self::Conflict,
            CommandError::Forbidden(_) => Self::Forbidden,
            CommandError::Accounts(AccountsError::Busy | AccountsError::Stopping) => Self::Busy,
            CommandError::Accounts(
                AccountsError::Database(_)
                | AccountsError::Migration(_)
                | AccountsError::File { .. }
                | AccountsError::Server { .. }
                | AccountsError::Schema(_)
                | AccountsError::Cost(_)
                | AccountsError::Hashing(_),
            ) => Self::Failed,
        }
    }

    /// The status of an answer that says so.
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Invalid => 400,
            Self::Conflict => 409,
            Self::Forbidden => 403,
            Self::Busy => 503,
            Self::Failed => 500,
        }
    }
}

/// What a command is answered with, and what has to happen before.
#[derive(Debug)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// The body, JSON.
    pub json: Vec<u8>,
    /// The users whose sessions are to be ended.
    pub shut_out: Vec<ShutOut>,
    /// What is to be told to somebody who registered.
    pub decided: Option<Decided>,
}

/// Carries out the command in `body`.
///
/// The answer may hold the names of all users: it is for whoever may open the socket.
pub async fn answer(directory: &Directory, body: &[u8], by: &By, now: Timestamp) -> Answer {
    let outcome = match serde_json::from_slice::<Command>(body) {
        Ok(command) => directory.carry_out(command, by, now).await,
        // Where, and not what: the body may hold a password.
        Err(error) => Err(CommandError::Invalid(format!(
            "the body is not a command: line {}, column {}",
            error.line(),
            error.column()
        ))),
    };
    match outcome {
        Ok(Outcome { reply, shut_out }) => {
            let json = json(&reply);
            let decided = if let Reply::Decided(decided) = reply { Some(decided) } else { None };
            Answer { status: 200, json, shut_out, decided }
        }
        Err(error) => {
            let kind = ErrorKind::of(&error);
            if kind == ErrorKind::Failed {
                tracing::error!(%error, "a command failed");
            }
            let complaint = Complaint { error: error.to_string(), kind };
            let (status, json) = (kind.status(), json(&complaint));
            Answer { status, json, shut_out: Vec::new(), decided: None }
        }
    }
}

/// Replies and complaints have string keys only, so that writing them cannot fail.
fn json(value: &(impl Serialize + ?Sized)) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
