//! What is known of users without asking the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::{DashMap, Entry as Place};

use super::changes::{Changed, Changes};
use crate::domain::{Timestamp, User, UserId};

/// What is known of a user number now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The user, as of the last load.
    User(Arc<User>),
    /// There is no such user; there may have been one.
    Gone,
}

/// Users by number, each good for `refresh`.
///
/// A load that began before a user was forgotten must not put the old user back. So a load takes
/// a [`Ticket`] first, forgetting makes all tickets worthless before it removes anything, and a
/// worthless ticket stores nothing.
pub(super) struct Cache {
    entries: DashMap<UserId, Entry, foldhash::fast::RandomState>,
    generation: AtomicU64,
    stores: AtomicU64,
    refresh: u64,
    changes: Changes,
}

struct Entry {
    known: Known,
    /// In seconds; from then on the entry counts as not loaded, for one asker at a time.
    due: AtomicU64,
}

/// Taken before the database is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

/// How long an asker who was sent to load may take before another one is sent, in seconds.
const PATIENCE: u64 = 1;

/// How many stores go by between two searches for entries that nobody asks for.
const SWEEP_EVERY: u64 = 1024;

/// How long after it is due an entry is kept that nobody asks for, in seconds.
const KEEP: u64 = 600;

impl Cache {
    pub(super) fn new(refresh: Duration) -> Self {
        Self {
            entries: DashMap::default(),
            generation: AtomicU64::new(0),
            stores: AtomicU64::new(0),
            refresh: refresh.as_secs(),
            changes: Changes::default(),
        }
    }

    /// What is known; `None` sends the asker to load.
    ///
    /// When an entry is due, one asker is sent and the others go on with what there is.
    pub(super) fn find(&self, id: UserId, now: Timestamp) -> Option<Known> {
        let entry = self.entries.get(&id)?;
        let now = now.seconds();
        let due = entry.due.load(Ordering::Relaxed);
        // A clock that was set back must not make an entry good for longer.
        if now < due && due - now <= self.refresh {
            return Some(entry.known.clone());
        }
        let claim = now.saturating_add(PATIENCE.min(self.refresh));
        match entry.due.compare_exchange(due, claim, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => None,
            Err(_) => Some(entry.known.clone()),
        }
    }

    /// Allows one load to be stored.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.generation.load(Ordering::SeqCst))
    }

    /// Keeps what a load found, unless something was forgotten since the ticket was taken.
    pub(super) fn store(&self, ticket: Ticket, id: UserId, known: Known, now: Timestamp) {
        let due = AtomicU64::new(now.after(Duration::from_secs(self.refresh)).seconds());
        let place = self.entries.entry(id);
        let mut is_another = false;
        // Under the shard's lock: whoever forgets raises the generation first and then waits for
        // this lock to remove the entry, so one of the two sees the other.
        if self.generation.load(Ordering::SeqCst) == ticket.0 {
            if let Place::Occupied(old) = &place {
                is_another = old.get().known != known;
            }
            drop(place.insert(Entry { known, due }));
        } else {
            drop(place);
        }
        // Nobody told us of this change; it was found because the entry was due.
        if is_another {
            self.changes.tell(Changed::Users([id].into()));
        }
        if self.stores.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.sweep(now);
        }
    }

    /// Forgets these users, and tells nobody: what has changed takes no right from them.
    pub(super) fn forget_quietly(&self, ids: &[UserId]) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        for id in ids {
            self.entries.remove(id);
        }
    }

    /// Forgets these users, who may be another.
    pub(super) fn forget(&self, ids: &[UserId]) {
        self.forget_quietly(ids);
        if !ids.is_empty() {
            self.changes.tell(Changed::Users(ids.into()));
        }
    }

    /// Forgets everybody.
    pub(super) fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.entries.clear();
        self.changes.tell(Changed::Anybody);
    }

    /// Who is forgotten or found to be another from now on.
    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// How long an entry is good.
    pub(super) fn refresh(&self) -> Duration {
        Duration::from_secs(self.refresh)
    }

    /// Removes what nobody asked for in a long time, so that memory follows the live sessions.
    fn sweep(&self, now: Timestamp) {
        self.entries.retain(|_, entry| {
            entry.due.load(Ordering::Relaxed).saturating_add(KEEP) > now.seconds()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    fn later(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn cache() -> Cache {
        Cache::new(Duration::from_secs(30))
    }

    #[test]
    fn an_entry_is_good_until_it_is_due_and_then_sends_one_asker_to_load() {
        let cache = cache();
        assert!(cache.find(UserId(1), NOW).is_none());
        cache.store(cache.ticket(), UserId(1), Known::Gone, NOW);
        assert!(cache.find(UserId(1), later(29)).is_some());
        assert!(cache.find(UserId(1), later(30)).is_none(), "one is sent");
        assert!(cache.find(UserId(1), later(30)).is_some(), "the others are not");
        assert!(cache.find(UserId(1), later(31)).is_none(), "the first did not come back");
    }

    #[test]
    fn a_clock_set_back_does_not_make_an_entry_good_for_longer() {
        let cache = cache();
        cache.store(cache.ticket(), UserId(1), Known::Gone, later(86_400));
        assert!(cache.find(UserId(1), NOW).is_none());
    }

    #[test]
    fn without_refresh_every_asker_loads() {
        let cache = Cache::new(Duration::ZERO);
        cache.store(cache.ticket(), UserId(1), Known::Gone, NOW);
        assert!(cache.find(UserId(1), NOW).is_none());
        assert!(cache.find(UserId(1), NOW).is_none());
    }

    #[test]
    fn a_load_that_began_before_its_user_was_forgotten_stores_nothing() {
        let cache = cache();
        let ticket = cache.ticket();
        cache.forget(&[UserId(1)]);
        cache.store(ticket, UserId(1), Known::Gone, NOW);
        assert!(cache.find(UserId(1), NOW).is_none());

        let ticket = cache.ticket();
        cache.forget_all();
        cache.store(ticket, UserId(1), Known::Gone, NOW);
        assert!(cache.find(UserId(1), NOW).is_none());
    }

    #[test]
    fn whoever_listens_is_told_who_is_another_and_not_who_is_the_same() {
        let cache = cache();
        let mut changes = cache.changes().listen();
        cache.store(cache.ticket(), UserId(1), Known::Gone, NOW);
        cache.store(cache.ticket(), UserId(1), Known::Gone, later(30));
        assert!(changes.try_recv().is_err());
        cache.forget(&[UserId(1), UserId(2)]);
        assert_eq!(changes.try_recv(), Ok(Changed::Users([UserId(1), UserId(2)].into())));
        cache.forget_all();
        assert_eq!(changes.try_recv(), Ok(Changed::Anybody));
    }

    #[test]
    fn what_nobody_asks_for_is_dropped() {
        let cache = cache();
        cache.store(cache.ticket(), UserId(1), Known::Gone, NOW);
        for id in 2..=1024 {
            cache.store(cache.ticket(), UserId(id), Known::Gone, later(3600));
        }
        assert!(!cache.entries.contains_key(&UserId(1)));
        assert_eq!(cache.entries.len(), 1023);
    }
}
