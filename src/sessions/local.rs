//! The store of a gateway that has its sessions for itself.

use super::Unavailable;
use super::map::Map;
use super::record::Record;
use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{SessionData, SessionKey, Timestamp};

/// Sessions in this process's memory.
#[derive(Debug, Default)]
pub(super) struct Local {
    map: Map,
}

impl Local {
    pub(super) fn map(&self) -> &Map {
        &self.map
    }

    /// Begins a session under `key`, and ends the one that the browser had before.
    pub(super) async fn begin(
        &self,
        key: SessionKey,
        mut record: Record,
        previous: Option<SessionKey>,
    ) -> Result<(), Unavailable> {
        if let Some(previous) = previous
            && let Some(ended) = self.map.alter(previous, Option::take)
        {
            record.inherit(&ended);
        }
        self.map.alter(key, |place| *place = Some(record));
        Ok(())
    }

    /// Takes over sessions of another store, with their keys; says how many were new, or seen
    /// later than what was here.
    pub(super) async fn import(
        &self,
        sessions: Vec<(SessionKey, Record)>,
    ) -> Result<usize, Unavailable> {
        let take = |(key, record): (SessionKey, Record)| {
            self.map.alter(key, |place| {
                let seen = record.span.last_seen;
                let is_taken = place.as_ref().is_none_or(|here| here.span.last_seen <= seen);
                if is_taken {
                    *place = Some(record);
                }
                usize::from(is_taken)
            })
        };
        Ok(sessions.into_iter().map(take).sum())
    }

    /// Ends a session; says whether there was one.
    pub(super) async fn end(&self, key: SessionKey) -> Result<bool, Unavailable> {
        Ok(self.map.alter(key, Option::take).is_some())
    }

    /// Ends a session that is over already, and waits for nothing.
    pub(super) fn discard(&self, key: SessionKey) {
        self.map.alter(key, |place| *place = None);
    }

    /// Gives a session its full age again, unless it has ended: a renewal never brings one back.
    pub(super) fn renew(&self, key: SessionKey, now: Timestamp, lifetime: &Lifetime) {
        self.map.alter(key, |place| {
            let renewed = place.take().map(|record| {
                let span = record.span.renewed(now, lifetime);
                record.with_span(span)
            });
            *place = renewed;
        });
    }

    /// Changes the data of a session, and renews it; `None` when there is no such session.
    pub(super) async fn change_data(
        &self,
        key: SessionKey,
        changes: &[DataChange],
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Result<Record, DataError>>, Unavailable> {
        Ok(self.map.alter(key, |place| {
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
            *place = Some(record.clone());
            Some(Ok(record))
        }))
    }
}
