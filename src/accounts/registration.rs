//! Registration: what somebody without an account asks for, what waits for staff, and invitations.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::command::Secret;
use super::error::AccountsError;

/// An account that a visitor asks for at the registration page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewRegistration {
    /// The name to log in with.
    pub username: String,
    /// E-mail address, possibly empty.
    pub email: String,
    /// The password.
    pub password: Secret,
    /// Groups to be a member of, besides those of the invitation.
    pub groups: Vec<String>,
    /// Where the visitor is, for whoever looks at it.
    pub address: String,
    /// What the account waits for before it can be used.
    pub waits_for: Waiting,
    /// The invitation that it is asked for with.
    pub invitation: Option<InvitationDigest>,
}

/// What an account waits for. Until neither is left it is inactive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// That its owner follows the link in a mail.
    pub confirmation: bool,
    /// That somebody of the staff approves of it.
    pub approval: bool,
}

impl Waiting {
    /// Whether it waits for nothing.
    pub fn is_over(self) -> bool {
        !self.confirmation && !self.approval
    }
}

/// What came of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registered {
    /// There is an account now.
    Created,
    /// Somebody has the name already, perhaps in other case.
    NameTaken,
    /// The invitation was used, revoked or forgotten in the meantime.
    NotInvited,
}

/// A registration in the list of those that wait. Moments are written as in RFC 3339, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRecord {
    /// The number of the account, which never becomes another's, as the name may.
    pub id: i64,
    /// The name to log in with.
    pub username: String,
    /// E-mail address, possibly empty.
    pub email: String,
    /// What it waits for.
    pub waits_for: Waiting,
    /// When it was asked for.
    pub registered: String,
    /// From where.
    pub address: String,
}

/// What the staff decided about somebody who registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The name to log in with.
    pub username: String,
    /// E-mail address, possibly empty or not confirmed.
    pub email: String,
    /// Whether the account can be used now; else it was deleted.
    pub is_approved: bool,
    /// For people.
    pub done: String,
}

/// An invitation to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NewInvitation {
    /// Whom it is for, if it is for one address alone; else empty.
    pub email: String,
    /// Groups that whoever comes by it joins.
    pub groups: Vec<String>,
    /// After how many seconds it is over.
    pub expires_in: u64,
}

/// An invitation that was just made, the only time that its token is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// Its number, by which it can be revoked.
    pub id: i64,
    /// The token; the page is `register/TOKEN/` below the prefix.
    pub token: String,
    /// Whom it is for, if it is for one address alone; else empty.
    pub email: String,
    /// From when on it is over.
    pub expires: String,
}

/// An invitation in a list. Moments are written as in RFC 3339, in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationRecord {
    /// Its number.
    pub id: i64,
    /// Whom it is for, if it is for one address alone; else empty.
    pub email: String,
    /// Groups that whoever comes by it joins.
    pub groups: Vec<String>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created: String,
    /// From when on it is over.
    pub expires: String,
    /// Whether it is over.
    pub is_expired: bool,
    /// Who came by it, if somebody did: a user name, or the number of one who is gone.
    pub used_by: Option<String>,
}

/// An invitation as whoever comes by it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// What it is known by.
    pub digest: InvitationDigest,
    /// Whom it is for, if it is for one address alone; else empty.
    pub email: String,
}

/// What is kept of an invitation's token: SHA-256, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InvitationDigest(String);

impl InvitationDigest {
    /// The digest of a token: the text between `register/` and `/`.
    pub fn of(token: &str) -> Self {
        Self(hex(&Sha256::digest(token.as_bytes())))
    }

    /// As it stands in the database.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A new token: 32 random bytes. They are written in hexadecimal digits because the case of an
/// address means nothing to our own pages.
pub(super) fn random_token() -> Result<String, AccountsError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| AccountsError::Hashing(error.to_string()))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;

    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a `String` cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_cannot_be_found_from_its_digest() {
        let (one, other) = (random_token().unwrap(), random_token().unwrap());
        assert_eq!((one.len(), InvitationDigest::of(&one).as_str().len()), (64, 64));
        assert_ne!(one, other);
        assert_ne!(InvitationDigest::of(&one).as_str(), one);
        assert_eq!(InvitationDigest::of(&one), InvitationDigest::of(&one));
    }

    #[test]
    fn an_account_waits_until_neither_is_left() {
        assert!(Waiting::default().is_over());
        assert!(!Waiting { approval: true, ..Waiting::default() }.is_over());
        assert!(!Waiting { confirmation: true, ..Waiting::default() }.is_over());
    }
}
