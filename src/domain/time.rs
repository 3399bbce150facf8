//! Points in time as the domain sees them: whole seconds, passed in by the edges.

use std::fmt;
use std::time::Duration;

/// A moment, in whole seconds since 1970-01-01T00:00:00Z, as far as 2106-02-07T06:28:15Z.
///
/// Four bytes are enough for that, and a store of sessions holds millions of moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u32);

impl Timestamp {
    /// The moment `seconds` after 1970-01-01T00:00:00Z; the last one there is when that is later.
    pub const fn from_seconds(seconds: u64) -> Self {
        // `min` of integers is no `const fn`, and the cast loses nothing after it.
        Self(if seconds > u32::MAX as u64 { u32::MAX } else { seconds as u32 })
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub const fn seconds(self) -> u64 {
        self.0 as u64
    }

    /// The moment `duration` later; the last one there is when that is not representable.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self::from_seconds(self.seconds().saturating_add(duration.as_secs()))
    }

    /// How long ago `earlier` was; nothing when it lies ahead, as after a clock that was set back.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0) as u64)
    }

    /// How long before `now` this was, in words.
    pub const fn ago(self, now: Self) -> Ago {
        Ago(now.since(self))
    }
}

/// How long ago something was, in English words for people: `3 minutes ago`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ago(Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        let (count, unit) = match self.0.as_secs() {
            ..MINUTE => return f.write_str("just now"),
            seconds @ ..HOUR => (seconds / MINUTE, "minute"),
            seconds @ ..DAY => (seconds / HOUR, "hour"),
            seconds => (seconds / DAY, "day"),
        };
        let plural = if count == 1 { "" } else { "s" };
        write!(f, "{count} {unit}{plural} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_told_in_its_largest_whole_unit() {
        let now = Timestamp::from_seconds(10_000_000);
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (3599, "59 minutes ago"),
            (3600, "1 hour ago"),
            (86_399, "23 hours ago"),
            (86_400, "1 day ago"),
            (40 * 86_400, "40 days ago"),
        ] {
            let then = Timestamp::from_seconds(10_000_000 - seconds);
            assert_eq!(then.ago(now).to_string(), words);
        }
        let ahead = Timestamp::from_seconds(10_000_001);
        assert_eq!(ahead.ago(now).to_string(), "just now");
    }
}
