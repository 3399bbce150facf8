//! Looking at many sessions, a part at a time: nothing is held while whoever looks does something
//! else with a part, however long that takes.

use super::map::{Map, SHARDS};
use super::{Kept, Record, Sessions, Unavailable};
use crate::domain::session::Lifetime;
use crate::domain::{SessionKey, Timestamp, UserId};

/// Where a walk over all sessions goes on; the default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor(u64);

impl Cursor {
    /// The cursor with this number, as somebody who came back with it has it. Any number is good for
    /// looking; one that was made up leads anywhere.
    pub const fn at(number: u64) -> Self {
        Self(number)
    }

    /// The number, to come back with.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Some of the sessions, and where the others begin.
#[derive(Debug)]
pub struct Part {
    /// The sessions of this part, in no order, those that are over and not swept yet included.
    /// There may be none, though others follow.
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
    /// exactly one of them; one that comes or goes meanwhile is in one or in none. A shared store
    /// that grows or shrinks meanwhile may show one twice.
    pub async fn part(&self, from: Cursor) -> Result<Part, Unavailable> {
        match &self.kept {
            Kept::Here(local) => {
                let (sessions, next) = shard(local.map(), from);
                Ok(Part { sessions, next })
            }
            Kept::Shared(shared) => {
                let (sessions, next) = shared.part(from.0).await?;
                Ok(Part { sessions, next: next.map(Cursor) })
            }
        }
    }

    /// As [`Sessions::part`], without reading what the sessions are.
    pub(super) async fn keys_part(
        &self,
        from: Cursor,
    ) -> Result<(Vec<SessionKey>, Option<Cursor>), Unavailable> {
        match &self.kept {
            Kept::Here(local) => {
                let (sessions, next) = shard(local.map(), from);
                Ok((sessions.into_iter().map(|(key, _)| key).collect(), next))
            }
            Kept::Shared(shared) => {
                let (keys, next) = shared.keys_part(from.0, "").await?;
                Ok((keys, next.map(Cursor)))
            }
        }
    }

    /// The sessions of a user, in no order, those that are over and not swept yet included.
    ///
    /// In memory there is no index of users: every session would pay for it. With a million
    /// sessions this reads 70 MB, and other tasks have their turn in between.
    pub async fn of_user(&self, user: UserId) -> Result<Vec<(SessionKey, Record)>, Unavailable> {
        let local = match &self.kept {
            Kept::Here(local) => local,
            Kept::Shared(shared) => return shared.of_user(user).await,
        };
        let mut found = Vec::new();
        for shard in 0..SHARDS {
            found.append(&mut local.map().copy_of_user(shard, user));
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    /// The keys of a user's sessions, and maybe of some that are over.
    pub(super) async fn keys_of(&self, user: UserId) -> Result<Vec<SessionKey>, Unavailable> {
        match &self.kept {
            Kept::Here(_) => {
                Ok(self.of_user(user).await?.into_iter().map(|(key, _)| key).collect())
            }
            Kept::Shared(shared) => shared.keys_of(user).await,
        }
    }

    /// The live session whose key begins so, if there is only one.
    pub async fn find_by_prefix(
        &self,
        prefix: &KeyPrefix,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Found, Unavailable> {
        if let Some(key) = SessionKey::parse(&prefix.0) {
            let found = self.find(key, now, lifetime).await?;
            return Ok(found.map_or(Found::None, |record| Found::One(key, record)));
        }
        let mut sessions = match &self.kept {
            Kept::Here(local) => prefixed(local.map(), prefix),
            Kept::Shared(shared) => shared.prefixed(&prefix.0).await?,
        };
        sessions.retain(|(_, record)| record.is_live(now, lifetime));
        Ok(match (sessions.pop(), sessions.is_empty()) {
            (None, _) => Found::None,
            (Some((key, record)), true) => Found::One(key, record),
            (Some(_), false) => Found::Several,
        })
    }
}

/// The sessions of one shard, and where the next begins.
fn shard(map: &Map, from: Cursor) -> (Vec<(SessionKey, Record)>, Option<Cursor>) {
    let mut sessions = Vec::new();
    let Some(shard) = usize::try_from(from.0).ok().filter(|shard| *shard < SHARDS) else {
        return (sessions, None);
    };
    map.copy(shard, &mut sessions);
    (sessions, (shard + 1 < SHARDS).then_some(Cursor(from.0 + 1)))
}

/// The sessions in memory whose keys begin so.
fn prefixed(map: &Map, prefix: &KeyPrefix) -> Vec<(SessionKey, Record)> {
    let mut sessions = Vec::new();
    // The first byte names the shard that the key is in, and a prefix has it whole.
    if let Ok(first_byte) = u8::from_str_radix(&prefix.0[..2], 16) {
        map.copy(Map::shard_of(first_byte), &mut sessions);
        sessions.retain(|(key, _)| key.to_string().starts_with(&prefix.0));
    }
    sessions
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
    use super::*;

    #[test]
    fn a_prefix_has_at_least_four_digits_and_nothing_else() {
        for bad in ["", "abc", "abcg", "ab cd", "é123", &"0".repeat(33)] {
            assert_eq!(KeyPrefix::parse(bad), None, "{bad}");
        }
        assert_eq!(KeyPrefix::parse("ABCD"), KeyPrefix::parse("abcd"));
    }
}
