//! Who is asking: from the cookie to a [`Visitor`].

use http::{HeaderValue, Request};

use super::head::Origin;
use super::{Gateway, Policy};
use crate::accounts::Known;
use crate::domain::{Identity, SessionId, SessionKey, Timestamp, UserId, Visitor};
use crate::sessions::{Found, Record};
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

/// Something that has to be asked for before it is known who is asking.
pub(super) enum Stranger {
    /// A user whom a session names, and who is not in memory.
    User(UserId, Timestamp),
    /// A session that is not known here.
    Session(SessionKey, Timestamp),
}

/// What was asked for on behalf of one request.
#[derive(Default)]
pub(super) struct Fetched {
    /// Sessions that were not known here. They need not be known here afterwards, so the answer
    /// itself is what the request goes on with.
    sessions: Vec<(SessionKey, Option<Record>)>,
    /// Users who are as the database has them now.
    users: Vec<UserId>,
}

/// Finds out who is asking, from what is in memory and was fetched; or what to ask for first. A
/// cookie that is malformed, unknown or over makes an anonymous visitor.
pub(super) fn identify<B>(
    gateway: &Gateway,
    policy: &Policy,
    request: &Request<B>,
    origin: &Origin,
    now: Timestamp,
    fetched: &Fetched,
) -> Result<Caller, Stranger> {
    let settings = &policy.sessions;
    for id in cookie::session_ids(request.headers(), &settings.cookie.name) {
        let loaded = match gateway.sessions.load(&id, now, &settings.lifetime) {
            Found::Live(record) => Some(record),
            Found::Nothing => None,
            Found::NotHere(key) => match fetched.sessions.iter().find(|(known, _)| *known == key) {
                Some((_, answer)) => answer.clone(),
                None => return Err(Stranger::Session(key, now)),
            },
        };
        let Some(session) = loaded.and_then(|record| record.login) else { continue };
        let confirmed = match gateway.directory.cached(session.user(), now) {
            Some(Known::User(user)) => {
                Identity::confirm(session, user, now, &settings.lifetime).ok()
            }
            Some(Known::Gone) => None,
            None => return Err(Stranger::User(session.user(), now)),
        };
        let Some(identity) = confirmed else {
            // Another gateway may have begun the session after it changed the user, whom this one
            // knows as before: the session that is ended here ends there as well.
            if gateway.sessions.is_shared() && !fetched.users.contains(&session.user()) {
                return Err(Stranger::User(session.user(), now));
            }
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
    /// Loads the user into memory, or fetches the session. A database or a store that cannot be
    /// asked makes a refusal, never an anonymous visitor.
    pub(super) async fn load(
        self,
        gateway: &Gateway,
        policy: &Policy,
        fetched: &mut Fetched,
    ) -> Result<(), Refusal> {
        match self {
            Self::User(user, now) => match gateway.directory.user(user, now).await {
                Ok(_now_in_memory) => {
                    fetched.users.push(user);
                    Ok(())
                }
                Err(error) => Err(Refusal::Unavailable(error.to_string())),
            },
            Self::Session(key, now) => {
                let asked = gateway.sessions.fetch(key, now, &policy.sessions.lifetime).await;
                let answer = asked.map_err(|error| match error.is_logged() {
                    true => Refusal::Outage(error.to_string()),
                    false => Refusal::Unavailable(error.to_string()),
                })?;
                fetched.sessions.push((key, answer));
                Ok(())
            }
        }
    }
}
