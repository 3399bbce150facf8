//! The sessions that are known here, and what is done when the store says that they changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{broadcast, mpsc};

use super::doubts::Doubt;
use super::freshness::{Freshness, Ticket};
use crate::domain::session::Span;
use crate::domain::{SessionData, SessionKey};
use crate::sessions::Record;
use crate::sessions::map::Map;

/// Sessions by key, as of the last word from the store.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) map: Map,
    freshness: Freshness,
    doubts: mpsc::UnboundedSender<Doubt>,
    told: broadcast::Sender<SessionKey>,
    invalidations: AtomicU64,
}

/// What became of an answer.
#[derive(Debug)]
pub(super) enum Stored {
    /// It is in memory; whether it says something else than what was known.
    Yes { has_changed: bool },
    /// The session changed while the answer was under way.
    Outdated,
}

impl Cache {
    pub(super) fn new(
        doubts: mpsc::UnboundedSender<Doubt>,
        told: broadcast::Sender<SessionKey>,
    ) -> Self {
        let (map, freshness) = (Map::default(), Freshness::default());
        Self { map, freshness, doubts, told, invalidations: AtomicU64::new(0) }
    }

    /// Allows one answer to be kept; to be taken before the store is asked.
    pub(super) fn ticket(&self, key: &SessionKey) -> Ticket {
        self.freshness.ticket(key)
    }

    /// Keeps what the store answered, unless the session changed since the ticket was taken. Gives
    /// the record with what only this gateway knows yet: that it was seen, and renewed. `known` is
    /// what was in memory before it was taken out of there.
    pub(super) fn keep(
        &self,
        ticket: Ticket,
        key: SessionKey,
        record: Record,
        known: Option<&Record>,
    ) -> (Record, Stored) {
        self.map.alter(key, |place| {
            let both = [known, place.as_ref()].into_iter().flatten();
            let span = both.fold(record.span, |span, known| latest(span, known.span));
            let known = known.or(place.as_ref());
            let has_changed = known.is_some_and(|known| !says_the_same(known, &record));
            let record = record.with_span(span);
            // In the shard's turn: a change makes tickets worthless first and then waits for the
            // turn to look for the entry, so one of the two sees the other.
            if !self.freshness.is_good(&key, ticket) {
                return (record, Stored::Outdated);
            }
            *place = Some(record.clone());
            (record, Stored::Yes { has_changed })
        })
    }

    /// What the store says of a session, with what only this gateway knows yet.
    pub(super) fn completed(&self, key: &SessionKey, record: Record) -> Record {
        match self.map.find(key) {
            Some(known) => {
                let span = latest(record.span, known.span);
                record.with_span(span)
            }
            None => record,
        }
    }

    /// The store says that a session changed or ended. Until it is asked again, which is a matter
    /// of one round trip, what is known stays in force; [`doubts`](super::doubts) bounds that.
    pub(super) fn doubt(&self, key: SessionKey) {
        self.invalidations.fetch_add(1, Relaxed);
        self.freshness.outdate(&key);
        // In turn, after an answer that is just being kept with a ticket from before.
        if self.map.holds(&key) {
            self.question(Doubt::Changed(key, None));
        }
    }

    /// As [`doubt`](Self::doubt), and what is known does not stay in force: for changes that were
    /// made here, whose makers are to see them.
    pub(super) fn drop_and_ask(&self, key: SessionKey) {
        if let Some(known) = self.forget(key) {
            self.question(Doubt::Changed(key, Some(known)));
        }
    }

    /// Somebody goes on with what the store answered, which is not kept here: it is asked for until it
    /// is, and told if it is another by then.
    pub(super) fn ask_again(&self, key: SessionKey, answer: Record) {
        self.question(Doubt::Changed(key, Some(answer)));
    }

    /// Any session may have changed, as after a time without a connection: nothing that is known
    /// stays in force, and all of it is asked for again.
    pub(super) fn doubt_everything(&self) {
        self.freshness.outdate_all();
        let known = self.map.drain();
        self.question(Doubt::Recall(known));
    }

    /// Takes a session out of memory.
    pub(super) fn forget(&self, key: SessionKey) -> Option<Record> {
        self.freshness.outdate(&key);
        self.map.alter(key, Option::take)
    }

    /// Takes a session out of memory that is to be asked for again.
    pub(super) fn suspend(&self, key: SessionKey) -> Option<Record> {
        self.map.alter(key, Option::take)
    }

    /// Takes all out of memory, and tells whoever listens: nothing is known of any session now.
    pub(super) fn forget_everything(&self) {
        self.freshness.outdate_all();
        for (key, _) in self.map.drain() {
            self.tell(key);
        }
        self.question(Doubt::GiveUp);
    }

    /// Tells whoever listens that a session changed or ended.
    pub(super) fn tell(&self, key: SessionKey) {
        // An error means that nobody listens.
        let _unheard = self.told.send(key);
    }

    fn question(&self, doubt: Doubt) {
        // An error means that the store was closed.
        let _closed = self.doubts.send(doubt);
    }

    /// How often the store said that a session changed.
    pub(super) fn invalidations(&self) -> u64 {
        self.invalidations.load(Relaxed)
    }
}

/// The later of each moment. Both only ever move on, and either side may be the one to know more:
/// what was seen here is written lazily.
fn latest(one: Span, other: Span) -> Span {
    Span {
        started: one.started,
        last_seen: one.last_seen.max(other.last_seen),
        expires: one.expires.max(other.expires),
    }
}

/// Whether anything that a decision could depend on is the same; when it was seen is not that.
fn says_the_same(one: &Record, other: &Record) -> bool {
    let login = |record: &Record| record.login.map(|login| (login.user(), login.password()));
    let data =
        |record: &Record| record.data.clone().unwrap_or_else(|| Arc::new(SessionData::default()));
    login(one) == login(other) && data(one) == data(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::Lifetime;
    use crate::domain::{Client, Device, Timestamp};

    const KEY: SessionKey = SessionKey::from_bytes([7; 16]);

    fn moment(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn record(seen: u64, data: &str) -> Record {
        let client = Client { address: "::1".parse().unwrap(), device: Device::default() };
        let age = std::time::Duration::from_secs(1000);
        let record =
            Record::anonymous(client, moment(0), &Lifetime { age, idle: None, absolute: None });
        let data: SessionData = [("a".into(), data.into())].into_iter().collect();
        let span = record.span.seen(moment(seen));
        Record { data: Some(data.into()), ..record.with_span(span) }
    }

    type Told = (mpsc::UnboundedReceiver<Doubt>, broadcast::Receiver<SessionKey>);

    fn cache() -> (Cache, Told) {
        let (doubts, in_doubt) = mpsc::unbounded_channel();
        let (told, listener) = broadcast::channel(8);
        (Cache::new(doubts, told), (in_doubt, listener))
    }

    #[test]
    fn an_answer_from_before_a_change_is_not_kept() {
        let (cache, _told) = cache();
        let ticket = cache.ticket(&KEY);
        cache.doubt(KEY);
        let (_, stored) = cache.keep(ticket, KEY, record(1, "1"), None);
        assert!(matches!(stored, Stored::Outdated), "{stored:?}");
        assert_eq!(cache.map.find(&KEY), None);

        cache.keep(cache.ticket(&KEY), KEY, record(1, "1"), None);
        let ticket = cache.ticket(&KEY);
        assert!(cache.forget(KEY).is_some());
        let (_, stored) = cache.keep(ticket, KEY, record(1, "1"), None);
        assert!(matches!(stored, Stored::Outdated), "{stored:?}");
        assert_eq!(cache.map.find(&KEY), None);
    }

    #[test]
    fn what_only_this_gateway_knows_yet_is_kept() {
        let (cache, _told) = cache();
        cache.keep(cache.ticket(&KEY), KEY, record(50, "1"), None);
        let (kept, stored) = cache.keep(cache.ticket(&KEY), KEY, record(10, "1"), None);
        assert_eq!(kept.span.last_seen, moment(50), "it was seen here");
        assert!(matches!(stored, Stored::Yes { has_changed: false }), "{stored:?}");
        let (_, stored) = cache.keep(cache.ticket(&KEY), KEY, record(60, "2"), None);
        assert!(matches!(stored, Stored::Yes { has_changed: true }), "{stored:?}");

        let known = cache.suspend(KEY).unwrap();
        let (kept, stored) = cache.keep(cache.ticket(&KEY), KEY, record(10, "2"), Some(&known));
        assert_eq!(kept.span.last_seen, moment(60));
        assert!(matches!(stored, Stored::Yes { has_changed: false }), "{stored:?}");
    }

    #[test]
    fn a_session_in_doubt_is_asked_for_again_and_one_that_is_not_known_is_not() {
        let (cache, (mut doubts, _)) = cache();
        cache.doubt(KEY);
        assert!(doubts.try_recv().is_err());
        cache.keep(cache.ticket(&KEY), KEY, record(1, "1"), None);
        cache.doubt(KEY);
        assert!(matches!(doubts.try_recv(), Ok(Doubt::Changed(KEY, None))));
        assert!(cache.map.find(&KEY).is_some());
        cache.drop_and_ask(KEY);
        assert!(matches!(doubts.try_recv(), Ok(Doubt::Changed(KEY, Some(_)))));
        assert!(cache.map.find(&KEY).is_none());
    }

    #[test]
    fn after_a_break_nothing_is_believed_and_after_the_grace_all_are_told() {
        let (cache, (mut doubts, mut told)) = cache();
        let ticket = cache.ticket(&KEY);
        cache.keep(ticket, KEY, record(1, "1"), None);
        cache.doubt_everything();
        assert_eq!(cache.map.len(), 0);
        assert!(matches!(doubts.try_recv(), Ok(Doubt::Recall(known)) if known.len() == 1));
        assert!(matches!(cache.keep(ticket, KEY, record(1, "1"), None).1, Stored::Outdated));
        assert!(told.try_recv().is_err());

        cache.keep(cache.ticket(&KEY), KEY, record(1, "1"), None);
        cache.forget_everything();
        assert_eq!((cache.map.len(), told.try_recv()), (0, Ok(KEY)));
        assert!(matches!(doubts.try_recv(), Ok(Doubt::GiveUp)));
    }
}
