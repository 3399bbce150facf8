//! Looking at many sessions, a part at a time: nothing is held while whoever looks does something
//! else with a part, however long that takes.

use super::map::{Map, SHARDS};
use super::{Record, Sessions, Unavailable};
use crate::domain::session::Lifetime;
use crate::domain::{SessionKey, Timestamp, UserId};

/// Where a walk over all sessions goes on; the default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(usize);

/// Some of the sessions, and where the others begin.
#[derive(Debug)]
pub struct Part {
    /// The sessions of this part, in no order, those that are over and not swept yet included.
    pub sessions: Vec<(SessionKey, Record)>,
    /// Where to go on; `None` after the last part.
    pub next: Option<Cursor>,
}

/// The first digits of a key, for whoever does not want to type all 32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix(String);

/// What the first digits of a key stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No session that is live.
    None,
    /// One.
    One(SessionKey, Record),
    /// More than one.
    Several,
}

impl Sessions {
    /// One part of all sessions. A session that is there from the first part to the last is in
    /// exactly one of them; one that comes or goes meanwhile is in one or in none.
    pub async fn part(&self, from: Cursor) -> Result<Part, Unavailable> {
        let mut sessions = Vec::new();
        if from.0 < SHARDS {
            self.store.map().copy(from.0, &mut sessions);
        }
        let next = from.0 + 1;
        Ok(Part { sessions, next: (next < SHARDS).then_some(Cursor(next)) })
    }

    /// The sessions of a user, in no order, those that are over and not swept yet included.
    ///
    /// There is no index of users: every session would pay for it. With a million sessions this
    /// reads 70 MB, and other tasks have their turn in between.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<(SessionKey, Record)>, Unavailable> {
        let mut found = Vec::new();
        for shard in 0..SHARDS {
            found.append(&mut self.store.map().copy_of_user(shard, user));
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    /// The live session whose key begins so, if there is only one.
    pub async fn find_by_prefix(
        &self,
        prefix: &KeyPrefix,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Found, Unavailable> {
        if let Some(key) = SessionKey::parse(&prefix.0) {
            let found = self.find(&key, now, lifetime);
            return Ok(found.map_or(Found::None, |record| Found::One(key, record)));
        }
        // The first byte names the shard that the key is in, and a prefix has it whole.
        let Ok(first_byte) = u8::from_str_radix(&prefix.0[..2], 16) else {
            return Ok(Found::None);
        };
        let mut sessions = Vec::new();
        self.store.map().copy(Map::shard_of(first_byte), &mut sessions);
        sessions.retain(|(key, record)| {
            record.is_live(now, lifetime) && key.to_string().starts_with(&prefix.0)
        });
        Ok(match (sessions.pop(), sessions.is_empty()) {
            (None, _) => Found::None,
            (Some((key, record)), true) => Found::One(key, record),
            (Some(_), false) => Found::Several,
        })
    }
}

impl KeyPrefix {
    /// The fewest digits that may stand for a key.
    pub const SHORTEST: usize = 4;

    /// Reads the first digits of a key; `None` when no key can begin so, or there are too few.
    pub fn parse(text: &str) -> Option<Self> {
        let is_fit = (Self::SHORTEST..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_fit.then(|| Self(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::*;
    use crate::domain::{Client, Device};

    const NOON: Timestamp = Timestamp::from_seconds(1_000_000);
    const LIFETIME: Lifetime =
        Lifetime { age: Duration::from_secs(60), idle: None, absolute: None };

    async fn begin(sessions: &Sessions, count: usize) -> HashSet<SessionKey> {
        let client = Client { address: "::1".parse().unwrap(), device: Device::default() };
        let mut keys = HashSet::new();
        for _ in 0..count {
            let id = sessions.begin_anonymous(client, NOON, &LIFETIME).await.unwrap();
            keys.insert(SessionKey::of(&id));
        }
        keys
    }

    #[tokio::test]
    async fn the_parts_are_all_sessions_each_once() {
        let sessions = Sessions::default();
        let keys = begin(&sessions, 2000).await;
        let (mut seen, mut parts, mut cursor) = (Vec::new(), 0, Some(Cursor::default()));
        while let Some(from) = cursor {
            let part = sessions.part(from).await.unwrap();
            // Nothing is held now: what would wait for a guard does not.
            for (key, _) in &part.sessions {
                sessions.discard(*key);
            }
            seen.extend(part.sessions.into_iter().map(|(key, _)| key));
            (parts, cursor) = (parts + 1, part.next);
        }
        assert_eq!(parts, SHARDS);
        assert_eq!(seen.len(), 2000);
        assert_eq!(seen.into_iter().collect::<HashSet<_>>(), keys);
        assert!(sessions.is_empty());
    }

    #[tokio::test]
    async fn a_few_digits_are_enough_when_only_one_key_begins_so() {
        let sessions = Sessions::default();
        let mut keys = begin(&sessions, 300).await.into_iter();
        let key = keys.next().unwrap();
        let find = async |text: &str, now| {
            let prefix = KeyPrefix::parse(text).unwrap();
            sessions.find_by_prefix(&prefix, now, &LIFETIME).await.unwrap()
        };
        for digits in [12, 31, 32] {
            let text = key.to_string()[..digits].to_uppercase();
            assert!(matches!(find(&text, NOON).await, Found::One(found, _) if found == key));
            let over = NOON.after(LIFETIME.age);
            assert_eq!(find(&text, over).await, Found::None);
        }
        let last = if key.as_bytes()[15] & 1 == 0 { 1 } else { 0 };
        let mut other = *key.as_bytes();
        other[15] = other[15] & 0xfe | last;
        let other = SessionKey::from_bytes(other);
        assert_eq!(find(&other.to_string(), NOON).await, Found::None);
        let record = sessions.find(&key, NOON, &LIFETIME).unwrap();
        sessions.store.map().alter(other, |place| *place = Some(record));
        assert_eq!(find(&key.to_string()[..12], NOON).await, Found::Several);
        assert!(matches!(find(&key.to_string(), NOON).await, Found::One(found, _) if found == key));
    }

    #[test]
    fn a_prefix_has_at_least_four_digits_and_nothing_else() {
        for bad in ["", "abc", "abcg", "ab cd", "é123", &"0".repeat(33)] {
            assert_eq!(KeyPrefix::parse(bad), None, "{bad}");
        }
        assert_eq!(KeyPrefix::parse("ABCD"), KeyPrefix::parse("abcd"));
    }
}
