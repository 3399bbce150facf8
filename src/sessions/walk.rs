//! Every session, a few at a time: for lists, and to move them to another store.

use super::shared::Shared;
use super::{Kept, Record, Sessions, Unavailable};
use crate::domain::SessionKey;

/// A walk over every session. One that begins or ends meanwhile may be shown or not, and one may be
/// shown twice.
#[derive(Debug)]
pub struct Walk<'s> {
    stage: Stage<'s>,
}

#[derive(Debug)]
enum Stage<'s> {
    /// The keys that are still to be shown.
    Here(&'s Sessions, Vec<SessionKey>),
    /// Where to go on; `None` at the end.
    Shared(&'s Shared, Option<u64>),
}

/// How many sessions are shown at once.
const BATCH: usize = 500;

impl Sessions {
    /// Begins a walk.
    pub fn walk(&self) -> Walk<'_> {
        let stage = match &self.kept {
            Kept::Here(local) => Stage::Here(self, local.map().keys()),
            Kept::Shared(shared) => Stage::Shared(shared, Some(0)),
        };
        Walk { stage }
    }

    /// About how many sessions a walk will show.
    pub async fn count(&self) -> Result<u64, Unavailable> {
        match &self.kept {
            Kept::Here(local) => Ok(u64::try_from(local.map().len()).unwrap_or(u64::MAX)),
            Kept::Shared(shared) => shared.count().await,
        }
    }

    /// Takes over sessions of another store, with their keys; says how many were new, or seen
    /// later than what was here.
    pub async fn import(&self, sessions: Vec<(SessionKey, Record)>) -> Result<usize, Unavailable> {
        match &self.kept {
            Kept::Here(local) => local.import(sessions).await,
            Kept::Shared(shared) => shared.import(&sessions).await,
        }
    }
}

impl Walk<'_> {
    /// Some more sessions, maybe none; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<(SessionKey, Record)>>, Unavailable> {
        match &mut self.stage {
            Stage::Here(_, keys) if keys.is_empty() => Ok(None),
            Stage::Here(sessions, keys) => {
                let some = keys.drain(keys.len().saturating_sub(BATCH)..);
                let find = |key| sessions.map().find(&key).map(|record| (key, record));
                Ok(Some(some.filter_map(find).collect()))
            }
            Stage::Shared(_, None) => Ok(None),
            Stage::Shared(shared, cursor) => {
                let (next, sessions) = shared.some(cursor.unwrap_or(0)).await?;
                *cursor = (next != 0).then_some(next);
                Ok(Some(sessions))
            }
        }
    }
}
