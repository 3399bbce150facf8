//! The store of a gateway that has its sessions for itself.

use std::path::Path;
use std::time::Duration;

use super::Unavailable;
use super::disk::{self, Change, Keeper, Noted, Ticket};
use super::map::Map;
use super::record::Record;
use super::settings::Keeping;
use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{SessionData, SessionKey, Timestamp};

/// Sessions in this process's memory, and on its disk if they are to outlast the process.
#[derive(Debug, Default)]
pub(super) struct Local {
    map: Map,
    keeper: Option<Keeper>,
}

impl Local {
    /// The sessions that are on disk, without those that are over.
    pub(super) fn open(
        directory: &Path,
        keeping: Keeping,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Self, disk::OpenError> {
        let (keeper, map) = Keeper::open(directory, keeping, now)?;
        map.retain(|span| span.is_live(now, lifetime));
        Ok(Self { map, keeper: Some(keeper) })
    }

    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    /// Begins a session under `key`, and ends the one that the browser had before. When the new
    /// one cannot be kept it is gone again: nobody shall have a cookie that may be worth nothing
    /// tomorrow.
    pub(super) async fn begin(
        &self,
        key: SessionKey,
        mut record: Record,
        previous: Option<SessionKey>,
    ) -> Result<(), Unavailable> {
        self.check()?;
        if let Some(previous) = previous
            && let (Some(ended), _) = self.take(previous)
        {
            record.inherit(&ended);
        }
        let noted = self.map.alter(key, |place| {
            let noted = self.note(|| Change::kept(key, &record));
            *place = Some(record);
            noted
        });
        let outcome = self.kept(noted).await;
        if outcome.is_err() {
            self.discard(key);
        }
        outcome
    }

    /// Takes over sessions of another store, unless they were seen here later; says how many it
    /// took.
    pub(super) async fn import(
        &self,
        sessions: &[(SessionKey, Record)],
    ) -> Result<usize, Unavailable> {
        self.check()?;
        let (mut taken, mut last) = (0, Ticket::default());
        for (key, record) in sessions {
            let noted = self.map.alter(*key, |place| {
                let seen = record.span.last_seen;
                if place.as_ref().is_some_and(|here| here.span.last_seen > seen) {
                    return None;
                }
                let noted = self.note(|| Change::kept(*key, record));
                *place = Some(record.clone());
                Some(noted)
            });
            if let Some(noted) = noted {
                (taken, last) = (taken + 1, noted?);
            }
        }
        self.kept(Ok(last)).await?;
        Ok(taken)
    }

    /// Ends a session at once; says whether there was one, and what to wait for until its end is
    /// kept.
    pub(super) fn end(&self, key: SessionKey) -> (bool, Noted) {
        let (ended, noted) = self.take(key);
        (ended.is_some(), noted)
    }

    /// Waits until a change is kept, or cannot be.
    pub(super) async fn kept(&self, noted: Noted) -> Result<(), Unavailable> {
        match &self.keeper {
            Some(keeper) => keeper.kept(noted?).await,
            None => noted.map(drop),
        }
    }

    /// Ends a session that is over already, and waits for nothing.
    pub(super) fn discard(&self, key: SessionKey) {
        // What cannot be noted now will be missing in the snapshot that has to come first.
        let (_ended, _noted) = self.take(key);
    }

    /// Changes the data of a session, and renews it; `None` when there is no such session.
    pub(super) async fn change_data(
        &self,
        key: SessionKey,
        changes: &[DataChange],
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Result<Record, DataError>>, Unavailable> {
        self.check()?;
        let changed = self.map.alter(key, |place| {
            let record = place.as_ref()?;
            let none = SessionData::default();
            let data = match record.data.as_deref().unwrap_or(&none).changed(changes) {
                Ok(data) => data,
                Err(error) => return Some(Err(error)),
            };
            let mut record = record.clone();
            record.data = (!data.is_empty()).then(|| data.into());
            let span = record.span.renewed(now, lifetime);
            let record = record.with_span(span);
            let noted = self.note(|| Change::data(key, &record));
            *place = Some(record.clone());
            Some(Ok((record, noted)))
        });
        match changed {
            None => Ok(None),
            Some(Err(error)) => Ok(Some(Err(error))),
            Some(Ok((record, noted))) => {
                // In memory it stays: another change may have come on top of it.
                self.kept(noted).await?;
                Ok(Some(Ok(record)))
            }
        }
    }

    /// Does what is due on disk; see [`Sessions::tend`](super::Sessions::tend).
    pub(super) fn tend(&self, now: Timestamp, clock: &dyn Fn() -> Duration) {
        if let Some(keeper) = &self.keeper {
            keeper.tend(&self.map, now, clock);
        }
    }

    /// Writes everything down for the last time.
    pub(super) fn close(&self, now: Timestamp, clock: &dyn Fn() -> Duration) {
        if let Some(keeper) = &self.keeper {
            keeper.close(&self.map, now, clock);
        }
    }

    /// How the sessions on disk are, if any are there.
    pub(super) fn disk(&self) -> Option<disk::State> {
        self.keeper.as_ref().map(Keeper::state)
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &disk::Faults {
        self.keeper.as_ref().unwrap().faults()
    }

    fn take(&self, key: SessionKey) -> (Option<Record>, Noted) {
        self.map.alter(key, |place| {
            let ended = place.take();
            let noted = match (&self.keeper, &ended) {
                (Some(_), Some(_)) | (None, _) => self.note(|| Change::ended(key)),
                // It may have gone a moment ago, and its end may not be kept yet: whoever ends it a
                // second time waits for that as well.
                (Some(keeper), None) => keeper.latest(),
            };
            (ended, noted)
        })
    }

    fn check(&self) -> Result<(), Unavailable> {
        self.keeper.as_ref().map_or(Ok(()), Keeper::check)
    }

    /// Notes a change; to be called while the map lets nobody else at the session.
    fn note<'a>(&self, change: impl FnOnce() -> Change<'a>) -> Noted {
        match &self.keeper {
            Some(keeper) => keeper.note(&change()),
            None => Ok(Ticket::default()),
        }
    }
}
