//! What is done every now and then, and in the end.

use std::time::Duration;

use super::{Kept, Sessions};
use crate::domain::Timestamp;
use crate::domain::session::Lifetime;

impl Sessions {
    /// Drops what has expired, to free memory, and says how much it was; nothing depends on when
    /// it runs. A shared store drops by itself what has expired there.
    pub fn sweep(&self, now: Timestamp, lifetime: &Lifetime) -> usize {
        if let Kept::Shared(shared) = &self.kept {
            shared.set_lifetime(lifetime);
        }
        self.map().retain(|span| span.is_live(now, lifetime))
    }

    /// Does what is due on disk: snapshots, renewals, coming back after a failure. To be called
    /// every second, on a thread that may wait; `clock` is the time since the start. A shared store
    /// sees to itself.
    pub fn tend(&self, now: Timestamp, clock: &dyn Fn() -> Duration) {
        if let Kept::Here(local) = &self.kept {
            local.tend(now, clock);
        }
    }

    /// Tells a shared store when sessions were last seen, which it is told within a minute
    /// otherwise, and which sessions were dropped.
    pub async fn flush(&self) {
        if let Kept::Shared(shared) = &self.kept {
            shared.flush().await;
        }
    }

    /// Writes everything to disk for the last time, on a thread that may wait. No change can be
    /// kept there afterwards.
    pub fn close(&self, now: Timestamp, clock: &dyn Fn() -> Duration) {
        if let Kept::Here(local) = &self.kept {
            local.close(now, clock);
        }
    }
}
