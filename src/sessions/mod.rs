//! Who is logged in, between requests.
//!
//! Here belong beginning a session, finding it by its id, renewing and ending it, and what
//! applications keep in it. Whether the user still exists is asked elsewhere, at every request, and
//! confirmed by [`Identity::confirm`](crate::domain::Identity::confirm).

pub mod disk;
mod local;
mod map;
mod parts;
mod record;
pub mod settings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{Client, Session, SessionId, SessionKey, Timestamp, UserId, Verified};

pub use parts::{Cursor, Found, KeyPrefix, Part};
pub use record::Record;
pub use settings::{CookieSettings, Durability, Keeping, SameSite, Settings};

use local::Local;
use map::Over;

/// Every live session.
#[derive(Debug)]
pub struct Sessions {
    store: Local,
    ended: broadcast::Sender<SessionKey>,
}

/// A change of the sessions cannot be kept just now. A login was not made; a session that was to
/// end has ended, and may be there again when the gateway starts anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The operating system gave no random bytes for an id.
    #[error("no random bytes for a session id: {0}")]
    NoRandomness(getrandom::Error),
    /// The disk does not take it; the log has said so when that began.
    #[error("the sessions cannot be written to disk: {0}")]
    NotKept(Arc<str>),
}

/// How many ended sessions somebody who listens may be behind, before being told that some were
/// missed.
const BEHIND: usize = 4096;

impl Default for Sessions {
    fn default() -> Self {
        Self { store: Local::default(), ended: broadcast::Sender::new(BEHIND) }
    }
}

impl Sessions {
    /// The sessions that are kept below `directory`, and will be. The state directory must be
    /// locked against another gateway.
    ///
    /// It takes as long as reading takes: half a second for a million sessions.
    pub fn open(
        directory: &Path,
        keeping: Keeping,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Self, disk::OpenError> {
        let store = Local::open(directory, keeping, now, lifetime)?;
        Ok(Self { store, ended: broadcast::Sender::new(BEHIND) })
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
        let id = random_id()?;
        let previous = previous.map(SessionKey::of);
        let outcome = self.store.begin(SessionKey::of(&id), record, previous).await;
        if let Some(previous) = previous {
            self.tell(previous);
        }
        outcome.map(|()| id)
    }

    /// The live session with this id, which is seen at `now`; one that is over is dropped here,
    /// whoever sweeps or not.
    pub fn load(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) -> Option<Record> {
        let key = SessionKey::of(id);
        match self.store.map().see(&key, now, |span| span.is_live(now, lifetime))? {
            Ok(record) => Some(record),
            Err(Over) => {
                self.discard(key);
                None
            }
        }
    }

    /// The session with this key, whoever asks: nothing of it is renewed.
    pub fn find(&self, key: &SessionKey, now: Timestamp, lifetime: &Lifetime) -> Option<Record> {
        self.store.map().find(key).filter(|record| record.is_live(now, lifetime))
    }

    /// Notes that the visitor was heard of at `now` by something that is open since before.
    pub fn hear(&self, key: &SessionKey, now: Timestamp, lifetime: &Lifetime) {
        // Of one that is over nothing is noted: whoever has something open is told by other means.
        let _noted = self.store.map().see(key, now, |span| span.is_live(now, lifetime));
    }

    /// Gives the session its full age again, unless it has ended in the meantime.
    pub fn renew(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) {
        self.store.renew(SessionKey::of(id), now, lifetime);
    }

    /// Changes what applications keep in a session, and renews it; `None` when it has ended.
    pub async fn change_data(
        &self,
        key: SessionKey,
        changes: &[DataChange],
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Option<Result<Record, DataError>>, Unavailable> {
        self.store.change_data(key, changes, now, lifetime).await
    }

    /// Ends the session; says whether there was one. It has ended from the first moment on, even
    /// when that cannot be kept.
    pub async fn end(&self, key: SessionKey) -> Result<bool, Unavailable> {
        let (was_there, noted) = self.store.end(key);
        self.tell(key);
        self.store.kept(noted).await?;
        Ok(was_there)
    }

    /// Ends every session of a user, but for one; says how many there were.
    pub async fn end_all_of(
        &self,
        user: UserId,
        except: Option<SessionKey>,
    ) -> Result<usize, Unavailable> {
        let mut ended = 0;
        let mut last = None;
        for (key, _) in self.of_user(user).await? {
            if Some(key) == except {
                continue;
            }
            let (was_there, noted) = self.store.end(key);
            self.tell(key);
            ended += usize::from(was_there);
            last = Some(noted);
        }
        // The disk takes them in order, so the last is kept when all are.
        if let Some(noted) = last {
            self.store.kept(noted).await?;
        }
        Ok(ended)
    }

    /// Drops a session that is over, or stands for nobody any more; waits for nothing.
    pub fn discard(&self, key: SessionKey) {
        self.store.discard(key);
        self.tell(key);
    }

    /// Shows every session to `look`, those that are over and not swept yet included.
    pub fn for_each(&self, look: impl FnMut(SessionKey, Record)) {
        self.store.map().for_each(look);
    }

    /// The keys of the sessions that end from now on. Expiry is not told, for it is known before.
    pub fn ended(&self) -> broadcast::Receiver<SessionKey> {
        self.ended.subscribe()
    }

    fn tell(&self, key: SessionKey) {
        // An error means that nobody listens.
        let _unheard = self.ended.send(key);
    }

    /// Drops what has expired, to free memory, and says how much it was; nothing depends on when
    /// it runs.
    pub fn sweep(&self, now: Timestamp, lifetime: &Lifetime) -> usize {
        self.store.map().retain(|span| span.is_live(now, lifetime))
    }

    /// Does what is due on disk: snapshots, renewals, coming back after a failure. To be called
    /// every second, on a thread that may wait; `clock` is the time since the start.
    pub fn tend(&self, now: Timestamp, clock: &dyn Fn() -> Duration) {
        self.store.tend(now, clock);
    }

    /// Writes everything to disk for the last time. No change can be kept afterwards.
    pub fn close(&self, now: Timestamp, clock: &dyn Fn() -> Duration) {
        self.store.close(now, clock);
    }

    /// How the sessions on disk are; nothing for sessions in memory alone.
    pub fn disk(&self) -> Option<disk::State> {
        self.store.disk()
    }

    /// How many sessions there are, expired ones that were not swept yet included.
    pub fn len(&self) -> usize {
        self.store.map().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
    mod contract;

    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::password::PasswordHasher;
    use crate::domain::{Device, PasswordHash, User};

    struct AnyPassword;

    impl PasswordHasher for AnyPassword {
        fn matches(&self, _password: &str, _hash: &PasswordHash) -> bool {
            true
        }
        fn pretend(&self, _password: &str) {}
    }

    const NOON: Timestamp = Timestamp::from_seconds(1_000_000);

    contract::contract!(in_memory, (Sessions::default(), ()));
    contract::contract!(on_disk, {
        let directory = tempfile::tempdir().unwrap();
        let lifetime = lifetime(None, None);
        let opened = Sessions::open(directory.path(), Keeping::default(), NOON, &lifetime);
        (opened.unwrap(), directory)
    });

    fn ada() -> Verified {
        verified(1)
    }

    fn verified(user: i64) -> Verified {
        let user = User {
            id: UserId(user),
            username: "ada".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            email: String::new(),
            password: PasswordHash::from_encoded("argon2$x"),
            is_staff: false,
            is_active: true,
            is_superuser: false,
            last_login: None,
            date_joined: NOON,
            groups: Vec::new(),
            permissions: BTreeSet::new(),
            profile: BTreeMap::new(),
        };
        Verified::check(Some(Arc::new(user)), "secret", &AnyPassword).unwrap()
    }

    fn lifetime(idle: Option<u64>, absolute: Option<u64>) -> Lifetime {
        Lifetime {
            age: Duration::from_secs(1000),
            idle: idle.map(Duration::from_secs),
            absolute: absolute.map(Duration::from_secs),
        }
    }

    fn seconds_later(seconds: u64) -> Timestamp {
        NOON.after(Duration::from_secs(seconds))
    }

    async fn log_in(
        sessions: &Sessions,
        previous: Option<&SessionId>,
        lifetime: &Lifetime,
    ) -> SessionId {
        let address = "192.0.2.7".parse().unwrap();
        let client = Client { address, device: Device::of("curl/8.5.0") };
        sessions.log_in(&ada(), previous, client, NOON, lifetime).await.unwrap()
    }

    #[tokio::test]
    async fn an_idle_session_ends_and_a_busy_one_does_not() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(Some(60), None));
        let id = log_in(&sessions, None, &lifetime).await;
        for step in 1..=10 {
            assert!(sessions.load(&id, seconds_later(step * 59), &lifetime).is_some());
        }
        assert!(sessions.load(&id, seconds_later(10 * 59 + 60), &lifetime).is_none());
    }

    #[tokio::test]
    async fn ids_are_all_different() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        for _ in 0..1000 {
            log_in(&sessions, None, &lifetime).await;
        }
        assert_eq!(sessions.len(), 1000);
    }
}
