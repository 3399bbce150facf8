//! The edge where the time of day is read.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;

/// The time of day.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the edge where the time of day is read")]
pub fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_seconds(since_epoch.as_secs())
}
