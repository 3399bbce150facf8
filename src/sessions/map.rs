//! The sharded map in memory: every session in as few bytes as it takes.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dashmap::DashMap;
use dashmap::Entry as Place;

use super::record::Record;
use crate::domain::password::PasswordMark;
use crate::domain::session::Span;
use crate::domain::{Client, Device, Session, SessionData, SessionKey, Timestamp, UserId};

/// How many shards the map has. Whoever walks over the map holds one at a time, and the more there
/// are the shorter a login in the same shard has to wait: with a million sessions, 4,000 are held.
const SHARDS: usize = 256;

/// Sessions by key.
///
/// No guard of the map leaves this type: records go in and come out by value.
#[derive(Debug)]
pub(super) struct Map {
    live: DashMap<SessionKey, Entry, foldhash::fast::RandomState>,
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
    /// In seconds; written by every request, under a lock that readers share.
    last_seen: AtomicU32,
    expires: Timestamp,
    device: [u8; 2],
    has_login: bool,
}

impl Default for Map {
    fn default() -> Self {
        let hasher = foldhash::fast::RandomState::default();
        Self { live: DashMap::with_hasher_and_shard_amount(hasher, SHARDS) }
    }
}

impl Map {
    /// The session with this key, noted as seen at `now` if it passes `is_live`. One that does
    /// not is an error.
    pub(super) fn see(
        &self,
        key: &SessionKey,
        now: Timestamp,
        is_live: impl FnOnce(&Span) -> bool,
    ) -> Option<Result<Record, Over>> {
        let entry = self.live.get(key)?;
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
        self.live.get(key).map(|entry| entry.record())
    }

    /// Changes, begins or ends the session with this key: `alter` finds `None` where there is
    /// none, and leaves it where there shall be none. Nobody else sees or changes the session
    /// meanwhile, so what `alter` writes elsewhere has the order of the changes here.
    pub(super) fn alter<T>(
        &self,
        key: SessionKey,
        alter: impl FnOnce(&mut Option<Record>) -> T,
    ) -> T {
        match self.live.entry(key) {
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
                    drop(place.insert(Entry::of(record)));
                }
                outcome
            }
        }
    }

    /// Shows every session to `look`, a shard at a time; those that come or go meanwhile may be
    /// shown or not. Logins into the shard that is looked at wait; requests do not.
    pub(super) fn for_each(&self, mut look: impl FnMut(SessionKey, Record)) {
        for entry in &self.live {
            look(*entry.key(), entry.value().record());
        }
    }

    /// Drops every session whose span does not pass.
    pub(super) fn retain(&self, is_live: impl Fn(&Span) -> bool) {
        self.live.retain(|_, entry| is_live(&entry.span()));
    }

    /// Takes all out, and gives them.
    pub(super) fn drain(&self) -> Vec<(SessionKey, Record)> {
        let mut drained = Vec::with_capacity(self.live.len());
        self.live.retain(|key, entry| {
            drained.push((*key, entry.record()));
            false
        });
        drained
    }

    /// The sessions that were last seen at `since` or later.
    pub(super) fn seen_since(&self, since: Timestamp) -> Vec<(SessionKey, Span)> {
        let spans = self.live.iter().map(|entry| (*entry.key(), entry.value().span()));
        spans.filter(|(_, span)| span.last_seen >= since).collect()
    }

    /// The keys that there are.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.live.iter().map(|entry| *entry.key()).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.live.len()
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
