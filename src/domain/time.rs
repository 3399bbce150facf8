//! Points in time as the domain sees them: whole seconds, passed in by the edges.

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
}
