//! What operators ask and order about lockouts: the language of `POST /v1/lockouts` on the admin
//! socket, and its carrying out.

use std::net::IpAddr;

use jiff::Timestamp as DateTime;
use serde::{Deserialize, Serialize};

use crate::accounts::{By, CommandError, Complaint, Directory, ErrorKind};
use crate::domain::Timestamp;
use crate::pages::{self, LockedOut};

/// One command of an operator about lockouts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockoutCommand {
    /// Lists who is locked out: an array of [`LockoutRecord`].
    List {},
    /// Lets somebody in again: [`Lifted`].
    Lift(Lift),
}

/// Whom to let in again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lift {
    /// The user with this name, from wherever.
    User(String),
    /// This address, or the IPv6 network that it is in, whatever the account.
    Address(IpAddr),
    /// Everybody.
    All {},
}

/// Somebody who is locked out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockoutRecord {
    /// `account_from_address`, `address`, `account` or `known_browser`.
    pub scope: String,
    /// The name of the account; none if it is about none, or if nobody has the name that was typed.
    pub user: Option<String>,
    /// Its number.
    pub user_id: Option<i64>,
    /// The address; of an IPv6 address the network of 64 bits that it is in, as in `2001:db8::/64`.
    pub address: Option<String>,
    /// How many failures there were.
    pub failures: u32,
    /// When the last one was.
    pub failed_at: DateTime,
    /// When the next attempt may be made.
    pub until: DateTime,
}

/// What was lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// Who was locked out.
    pub lifted: Vec<LockoutRecord>,
}

/// What a command leads to: a status and JSON.
pub(super) type Answer = (u16, Vec<u8>);

/// Carries out the command in `body`.
pub(super) async fn answer(
    pages: &pages::State,
    directory: &Directory,
    body: &[u8],
    by: &By,
    now: Timestamp,
) -> Answer {
    let command = serde_json::from_slice::<LockoutCommand>(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        CommandError::Invalid(format!("the body is not a command: line {line}, column {column}"))
    });
    let outcome = match command {
        Ok(LockoutCommand::List {}) => Ok(json(&records(pages.locked_out(now)))),
        Ok(LockoutCommand::Lift(lift)) => meant(directory, lift)
            .await
            .map(|lift| json(&Lifted { lifted: records(pages.lift(&lift, by, now)) })),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(json) => (200, json),
        Err(error) => {
            let kind = ErrorKind::of(&error);
            if kind == ErrorKind::Failed {
                tracing::error!(%error, "a command failed");
            }
            (kind.status(), json(&Complaint { error: error.to_string(), kind }))
        }
    }
}

/// Whom the command means; a name that was mistyped is told the nearest one.
async fn meant(directory: &Directory, lift: Lift) -> Result<pages::Lift, CommandError> {
    Ok(match lift {
        Lift::User(name) => {
            let (id, name) = directory.find(&name).await?;
            pages::Lift::User(id, name)
        }
        Lift::Address(address) => pages::Lift::Address(address),
        Lift::All {} => pages::Lift::All,
    })
}

fn records(locked_out: Vec<LockedOut>) -> Vec<LockoutRecord> {
    locked_out.into_iter().map(LockoutRecord::from).collect()
}

impl From<LockedOut> for LockoutRecord {
    fn from(locked_out: LockedOut) -> Self {
        let address = locked_out.shown_address();
        let (id, name) = locked_out.user.unzip();
        Self {
            scope: locked_out.scope.name().to_owned(),
            user: name,
            user_id: id.map(|id| id.0),
            address,
            failures: locked_out.failures,
            failed_at: date_time(locked_out.failed_at),
            until: date_time(locked_out.until),
        }
    }
}

/// A moment of ours fits into four bytes of seconds, and so is a date.
fn date_time(moment: Timestamp) -> DateTime {
    let seconds = i64::try_from(moment.seconds()).unwrap_or_default();
    DateTime::from_second(seconds).unwrap_or_default()
}

/// What is told has string keys only, so that writing it cannot fail.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
