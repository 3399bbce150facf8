//! Who is asking: a live session's user, as of now.

use std::sync::Arc;

use super::session::Lifetime;
use super::{Session, Timestamp, User};

/// At this moment the session is live and its user exists, is active and has kept the password
/// that the session began with: evidence that a request comes from this user.
#[derive(Debug, Clone)]
pub struct Identity {
    user: Arc<User>,
    session: Session,
}

/// Why a session gives no identity; the visitor is anonymous then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It expired, was idle too long or is too old.
    Expired,
    /// The user was deactivated.
    Inactive,
    /// The password was changed after the session began.
    PasswordChanged,
    /// The user found is not the session's.
    OtherUser,
}

impl Identity {
    /// Confirms that `session` still stands for `user` at `now`.
    pub fn confirm(
        session: Session,
        user: Arc<User>,
        now: Timestamp,
        lifetime: &Lifetime,
    ) -> Result<Self, Ended> {
        if session.user() != user.id {
            return Err(Ended::OtherUser);
        }
        if !session.is_live(now, lifetime) {
            return Err(Ended::Expired);
        }
        if !user.is_active {
            return Err(Ended::Inactive);
        }
        if session.password() != user.password.mark() {
            return Err(Ended::PasswordChanged);
        }
        Ok(Self { user, session })
    }

    /// Assumes that `user` had just logged in: for questions about rules, never for a request.
    ///
    /// `check` and `explain` ask what would happen. No session stands behind the answer, so the
    /// value is evidence of nothing; only the layers `cli` and `config` may call this.
    pub fn assumed(user: Arc<User>, now: Timestamp) -> Self {
        let session = Session::assumed(&user, now);
        Self { user, session }
    }

    /// The user, as of the moment of confirmation.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }

    /// The session that the user came by.
    pub fn session(&self) -> &Session {
        &self.session
    }
}

/// Whoever sends a request: nobody we know, or a user with a live session.
#[derive(Debug, Clone)]
pub enum Visitor {
    /// Without a live session.
    Anonymous,
    /// With one.
    SignedIn(Identity),
}

impl Visitor {
    /// The user, if the visitor is signed in.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous => None,
            Self::SignedIn(identity) => Some(identity.user()),
        }
    }
}
