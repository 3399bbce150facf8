//! Whether what was asked for is still true when the answer is here.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::domain::SessionKey;

/// How many counters there are. Sessions that share one make each other's answers worthless now
/// and then, which costs a question more and nothing else.
const COUNTERS: usize = 1024;

/// Counts, for each session, how often it was said to have changed.
///
/// An answer that was under way when its session changed must not be kept. So whoever asks takes a
/// [`Ticket`] first, a change makes the ticket worthless before it touches anything that is kept,
/// and with a worthless ticket nothing is kept.
#[derive(Debug)]
pub(super) struct Freshness {
    counters: Box<[AtomicU64]>,
}

/// Taken before the store is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Default for Freshness {
    fn default() -> Self {
        Self { counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Freshness {
    /// Allows one answer to be kept.
    pub(super) fn ticket(&self, key: &SessionKey) -> Ticket {
        Ticket(self.counter(key).load(SeqCst))
    }

    /// Whether nothing was said of the session since the ticket was taken.
    pub(super) fn is_good(&self, key: &SessionKey, ticket: Ticket) -> bool {
        self.ticket(key) == ticket
    }

    /// The session has changed.
    pub(super) fn outdate(&self, key: &SessionKey) {
        self.counter(key).fetch_add(1, SeqCst);
    }

    /// Any session may have changed.
    pub(super) fn outdate_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, SeqCst);
        }
    }

    fn counter(&self, key: &SessionKey) -> &AtomicU64 {
        // Keys are digests, so any two of their bytes are evenly spread.
        let [first, second, ..] = key.as_bytes();
        &self.counters[usize::from(u16::from_le_bytes([*first, *second])) % COUNTERS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SessionKey = SessionKey::from_bytes([7; 16]);
    const OTHER: SessionKey = SessionKey::from_bytes([8; 16]);

    #[test]
    fn a_ticket_is_good_until_its_session_changes() {
        let freshness = Freshness::default();
        let ticket = freshness.ticket(&KEY);
        freshness.outdate(&OTHER);
        assert!(freshness.is_good(&KEY, ticket));
        freshness.outdate(&KEY);
        assert!(!freshness.is_good(&KEY, ticket));
        let ticket = freshness.ticket(&KEY);
        freshness.outdate_all();
        assert!(!freshness.is_good(&KEY, ticket));
    }
}
