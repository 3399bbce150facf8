//! Who is logged in, between requests.
//!
//! Here belong beginning a session, finding it by its id, renewing and ending it, and what
//! applications keep in it. Whether the user still exists is asked elsewhere, at every request, and
//! confirmed by [`Identity::confirm`](crate::domain::Identity::confirm).

pub mod disk;
mod health;
mod import;
mod local;
mod map;
mod parts;
mod record;
pub mod settings;
mod shared;
mod unavailable;
mod upkeep;

use std::path::Path;

use tokio::sync::broadcast;

use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{Client, Session, SessionId, SessionKey, Timestamp, UserId, Verified};

pub use health::{Health, Traffic};
pub use parts::{Cursor, Found, KeyPrefix, Part};
pub use record::Record;
pub use settings::{CookieSettings, Durability, Keeping, SameSite, Settings, Store};
pub use shared::{NotAnAddress, SharedSettings, StoreUrl};
pub use unavailable::{CannotOpen, Unavailable};

use local::Local;
use map::Over;
use shared::Shared;

/// What reads the time of day.
pub type Clock = fn() -> Timestamp;

/// Every live session.
#[derive(Debug)]
pub struct Sessions {
    kept: Kept,
    ended: broadcast::Sender<SessionKey>,
}

/// Where they are kept.
#[derive(Debug)]
enum Kept {
    /// In this process's memory, and on its disk.
    Here(Local),
    /// In a store that several gateways share.
    Shared(Shared),
}

/// What is known here of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// It is live.
    Live(Record),
    /// There is none, or it is over.
    Nothing,
    /// The store has to be asked: [`Sessions::fetch`] for somebody who comes by it, or
    /// [`Sessions::find`].
    NotHere(SessionKey),
}

impl Loaded {
    /// The session, if it is known here and live.
    pub fn live(self) -> Option<Record> {
        match self {
            Self::Live(record) => Some(record),
            Self::Nothing | Self::NotHere(_) => None,
        }
    }
}

/// How many ended sessions somebody who listens may be behind, before being told that some were
/// missed.
const BEHIND: usize = 4096;

/// How many sessions are ended at once.
const AT_ONCE: usize = 500;

impl Default for Sessions {
    /// Sessions in memory alone.
    fn default() -> Self {
        Self { kept: Kept::Here(Local::default()), ended: broadcast::Sender::new(BEHIND) }
    }
}

impl Sessions {
    /// Opens the store that the settings name. One of this gateway alone is below `directory`,
    /// whose state directory must be locked against another gateway; reading it takes half a second
    /// for a million sessions. A shared one does its work in the background, on the runtime that
    /// this is called on.
    pub async fn open(
        settings: &Settings,
        directory: &Path,
        clock: Clock,
    ) -> Result<Self, CannotOpen> {
        let (ended, lifetime) = (broadcast::Sender::new(BEHIND), &settings.lifetime);
        let kept = match &settings.store {
            Store::Memory => {
                Kept::Here(Local::open(directory, settings.keeping, clock(), lifetime)?)
            }
            Store::Shared(shared) => {
                Kept::Shared(Shared::open(shared, ended.clone(), lifetime, clock).await?)
            }
        };
        Ok(Self { kept, ended })
    }

    /// Begins a session under a new id, and ends the one that the browser came with.
    ///
    /// The id changes at every login, so that one which somebody else put into the browser is
    /// worth nothing afterwards (session fixation).
    pub async fn log_in(
        &self,
        verified: &Verified,
        previous: Option<&SessionId>,
        client: Client,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<SessionId, Unavailable> {
        let record = Record::of_login(Session::begin(verified, now, lifetime), client);
        self.begin(record, previous).await
    }

    /// Begins a session without a login, for an application that wants to keep something.
    pub async fn begin_anonymous(
        &self,
        client: Client,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<SessionId, Unavailable> {
        self.begin(Record::anonymous(client, now, lifetime), None).await
    }

    async fn begin(
        &self,
        record: Record,
        previous: Option<&SessionId>,
    ) -> Result<SessionId, Unavailable> {
        let (id, previous) = (random_id()?, previous.map(SessionKey::of));
        let key = SessionKey::of(&id);
        let outcome = match &self.kept {
            Kept::Here(local) => local.begin(key, record, previous).await,
            Kept::Shared(shared) => shared.begin(key, &record, previous).await,
        };
        // Whoever listens looks again: a shared store that failed may have ended it or not.
        if let Some(previous) = previous {
            self.tell(previous);
        }
        outcome.map(|()| id)
    }

    /// What is known here of the session with this id, which is seen at `now`; one that is over is
    /// dropped here, whoever sweeps or not.
    pub fn load(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) -> Loaded {
        let key = SessionKey::of(id);
        let local = match &self.kept {
            Kept::Here(local) => local,
            Kept::Shared(shared) => {
                return shared.see(&key, now, lifetime).map_or(Loaded::NotHere(key), Loaded::Live);
            }
        };
        match local.map().see(&key, now, |span| span.is_live(now, lifetime)) {
            Some(Ok(record)) => Loaded::Live(record),
            Some(Err(Over)) => {
                self.discard(key);
                Loaded::Nothing
            }
            None => Loaded::Nothing,
        }
    }

    /// The live session with this key, which is seen at `now`, as the store has it: for one that
    /// is [`Loaded::NotHere`].
    pub async fn fetch(
        &self,
        key: SessionKey,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Record>, Unavailable> {
        match &self.kept {
            Kept::Here(local) => Ok(local
                .map()
                .see(&key, now, |span| span.is_live(now, lifetime))
                .and_then(Result::ok)),
            Kept::Shared(shared) => {
                let fetched = shared.fetch(key, now, lifetime).await?;
                Ok(fetched.map(|record| shared.see(&key, now, lifetime).unwrap_or(record)))
            }
        }
    }

    /// The live session with this key, whoever asks: nothing of it is renewed.
    pub async fn find(
        &self,
        key: SessionKey,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Record>, Unavailable> {
        match (self.look(&key, now, lifetime), &self.kept) {
            (Loaded::Live(record), _) => Ok(Some(record)),
            (Loaded::NotHere(_), Kept::Shared(shared)) => shared.fetch(key, now, lifetime).await,
            (Loaded::Nothing | Loaded::NotHere(_), _) => Ok(None),
        }
    }

    /// What is known here of the session with this key, whoever asks: nothing of it is renewed. One
    /// whose end or change was [told](Self::ended) is not known as it was before.
    pub fn look(&self, key: &SessionKey, now: Timestamp, lifetime: &Lifetime) -> Loaded {
        let found = self.map().find(key).filter(|record| record.is_live(now, lifetime));
        match (found, &self.kept) {
            (Some(record), _) => Loaded::Live(record),
            (None, Kept::Here(_)) => Loaded::Nothing,
            (None, Kept::Shared(_)) => Loaded::NotHere(*key),
        }
    }

    /// Notes that the visitor was heard of at `now` by something that is open since before.
    pub fn hear(&self, key: &SessionKey, now: Timestamp, lifetime: &Lifetime) {
        // Of one that is over nothing is noted: whoever has something open is told by other means.
        let _noted = self.map().see(key, now, |span| span.is_live(now, lifetime));
    }

    /// Gives the session its full age again, unless it has ended in the meantime.
    pub fn renew(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) {
        // A renewal is kept when its time comes, here as there.
        self.map().renew(&SessionKey::of(id), now, lifetime);
    }

    /// Changes what applications keep in a session, and renews it; `None` when it has ended.
    pub async fn change_data(
        &self,
        key: SessionKey,
        changes: &[DataChange],
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Result<Record, DataError>>, Unavailable> {
        match &self.kept {
            Kept::Here(local) => local.change_data(key, changes, now, lifetime).await,
            Kept::Shared(shared) => shared.change_data(key, changes, now, lifetime).await,
        }
    }

    /// Ends the session; says whether there was one. On this gateway's own disk it has ended from
    /// the first moment on, even when that cannot be kept; a shared store has ended it when it says
    /// so.
    pub async fn end(&self, key: SessionKey) -> Result<bool, Unavailable> {
        match &self.kept {
            Kept::Here(local) => {
                let (was_there, noted) = local.end(key);
                self.tell(key);
                local.kept(noted).await?;
                Ok(was_there)
            }
            Kept::Shared(shared) => {
                let was_there = shared.end(key).await?;
                self.tell(key);
                Ok(was_there)
            }
        }
    }

    /// Ends every session of a user, but for one; says how many there were.
    pub async fn end_all_of(
        &self,
        user: UserId,
        except: Option<SessionKey>,
    ) -> Result<usize, Unavailable> {
        let mut keys = self.keys_of(user).await?;
        keys.retain(|key| Some(*key) != except);
        self.end_these(&keys).await
    }

    /// Ends every session there is; says how many there were.
    pub async fn end_all(&self) -> Result<usize, Unavailable> {
        let (mut ended, mut from) = (0, Some(Cursor::default()));
        while let Some(cursor) = from {
            let (keys, next) = self.keys_part(cursor).await?;
            ended += self.end_these(&keys).await?;
            from = next;
        }
        Ok(ended)
    }

    /// Ends all of them, whatever becomes of one: they share what they wait for.
    async fn end_these(&self, keys: &[SessionKey]) -> Result<usize, Unavailable> {
        let (mut ended, mut failure) = (0, None);
        for keys in keys.chunks(AT_ONCE) {
            let outcomes = futures_util::future::join_all(keys.iter().map(|key| self.end(*key)));
            for outcome in outcomes.await {
                match outcome {
                    Ok(was_there) => ended += usize::from(was_there),
                    Err(error) => failure = Some(error),
                }
            }
        }
        failure.map_or(Ok(ended), Err)
    }

    /// Drops a session that is over, or stands for nobody any more; waits for nothing.
    pub fn discard(&self, key: SessionKey) {
        match &self.kept {
            Kept::Here(local) => local.discard(key),
            Kept::Shared(shared) => shared.discard(key),
        }
        self.tell(key);
    }

    /// The keys of the sessions that end from now on, and of those that another gateway changed.
    /// Expiry is not told, for it is known before.
    pub fn ended(&self) -> broadcast::Receiver<SessionKey> {
        self.ended.subscribe()
    }

    fn tell(&self, key: SessionKey) {
        // An error means that nobody listens.
        let _unheard = self.ended.send(key);
    }

    /// A secret that all gateways on the same store have in common: `ours`, if there was none yet.
    /// A form from one of them can then be sent to another.
    pub async fn common_secret(&self, ours: [u8; 32]) -> Result<[u8; 32], Unavailable> {
        match &self.kept {
            Kept::Here(_) => Ok(ours),
            Kept::Shared(shared) => shared.common_secret(&ours).await,
        }
    }

    /// How many sessions are known here, expired ones that were not swept yet included.
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn map(&self) -> &map::Map {
        match &self.kept {
            Kept::Here(local) => local.map(),
            Kept::Shared(shared) => shared.map(),
        }
    }
}

fn random_id() -> Result<SessionId, Unavailable> {
    loop {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(Unavailable::NoRandomness)?;
        if let Some(id) = SessionId::from_random(&bytes) {
            return Ok(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// What a store does stands in `tests/stores.rs`.
    #[test]
    fn ids_are_all_different() {
        let ids: HashSet<String> =
            (0..1000).map(|_| random_id().unwrap().reveal().to_owned()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
