//! What is written down about who did what: the words of the audit log.
//!
//! An [`Entry`] is made where something happens, by whichever layer, and handed to the [`Trail`].
//! No password, session id or token has a place in one, and neither has a name that somebody typed
//! unless it is an account's: people type passwords into the wrong field.

use std::fmt;
use std::net::IpAddr;

use super::{SessionKey, Timestamp, User, UserId};

/// Where entries go; they are written down before what they tell of is answered.
pub trait Trail: fmt::Debug + Send + Sync {
    /// Writes an entry down. What cannot be written stops nobody.
    fn note(&self, entry: &Entry);
}

/// One thing that happened, or that somebody tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an entry is worth something when it is noted"]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// What came of it.
    pub outcome: Outcome,
    /// Where the request came from, if one did.
    pub address: Option<IpAddr>,
    /// Whose account it is about, if it is about one's.
    pub user: Option<Person>,
    /// Who ordered it, if that is not the user.
    pub by: Option<Person>,
    /// The session that it is about, by the key that lists and commands use too.
    pub session: Option<SessionKey>,
    /// What else there is to say, in this order.
    pub details: Vec<(&'static str, Detail)>,
}

/// Somebody, by name and, where that is known, by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name of an account, or what the operating system calls an operator (`uid 0`).
    pub name: String,
    /// The account's number; an operator has none.
    pub id: Option<UserId>,
}

/// A value of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    /// Words.
    Text(String),
    /// A count, or seconds.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// Several words.
    List(Vec<String>),
}

/// What came of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// The credentials were wrong.
    Failed,
    /// There were too many failures before; nobody looked at the credentials.
    Throttled,
    /// It may not or cannot be.
    Refused,
    /// Something of ours did not work.
    Unavailable,
}

impl Outcome {
    /// The word for it in the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Throttled => "throttled",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Makes the enum of events and the word for each.
macro_rules! events {
    ($($(#[$doc:meta])* $event:ident = $name:literal,)*) => {
        /// What happened. The words are a promise: other programs look for them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $event,)*
        }

        impl Event {
            /// Every event there is.
            pub const ALL: &[Self] = &[$(Self::$event,)*];

            /// The word for it in the log.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$event => $name,)*
                }
            }
        }
    };
}

events! {
    /// Somebody logs in, or tries to.
    Login = "login",
    /// Somebody who is logged in gives the password once more, before a change that needs it.
    Reauthentication = "reauthentication",
    /// Somebody logs out.
    Logout = "logout",
    /// Sessions end because somebody ordered it, or because they are worth nothing any more.
    SessionsRevoked = "sessions_revoked",
    /// An account or an address failed too often and has to wait.
    Lockout = "lockout",
    /// Somebody lets those in again who were to wait.
    LockoutLifted = "lockout_lifted",
    /// The first account, a superuser, is made by the link that is shown at the start.
    Setup = "setup",
    /// An account is made.
    UserCreated = "user_created",
    /// A visitor asks for an account at the registration page.
    Registered = "registered",
    /// The owner of a new account follows the link to its address.
    RegistrationConfirmed = "registration_confirmed",
    /// The staff lets in who waits for that.
    RegistrationApproved = "registration_approved",
    /// The staff turns down who waits to be let in; the account is deleted.
    RegistrationRejected = "registration_rejected",
    /// A link is made that somebody can register with once.
    InvitationCreated = "invitation_created",
    /// Such a link is taken back.
    InvitationRevoked = "invitation_revoked",
    /// A message was sent to a user or a group by staff, a command or a program.
    MessageSent = "message_sent",
    /// Fields of an account change.
    UserChanged = "user_changed",
    /// An account gets another password.
    PasswordChanged = "password_changed",
    /// Somebody asks for a link to reset a password; whose, is not known by the address alone.
    ResetRequested = "reset_requested",
    /// A letter with such a link is on its way to the address of an account.
    ResetSent = "reset_sent",
    /// A password is reset by such a link.
    PasswordReset = "password_reset",
    /// A letter with a link is on its way to the address that an account is to have.
    EmailChangeRequested = "email_change_requested",
    /// The address of an account changes by such a link.
    EmailChanged = "email_changed",
    /// An account is deleted.
    UserDeleted = "user_deleted",
    /// A group is made.
    GroupCreated = "group_created",
    /// A group gets another name.
    GroupChanged = "group_changed",
    /// A group is deleted.
    GroupDeleted = "group_deleted",
    /// Users become members of a group.
    GroupJoined = "group_joined",
    /// Users cease to be members of a group.
    GroupLeft = "group_left",
    /// A permission is made.
    PermissionCreated = "permission_created",
    /// A permission gets another description.
    PermissionChanged = "permission_changed",
    /// A permission is deleted.
    PermissionDeleted = "permission_deleted",
    /// A permission is given to a user or a group.
    PermissionGranted = "permission_granted",
    /// A permission is taken from a user or a group.
    PermissionRevoked = "permission_revoked",
    /// Users, groups and permissions are imported.
    Imported = "imported",
    /// All users, groups and permissions are exported.
    Exported = "exported",
}

impl Entry {
    /// An entry about something that was done.
    pub fn new(event: Event, at: Timestamp) -> Self {
        Self {
            at,
            event,
            outcome: Outcome::Ok,
            address: None,
            user: None,
            by: None,
            session: None,
            details: Vec::new(),
        }
    }

    /// With another outcome.
    pub fn outcome(self, outcome: Outcome) -> Self {
        Self { outcome, ..self }
    }

    /// With the address that the request came from.
    pub fn from(self, address: IpAddr) -> Self {
        Self { address: Some(address), ..self }
    }

    /// About this account.
    pub fn of(self, user: impl Into<Person>) -> Self {
        Self { user: Some(user.into()), ..self }
    }

    /// Ordered by somebody.
    pub fn by(self, by: impl Into<Person>) -> Self {
        Self { by: Some(by.into()), ..self }
    }

    /// About this session.
    pub fn session(self, session: SessionKey) -> Self {
        Self { session: Some(session), ..self }
    }

    /// With one more thing to say. `name` is none of those that every entry may have.
    pub fn with(mut self, name: &'static str, value: impl Into<Detail>) -> Self {
        self.details.push((name, value.into()));
        self
    }
}

impl From<&User> for Person {
    fn from(user: &User) -> Self {
        Self { name: user.username.clone(), id: Some(user.id) }
    }
}

impl From<&str> for Detail {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Detail {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Detail {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Detail {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<Vec<String>> for Detail {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The list in the handbook is what other programs are written by.
    #[test]
    fn the_handbook_has_every_event_and_outcome() {
        let page = include_str!("../../handbook/lockout-and-audit.md");
        let outcomes = [
            Outcome::Ok,
            Outcome::Failed,
            Outcome::Throttled,
            Outcome::Refused,
            Outcome::Unavailable,
        ];
        let words = Event::ALL.iter().map(|event| event.name());
        for word in words.chain(outcomes.map(Outcome::name)) {
            assert!(page.contains(&format!("`{word}`")), "`{word}` is not in the handbook");
        }
    }

    #[test]
    fn every_event_has_a_word_of_its_own() {
        let names: BTreeSet<_> = Event::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), Event::ALL.len());
        let is_plain = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(names.iter().all(is_plain), "{names:?}");
    }
}
