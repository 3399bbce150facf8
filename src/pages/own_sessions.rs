//! The page of one's own sessions: where one is logged in, and the ending of that.

use std::cmp::Reverse;

use http::StatusCode;
use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::{Answer, PageRequest, Pages, answer};
use crate::domain::audit::{Entry, Event};
use crate::domain::{Device, Identity, SessionKey, User};
use crate::sessions::{Record, Unavailable};
use crate::web::refusal::Refusal;

/// How many sessions are shown, the ones that were used last. A program that logs in anew for each
/// request has thousands of them.
const MOST_SHOWN: usize = 100;

/// What the form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// To end one of one's own sessions.
    One(SessionKey),
    /// To end all but the one that the form was sent by.
    Others,
    /// To end what cannot be anybody's session.
    Unknown,
}

/// What is shown above the sessions.
#[derive(Default)]
struct Notes {
    done: Option<String>,
    wrong: Option<String>,
}

impl Pages {
    /// GET: the sessions; a login is needed to see them.
    pub(super) async fn sessions_page(&self, request: &PageRequest) -> Answer {
        self.own_sessions(request, StatusCode::OK, Notes::default()).await
    }

    /// POST: ends one of the visitor's sessions, or all others.
    pub(super) async fn end_sessions(&self, request: &PageRequest) -> Answer {
        let (Some(identity), Some(here)) = (request.identity(), request.session_key()) else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let form = self.submitted(request)?;
        if let Err(failure) = self.check_token(request, &form) {
            let notes = Notes::wrong(failure.message());
            return self.own_sessions(request, StatusCode::FORBIDDEN, notes).await;
        }
        let wish = match (form.value("session"), form.value("others")) {
            (Some(key), _) => SessionKey::parse(key).map_or(Wish::Unknown, Wish::One),
            (None, Some(_)) => Wish::Others,
            (None, None) => Wish::Unknown,
        };
        if wish == Wish::One(here) {
            return self.log_out(request).await;
        }
        let sessions = &self.state.sessions;
        let ended = match wish {
            Wish::One(key) => self.end_own(identity, key).await.map(|device| match device {
                Some(device) => {
                    (1, Notes::done(format!("The session with {device} was logged out.")))
                }
                None => (0, Notes::no_such_session()),
            }),
            Wish::Others => {
                let others = sessions.end_all_of(identity.user().id, Some(here)).await;
                others.map(|ended| (ended, Notes::done(others_ended(ended))))
            }
            Wish::Unknown => Ok((0, Notes::no_such_session())),
        };
        let (ended, notes) = ended.map_err(|error| answer::no_sessions(&error))?;
        if ended > 0 {
            let user = &**identity.user();
            let entry = Entry::new(Event::SessionsRevoked, request.now).from(request.address);
            let mut entry = entry.of(user).by(user).with("ended", ended);
            if let Wish::One(key) = wish {
                entry.session = Some(key);
            }
            self.state.directory.note(&entry);
        }
        let status = if notes.wrong.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
        self.own_sessions(request, status, notes).await
    }

    /// Writes down that sessions of `user` were ended by what he or she did.
    pub(super) fn note_revoked(
        &self,
        request: &PageRequest,
        user: &User,
        ended: usize,
        because: &'static str,
    ) {
        if ended > 0 {
            let entry = Entry::new(Event::SessionsRevoked, request.now).from(request.address);
            let entry = entry.of(user).by(user).with("ended", ended).with("because", because);
            self.state.directory.note(&entry);
        }
    }

    /// Ends the session with this key if it is this user's: of another's nothing is told, not even
    /// that it is there.
    async fn end_own(
        &self,
        identity: &Identity,
        key: SessionKey,
    ) -> Result<Option<Device>, Unavailable> {
        let mine = self.state.sessions.of_user(identity.user().id).await?;
        let Some((_, record)) = mine.into_iter().find(|(known, _)| *known == key) else {
            return Ok(None);
        };
        let was_there = self.state.sessions.end(key).await?;
        Ok(was_there.then_some(record.client.device))
    }

    async fn own_sessions(
        &self,
        request: &PageRequest,
        status: StatusCode,
        notes: Notes,
    ) -> Answer {
        let Some(identity) = request.identity() else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let lifetime = &self.sessions.lifetime;
        let here = request.session_key();
        let mine = self.state.sessions.of_user(identity.user().id).await;
        let mut mine = mine.map_err(|error| answer::no_sessions(&error))?;
        // Those that began with another password are over, though nobody has used them since.
        mine.retain(|(_, record)| {
            record.is_live(request.now, lifetime)
                && record.login.is_some_and(|it| it.password() == identity.session().password())
        });
        mine.sort_by_key(|(key, record)| {
            (Some(*key) != here, Reverse(record.span.last_seen), Reverse(record.span.started), *key)
        });
        let (all, others) = (mine.len(), mine.iter().any(|(key, _)| Some(*key) != here));
        mine.truncate(MOST_SHOWN);
        let shown = mine.iter().map(|(key, record)| shown(*key, record, here)).collect::<Vec<_>>();
        let names = context! {
            hidden => all - shown.len(),
            sessions => shown,
            has_others => others,
            now => request.now.seconds(),
            form => context! { errors => notes.wrong.into_iter().collect::<Vec<_>>() },
        };
        // What was just done is said in place of what waits, which a form is not given.
        let done = notes.done.map(|done| context! { messages => [done] });
        let names = merge_maps(std::iter::once(names).chain(done));
        self.form_page(request, status, "registration/sessions.html", names)
    }
}

impl Notes {
    fn done(what: String) -> Self {
        Self { done: Some(what), wrong: None }
    }

    fn wrong(what: String) -> Self {
        Self { done: None, wrong: Some(what) }
    }

    fn no_such_session() -> Self {
        Self::wrong("There is no such session. It may have ended already.".to_owned())
    }
}

fn others_ended(number: usize) -> String {
    match number {
        0 => "There was no other session.".to_owned(),
        1 => "The other session was logged out.".to_owned(),
        number => format!("{number} other sessions were logged out."),
    }
}

/// A session as the template sees it. Its key may stand in the page: it is a digest, and the
/// cookie cannot be found from it.
fn shown(key: SessionKey, record: &Record, here: Option<SessionKey>) -> Value {
    context! {
        key => key.to_string(),
        device => record.client.device.to_string(),
        address => record.client.address.to_string(),
        started => record.span.started.seconds(),
        last_seen => record.span.last_seen.seconds(),
        is_current => Some(key) == here,
    }
}
