//! How often something may be had, for what costs others: letters, so that nobody can fill a
//! mailbox with them.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Timestamp;

/// How many counters are kept; past it all begin anew.
const MOST_COUNTERS: usize = 100_000;

/// So many of something within a window, for each of those who ask.
///
/// Keys are chosen by clients, so they are hashed with a random key of our own, and only that is
/// kept: no address that was typed stays in memory.
pub(super) struct Allowance {
    most: u32,
    window: Duration,
    taken: Mutex<HashMap<u64, Taken>>,
    hasher: RandomState,
}

#[derive(Clone, Copy)]
struct Taken {
    since: Timestamp,
    number: u32,
}

impl Allowance {
    pub(super) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, taken: Mutex::default(), hasher: RandomState::new() }
    }

    /// Takes one for `who`; the error is how long it takes until there is more.
    pub(super) fn take(&self, who: impl Hash, now: Timestamp) -> Result<(), Duration> {
        let key = self.hasher.hash_one(who);
        let mut counters = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if counters.len() >= MOST_COUNTERS && !counters.contains_key(&key) {
            self.drop_old(&mut counters, now);
            if counters.len() >= MOST_COUNTERS {
                counters.clear();
            }
        }
        let taken = counters.entry(key).or_insert(Taken { since: now, number: 0 });
        if self.is_over(taken, now) {
            *taken = Taken { since: now, number: 0 };
        }
        if taken.number >= self.most {
            return Err(self.window.saturating_sub(now.since(taken.since)));
        }
        taken.number += 1;
        Ok(())
    }

    /// Forgets what no longer counts, to free memory; nothing depends on when it runs.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.drop_old(&mut self.taken.lock().unwrap_or_else(PoisonError::into_inner), now);
    }

    fn drop_old(&self, counters: &mut HashMap<u64, Taken>, now: Timestamp) {
        counters.retain(|_, taken| !self.is_over(taken, now));
    }

    /// Also after a clock that was set back, which would otherwise lengthen the window.
    fn is_over(&self, taken: &Taken, now: Timestamp) -> bool {
        now < taken.since || now.since(taken.since) >= self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn so_many_are_allowed_in_each_window() {
        let allowance = Allowance::new(2, HOUR);
        let minute = |minutes: u64| NOON.after(Duration::from_secs(minutes * 60));
        assert_eq!(allowance.take("ada", minute(0)), Ok(()));
        assert_eq!(allowance.take("ada", minute(20)), Ok(()));
        assert_eq!(allowance.take("ada", minute(50)), Err(HOUR / 6));
        assert_eq!(allowance.take("bob", minute(50)), Ok(()));
        assert_eq!(allowance.take("ada", minute(60)), Ok(()));
        assert_eq!(allowance.take("ada", minute(0)), Ok(()), "a clock that was set back");
        allowance.sweep(minute(300));
        assert!(allowance.taken.lock().unwrap().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let allowance = Allowance::new(1, HOUR);
        for key in 0..MOST_COUNTERS + 10 {
            assert_eq!(allowance.take(key, NOON), Ok(()));
        }
        assert!(allowance.taken.lock().unwrap().len() <= MOST_COUNTERS);
    }
}
