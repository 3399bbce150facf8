//! Who is asking: from the cookie to a [`Visitor`].

use http::{HeaderValue, Request};

use super::head::Origin;
use super::{Gateway, Policy};
use crate::accounts::Known;
use crate::domain::{Guest, Identity, SessionId, SessionKey, Timestamp, UserId, Visitor};
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
    let mut guest = None;
    for id in cookie::session_ids(request.headers(), &settings.cookie.name) {
        let Some(record) = gateway.sessions.load(&id, now, &settings.lifetime) else { continue };
        let Some(session) = record.login else {
            // A login counts for more, in whatever order the cookies come.
            guest.get_or_insert((id, Guest { span: record.span, data: record.data }));
            continue;
        };
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
        let visitor = Visitor::SignedIn(identity.with_data(record.data));
        return Ok(arrive(gateway, policy, visitor, id, origin, now));
    }
    Ok(match guest {
        Some((id, guest)) => arrive(gateway, policy, Visitor::Guest(guest), id, origin, now),
        None => Caller { visitor: Visitor::Anonymous, session_id: None, renewed_cookie: None, now },
    })
}

/// The visitor with a session, which is renewed if every request does that.
fn arrive(
    gateway: &Gateway,
    policy: &Policy,
    visitor: Visitor,
    id: SessionId,
    origin: &Origin,
    now: Timestamp,
) -> Caller {
    let settings = &policy.sessions;
    let renewed_cookie = settings.save_every_request.then(|| {
        gateway.sessions.renew(&id, now, &settings.lifetime);
        cookie::session_cookie(&settings.cookie, &id, settings.max_age(), origin.is_secure)
    });
    Caller { visitor, session_id: Some(id), renewed_cookie, now }
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
