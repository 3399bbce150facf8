//! The sharded map in memory: every session in as few bytes as it takes.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use papaya::{HashMap, ResizeMode};

use super::record::Record;
use crate::domain::password::PasswordMark;
use crate::domain::session::{Lifetime, Span};
use crate::domain::{Client, Device, Session, SessionData, SessionKey, Timestamp, UserId};

/// How many shards the map has. Whoever changes a session or walks over the map holds one at a time,
/// and the more there are the shorter a login in the same shard has to wait: with a million
/// sessions, 4,000 are held.
pub(super) const SHARDS: usize = 256;

/// Sessions by key.
///
/// Look-ups take no lock and write nothing that another core reads, so that workers do not slow
/// each other down: with a lock for readers, two threads together did 1.5 × what one did alone.
/// Changes have their turn one after the other in each shard. No guard of the map leaves this
/// type: records go in and come out by value.
#[derive(Debug)]
pub(super) struct Map {
    shards: Box<[Shard]>,
}

/// On cache lines of its own, so that a change in one does not slow look-ups in its neighbour.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    live: HashMap<SessionKey, Entry, foldhash::fast::RandomState>,
    /// Held by whoever changes the shard, or wants to see all changes that were begun.
    turn: Mutex<()>,
}

/// A [`Record`] packed into 56 bytes.
#[derive(Debug)]
struct Entry {
    /// The user's number, if there was a login.
    user: i64,
    password: [u8; 8],
    data: Option<Arc<SessionData>>,
    /// IPv4 as it is mapped into IPv6.
    address: [u8; 16],
    started: Timestamp,
    /// In seconds; written by requests, at any time.
    last_seen: AtomicU32,
    /// In seconds; written by renewals, at any time.
    expires: AtomicU32,
    device: [u8; 2],
    has_login: bool,
}

impl Default for Map {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Map {
    /// A map with room for so many sessions.
    pub(super) fn with_capacity(sessions: usize) -> Self {
        let collector = Arc::default();
        let shard = || Shard {
            live: HashMap::builder()
                .hasher(foldhash::fast::RandomState::default())
                .capacity(sessions / SHARDS)
                .shared_collector(Arc::clone(&collector))
                // Of the changes alone, which have their turn one after the other in any case.
                .resize_mode(ResizeMode::Blocking)
                .build(),
            turn: Mutex::new(()),
        };
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect() }
    }

    /// The session with this key, noted as seen at `now` if it passes `is_live`. One that does
    /// not is an error.
    pub(super) fn see(
        &self,
        key: &SessionKey,
        now: Timestamp,
        is_live: impl FnOnce(&Span) -> bool,
    ) -> Option<Result<Record, Over>> {
        let live = self.shard(key).live.pin();
        let entry = live.get(key)?;
        if !is_live(&entry.span()) {
            return Some(Err(Over));
        }
        let now = seconds(now);
        // Written once a second at most: a line that is only read may stay in every core's cache.
        if entry.last_seen.load(Relaxed) < now {
            entry.last_seen.store(now, Relaxed);
        }
        Some(Ok(entry.record()))
    }

    /// Gives the session with this key its full age again. One that has ended meanwhile is not
    /// brought back: what is renewed is nothing that anybody finds any more.
    pub(super) fn renew(&self, key: &SessionKey, now: Timestamp, lifetime: &Lifetime) {
        if let Some(entry) = self.shard(key).live.pin().get(key) {
            let renewed = entry.span().renewed(now, lifetime);
            entry.last_seen.fetch_max(seconds(renewed.last_seen), Relaxed);
            entry.expires.fetch_max(seconds(renewed.expires), Relaxed);
        }
    }

    /// The session with this key, whether it is over or not.
    pub(super) fn find(&self, key: &SessionKey) -> Option<Record> {
        self.shard(key).live.pin().get(key).map(Entry::record)
    }

    /// Whether there is a session with this key once every change that [`Map::alter`] has begun is
    /// made; a look-up does not wait for those.
    pub(super) fn holds(&self, key: &SessionKey) -> bool {
        let shard = self.shard(key);
        let _turn = shard.turn();
        shard.live.pin().contains_key(key)
    }

    /// Changes, begins or ends the session with this key: `alter` finds `None` where there is
    /// none, and leaves it where there shall be none. Nobody else changes the session meanwhile, so
    /// what `alter` writes elsewhere has the order of the changes here.
    pub(super) fn alter<T>(
        &self,
        key: SessionKey,
        alter: impl FnOnce(&mut Option<Record>) -> T,
    ) -> T {
        let shard = self.shard(&key);
        let _turn = shard.turn();
        let live = shard.live.pin();
        let mut record = live.get(&key).map(Entry::record);
        let was_there = record.is_some();
        let outcome = alter(&mut record);
        match record {
            Some(record) => {
                live.insert(key, Entry::of(record));
            }
            None if was_there => {
                live.remove(&key);
            }
            None => {}
        }
        outcome
    }

    /// Shows every session to `look`, a shard at a time and holding nothing; those that come or go
    /// meanwhile may be shown or not.
    pub(super) fn for_each(&self, mut look: impl FnMut(SessionKey, Record)) {
        let mut records = Vec::new();
        for shard in self.shards() {
            self.copy(shard, &mut records);
            records.drain(..).for_each(|(key, record)| look(key, record));
        }
    }

    /// The shards, for whoever takes one after the other.
    pub(super) fn shards(&self) -> Range<usize> {
        0..self.shards.len()
    }

    /// Appends the sessions of a shard, with every change that [`Map::alter`] has begun.
    pub(super) fn copy(&self, shard: usize, records: &mut Vec<(SessionKey, Record)>) {
        let shard = &self.shards[shard];
        let _turn = shard.turn();
        records.extend(shard.live.pin().iter().map(|(key, entry)| (*key, entry.record())));
    }

    /// Appends those sessions of a shard that were seen at `since` or later.
    pub(super) fn copy_seen(
        &self,
        shard: usize,
        since: Timestamp,
        seen: &mut Vec<(SessionKey, Span)>,
    ) {
        let live = self.shards[shard].live.pin();
        let spans = live.iter().map(|(key, entry)| (*key, entry.span()));
        seen.extend(spans.filter(|(_, span)| span.last_seen >= since));
    }

    /// The shard that a key is in, whose first byte this is.
    pub(super) fn shard_of(first_byte: u8) -> usize {
        usize::from(first_byte) * SHARDS / 256
    }

    /// The sessions of a shard that are this user's: others are passed over unpacked, for this is
    /// asked of every shard in turn.
    pub(super) fn copy_of_user(&self, shard: usize, user: UserId) -> Vec<(SessionKey, Record)> {
        let live = self.shards[shard].live.pin();
        live.iter()
            .filter(|(_, entry)| entry.has_login && entry.user == user.0)
            .map(|(key, entry)| (*key, entry.record()))
            .collect()
    }

    /// Drops every session whose span does not pass, and says how many did not.
    pub(super) fn retain(&self, is_live: impl Fn(&Span) -> bool) -> usize {
        let mut dropped = 0;
        for shard in &self.shards {
            let _turn = shard.turn();
            shard.live.pin().retain(|_, entry| {
                let stays = is_live(&entry.span());
                dropped += usize::from(!stays);
                stays
            });
        }
        dropped
    }

    /// Takes all out, and gives them.
    pub(super) fn drain(&self) -> Vec<(SessionKey, Record)> {
        let mut drained = Vec::with_capacity(self.len());
        for shard in &self.shards {
            let _turn = shard.turn();
            let live = shard.live.pin();
            drained.extend(live.iter().map(|(key, entry)| (*key, entry.record())));
            live.clear();
        }
        drained
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.live.len()).sum()
    }

    /// Keys are digests, so any of their bytes is as good as a hash.
    fn shard(&self, key: &SessionKey) -> &Shard {
        &self.shards[Self::shard_of(key.as_bytes()[0])]
    }
}

impl Shard {
    fn turn(&self) -> MutexGuard<'_, ()> {
        // Whoever panicked while it held the turn has changed a session or has not.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Over;

impl Entry {
    fn of(record: Record) -> Self {
        let Record { login, span, client, data } = record;
        let IpMapped(address) = client.address.into();
        Self {
            user: login.map_or(0, |login| login.user().0),
            password: login.map_or([0; 8], |login| *login.password().as_bytes()),
            data,
            address,
            started: span.started,
            last_seen: AtomicU32::new(seconds(span.last_seen)),
            expires: AtomicU32::new(seconds(span.expires)),
            device: client.device.to_bytes(),
            has_login: login.is_some(),
        }
    }

    fn span(&self) -> Span {
        let moment = |seconds: &AtomicU32| Timestamp::from_seconds(seconds.load(Relaxed).into());
        let (last_seen, expires) = (moment(&self.last_seen), moment(&self.expires));
        Span { started: self.started, last_seen, expires }
    }

    fn record(&self) -> Record {
        let (span, password) = (self.span(), PasswordMark::from_bytes(self.password));
        Record {
            login: self.has_login.then(|| Session::restore(UserId(self.user), password, span)),
            span,
            client: Client {
                address: IpAddr::from(Ipv6Addr::from(self.address)).to_canonical(),
                device: Device::from_bytes(self.device),
            },
            data: self.data.clone(),
        }
    }
}

/// An address in 16 bytes.
struct IpMapped([u8; 16]);

impl From<IpAddr> for IpMapped {
    fn from(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        })
    }
}

fn seconds(moment: Timestamp) -> u32 {
    u32::try_from(moment.seconds()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_entry_takes_56_bytes() {
        assert_eq!(size_of::<(SessionKey, Entry)>(), 72);
    }

    #[test]
    fn whether_a_session_is_there_waits_for_the_change_that_was_begun() {
        let (map, key) = (Map::default(), SessionKey::from_bytes([7; 16]));
        let client = Client { address: "::1".parse().unwrap(), device: Device::default() };
        let lifetime = Lifetime { age: Duration::from_secs(9), idle: None, absolute: None };
        let record = Record::anonymous(client, Timestamp::from_seconds(1), &lifetime);
        std::thread::scope(|scope| {
            let (asks, has_asked) = channel();
            let (answers, answered) = channel();
            map.alter(key, |place| {
                let map = &map;
                scope.spawn(move || {
                    asks.send(()).unwrap();
                    answers.send(map.holds(&key)).unwrap();
                });
                has_asked.recv().unwrap();
                let early = answered.recv_timeout(Duration::from_millis(50));
                assert!(early.is_err(), "it did not wait: {early:?}");
                *place = Some(record);
            });
            assert_eq!(answered.recv(), Ok(true));
        });
        assert_eq!(map.drain().len(), 1);
        assert_eq!((map.len(), map.holds(&key)), (0, false));
    }
}
