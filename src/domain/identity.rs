//! Who is asking: a live session's user, as of now.

use std::sync::Arc;

use super::session::{Lifetime, Span};
use super::{Session, SessionData, Timestamp, User};

/// At this moment the session is live and its user exists, is active and has kept the password
/// that the session began with: evidence that a request comes from this user.
#[derive(Debug, Clone)]
pub struct Identity {
    user: Arc<User>,
    session: Session,
    data: Option<Arc<SessionData>>,
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
        Ok(Self { user, session, data: None })
    }

    /// Assumes that `user` had just logged in: for questions about rules, never for a request.
    ///
    /// `check` and `explain` ask what would happen. No session stands behind the answer, so the
    /// value is evidence of nothing; only the layers `cli` and `config` may call this.
    pub fn assumed(user: Arc<User>, now: Timestamp) -> Self {
        let session = Session::assumed(&user, now);
        Self { user, session, data: None }
    }

    /// The same, with what applications keep in the session.
    #[must_use]
    pub fn with_data(self, data: Option<Arc<SessionData>>) -> Self {
        Self { data, ..self }
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
    /// As anonymous, with a session that an application began to keep something in.
    Guest(Guest),
    /// Logged in.
    SignedIn(Identity),
}

/// A live session of nobody.
#[derive(Debug, Clone)]
pub struct Guest {
    /// When it began, was last used, and ends.
    pub span: Span,
    /// What applications keep in it.
    pub data: Option<Arc<SessionData>>,
}

impl Guest {
    /// Assumes that an application had just set `data`: for questions about rules.
    pub fn assumed(data: Arc<SessionData>, now: Timestamp) -> Self {
        Self { span: Span { started: now, last_seen: now, expires: now }, data: Some(data) }
    }
}

impl Visitor {
    /// The user, if the visitor is signed in.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous | Self::Guest(_) => None,
            Self::SignedIn(identity) => Some(identity.user()),
        }
    }

    /// When the visitor's session began, was last used, and ends, if there is one.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Anonymous => None,
            Self::Guest(guest) => Some(guest.span),
            Self::SignedIn(identity) => Some(identity.session().span()),
        }
    }

    /// What applications keep in the visitor's session; nothing has nothing in it.
    pub fn data(&self) -> Option<&Arc<SessionData>> {
        match self {
            Self::Anonymous => None,
            Self::Guest(guest) => guest.data.as_ref(),
            Self::SignedIn(identity) => identity.data.as_ref(),
        }
    }
}
