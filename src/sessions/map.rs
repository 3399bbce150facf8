//! The sharded map in memory: every session in as few bytes as it takes.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::record::Record;
use crate::domain::password::PasswordMark;
use crate::domain::session::Span;
use crate::domain::{Client, Device, Session, SessionData, SessionKey, Timestamp, UserId};

/// How many shards the map has. Whoever walks over the map holds one at a time, and the more there
/// are the shorter a login in the same shard has to wait: with a million sessions, 4,000 are held.
pub(super) const SHARDS: usize = 256;

/// Sessions by key.
///
/// No guard of the map leaves this type: records go in and come out by value. The shards are the
/// map's own, and not those of a concurrent map, because a snapshot has to take one shard at a time
/// and let go of it before it writes.
#[derive(Debug)]
pub(super) struct Map {
    shards: Box<[Shard]>,
}

/// On cache lines of its own, so that two cores that lock neighbours do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(RwLock<Sessions>);

type Sessions = HashMap<SessionKey, Entry, foldhash::fast::RandomState>;

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
    /// In seconds; written by every request, under a lock that readers share.
    last_seen: AtomicU32,
    expires: Timestamp,
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
        let shard = || {
            let hasher = foldhash::fast::RandomState::default();
            Shard(RwLock::new(HashMap::with_capacity_and_hasher(sessions / SHARDS, hasher)))
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
        let shard = self.shard(key).read();
        let entry = shard.get(key)?;
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

    /// The session with this key, whether it is over or not.
    pub(super) fn find(&self, key: &SessionKey) -> Option<Record> {
        self.shard(key).read().get(key).map(Entry::record)
    }

    /// Changes, begins or ends the session with this key: `alter` finds `None` where there is
    /// none, and leaves it where there shall be none. Nobody else sees or changes the session
    /// meanwhile, so what `alter` writes elsewhere has the order of the changes here.
    pub(super) fn alter<T>(
        &self,
        key: SessionKey,
        alter: impl FnOnce(&mut Option<Record>) -> T,
    ) -> T {
        let mut shard = self.shard(&key).write();
        match shard.entry(key) {
            Place::Occupied(mut place) => {
                let mut record = Some(place.get().record());
                let outcome = alter(&mut record);
                match record {
                    Some(record) => drop(place.insert(Entry::of(record))),
                    None => drop(place.remove()),
                }
                outcome
            }
            Place::Vacant(place) => {
                let mut record = None;
                let outcome = alter(&mut record);
                if let Some(record) = record {
                    place.insert(Entry::of(record));
                }
                outcome
            }
        }
    }

    /// Shows every session to `look`, a shard at a time and after its lock was given back; those
    /// that come or go meanwhile may be shown or not.
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

    /// Appends the sessions of a shard.
    pub(super) fn copy(&self, shard: usize, records: &mut Vec<(SessionKey, Record)>) {
        let shard = self.shards[shard].read();
        records.extend(shard.iter().map(|(key, entry)| (*key, entry.record())));
    }

    /// Appends those sessions of a shard that were seen at `since` or later.
    pub(super) fn copy_seen(
        &self,
        shard: usize,
        since: Timestamp,
        seen: &mut Vec<(SessionKey, Span)>,
    ) {
        let shard = self.shards[shard].read();
        let spans = shard.iter().map(|(key, entry)| (*key, entry.span()));
        seen.extend(spans.filter(|(_, span)| span.last_seen >= since));
    }

    /// The shard that a key is in, whose first byte this is.
    pub(super) fn shard_of(first_byte: u8) -> usize {
        usize::from(first_byte) * SHARDS / 256
    }

    /// The sessions of a shard that are this user's: others are passed over unpacked, for this is
    /// asked of every shard in turn.
    pub(super) fn copy_of_user(&self, shard: usize, user: UserId) -> Vec<(SessionKey, Record)> {
        let shard = self.shards[shard].read();
        shard
            .iter()
            .filter(|(_, entry)| entry.has_login && entry.user == user.0)
            .map(|(key, entry)| (*key, entry.record()))
            .collect()
    }

    /// Drops every session whose span does not pass, and says how many did not.
    pub(super) fn retain(&self, is_live: impl Fn(&Span) -> bool) -> usize {
        let mut dropped = 0;
        for shard in &self.shards {
            let mut shard = shard.write();
            let before = shard.len();
            shard.retain(|_, entry| is_live(&entry.span()));
            dropped += before - shard.len();
        }
        dropped
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().len()).sum()
    }

    /// Keys are digests, so any of their bytes is as good as a hash.
    fn shard(&self, key: &SessionKey) -> &Shard {
        &self.shards[Self::shard_of(key.as_bytes()[0])]
    }
}

impl Shard {
    fn read(&self) -> RwLockReadGuard<'_, Sessions> {
        // Whoever panicked while it held the lock has changed a session or has not.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Sessions> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
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
            expires: span.expires,
            device: client.device.to_bytes(),
            has_login: login.is_some(),
        }
    }

    fn span(&self) -> Span {
        let last_seen = Timestamp::from_seconds(u64::from(self.last_seen.load(Relaxed)));
        Span { started: self.started, last_seen, expires: self.expires }
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
    use super::*;

    #[test]
    fn an_entry_takes_56_bytes() {
        assert_eq!(size_of::<(SessionKey, Entry)>(), 72);
    }
}
