//! What an application says of its visitor's session: done before its answer goes on.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Response};

use super::exchange::Kind;
use super::head::Origin;
use super::visitor::Caller;
use super::{Policy, Worker};
use crate::accounts::Directory;
use crate::domain::audit::{Entry, Event, Person};
use crate::domain::{Client, Device, SessionData, SessionId, SessionKey, Timestamp, UserId};
use crate::pages;
use crate::sessions::{self, Sessions, Unavailable};
use crate::telemetry::SessionChange;
use crate::upstream::Application;
use crate::web::cookie;
use crate::web::instructions::{Fault, Instructions};
use crate::web::refusal::Refusal;

/// The visitor of whose session an application may say something.
pub(super) struct Subject {
    session: Option<SessionId>,
    client: Client,
    is_secure: bool,
}

impl Subject {
    /// What of the caller is needed when the answer comes; the request is gone by then.
    pub(super) fn of(caller: &Caller, origin: &Origin, headers: &HeaderMap) -> Self {
        let session = caller.session_id.clone();
        // It is remembered of where a session begins, and this one has begun already.
        let user_agent = headers.get(USER_AGENT).filter(|_| session.is_none());
        let user_agent = user_agent.and_then(|value| value.to_str().ok());
        let device = user_agent.map_or_else(Device::default, Device::of);
        let client = Client { address: origin.address, device };
        Self { session, client, is_secure: origin.is_secure }
    }
}

/// Obeys the head of an answer. Gives the answer back, and the cookie that the browser needs now if
/// it needs another one than before.
///
/// Changes that cannot be kept make a refusal in place of the answer, so that nothing is lost
/// silently. What must not be kept is left out, and the answer goes on: the application is wrong
/// and the visitor did nothing.
pub(super) async fn obey(
    worker: &Worker,
    policy: &Policy,
    application: &Application,
    instructions: Box<Instructions>,
    subject: Subject,
    response: Response<Kind>,
) -> Result<(Response<Kind>, Option<HeaderValue>), Refusal> {
    let application = &application.settings.name;
    let is_secure = subject.is_secure;
    let obeying = Obeying {
        sessions: Arc::clone(&worker.gateway.sessions),
        directory: Arc::clone(&worker.gateway.directory),
        application: application.clone(),
        settings: policy.sessions.clone(),
        now: worker.now.get(),
        // As Django's middleware: what a view did before it failed is not kept.
        keeps_changes: !response.status().is_server_error(),
    };
    // On the control runtime: a store may wait for its disk or its network, and one that began is
    // not left half done when the browser goes away.
    let obeying = worker.gateway.control.spawn(obeying.obey(instructions, subject));
    let done = match obeying.await {
        Ok(Ok(done)) => done,
        Ok(Err(unavailable)) => {
            worker.counters.count_session_change(SessionChange::Failed);
            tracing::debug!(application, "what it says of a session cannot be kept");
            return Err(pages::refusal_of(&unavailable));
        }
        Err(crashed) => return Err(Refusal::Broken(crashed.to_string())),
    };
    if let Some(change) = done.change {
        worker.counters.count_session_change(change);
    }
    if let Some(fault) = done.fault {
        tracing::warn!(application, %fault, "changes of a session were ignored");
    }
    let settings = &policy.sessions;
    let cookie = match done.session {
        Now::AsBefore => None,
        Now::Renewed(id) => {
            Some(cookie::session_cookie(&settings.cookie, &id, settings.max_age(), is_secure))
        }
        Now::Ended => Some(cookie::no_session_cookie(&settings.cookie, is_secure)),
    };
    Ok((response, cookie))
}

/// What it takes to obey.
struct Obeying {
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
    application: String,
    settings: sessions::Settings,
    now: Timestamp,
    keeps_changes: bool,
}

/// What was done.
struct Done {
    session: Now,
    change: Option<SessionChange>,
    fault: Option<Fault>,
}

/// The visitor's session afterwards.
enum Now {
    AsBefore,
    Renewed(SessionId),
    Ended,
}

impl Done {
    fn ignored(session: Now, fault: Fault) -> Self {
        Self { session, change: Some(SessionChange::Ignored), fault: Some(fault) }
    }
}

impl Obeying {
    async fn note_logout(&self, key: SessionKey, user: UserId, client: Client) {
        let name = self.directory.usernames([user].into()).await;
        let name = name.ok().and_then(|mut names| names.remove(&user)).unwrap_or_default();
        let entry = Entry::new(Event::Logout, self.now).from(client.address).session(key);
        let entry = entry.of(Person { name, id: Some(user) });
        self.directory.note(&entry.with("application", &*self.application));
    }

    /// Logs out first; what is set besides is kept in a new session then, as after Django's
    /// `logout`.
    async fn obey(
        self,
        instructions: Box<Instructions>,
        subject: Subject,
    ) -> Result<Done, Unavailable> {
        let Subject { mut session, client, .. } = subject;
        let mut now = Now::AsBefore;
        if instructions.is_logout()
            && let Some(id) = session.take()
        {
            let key = SessionKey::of(&id);
            let record = self.sessions.look(&key, self.now, &self.settings.lifetime).live();
            self.sessions.end(key).await?;
            if let Some(login) = record.and_then(|record| record.login) {
                self.note_logout(key, login.user(), client).await;
            }
            now = Now::Ended;
        }
        let changes = match instructions.into_changes() {
            Ok(changes) if changes.is_empty() || !self.keeps_changes => {
                return Ok(Done { session: now, change: None, fault: None });
            }
            Ok(changes) => changes,
            Err(fault) => return Ok(Done::ignored(now, fault)),
        };
        let lifetime = &self.settings.lifetime;
        let is_new = session.is_none();
        let id = match session {
            Some(id) => id,
            // A session begins when something is set, and not before it is known that it can be.
            None => match SessionData::default().changed(&changes) {
                Err(error) => return Ok(Done::ignored(now, error.into())),
                Ok(data) if data.is_empty() => {
                    return Ok(Done { session: now, change: None, fault: None });
                }
                Ok(_) => self.sessions.begin_anonymous(client, self.now, lifetime).await?,
            },
        };
        let key = SessionKey::of(&id);
        let changed = self.sessions.change_data(key, &changes, self.now, lifetime).await;
        if is_new && changed.is_err() {
            // No browser will ever come by it.
            self.sessions.discard(key);
        }
        Ok(match changed? {
            Some(Ok(_)) => {
                Done { session: Now::Renewed(id), change: Some(SessionChange::Kept), fault: None }
            }
            Some(Err(error)) => Done::ignored(now, error.into()),
            // It ended while the application was at work. A cookie would bring it back, or take the
            // place of one that a login has set meanwhile.
            None => Done { session: now, change: Some(SessionChange::TooLate), fault: None },
        })
    }
}
