//! What an application says of its visitor's session and to its visitor: done before its answer goes
//! on.

use std::sync::Arc;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Response};

use super::exchange::Kind;
use super::head::Origin;
use super::visitor::Caller;
use super::{Policy, Worker};
use crate::accounts::Directory;
use crate::domain::audit::{Entry, Event, Person};
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{
    Client, Device, Message, SessionData, SessionId, SessionKey, Timestamp, UserId,
};
use crate::pages;
use crate::pages::messages::{MessageQueue, Moment};
use crate::sessions::{self, Sessions, Unavailable};
use crate::telemetry::SessionChange;
use crate::upstream::Application;
use crate::web::cookie;
use crate::web::instructions::{Fault, Instructions, Wishes};
use crate::web::refusal::Refusal;

/// The visitor of whose session an application may say something.
pub(super) struct Subject {
    session: Option<SessionId>,
    user: Option<UserId>,
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
        let user = caller.visitor.user().map(|user| user.id);
        Self { session, user, client, is_secure: origin.is_secure }
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
        queue: MessageQueue::new(
            Arc::clone(&worker.gateway.directory),
            Arc::clone(&worker.gateway.sessions),
        ),
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
        Ok(Err(refusal)) => {
            worker.counters.count_session_change(SessionChange::Failed);
            tracing::debug!(application, "what it says of a session cannot be kept");
            return Err(refusal);
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
    queue: MessageQueue,
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

    /// Logs out first; what is set besides, and what is said, is kept in a new session then, as after
    /// Django's `logout`.
    async fn obey(
        self,
        instructions: Box<Instructions>,
        subject: Subject,
    ) -> Result<Done, Refusal> {
        let Subject { mut session, mut user, client, .. } = subject;
        let mut now = Now::AsBefore;
        if instructions.is_logout()
            && let Some(id) = session.take()
        {
            let key = SessionKey::of(&id);
            let record = self.sessions.look(&key, self.now, &self.settings.lifetime).live();
            self.sessions.end(key).await.map_err(|it| pages::refusal_of(&it))?;
            if let Some(login) = record.and_then(|record| record.login) {
                self.note_logout(key, login.user(), client).await;
            }
            (now, user) = (Now::Ended, None);
        }
        let Wishes { changes, messages } = match instructions.into_wishes() {
            Ok(wishes) if self.keeps_changes => wishes,
            Ok(_) => Wishes::default(),
            Err(fault) => return Ok(Done::ignored(now, fault)),
        };
        let message = |(level, text)| Message { level, text, created: self.now };
        let mut messages: Vec<Message> = messages.into_iter().map(message).collect();
        if let Some(user) = user.filter(|_| !messages.is_empty()) {
            let added = self.queue.add(user, std::mem::take(&mut messages)).await;
            added.map_err(|error| Refusal::Unavailable(error.to_string()))?;
        }
        if changes.is_empty() && messages.is_empty() {
            return Ok(Done { session: now, change: None, fault: None });
        }
        let changed = self.change(session, client, now, &changes, &messages).await;
        changed.map_err(|unavailable| pages::refusal_of(&unavailable))
    }

    /// Changes the session, or begins one for what is to be kept.
    async fn change(
        &self,
        session: Option<SessionId>,
        client: Client,
        now: Now,
        changes: &[DataChange],
        messages: &[Message],
    ) -> Result<Done, Unavailable> {
        let lifetime = &self.settings.lifetime;
        let is_new = session.is_none();
        let id = match session {
            Some(id) => id,
            // A session begins when something is set, and not before it is known that it can be.
            None => match SessionData::default().changed(changes) {
                Err(error) => return Ok(Done::ignored(now, error.into())),
                Ok(data) if data.is_empty() && messages.is_empty() => {
                    return Ok(Done { session: now, change: None, fault: None });
                }
                Ok(_) => self.sessions.begin_anonymous(client, self.now, lifetime).await?,
            },
        };
        let key = SessionKey::of(&id);
        let changed = self.change_data(key, changes, messages).await;
        if is_new && changed.is_err() {
            // No browser will ever come by it.
            self.sessions.discard(key);
        }
        Ok(match changed? {
            Some(Ok(())) => {
                Done { session: Now::Renewed(id), change: Some(SessionChange::Kept), fault: None }
            }
            Some(Err(error)) => Done::ignored(now, error.into()),
            // It ended while the application was at work. A cookie would bring it back, or take the
            // place of one that a login has set meanwhile.
            None => Done { session: now, change: Some(SessionChange::TooLate), fault: None },
        })
    }

    async fn change_data(
        &self,
        key: SessionKey,
        changes: &[DataChange],
        messages: &[Message],
    ) -> Result<Option<Result<(), DataError>>, Unavailable> {
        let lifetime = &self.settings.lifetime;
        if !changes.is_empty() {
            match self.sessions.change_data(key, changes, self.now, lifetime).await? {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Ok(Some(Err(error))),
                None => return Ok(None),
            }
        }
        if !messages.is_empty() {
            let at = Moment { now: self.now, lifetime: *lifetime };
            if !self.queue.add_to_session(key, messages, at).await? {
                return Ok(None);
            }
        }
        Ok(Some(Ok(())))
    }
}
