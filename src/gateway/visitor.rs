//! Who is asking: from the cookie to a [`Visitor`].

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::{Gateway, Policy};
use crate::accounts::Known;
use crate::domain::{Identity, SessionId, Timestamp, User, UserId, Visitor};
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

/// Finds out who is asking. A cookie that is malformed, unknown or over makes an anonymous
/// visitor; a database that cannot be asked makes a refusal, never an anonymous visitor.
pub(super) async fn identify(
    gateway: &Gateway,
    policy: &Policy,
    headers: &HeaderMap,
    is_secure: bool,
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let settings = &policy.sessions;
    for id in cookie::session_ids(headers, &settings.cookie.name) {
        let Some(session) = gateway.sessions.load(&id, now, &settings.lifetime) else { continue };
        let Some(user) = user_of(gateway, session.user(), now).await? else {
            gateway.sessions.log_out(&id);
            continue;
        };
        let Ok(identity) = Identity::confirm(session, user, now, &settings.lifetime) else {
            gateway.sessions.log_out(&id);
            continue;
        };
        let renewed_cookie = settings.save_every_request.then(|| {
            gateway.sessions.renew(&id, now, &settings.lifetime);
            let age = (!settings.expire_at_browser_close).then_some(settings.lifetime.age);
            cookie::session_cookie(&settings.cookie, &id, age, is_secure)
        });
        let visitor = Visitor::SignedIn(identity);
        return Ok(Caller { visitor, session_id: Some(id), renewed_cookie, now });
    }
    Ok(Caller { visitor: Visitor::Anonymous, session_id: None, renewed_cookie: None, now })
}

/// The user as of now: from memory, or from the database by way of the control runtime.
async fn user_of(
    gateway: &Gateway,
    id: UserId,
    now: Timestamp,
) -> Result<Option<Arc<User>>, Refusal> {
    match gateway.directory.cached(id, now) {
        Some(Known::User(user)) => Ok(Some(user)),
        Some(Known::Gone) => Ok(None),
        None => {
            let directory = Arc::clone(&gateway.directory);
            let loading = Box::pin(async move { directory.user(id, now).await });
            loading.await.map_err(|error| Refusal::Unavailable(error.to_string()))
        }
    }
}
