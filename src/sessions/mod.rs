//! Who is logged in, between requests.
//!
//! Here belong beginning a session, finding it by its id, renewing and ending it. The map holds
//! what a request needs and nothing else; whether the user still exists is asked elsewhere, at
//! every request, and confirmed by [`Identity::confirm`](crate::domain::Identity::confirm).

pub mod settings;

use dashmap::DashMap;

use crate::domain::session::Lifetime;
use crate::domain::{Session, SessionId, SessionKey, Timestamp, Verified};

pub use settings::{CookieSettings, SameSite, Settings};

/// Every live session, in a sharded map in memory.
///
/// No guard of the map leaves this type: sessions go in and come out by value.
#[derive(Debug, Default)]
pub struct Sessions {
    live: DashMap<SessionKey, Session, foldhash::fast::RandomState>,
}

/// The operating system gave no random bytes; nobody can be logged in until it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes for a session id: {0}")]
pub struct NoRandomness(getrandom::Error);

impl Sessions {
    /// Begins a session under a new id, and ends the one that the browser came with.
    ///
    /// The id changes at every login, so that one which somebody else put into the browser is
    /// worth nothing afterwards (session fixation).
    pub fn log_in(
        &self,
        verified: &Verified,
        previous: Option<&SessionId>,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<SessionId, NoRandomness> {
        let id = random_id()?;
        self.live.insert(SessionKey::of(&id), Session::begin(verified, now, lifetime));
        if let Some(previous) = previous {
            self.log_out(previous);
        }
        Ok(id)
    }

    /// The live session with this id; one that is over is dropped here, whoever sweeps or not.
    pub fn load(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) -> Option<Session> {
        let key = SessionKey::of(id);
        let session = *self.live.get(&key)?;
        if !session.is_live(now, lifetime) {
            self.live.remove_if(&key, |_, session| !session.is_live(now, lifetime));
            return None;
        }
        if lifetime.idle.is_some() && session.last_seen() < now {
            return self.change(&key, |session| session.seen(now));
        }
        Some(session)
    }

    /// Gives the session its full age again; `None` when it has ended in the meantime, for a
    /// renewal never brings a session back.
    pub fn renew(&self, id: &SessionId, now: Timestamp, lifetime: &Lifetime) -> Option<Session> {
        self.change(&SessionKey::of(id), |session| session.renewed(now, lifetime))
    }

    /// Ends the session; nothing happens when there is none.
    pub fn log_out(&self, id: &SessionId) -> Option<Session> {
        self.live.remove(&SessionKey::of(id)).map(|(_, session)| session)
    }

    /// Drops what has expired, to free memory; nothing depends on when it runs.
    pub fn sweep(&self, now: Timestamp, lifetime: &Lifetime) {
        self.live.retain(|_, session| session.is_live(now, lifetime));
    }

    /// How many sessions the map holds, expired ones that were not swept yet included.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether nobody is logged in.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn change(&self, key: &SessionKey, change: impl Fn(Session) -> Session) -> Option<Session> {
        let mut session = self.live.get_mut(key)?;
        *session = change(*session);
        Some(*session)
    }
}

fn random_id() -> Result<SessionId, NoRandomness> {
    loop {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).map_err(NoRandomness)?;
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
    use crate::domain::{PasswordHash, User, UserId};

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

    #[test]
    fn a_login_changes_the_id_and_kills_the_old_one() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let first = sessions.log_in(&ada(), None, NOON, &lifetime).unwrap();
        let second = sessions.log_in(&ada(), Some(&first), NOON, &lifetime).unwrap();
        assert!(sessions.load(&first, NOON, &lifetime).is_none());
        assert!(sessions.load(&second, NOON, &lifetime).is_some());
        assert_eq!(sessions.len(), 1);
    }

    #[test]
    fn expiry_is_checked_when_a_session_is_loaded() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        let id = sessions.log_in(&ada(), None, NOON, &lifetime).unwrap();
        assert!(sessions.load(&id, seconds_later(999), &lifetime).is_some());
        assert!(sessions.load(&id, seconds_later(1000), &lifetime).is_none());
        assert!(sessions.is_empty());
    }

    #[test]
    fn a_renewal_gives_the_full_age_but_no_new_life() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, Some(1500)));
        let id = sessions.log_in(&ada(), None, NOON, &lifetime).unwrap();
        sessions.renew(&id, seconds_later(900), &lifetime);
        assert!(sessions.load(&id, seconds_later(1499), &lifetime).is_some());
        assert!(sessions.load(&id, seconds_later(1500), &lifetime).is_none());
        assert!(sessions.renew(&id, seconds_later(1500), &lifetime).is_none());
    }

    #[test]
    fn an_idle_session_ends_and_a_busy_one_does_not() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(Some(60), None));
        let id = sessions.log_in(&ada(), None, NOON, &lifetime).unwrap();
        for step in 1..=10 {
            assert!(sessions.load(&id, seconds_later(step * 59), &lifetime).is_some());
        }
        assert!(sessions.load(&id, seconds_later(10 * 59 + 60), &lifetime).is_none());
    }

    #[test]
    fn ids_are_all_different() {
        let (sessions, lifetime) = (Sessions::default(), lifetime(None, None));
        for _ in 0..1000 {
            sessions.log_in(&ada(), None, NOON, &lifetime).unwrap();
        }
        assert_eq!(sessions.len(), 1000);
    }
}
