//! Who is on: the sessions, all or a user's, and ending them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use http::StatusCode;
use minijinja::{Value, context};
use serde_json::json;

use super::super::Answer;
use super::super::answer;
use super::super::refusal::Notice;
use super::desk::{Desk, unavailable};
use crate::accounts::{By, CommandError, Deed};
use crate::domain::staff::{Allowed, DeleteSession, ViewSession, ViewUser};
use crate::domain::{SessionKey, UserId};
use crate::sessions::{Cursor, Record};
use crate::web::refusal::Refusal;

/// How many sessions a page has.
const PAGE: usize = 50;

/// Some sessions, and where the next page begins.
type SomeSessions = (Vec<(SessionKey, Record)>, Option<Next>);

/// Where the next page begins: in which part, and there after which session.
type Next = (Cursor, Option<SessionKey>);

impl Desk<'_> {
    /// GET: the sessions of those who are logged in.
    pub(super) async fn sessions_page(&self) -> Answer {
        self.list_sessions(StatusCode::OK, None).await
    }

    async fn list_sessions(&self, status: StatusCode, wrong: Option<String>) -> Answer {
        let allowed = self.allowed::<ViewSession>()?;
        let name = self.asked_for("user");
        let mut unknown = false;
        let (found, next) = match &name {
            None => self.some_sessions(&allowed).await?,
            Some(name) => match self.pages.state.directory.find(name).await {
                Ok((user, _)) => {
                    let found = self.pages.state.sessions.of_user(user).await;
                    (found.map_err(|error| answer::no_sessions(&error))?, None)
                }
                Err(CommandError::Accounts(error)) => return Err(unavailable(&error)),
                Err(_) => {
                    unknown = true;
                    (Vec::new(), None)
                }
            },
        };
        let users = found.iter().filter_map(|(_, record)| Some(record.login?.user()));
        let names = self.pages.state.directory.usernames(users.collect::<BTreeSet<_>>()).await;
        let names = names.map_err(|error| unavailable(&error))?;
        let next = next.map(|(from, after)| {
            let after = after.map(|key| format!("&after={key}")).unwrap_or_default();
            self.url(&format!("sessions/?from={}{after}", from.number()))
        });
        let names = context! {
            wrong,
            sessions => shown(self, found, &names),
            user_name => name,
            is_unknown => unknown,
            next_url => next,
            is_first => self.asked_for("from").is_none(),
            can_end => self.may::<DeleteSession>(),
            admin_sessions_url => self.url("sessions/"),
        };
        self.show(status, "admin/sessions.html", names)
    }

    /// One page of all sessions. What is read at once of a million sessions is some four thousand,
    /// which a page then shows in the order of their keys.
    async fn some_sessions(&self, _allowed: &Allowed<ViewSession>) -> Result<SomeSessions, Notice> {
        let lifetime = &self.pages.sessions.lifetime;
        let from = self.asked_for("from").and_then(|from| from.parse::<u64>().ok());
        let mut after = self.asked_for("after").as_deref().and_then(SessionKey::parse);
        let mut cursor = Some(from.map_or_else(Cursor::default, Cursor::at));
        let mut page = Vec::new();
        while let Some(here) = cursor {
            let part = self.pages.state.sessions.part(here).await;
            let part = part.map_err(|error| answer::no_sessions(&error))?;
            let mut sessions = part.sessions;
            sessions.retain(|(key, record)| {
                record.login.is_some()
                    && record.is_live(self.request.now, lifetime)
                    && after.is_none_or(|after| *key > after)
            });
            sessions.sort_by_key(|(key, _)| *key);
            for session in sessions {
                if page.len() == PAGE {
                    return Ok((page, Some((here, after))));
                }
                after = Some(session.0);
                page.push(session);
            }
            after = None;
            cursor = part.next;
        }
        Ok((page, None))
    }

    /// POST: ends one session, or all of a user.
    pub(super) async fn end_sessions(&self) -> Answer {
        let allowed = self.allowed::<DeleteSession>()?;
        let form = self.submitted()?;
        let state = &self.pages.state;
        let (user, ended) = if let Some(key) = form.value("session") {
            let lifetime = &self.pages.sessions.lifetime;
            let found = match SessionKey::parse(key) {
                Some(key) => state.sessions.find(key, self.request.now, lifetime).await,
                None => Ok(None),
            };
            let found = found.map_err(|error| answer::no_sessions(&error))?;
            let user = found.and_then(|record| Some(record.login?.user()));
            let (Some(user), Some(key)) = (user, SessionKey::parse(key)) else {
                let wrong = "There is no such session. It may have ended already.";
                return self.list_sessions(StatusCode::NOT_FOUND, Some(wrong.to_owned())).await;
            };
            (user, state.sessions.end(key).await.map(usize::from))
        } else {
            let user = form.value("of").and_then(super::number).map(UserId);
            let user = user.ok_or(Notice::from(&Refusal::NoSuchPage))?;
            (user, state.sessions.end_all_of(user, None).await)
        };
        let ended = ended.map_err(|error| answer::no_sessions(&error))?;
        let name = self.write_down_end(&allowed, user, ended).await?;
        let note = match ended {
            1 => format!("One session of “{name}” was ended."),
            number => format!("{number} sessions of “{name}” were ended."),
        };
        let page = match form.value("back") {
            Some("user") if self.may::<ViewUser>() => format!("users/{}/", user.0),
            Some(_) | None => "sessions/".to_owned(),
        };
        Ok(self.go_to(&page, Some(note)).await)
    }

    /// Writes it down, and gives the name of whose sessions they were.
    async fn write_down_end(
        &self,
        allowed: &Allowed<DeleteSession>,
        user: UserId,
        ended: usize,
    ) -> Result<String, Notice> {
        let directory = &self.pages.state.directory;
        let names = directory.usernames([user].into()).await;
        let mut names = names.map_err(|error| unavailable(&error))?;
        let name = names.remove(&user).unwrap_or_else(|| format!("user {}", user.0));
        let by = By::User(std::sync::Arc::clone(self.staff.user()));
        tracing::info!(%by, of = name, ended, "sessions were revoked");
        if ended > 0 {
            let deed = Deed {
                action: "end",
                kind: "session",
                object_id: Some(user.0),
                object: name.clone(),
                changes: BTreeMap::from([("sessions".to_owned(), [json!(ended), json!(0)])]),
            };
            let written = directory.write_down(allowed, &by, deed, self.request.now).await;
            written.map_err(|error| unavailable(&error))?;
        }
        Ok(name)
    }
}

/// A user's live sessions, those that were used last first, as a template sees them.
pub(super) fn newest_first(desk: &Desk<'_>, mut found: Vec<(SessionKey, Record)>) -> Vec<Value> {
    let lifetime = &desk.pages.sessions.lifetime;
    found.retain(|(_, record)| record.is_live(desk.request.now, lifetime));
    found.sort_by_key(|(key, record)| (Reverse(record.span.last_seen), *key));
    found.truncate(PAGE);
    shown(desk, found, &HashMap::new())
}

/// Sessions as the template sees them. A key may stand in a page: it is a digest, and the cookie
/// cannot be found from it.
fn shown(
    desk: &Desk<'_>,
    found: Vec<(SessionKey, Record)>,
    names: &HashMap<UserId, String>,
) -> Vec<Value> {
    let here = desk.request.session_key();
    let one = |(key, record): (SessionKey, Record)| {
        let user = record.login.map(|login| login.user());
        context! {
            key => key.to_string(),
            user => user.and_then(|user| names.get(&user)),
            user_url => user
                .filter(|_| desk.may::<ViewUser>())
                .map(|user| desk.url(&format!("users/{}/", user.0))),
            device => record.client.device.to_string(),
            address => record.client.address.to_string(),
            started => record.span.started.seconds(),
            last_seen => record.span.last_seen.seconds(),
            is_current => Some(key) == here,
        }
    };
    found.into_iter().map(one).collect()
}
