//! What was changed by whom: an entry for every command that changed something, written in the
//! same transaction as the change.
//!
//! An entry says who, when, what kind of thing, which one, and every field with its value before
//! and after; of a password only that it was changed.

mod read;
mod state;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::domain::Timestamp;

pub(super) use read::page;
pub use read::{LogPage, LogQuery};
pub(super) use state::{State, Subject, differences, find};
pub(super) use write::{Written, write};

/// How long the log of changes is kept unless the file says otherwise; `admin.keep_log`.
pub const KEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How many entries are kept, however young: with 2 KB each they take 200 MB.
pub(super) const MOST_ENTRIES: i64 = 100_000;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number; later entries have larger ones.
    pub id: i64,
    /// When.
    pub moment: Timestamp,
    /// Who did it: a user's name, or what the operating system calls an operator.
    pub by: String,
    /// The number of the user who did it; none for an operator.
    pub by_id: Option<i64>,
    /// By which way: `page` or `command`.
    pub way: String,
    /// `add`, `change`, `delete`; `end` of sessions, `lift` of lockouts, `reset` of a password, `import`.
    pub action: String,
    /// `user`, `group`, `permission`, `session`, `lockout`, `import`.
    pub kind: String,
    /// The number of what was changed, if it has one.
    pub object_id: Option<i64>,
    /// Its name, as it was called then.
    pub object: String,
    /// Fields with their values before and after; `null` for what was not there.
    pub changes: BTreeMap<String, [Value; 2]>,
}

/// What somebody did that is no command: for [`Directory::write_down`](super::Directory::write_down).
#[derive(Debug, Clone)]
pub struct Deed {
    /// `end`, for sessions; `lift`, for lockouts; `reset`, for a password.
    pub action: &'static str,
    /// `session`, `lockout`, `user`.
    pub kind: &'static str,
    /// The number of whom or what it was done to.
    pub object_id: Option<i64>,
    /// The name of that.
    pub object: String,
    /// Fields with their values before and after.
    pub changes: BTreeMap<String, [Value; 2]>,
}
