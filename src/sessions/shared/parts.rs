//! Many sessions: those of a user by the index, all of them a part at a time.

use std::collections::BTreeSet;

use redis::Value;

use super::Shared;
use super::layout::{self, Unreadable};
use crate::domain::{SessionKey, UserId};
use crate::sessions::{Record, Unavailable};

/// How many sessions one question is about.
const BATCH: usize = 500;

impl Shared {
    /// The keys of a user's sessions; of some that expired lately, too.
    pub(in crate::sessions) async fn keys_of(
        &self,
        user: UserId,
    ) -> Result<Vec<SessionKey>, Unavailable> {
        let mut question = redis::cmd("SMEMBERS");
        question.arg(self.names.user(user));
        let names: Vec<String> = self.link.ask(&question).await?;
        Ok(names.iter().filter_map(|name| self.names.key(name)).collect())
    }

    /// The sessions of a user, in no order; of some that expired lately nothing.
    pub(in crate::sessions) async fn of_user(
        &self,
        user: UserId,
    ) -> Result<Vec<(SessionKey, Record)>, Unavailable> {
        let mut found = Vec::new();
        for keys in self.keys_of(user).await?.chunks(BATCH) {
            found.append(&mut self.read(keys).await?);
        }
        // An index may have what is somebody else's by now, if somebody wrote to it by hand.
        found.retain(|(_, record)| record.login.is_some_and(|login| login.user() == user));
        Ok(found)
    }

    /// Some of the sessions from a cursor on, and the cursor for the next; the first is 0.
    pub(in crate::sessions) async fn part(
        &self,
        cursor: u64,
    ) -> Result<(Vec<(SessionKey, Record)>, Option<u64>), Unavailable> {
        let (keys, next) = self.keys_part(cursor, "").await?;
        Ok((self.read(&keys).await?, next))
    }

    /// The keys of some of the sessions that begin so, from a cursor on, and the cursor for the
    /// next. One may be shown twice.
    pub(in crate::sessions) async fn keys_part(
        &self,
        cursor: u64,
        begin: &str,
    ) -> Result<(Vec<SessionKey>, Option<u64>), Unavailable> {
        let mut question = redis::cmd("SCAN");
        question.arg(cursor).arg("MATCH").arg(format!("{}{begin}*", escaped(&self.names.sessions)));
        question.arg("COUNT").arg(BATCH).arg("TYPE").arg("hash");
        let (next, names): (u64, Vec<String>) = self.link.ask(&question).await?;
        let keys = names.iter().filter_map(|name| self.names.key(name)).collect();
        Ok((keys, (next != 0).then_some(next)))
    }

    /// The sessions whose keys begin so: all names are looked at, and of the sessions those.
    pub(in crate::sessions) async fn prefixed(
        &self,
        begin: &str,
    ) -> Result<Vec<(SessionKey, Record)>, Unavailable> {
        let (mut found, mut from) = (BTreeSet::new(), Some(0));
        while let Some(cursor) = from {
            let (keys, next) = self.keys_part(cursor, begin).await?;
            found.extend(keys);
            from = next;
        }
        self.read(&found.into_iter().collect::<Vec<_>>()).await
    }

    /// These sessions as Redis has them, without those that have gone.
    async fn read(&self, keys: &[SessionKey]) -> Result<Vec<(SessionKey, Record)>, Unavailable> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut questions = redis::pipe();
        for key in keys {
            questions.cmd("HGETALL").arg(self.names.session(key));
        }
        let answers: Vec<Value> = self.link.ask_all(&questions).await?;
        let mut sessions = Vec::with_capacity(keys.len());
        for (key, answer) in keys.iter().zip(answers) {
            match layout::record_of(answer) {
                Ok(Some(record)) => sessions.push((*key, self.cache.completed(key, record))),
                Ok(None) => {}
                Err(Unreadable) => return Err(self.unreadable(*key)),
            }
        }
        Ok(sessions)
    }
}

/// A text for a pattern of Redis that matches itself alone.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
