//! Who is asking: from the cookie to a [`Visitor`], and whether a visitor of before still is one.

use std::cell::Cell;

use http::{HeaderValue, Request};

use super::head::Origin;
use super::streams::CameBy;
use super::{Gateway, Policy};
use crate::accounts::Known;
use crate::domain::identity::Ended;
use crate::domain::{Guest, Identity, SessionId, SessionKey, Timestamp, UserId, Visitor};
use crate::pages;
use crate::sessions::{Loaded, Record};
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

/// Something that has to be asked for before it is known who is asking.
enum Stranger {
    /// A user whom a session names, and who is not in memory.
    User(UserId, Timestamp),
    /// A session that is not known here.
    Session(SessionKey, Timestamp),
}

/// What was asked for on behalf of one request.
#[derive(Default)]
struct Fetched {
    /// Sessions that were not known here. They need not be known here afterwards, so the answer
    /// itself is what the request goes on with.
    sessions: Vec<(SessionKey, Option<Record>)>,
    /// Users who are as the database has them now.
    users: Vec<UserId>,
}

/// Finds out who is asking. A cookie that is malformed, unknown or over makes an anonymous visitor; a
/// database or a store that cannot be asked makes a refusal.
pub(super) async fn identify<B>(
    gateway: &Gateway,
    policy: &Policy,
    request: &Request<B>,
    origin: &Origin,
    clock: &Cell<Timestamp>,
) -> Result<Caller, Refusal> {
    let mut fetched = Fetched::default();
    loop {
        match recognize(gateway, policy, request, origin, clock.get(), &fetched) {
            Ok(caller) => return Ok(caller),
            Err(stranger) => Box::pin(stranger.load(gateway, policy, &mut fetched)).await?,
        }
    }
}

/// Finds out who is asking from what is in memory and was fetched; or what to ask for first.
fn recognize<B>(
    gateway: &Gateway,
    policy: &Policy,
    request: &Request<B>,
    origin: &Origin,
    now: Timestamp,
    fetched: &Fetched,
) -> Result<Caller, Stranger> {
    let settings = &policy.sessions;
    let mut guest = None;
    for id in cookie::session_ids(request.headers(), &settings.cookie.name) {
        let loaded = match gateway.sessions.load(&id, now, &settings.lifetime) {
            Loaded::Live(record) => Some(record),
            Loaded::Nothing => None,
            Loaded::NotHere(key) => match fetched.session(&key) {
                Some(answer) => answer.clone(),
                None => return Err(Stranger::Session(key, now)),
            },
        };
        let Some(record) = loaded else { continue };
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

impl Fetched {
    /// What the store answered to the question for this session, if it was asked.
    fn session(&self, key: &SessionKey) -> Option<&Option<Record>> {
        self.sessions.iter().find(|(asked, _)| asked == key).map(|(_, answer)| answer)
    }
}

impl Stranger {
    /// Loads the user into memory, or fetches the session. What cannot be asked makes a refusal,
    /// never an anonymous visitor.
    async fn load(
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
                fetched.sessions.push((key, asked.map_err(|error| pages::refusal_of(&error))?));
                Ok(())
            }
        }
    }
}

/// Who a visitor of before is now.
pub(super) enum Still {
    /// The same, as of now; or, after a session that was nobody's, somebody without one.
    Here(Visitor),
    /// Nobody any more.
    Gone(Revoked),
    /// The session is live; this user has to be asked for.
    Unknown(UserId),
}

/// Finds out whether somebody who came by a session still does, which was `found` now if it is live.
/// Nothing counts as seen by that.
pub(super) fn is_still(
    policy: &Policy,
    came_by: &CameBy,
    found: Option<Record>,
    now: Timestamp,
    known: impl Fn(UserId) -> Option<Known>,
) -> Still {
    let lifetime = &policy.sessions.lifetime;
    if let Some(record) = &found {
        let ends = record.span.limits(lifetime).map(|(_, end)| end).min();
        came_by.ends.set(ends.unwrap_or(record.span.expires));
    }
    let Some(login) = &came_by.login else {
        return Still::Here(match found {
            Some(record) => Visitor::Guest(Guest { span: record.span, data: record.data }),
            None => Visitor::Anonymous,
        });
    };
    let user = known(login.user());
    came_by.is_doubtful.set(came_by.is_doubtful.get() && user.is_none());
    let Some((session, data)) = found.and_then(|record| Some((record.login?, record.data))) else {
        // Sessions of a user who is another are ended by whoever finds that out first.
        let is_another = match user {
            None => came_by.is_doubtful.get(),
            Some(Known::Gone) => true,
            Some(Known::User(user)) => !user.is_active || user.password.mark() != login.password(),
        };
        return Still::Gone(match is_another {
            true => Revoked::User,
            false if came_by.ends.get() <= now => Revoked::Expired,
            false => Revoked::Ended,
        });
    };
    match user {
        None => Still::Unknown(session.user()),
        Some(Known::Gone) => Still::Gone(Revoked::User),
        Some(Known::User(user)) => match Identity::confirm(session, user, now, lifetime) {
            Ok(identity) => Still::Here(Visitor::SignedIn(identity.with_data(data))),
            Err(Ended::Expired) => Still::Gone(Revoked::Expired),
            Err(Ended::Inactive | Ended::PasswordChanged | Ended::OtherUser) => {
                Still::Gone(Revoked::User)
            }
        },
    }
}
