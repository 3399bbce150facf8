//! What operators can order about sessions, and what they are told.

use std::net::IpAddr;

use jiff::Timestamp as DateTime;
use serde::{Deserialize, Serialize};

use crate::accounts::Complaint;
use crate::domain::session::{Lifetime, Limit};
use crate::domain::{SessionKey, Timestamp};
use crate::sessions::Record;

/// One command of an operator about sessions.
///
/// A key is that of a session, or so many of its first digits that no other begins with them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionCommand {
    /// Lists the live sessions, in no order: [`Line`]s of JSON.
    List {
        /// Whose; everybody's, if nobody is named.
        user: Option<String>,
    },
    /// Shows one session: [`SessionDetails`].
    Show {
        /// Which.
        key: String,
        /// With the values that applications keep in it.
        values: bool,
    },
    /// Ends sessions: [`Revoked`].
    Revoke(Revoke),
    /// Frees the memory of those that are over: [`Cleared`].
    Clear {},
}

/// Which sessions are to be ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoke {
    /// The one with this key.
    Key(String),
    /// All of the user with this name.
    User(String),
    /// All there are, anonymous ones too.
    All {},
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// What the session is called. It is a digest of the cookie's value and cannot stand in for it.
    pub key: String,
    /// The name of its user; none of an anonymous session, or when the user is gone.
    pub user: Option<String>,
    /// The number of its user; none of an anonymous session.
    pub user_id: Option<i64>,
    /// The browser that it was begun with, as in `Firefox on Linux`.
    pub device: String,
    /// The address that it was begun from.
    pub address: IpAddr,
    /// When it began.
    pub started: DateTime,
    /// When the last request came by it.
    pub last_seen: DateTime,
    /// When it ends if no other comes.
    pub expires: DateTime,
}

/// Everything about one session but its id and what is known of the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetails {
    /// What lists show too.
    #[serde(flatten)]
    pub session: SessionRecord,
    /// What it ends by.
    pub limits: Limits,
    /// What applications keep in it, sorted by key.
    pub data: Vec<Item>,
}

/// When each bound ends a session that is not used any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// By `cookie_age`.
    pub age: DateTime,
    /// By `idle_timeout`, if there is one.
    pub idle: Option<DateTime>,
    /// By `absolute_timeout`, if there is one.
    pub absolute: Option<DateTime>,
    /// Which of them is the first.
    pub first: LimitName,
}

/// A bound on the life of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitName {
    /// `cookie_age`.
    Age,
    /// `idle_timeout`.
    Idle,
    /// `absolute_timeout`.
    Absolute,
}

/// Something that an application keeps in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its key.
    pub key: String,
    /// How many bytes its value has as JSON.
    pub size: usize,
    /// The value, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
}

/// What was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// How many sessions.
    pub ended: usize,
    /// The session, if one was named by its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionRecord>,
}

/// What was cleared away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleared {
    /// How many sessions that were over.
    pub cleared: usize,
}

/// One line of a list. A list that breaks off has a complaint as its last line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A session.
    Session(SessionRecord),
    /// Why no more come.
    Complaint(Complaint),
}

impl SessionRecord {
    /// What is told of a record; `user` is the name of its user.
    pub(super) fn of(
        key: SessionKey,
        record: &Record,
        user: Option<String>,
        lifetime: &Lifetime,
    ) -> Self {
        Self {
            key: key.to_string(),
            user,
            user_id: record.login.map(|login| login.user().0),
            device: record.client.device.to_string(),
            address: record.client.address,
            started: date_time(record.span.started),
            last_seen: date_time(record.span.last_seen),
            expires: date_time(first_limit(record, lifetime).1),
        }
    }
}

impl SessionDetails {
    /// What is told of one session.
    pub(super) fn of(
        session: SessionRecord,
        record: &Record,
        with_values: bool,
        lifetime: &Lifetime,
    ) -> Self {
        let limit = |wanted| {
            let mut limits = record.span.limits(lifetime);
            limits.find(|(limit, _)| *limit == wanted).map(|(_, end)| date_time(end))
        };
        let limits = Limits {
            age: date_time(record.span.expires),
            idle: limit(Limit::Idle),
            absolute: limit(Limit::Absolute),
            first: match first_limit(record, lifetime).0 {
                Limit::Age => LimitName::Age,
                Limit::Idle => LimitName::Idle,
                Limit::Absolute => LimitName::Absolute,
            },
        };
        let item = |(key, value): (&str, &str)| Item {
            key: key.to_owned(),
            size: value.len(),
            value: with_values
                .then(|| serde_json::from_str(value).unwrap_or_else(|_| value.into())),
        };
        let data = record.data.iter().flat_map(|data| data.iter().map(item)).collect();
        Self { session, limits, data }
    }
}

fn first_limit(record: &Record, lifetime: &Lifetime) -> (Limit, Timestamp) {
    let first = record.span.limits(lifetime).min_by_key(|(_, end)| *end);
    first.unwrap_or((Limit::Age, record.span.expires))
}

/// A moment of ours fits into four bytes of seconds, and so is a date.
fn date_time(moment: Timestamp) -> DateTime {
    let seconds = i64::try_from(moment.seconds()).unwrap_or_default();
    DateTime::from_second(seconds).unwrap_or_default()
}
