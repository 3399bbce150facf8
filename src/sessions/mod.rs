//! Who is logged in, between requests.
//!
//! Here belong beginning a session, finding it by its id, renewing and ending it, and what
//! applications keep in it. Whether the user still exists is asked elsewhere, at every request, and
//! confirmed by [`Identity::confirm`](crate::domain::Identity::confirm).

mod health;
mod local;
mod map;
mod record;
pub mod settings;
mod shared;
mod walk;

use tokio::sync::broadcast;

use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{Client, Session, SessionId, SessionKey, Timestamp, UserId, Verified};

pub use health::Health;
pub use record::Record;
pub use settings::{CookieSettings, SameSite, Settings, Store};
pub use shared::{CannotOpen, Clock, NotAnAddress, SharedSettings, StoreUrl};
pub use walk::Walk;

use local::Local;
use map::Over;
use shared::Shared;

/// Every live session.
#[derive(Debug)]
pub struct Sessions {
    kept: Kept,
    ended: broadcast::Sender<SessionKey>,
}

/// Where they are kept.
#[derive(Debug)]
enum Kept {
    Here(Local),
    Shared(Shared),
}

/// What is known here of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It is live.
    Live(Record),
    /// There is none, or it is over.
    Nothing,
    /// The store has to be asked: [`Sessions::fetch`].
    NotHere(SessionKey),
}

impl Found {
    /// The session, if it is known here and live.
    pub fn live(self) -> Option<Record> {
        match self {
            Self::Live(record) => Some(record),
            Self::Nothing | Self::NotHere(_) => None,
        }
    }
}

/// A change of the sessions cannot be kept just now, and so was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The operating system gave no random bytes for an id.
    #[error("no random bytes for a session id: {0}")]
    NoRandomness(getrandom::Error),
    /// The shared store cannot be reached. The log says so once, when it begins.
    #[error("the session store is out of reach")]
    OutOfReach,
    /// The shared store answers, and will not do it. The log says so now and then.
    #[error("the session store refuses: {0}")]
    Refused(String),
    /// A session is written in a way that this version does not know.
    #[error("the session `{0}` cannot be read")]
    Unreadable(SessionKey),
}

impl Unavailable {
    /// Whether the log has it already, and is not to have it again for every request.
    pub fn is_logged(&self) -> bool {
        match self {
            Self::NoRandomness(_) => false,
            Self::OutOfReach | Self::Refused(_) | Self::Unreadable(_) => true,
        }
    }
}

/// How many ended sessions somebody who listens may be behind, before being told that some were
/// missed.
const BEHIND: usize = 4096;

impl Default for Sessions {
    fn default() -> Self {
        Self { kept: Kept::Here(Local::default()), ended: broadcast::Sender::new(BEHIND) }
    }
}

impl Sessions {
    /// Opens the store that the settings name. A shared one does its work in the background on the
    /// runtime that this is called on.
    pub async fn open(settings: &Settings, clock: Clock) -> Result<Self, CannotOpen> {
        let Store::Shared(shared) = &settings.store else { return Ok(Self::default()) };
        let ended = broadcast::Sender::new(BEHIND);
        let shared = Shared::open(shared, ended.clone(), &settings.lifetime, clock).await?;
        Ok(Self { kept: Kept::Shared(shared), ended })
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
        let key = SessionKey::of(&id);
        match &self.kept {
            Kept::Here(local) => local.begin(key, record, previous).await?,
            Kept::Shared(shared) => shared.begin(key, &record, previous).await?,
        }
        if let Some(previous) = previous {
            self.tell(previous);
        }
        Ok(id)
    }

    /// What is known here of the session with this id, which is seen at `now`; one that is over is
    /// dropped here, whoever sweeps or not.
    pub fn load(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) -> Found {
        let key = SessionKey::of(id);
        let local = match &self.kept {
            Kept::Here(local) => local,
            Kept::Shared(shared) => {
                return shared.see(&key, now, lifetime).map_or(Found::NotHere(key), Found::Live);
            }
        };
        match local.map().see(&key, now, |span| span.is_live(now, lifetime)) {
            Some(Ok(record)) => Found::Live(record),
            Some(Err(Over)) => {
                self.discard(key);
                Found::Nothing
            }
            None => Found::Nothing,
        }
    }

    /// The live session with this key, which is seen at `now`, as the store has it: for one that
    /// is [`Found::NotHere`].
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
        match (self.find_here(&key, now, lifetime), &self.kept) {
            (Some(record), _) => Ok(Some(record)),
            (None, Kept::Here(_)) => Ok(None),
            (None, Kept::Shared(shared)) => shared.fetch(key, now, lifetime).await,
        }
    }

    /// The live session with this key, if it is known here. A shared store may know more; but a
    /// session that this gateway served is known to it until it ends or changes, and one whose
    /// change was [told](Self::ended) has been asked for again by then.
    pub fn find_here(
        &self,
        key: &SessionKey,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Option<Record> {
        self.map().find(key).filter(|record| record.is_live(now, lifetime))
    }

    /// Gives the session its full age again, unless it has ended in the meantime.
    pub fn renew(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) {
        let key = SessionKey::of(id);
        match &self.kept {
            Kept::Here(local) => local.renew(key, now, lifetime),
            Kept::Shared(shared) => shared.renew(key, now, lifetime),
        }
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

    /// Ends the session; says whether there was one.
    pub async fn end(&self, key: SessionKey) -> Result<bool, Unavailable> {
        let was_there = match &self.kept {
            Kept::Here(local) => local.end(key).await?,
            Kept::Shared(shared) => shared.end(key).await?,
        };
        self.tell(key);
        Ok(was_there)
    }

    /// Ends every session of a user, but for one; says how many there were.
    pub async fn end_all_of(
        &self,
        user: UserId,
        except: Option<SessionKey>,
    ) -> Result<usize, Unavailable> {
        let mut ended = 0;
        for key in self.keys_of(user).await? {
            if Some(key) != except {
                ended += usize::from(self.end(key).await?);
            }
        }
        Ok(ended)
    }

    /// The keys of a user's sessions, and maybe of some that are over.
    pub async fn keys_of(&self, user: UserId) -> Result<Vec<SessionKey>, Unavailable> {
        let local = match &self.kept {
            Kept::Here(local) => local,
            Kept::Shared(shared) => return shared.keys_of(user).await,
        };
        let mut keys = Vec::new();
        local.map().for_each(|key, record| {
            if record.login.is_some_and(|login| login.user() == user) {
                keys.push(key);
            }
        });
        Ok(keys)
    }

    /// Drops a session that is over, or stands for nobody any more; waits for nothing.
    pub fn discard(&self, key: SessionKey) {
        match &self.kept {
            Kept::Here(local) => local.discard(key),
            Kept::Shared(shared) => shared.discard(key),
        }
        self.tell(key);
    }

    /// Shows every session to `look`, those that are over and not swept yet included.
    pub async fn for_each(
        &self,
        mut look: impl FnMut(SessionKey, Record),
    ) -> Result<(), Unavailable> {
        let mut walk = self.walk();
        while let Some(sessions) = walk.next().await? {
            sessions.into_iter().for_each(|(key, record)| look(key, record));
        }
        Ok(())
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

    /// Drops what has expired, to free memory; nothing depends on when it runs.
    pub fn sweep(&self, now: Timestamp, lifetime: &Lifetime) {
        self.map().retain(|span| span.is_live(now, lifetime));
        if let Kept::Shared(shared) = &self.kept {
            shared.set_lifetime(lifetime);
        }
    }

    /// A secret that all gateways on the same store have in common: `ours`, if there was none yet.
    /// A form from one of them can then be sent to another.
    pub async fn common_secret(&self, ours: [u8; 32]) -> Result<[u8; 32], Unavailable> {
        match &self.kept {
            Kept::Here(_) => Ok(ours),
            Kept::Shared(shared) => shared.common_secret(&ours).await,
        }
    }

    /// Writes what was kept for later: when sessions were last seen. Changes are never kept for
    /// later.
    pub async fn close(&self) {
        if let Kept::Shared(shared) = &self.kept {
            shared.close().await;
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
}

impl Sessions {
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
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::password::PasswordHasher;
    use crate::domain::{Device, PasswordHash, SessionData, User};

    struct AnyPassword;

    impl PasswordHasher for AnyPassword {
        fn matches(&self, _password: &str, _hash: &PasswordHash) -> bool {
            true
        }
        fn pretend(&self, _password: &str) {}
    }

    const NOON: Timestamp = Timestamp::from_seconds(1_000_000);

    fn ada() -> Verified {
        let user = User {
            id: UserId(1),
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
    async fn a_login_changes_the_id_and_kills_the_old_one() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let first = log_in(&sessions, None, &lifetime).await;
        let second = log_in(&sessions, Some(&first), &lifetime).await;
        assert!(sessions.load(&first, NOON, &lifetime).live().is_none());
        assert!(sessions.load(&second, NOON, &lifetime).live().is_some());
        assert_eq!(sessions.len(), 1);
    }

    #[tokio::test]
    async fn expiry_is_checked_when_a_session_is_loaded() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let id = log_in(&sessions, None, &lifetime).await;
        assert!(sessions.load(&id, seconds_later(999), &lifetime).live().is_some());
        assert!(sessions.load(&id, seconds_later(1000), &lifetime).live().is_none());
        assert!(sessions.is_empty());
    }

    #[tokio::test]
    async fn a_renewal_gives_the_full_age_but_no_new_life() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, Some(1500)));
        let id = log_in(&sessions, None, &lifetime).await;
        sessions.renew(&id, seconds_later(900), &lifetime);
        assert!(sessions.load(&id, seconds_later(1499), &lifetime).live().is_some());
        assert!(sessions.load(&id, seconds_later(1500), &lifetime).live().is_none());
    }

    #[tokio::test]
    async fn an_idle_session_ends_and_a_busy_one_does_not() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(Some(60), None));
        let id = log_in(&sessions, None, &lifetime).await;
        for step in 1..=10 {
            assert!(sessions.load(&id, seconds_later(step * 59), &lifetime).live().is_some());
        }
        assert!(sessions.load(&id, seconds_later(10 * 59 + 60), &lifetime).live().is_none());
    }

    #[tokio::test]
    async fn ids_are_all_different() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        for _ in 0..1000 {
            log_in(&sessions, None, &lifetime).await;
        }
        assert_eq!(sessions.len(), 1000);
    }

    #[tokio::test]
    async fn a_renewal_or_a_change_never_brings_a_session_back() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let id = log_in(&sessions, None, &lifetime).await;
        let key = SessionKey::of(&id);
        assert!(sessions.end(key).await.unwrap());
        sessions.renew(&id, NOON, &lifetime);
        let set = [DataChange::Set("a".into(), "1".into())];
        assert_eq!(sessions.change_data(key, &set, NOON, &lifetime).await, Ok(None));
        assert!(sessions.is_empty());
    }

    #[tokio::test]
    async fn a_login_takes_over_what_an_anonymous_visitor_had() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let client = Client { address: "::1".parse().unwrap(), device: Device::default() };
        let id = sessions.begin_anonymous(client, NOON, &lifetime).await.unwrap();
        let set = [DataChange::Set("cart".into(), "[1]".into())];
        let changed = sessions.change_data(SessionKey::of(&id), &set, NOON, &lifetime).await;
        let record = changed.unwrap().unwrap().unwrap();
        assert_eq!(sessions.load(&id, NOON, &lifetime).live().as_ref(), Some(&record));
        assert!(record.login.is_none());

        let new = log_in(&sessions, Some(&id), &lifetime).await;
        assert!(sessions.load(&id, NOON, &lifetime).live().is_none());
        let record = sessions.load(&new, NOON, &lifetime).live().unwrap();
        let cart = record.data.as_deref().and_then(|data: &SessionData| data.get("cart"));
        assert_eq!(cart, Some("[1]"));
    }

    #[tokio::test]
    async fn a_user_s_other_sessions_can_be_ended_and_whoever_listens_is_told() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let here = SessionKey::of(&log_in(&sessions, None, &lifetime).await);
        let there = SessionKey::of(&log_in(&sessions, None, &lifetime).await);
        let mut ended = sessions.ended();
        assert_eq!(sessions.end_all_of(UserId(2), None).await, Ok(0));
        assert_eq!(sessions.end_all_of(UserId(1), Some(here)).await, Ok(1));
        assert_eq!(ended.try_recv(), Ok(there));
        assert!(sessions.find_here(&here, NOON, &lifetime).is_some());
    }
}
