//! What applications on this machine may ask of a session and change in it, as JSON over the admin
//! socket: Django's session dictionary for programs that hold a `Session-Key`.
//!
//! | request below `/v1/sessions/KEY` | does |
//! |---|---|
//! | `GET /data` | items: an object of all keys and values |
//! | `GET /keys` | keys: a sorted list |
//! | `GET /data/NAME` | get: the value |
//! | `HEAD /data/NAME` | has: 200 or 404 |
//! | `PUT /data/NAME` | set: to the JSON value in the body |
//! | `DELETE /data/NAME` | delete, whether it is there or not |
//! | `DELETE /data` | clear: deletes all of them, and the session goes on |
//! | `POST /flush` | flush: ends the session |
//! | `POST /messages` | shows the visitor a message once: `{"text": "…", "level": "success"}` |

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::accounts::AccountsError;
use crate::domain::audit::{Entry, Event, Person};
use crate::domain::message::{Level, MalformedMessage, Message, MessageText, UnknownLevel};
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{SessionKey, Timestamp};
use crate::gateway::Gateway;
use crate::pages::messages::{MessageQueue, Moment};
use crate::sessions::{Record, Unavailable};

/// Why a request is not answered with what it asks for.
#[derive(Debug, thiserror::Error)]
enum Complaint {
    #[error("there is no such session")]
    NoSession,
    #[error("there is no `{0}` in this session")]
    NoValue(String),
    #[error("there is no such command")]
    NoCommand,
    #[error("use {0}")]
    Method(&'static str),
    #[error("the name is not UTF-8")]
    Name,
    #[error("the body is not a JSON value: {0}")]
    Body(#[from] serde_json::Error),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Message(#[from] MalformedMessage),
    #[error(transparent)]
    Level(#[from] UnknownLevel),
    #[error("this is not possible just now: {0}")]
    Unavailable(#[from] Unavailable),
    #[error("this is not possible just now: {0}")]
    Accounts(#[from] AccountsError),
}

impl Complaint {
    /// The status, and a word for programs.
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSession => (StatusCode::NOT_FOUND, "no_such_session"),
            Self::NoValue(_) => (StatusCode::NOT_FOUND, "no_such_value"),
            Self::NoCommand => (StatusCode::NOT_FOUND, "no_such_command"),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Name | Self::Body(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Self::Data(DataError::Key) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_key"),
            Self::Data(DataError::Reserved) => (StatusCode::UNPROCESSABLE_ENTITY, "reserved_key"),
            Self::Data(DataError::TooLarge) => (StatusCode::UNPROCESSABLE_ENTITY, "too_large"),
            Self::Data(DataError::Changed) => (StatusCode::CONFLICT, "changed"),
            Self::Message(_) | Self::Level(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid_message")
            }
            Self::Unavailable(_) | Self::Accounts(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        }
    }
}

/// Answers a request for `path` with a status and JSON; `None` when the path is about no session's
/// data.
pub(super) async fn answer(
    gateway: &Gateway,
    method: &Method,
    path: &str,
    body: &[u8],
    now: Timestamp,
) -> Option<(StatusCode, String)> {
    let (key, rest) = path.strip_prefix("/v1/sessions/")?.split_once('/')?;
    let Some(key) = SessionKey::parse(key) else { return Some(complain(&Complaint::NoSession)) };
    let open = Open { gateway, key, now };
    let answered = match rest.split_once('/') {
        None if rest == "data" => open.all(method).await,
        None if rest == "keys" => open.keys(method).await,
        None if rest == "flush" => open.flush(method).await,
        None if rest == "messages" => open.message(method, body).await,
        Some(("data", name)) if !name.contains('/') => {
            match percent_decode_str(name).decode_utf8() {
                Ok(name) => open.one(method, &name, body).await,
                Err(_) => Err(Complaint::Name),
            }
        }
        None | Some(_) => Err(Complaint::NoCommand),
    };
    Some(match answered {
        Ok(Some(json)) => (StatusCode::OK, json),
        Ok(None) => (StatusCode::NO_CONTENT, String::new()),
        Err(complaint) => complain(&complaint),
    })
}

/// A message as it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    text: String,
    #[serde(default)]
    level: Option<String>,
}

/// What a request is answered with: JSON, or nothing to say.
type Answered = Result<Option<String>, Complaint>;

/// The session that a request is about.
struct Open<'g> {
    gateway: &'g Gateway,
    key: SessionKey,
    now: Timestamp,
}

impl Open<'_> {
    async fn all(&self, method: &Method) -> Answered {
        match *method {
            Method::GET | Method::HEAD => {
                let record = self.record().await?;
                let member = |(name, json): (&str, &str)| format!("{}:{json}", Value::from(name));
                let members: Vec<String> = record
                    .data
                    .iter()
                    .flat_map(|data| data.of_applications())
                    .map(member)
                    .collect();
                Ok(Some(format!("{{{}}}", members.join(","))))
            }
            Method::DELETE => self.change(DataChange::Clear).await,
            _ => Err(Complaint::Method("GET or DELETE")),
        }
    }

    async fn keys(&self, method: &Method) -> Answered {
        match *method {
            Method::GET | Method::HEAD => {
                let record = self.record().await?;
                let data = record.data.iter().flat_map(|data| data.of_applications());
                let names: Vec<&str> = data.map(|(name, _)| name).collect();
                Ok(Some(json!(names).to_string()))
            }
            _ => Err(Complaint::Method("GET")),
        }
    }

    async fn one(&self, method: &Method, name: &str, body: &[u8]) -> Answered {
        match *method {
            Method::GET | Method::HEAD => {
                let record = self.record().await?;
                let value = record.data.as_deref().and_then(|data| data.get(name));
                let value = value.ok_or_else(|| Complaint::NoValue(name.to_owned()))?;
                Ok(Some(value.to_owned()))
            }
            Method::PUT => {
                let json = serde_json::from_slice::<Value>(body)?.to_string();
                self.change(DataChange::Set(name.into(), json.into())).await
            }
            Method::DELETE => self.change(DataChange::Delete(name.into())).await,
            _ => Err(Complaint::Method("GET, HEAD, PUT or DELETE")),
        }
    }

    async fn flush(&self, method: &Method) -> Answered {
        if *method != Method::POST {
            return Err(Complaint::Method("POST"));
        }
        let record = self.record().await?;
        self.gateway.sessions.end(self.key).await?;
        if let Some(login) = record.login {
            let (user, directory) = (login.user(), &self.gateway.directory);
            let name = directory.usernames([user].into()).await;
            let name = name.ok().and_then(|mut names| names.remove(&user)).unwrap_or_default();
            let entry = Entry::new(Event::Logout, self.now).session(self.key);
            let entry = entry.of(Person { name, id: Some(user) });
            directory.note(&entry.with("because", "an application ended the session"));
        }
        Ok(None)
    }

    /// For whoever came by the session: the user, or a guest, whose messages the session keeps.
    async fn message(&self, method: &Method, body: &[u8]) -> Answered {
        if *method != Method::POST {
            return Err(Complaint::Method("POST"));
        }
        let wanted = serde_json::from_slice::<Wanted>(body)?;
        let level = wanted.level.map_or(Ok(Level::default()), |name| name.parse())?;
        let text = MessageText::parse(&wanted.text)?;
        let message = Message { level, text, created: self.now };
        let (directory, sessions) = (&self.gateway.directory, &self.gateway.sessions);
        let queue = MessageQueue::new(directory.clone(), sessions.clone());
        match self.record().await?.login {
            Some(login) => queue.add(login.user(), vec![message]).await?,
            None => {
                let lifetime = self.gateway.policy.load().sessions.lifetime;
                let at = Moment { now: self.now, lifetime };
                if !queue.add_to_session(self.key, &[message], at).await? {
                    return Err(Complaint::NoSession);
                }
            }
        }
        Ok(None)
    }

    /// The session as it is now; looking at it does not renew it.
    async fn record(&self) -> Result<Record, Complaint> {
        let lifetime = self.gateway.policy.load().sessions.lifetime;
        let found = self.gateway.sessions.find(self.key, self.now, &lifetime).await?;
        found.ok_or(Complaint::NoSession)
    }

    async fn change(&self, change: DataChange) -> Answered {
        // One that is over and not swept yet is not brought back.
        self.record().await?;
        let lifetime = self.gateway.policy.load().sessions.lifetime;
        let sessions = &self.gateway.sessions;
        let changed = sessions.change_data(self.key, &[change], self.now, &lifetime).await?;
        changed.ok_or(Complaint::NoSession)??;
        Ok(None)
    }
}

fn complain(complaint: &Complaint) -> (StatusCode, String) {
    let (status, kind) = complaint.kind();
    (status, json!({ "error": complaint.to_string(), "kind": kind }).to_string())
}
