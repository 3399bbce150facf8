//! Password hashes and the one way from credentials to a [`Verified`] user.

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64Unpadded, Encoding as _};
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
        let mark = PasswordMark::carried_by(&encoded).unwrap_or_else(|| PasswordMark::of(&encoded));
        Self { encoded, mark }
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
    /// Django's `get_session_auth_hash` does. The same password hashed anew keeps it, if its new
    /// salt was made by [`PasswordMark::into_salt`].
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

/// How many bytes a salt has that carries the mark of an earlier hash. Neither Django's salts nor
/// ours have as many; of another's that has, the first are taken for the mark, which are as random.
const CARRYING_SALT: usize = 24;

impl PasswordMark {
    fn of(encoded: &str) -> Self {
        let digest = Sha256::digest(encoded.as_bytes());
        let mut mark = [0; 8];
        mark.copy_from_slice(&digest[..8]);
        Self(mark)
    }

    /// The mark in the salt of an argon2 hash, the last but one of its parts, if it carries one.
    fn carried_by(encoded: &str) -> Option<Self> {
        let salt = encoded.strip_prefix("argon2$")?.rsplit('$').nth(1)?;
        let mut bytes = [0; CARRYING_SALT];
        match Base64Unpadded::decode(salt, &mut bytes).ok()? {
            salt if salt.len() == CARRYING_SALT => salt.first_chunk().copied().map(Self),
            _ => None,
        }
    }

    /// A salt for hashing the same password anew, in argon2: the new hash has this mark too, so that
    /// the sessions which began with the old one go on.
    ///
    /// It is made of the mark and of as many random bytes as any other salt has. The mark is a
    /// digest of the old hash, so a hash that is cheap to guess must not be carried: whoever got
    /// hold of the new hash would guess the password by the mark.
    pub fn into_salt(self, random: [u8; 16]) -> [u8; CARRYING_SALT] {
        let mut salt = [0; CARRYING_SALT];
        salt[..8].copy_from_slice(&self.0);
        salt[8..].copy_from_slice(&random);
        salt
    }

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

    /// The same, after the same password was hashed anew: a session that begins with it is bound to
    /// the new hash.
    #[must_use]
    pub fn rehashed(self, password: PasswordHash) -> Self {
        let mut user = Arc::unwrap_or_clone(self.user);
        user.password = password;
        Self { user: Arc::new(user) }
    }

    /// The user whose credentials these are.
    pub fn user(&self) -> &Arc<User> {
        &self.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argon2(salt: &[u8]) -> PasswordHash {
        let salt = Base64Unpadded::encode_string(salt);
        PasswordHash::from_encoded(format!("argon2$argon2id$v=19$m=8,t=1,p=1${salt}$AAAA"))
    }

    #[test]
    fn a_hash_made_anew_keeps_the_mark_for_ever_and_another_salt_changes_it() {
        let first = argon2(&[7; 16]);
        let second = argon2(&first.mark().into_salt([1; 16]));
        let third = argon2(&second.mark().into_salt([2; 16]));
        assert_eq!((second.mark(), third.mark()), (first.mark(), first.mark()));
        assert_ne!(second, third);
        for salt in [&[8; 16][..], &[7; 15], &[7; 23], &[7; 25], &[]] {
            assert_ne!(argon2(salt).mark(), first.mark(), "{salt:?}");
        }
    }

    #[test]
    fn only_whole_salts_of_argon2_carry_a_mark() {
        let carrying = argon2(&PasswordMark([9; 8]).into_salt([1; 16]));
        assert_eq!(carrying.mark(), PasswordMark([9; 8]));
        let text = carrying.encoded();
        for other in
            [&text[1..], &text.replace("argon2$", "scrypt$"), &format!("{text}$"), "argon2$"]
        {
            assert_eq!(
                PasswordHash::from_encoded(other).mark(),
                PasswordMark::of(other),
                "{other}"
            );
        }
    }
}
