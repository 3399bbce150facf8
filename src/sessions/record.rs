//! What the store keeps of a visitor between two requests.

use std::sync::Arc;

use crate::domain::session::{Lifetime, Span};
use crate::domain::{Client, Session, SessionData, Timestamp};

/// One session as it is kept: of a visitor who logged in, or of an anonymous one for whom an
/// application keeps something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The login, if there was one.
    pub login: Option<Session>,
    /// When it began, was last used, and ends; the login's own span is this one.
    pub span: Span,
    /// Where it was begun.
    pub client: Client,
    /// What applications keep in it.
    pub data: Option<Arc<SessionData>>,
}

impl Record {
    /// The session that a login begins.
    pub(super) fn of_login(session: Session, client: Client) -> Self {
        Self { login: Some(session), span: session.span(), client, data: None }
    }

    /// A session of nobody, which an application wants to keep something in.
    pub(super) fn anonymous(client: Client, now: Timestamp, lifetime: &Lifetime) -> Self {
        Self { login: None, span: Span::begin(now, lifetime), client, data: None }
    }

    /// Whether it is good at `now`.
    pub fn is_live(&self, now: Timestamp, lifetime: &Lifetime) -> bool {
        self.span.is_live(now, lifetime)
    }

    /// The same session with another span.
    #[must_use]
    pub(super) fn with_span(self, span: Span) -> Self {
        let login = self.login.map(|login| Session::restore(login.user(), login.password(), span));
        Self { login, span, ..self }
    }

    /// Takes over the data of the session that the browser had before it logged in, unless that
    /// was somebody else's: as `django.contrib.auth.login`, which cycles the key in the one case
    /// and flushes the session in the other.
    pub(super) fn inherit(&mut self, previous: &Self) {
        let owner = |record: &Self| record.login.map(|login| (login.user(), login.password()));
        if previous.login.is_none() || owner(previous) == owner(self) {
            self.data.clone_from(&previous.data);
        }
    }
}
