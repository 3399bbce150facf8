//! Password hashes and the one way from credentials to a [`Verified`] user.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::User;

/// The longest password that is looked at, in bytes; a longer one is wrong without being hashed,
/// so that it costs no more than a short one (Django CVE-2013-1443).
pub const MAX_PASSWORD_LENGTH: usize = 4096;

/// A self-describing password hash such as `argon2$argon2id$v=19$…`; `!…` can never be matched.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    encoded: Box<str>,
    mark: PasswordMark,
}

impl PasswordHash {
    /// The hash that is written so in the database.
    pub fn from_encoded(encoded: impl Into<Box<str>>) -> Self {
        let encoded = encoded.into();
        let digest = Sha256::digest(encoded.as_bytes());
        let mut mark = [0; 8];
        mark.copy_from_slice(&digest[..8]);
        Self { encoded, mark: PasswordMark(mark) }
    }

    /// The encoded form, for the database and the hasher only.
    pub fn encoded(&self) -> &str {
        &self.encoded
    }

    /// Whether any password can match: false for the `!` that Django's `set_unusable_password` writes.
    pub fn is_usable(&self) -> bool {
        !self.encoded.is_empty() && !self.encoded.starts_with('!')
    }

    /// A short digest by which a session remembers the password it began with.
    ///
    /// A changed password changes the mark, and so ends the sessions that carry the old one, as
    /// Django's `get_session_auth_hash` does.
    pub fn mark(&self) -> PasswordMark {
        self.mark
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.encoded.split('$').next().unwrap_or_default();
        write!(f, "PasswordHash({scheme}$…)")
    }
}

/// What a session remembers of the password that began it: 64 bits of the hash's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordMark([u8; 8]);

impl PasswordMark {
    /// The mark that a session was stored with.
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// What can compare a password with a hash; one is passed in where passwords are checked.
pub trait PasswordHasher {
    /// Whether `password` is the one that `hash` was made from; false for a damaged hash.
    fn matches(&self, password: &str, hash: &PasswordHash) -> bool;

    /// Does the work of one comparison in vain, so that an unknown user costs as much as a known one.
    fn pretend(&self, password: &str);
}

/// These credentials belong to this active user: evidence of a successful login.
///
/// ```compile_fail
/// // There is no other maker: the field is private.
/// use std::sync::Arc;
/// use vestibule::domain::{User, Verified};
/// fn forge(user: Arc<User>) -> Verified {
///     Verified { user }
/// }
/// ```
#[derive(Debug)]
pub struct Verified {
    user: Arc<User>,
}

/// The credentials are not those of an active user. Which of them was wrong is not said, to
/// nobody, because every answer that differs helps to guess (OWASP ASVS 6.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no active user has these credentials")]
pub struct NotVerified;

impl Verified {
    /// Checks `password` against the `user` that was found under the given name, if one was.
    ///
    /// One hash is computed whatever is wrong: the user, the password, an inactive account or an
    /// unusable hash. It takes as long as the hasher does; never call it on a worker.
    pub fn check(
        user: Option<Arc<User>>,
        password: &str,
        hasher: &dyn PasswordHasher,
    ) -> Result<Self, NotVerified> {
        if password.len() > MAX_PASSWORD_LENGTH {
            return Err(NotVerified);
        }
        match user.filter(|user| user.password.is_usable()) {
            Some(user) => {
                let matches = hasher.matches(password, &user.password);
                if matches && user.is_active { Ok(Self { user }) } else { Err(NotVerified) }
            }
            None => {
                hasher.pretend(password);
                Err(NotVerified)
            }
        }
    }

    /// The user whose credentials these are.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }
}
