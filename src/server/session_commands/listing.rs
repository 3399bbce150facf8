//! A list of sessions that is never there as a whole.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::vec::IntoIter;

use super::command::SessionRecord;
use super::desk::{Moment, SessionError};
use crate::accounts::Directory;
use crate::domain::SessionKey;
use crate::sessions::{Cursor, Record, Sessions};

/// For how many sessions the names of their users are asked at once.
const BATCH: usize = 500;

/// The live sessions from here on; whoever reads it may be as slow as they like.
#[derive(Debug)]
pub struct Listing {
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
    at: Moment,
    part: IntoIter<(SessionKey, Record)>,
    next: Option<Cursor>,
}

impl Listing {
    /// A list of all sessions.
    pub(super) fn of_all(sessions: Arc<Sessions>, directory: Arc<Directory>, at: Moment) -> Self {
        let next = Some(Cursor::default());
        Self { sessions, directory, at, part: Vec::new().into_iter(), next }
    }

    /// A list of these sessions.
    pub(super) fn of_part(
        part: Vec<(SessionKey, Record)>,
        sessions: Arc<Sessions>,
        directory: Arc<Directory>,
        at: Moment,
    ) -> Self {
        Self { sessions, directory, at, part: part.into_iter(), next: None }
    }

    /// The next sessions, a few hundred at most; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<SessionRecord>>, SessionError> {
        let Moment { now, lifetime } = self.at;
        let batch = loop {
            let live = self.part.by_ref().filter(|(_, record)| record.is_live(now, &lifetime));
            let batch: Vec<_> = live.take(BATCH).collect();
            if !batch.is_empty() {
                break batch;
            }
            let Some(from) = self.next else { return Ok(None) };
            let part = self.sessions.part(from).await?;
            (self.part, self.next) = (part.sessions.into_iter(), part.next);
        };
        let users = batch.iter().filter_map(|(_, record)| Some(record.login?.user()));
        let names = self.directory.usernames(users.collect::<BTreeSet<_>>()).await?;
        let told = |(key, record): (SessionKey, Record)| {
            let user = record.login.and_then(|login| names.get(&login.user()).cloned());
            SessionRecord::of(key, &record, user, &lifetime)
        };
        Ok(Some(batch.into_iter().map(told).collect()))
    }
}
