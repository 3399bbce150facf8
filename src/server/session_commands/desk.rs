//! Where commands about sessions are carried out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::command::{Cleared, Revoke, Revoked, SessionCommand, SessionDetails, SessionRecord};
use super::listing::Listing;
use crate::accounts::{AccountsError, By, CommandError, Complaint, Directory, ErrorKind, ShutOut};
use crate::domain::audit::{Entry, Event, Person};
use crate::domain::session::Lifetime;
use crate::domain::{SessionKey, Timestamp, UserId};
use crate::sessions::{Found, KeyPrefix, Record, Sessions, Unavailable};

/// The sessions and the directory of their users, of a running gateway or opened without one.
#[derive(Debug, Clone)]
pub struct Desk {
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
}

/// When a command is carried out, and how long sessions live then.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The time of day.
    pub now: Timestamp,
    /// `[sessions]` as it is in force.
    pub lifetime: Lifetime,
}

/// What a command leads to.
#[derive(Debug)]
pub enum Reply {
    /// To [`SessionCommand::List`].
    List(Listing),
    /// To [`SessionCommand::Show`].
    Session(SessionDetails),
    /// To [`SessionCommand::Revoke`].
    Revoked(Revoked),
    /// To [`SessionCommand::Clear`].
    Cleared(Cleared),
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Something that it names is not there or cannot be, or the users' database failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The sessions cannot be changed or looked at.
    #[error("the sessions cannot be used: {0}")]
    Sessions(#[from] Unavailable),
}

impl From<AccountsError> for SessionError {
    fn from(error: AccountsError) -> Self {
        Self::Command(error.into())
    }
}

impl SessionError {
    /// What the operator is told.
    pub fn complaint(&self) -> Complaint {
        let kind = match self {
            Self::Command(error) => ErrorKind::of(error),
            Self::Sessions(_) => ErrorKind::Failed,
        };
        Complaint { error: self.to_string(), kind }
    }
}

impl Desk {
    /// The desk for these sessions and users.
    pub fn new(sessions: Arc<Sessions>, directory: Arc<Directory>) -> Self {
        Self { sessions, directory }
    }

    /// Carries out a command. `by` is who ordered it, for the log.
    pub async fn carry_out(
        &self,
        command: SessionCommand,
        by: &By,
        at: Moment,
    ) -> Result<Reply, SessionError> {
        Ok(match command {
            SessionCommand::List { user } => Reply::List(self.list(user, at).await?),
            SessionCommand::Show { key, values } => {
                let (key, record) = self.find(&key, at).await?;
                let session = self.told(key, &record, at).await?;
                let details = SessionDetails::of(session, &record, values, &at.lifetime);
                Reply::Session(details)
            }
            SessionCommand::Revoke(revoke) => Reply::Revoked(self.revoke(revoke, by, at).await?),
            SessionCommand::Clear {} => {
                Reply::Cleared(Cleared { cleared: self.sessions.sweep(at.now, &at.lifetime) })
            }
        })
    }

    /// Ends the sessions of a user who cannot come by them any more. They are refused already, so
    /// that a failure leaves nobody in; it is logged.
    pub(in super::super) async fn end_worthless(
        &self,
        shut_out: &ShutOut,
        by: &By,
        now: Timestamp,
    ) {
        let ShutOut { user, username, because } = shut_out;
        match self.sessions.end_all_of(*user, None).await {
            Ok(0) => {}
            Ok(ended) => {
                let person = Person { name: username.clone(), id: Some(*user) };
                let entry = Entry::new(Event::SessionsRevoked, now).of(person).by(by);
                self.directory.note(&entry.with("ended", ended).with("because", *because));
            }
            Err(error) => {
                tracing::warn!(%error, of = username, because, "sessions could not be revoked");
            }
        }
    }

    async fn list(&self, user: Option<String>, at: Moment) -> Result<Listing, SessionError> {
        let (sessions, directory) = (Arc::clone(&self.sessions), Arc::clone(&self.directory));
        Ok(match user {
            None => Listing::of_all(sessions, directory, at),
            Some(name) => {
                let (user, _) = self.directory.find(&name).await?;
                let part = self.sessions.of_user(user).await?;
                Listing::of_part(part, sessions, directory, at)
            }
        })
    }

    async fn revoke(&self, revoke: Revoke, by: &By, at: Moment) -> Result<Revoked, SessionError> {
        let revoked = match revoke {
            Revoke::Key(key) => {
                let (key, record) = self.find(&key, at).await?;
                let session = self.told(key, &record, at).await?;
                if !self.sessions.end(key).await? {
                    return Err(missing("it has just ended"));
                }
                let mut entry = Entry::new(Event::SessionsRevoked, at.now).by(by).session(key);
                entry.user = owner(&session);
                self.directory.note(&entry.with("ended", 1_u32));
                Revoked { ended: 1, session: Some(session) }
            }
            Revoke::User(name) => {
                let (user, name) = self.directory.find(&name).await?;
                let ended = self.sessions.end_all_of(user, None).await?;
                let person = Person { name, id: Some(user) };
                let entry = Entry::new(Event::SessionsRevoked, at.now).by(by).of(person);
                self.directory.note(&entry.with("ended", ended));
                Revoked { ended, session: None }
            }
            Revoke::All {} => {
                let ended = self.sessions.end_all().await?;
                let entry = Entry::new(Event::SessionsRevoked, at.now).by(by).with("all", true);
                self.directory.note(&entry.with("ended", ended));
                Revoked { ended, session: None }
            }
        };
        Ok(revoked)
    }

    /// The live session that `text` names.
    async fn find(&self, text: &str, at: Moment) -> Result<(SessionKey, Record), SessionError> {
        let prefix = KeyPrefix::parse(text).ok_or_else(|| {
            let shown = text.escape_debug();
            invalid(format!(
                "`{shown}` is no session key\n\
                 hint: a key has 32 hexadecimal digits, of which the first {} or more will do",
                KeyPrefix::SHORTEST
            ))
        })?;
        match self.sessions.find_by_prefix(&prefix, at.now, &at.lifetime).await? {
            Found::One(key, record) => Ok((key, record)),
            Found::None => Err(missing("`vestibule session list` shows all")),
            Found::Several => {
                let wrong = format!("more than one session has a key that begins with `{text}`");
                Err(invalid(format!("{wrong}\nhint: give more of its digits")))
            }
        }
    }

    /// What is told of a session, with the name of its user.
    async fn told(
        &self,
        key: SessionKey,
        record: &Record,
        at: Moment,
    ) -> Result<SessionRecord, SessionError> {
        let user = record.login.map(|login| login.user());
        let mut names = self.directory.usernames(user.into_iter().collect::<BTreeSet<_>>()).await?;
        let name = user.and_then(|user| names.remove(&user));
        Ok(SessionRecord::of(key, record, name, &at.lifetime))
    }
}

/// Whose session it is; a user who is gone has a number alone, and an anonymous one nothing.
fn owner(session: &SessionRecord) -> Option<Person> {
    let id = session.user_id?;
    Some(Person { name: session.user.clone().unwrap_or_default(), id: Some(UserId(id)) })
}

fn missing(hint: &str) -> SessionError {
    CommandError::NotFound(format!("there is no such session\nhint: {hint}")).into()
}

fn invalid(message: String) -> SessionError {
    CommandError::Invalid(message).into()
}
