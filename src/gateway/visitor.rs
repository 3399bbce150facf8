//! Who is asking: from the cookie to a [`Visitor`], and whether a visitor of before still is one.

use http::{HeaderValue, Request};

use super::head::Origin;
use super::streams::Login;
use super::{Gateway, Policy};
use crate::accounts::Known;
use crate::domain::identity::Ended;
use crate::domain::{Identity, SessionId, SessionKey, Timestamp, UserId, Visitor};
use crate::telemetry::Revoked;
use crate::web::cookie;
use crate::web::refusal::Refusal;

/// The visitor that a request comes from, with what it takes to answer.
pub(super) struct Caller {
    pub(super) visitor: Visitor,
    /// The session that the visitor came by, if it is live.
    pub(super) session_id: Option<SessionId>,
    /// The cookie to send when the request renewed the session.
    pub(super) renewed_cookie: Option<HeaderValue>,
    /// When the request came.
    pub(super) now: Timestamp,
}

/// A user whom a session names, and who is not in memory.
pub(super) struct Stranger {
    user: UserId,
    now: Timestamp,
}

/// Finds out who is asking, from what is in memory; or whom to ask the database for first. A
/// cookie that is malformed, unknown or over makes an anonymous visitor.
pub(super) fn identify<B>(
    gateway: &Gateway,
    policy: &Policy,
    request: &Request<B>,
    origin: &Origin,
    now: Timestamp,
) -> Result<Caller, Stranger> {
    let settings = &policy.sessions;
    for id in cookie::session_ids(request.headers(), &settings.cookie.name) {
        let loaded = gateway.sessions.load(&id, now, &settings.lifetime);
        let Some(session) = loaded.and_then(|record| record.login) else { continue };
        let confirmed = match gateway.directory.cached(session.user(), now) {
            Some(Known::User(user)) => {
                Identity::confirm(session, user, now, &settings.lifetime).ok()
            }
            Some(Known::Gone) => None,
            None => return Err(Stranger { user: session.user(), now }),
        };
        let Some(identity) = confirmed else {
            gateway.sessions.discard(SessionKey::of(&id));
            continue;
        };
        let renewed_cookie = settings.save_every_request.then(|| {
            gateway.sessions.renew(&id, now, &settings.lifetime);
            let age = (!settings.expire_at_browser_close).then_some(settings.lifetime.age);
            cookie::session_cookie(&settings.cookie, &id, age, origin.is_secure)
        });
        let visitor = Visitor::SignedIn(identity);
        return Ok(Caller { visitor, session_id: Some(id), renewed_cookie, now });
    }
    Ok(Caller { visitor: Visitor::Anonymous, session_id: None, renewed_cookie: None, now })
}

impl Stranger {
    /// Loads the user into memory. A database that cannot be asked makes a refusal, never an
    /// anonymous visitor.
    pub(super) async fn load(self, gateway: &Gateway) -> Result<(), Refusal> {
        match gateway.directory.user(self.user, self.now).await {
            Ok(_now_in_memory) => Ok(()),
            Err(error) => Err(Refusal::Unavailable(error.to_string())),
        }
    }
}

/// Who a visitor of before is now.
pub(super) enum Still {
    /// The same, as of now.
    SignedIn(Identity),
    /// Nobody any more.
    Gone(Revoked),
    /// The session is live; this user has to be asked for.
    Unknown(UserId),
}

/// Finds out whether somebody who came by a session still does. Nothing counts as seen by that.
pub(super) fn is_still(
    gateway: &Gateway,
    policy: &Policy,
    login: &Login,
    now: Timestamp,
    known: impl Fn(UserId) -> Option<Known>,
) -> Still {
    let lifetime = &policy.sessions.lifetime;
    let found = gateway.sessions.find(&login.key, now, lifetime);
    let Some(session) = found.and_then(|record| record.login) else {
        // Sessions of a user who is another are ended by whoever finds that out first.
        let is_another = match known(login.user) {
            None => false,
            Some(Known::Gone) => true,
            Some(Known::User(user)) => !user.is_active || user.password.mark() != login.password,
        };
        return Still::Gone(match is_another {
            true => Revoked::User,
            false if login.ends.get() <= now => Revoked::Expired,
            false => Revoked::Ended,
        });
    };
    login.ends.set(session.span().ends(lifetime));
    match known(session.user()) {
        None => Still::Unknown(session.user()),
        Some(Known::Gone) => Still::Gone(Revoked::User),
        Some(Known::User(user)) => match Identity::confirm(session, user, now, lifetime) {
            Ok(identity) => Still::SignedIn(identity),
            Err(Ended::Expired) => Still::Gone(Revoked::Expired),
            Err(Ended::Inactive | Ended::PasswordChanged | Ended::OtherUser) => {
                Still::Gone(Revoked::User)
            }
        },
    }
}
