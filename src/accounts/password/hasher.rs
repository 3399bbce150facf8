//! Comparing a password with any hash at an even cost, and replacing old hashes.

use super::super::AccountsError;
use super::super::settings::Hashing;
use super::argon2id::Argon2id;
use super::stored::Stored;
use crate::domain::PasswordHash;
use crate::domain::password::PasswordHasher;

/// Makes new hashes at the configured cost, and checks those of every scheme that Django has had.
#[derive(Debug, Clone)]
pub(in super::super) struct Hasher {
    argon2id: Argon2id,
}

/// The comparison at one login.
pub(in super::super) struct Comparison<'a> {
    pub(in super::super) hasher: &'a Hasher,
    /// What is compared when the user is not there or has no password that could match.
    pub(in super::super) stand_in: Option<&'a PasswordHash>,
}

impl Hasher {
    /// A hasher whose new hashes cost what the settings say; they must be ones it would accept.
    pub(in super::super) fn new(hashing: &Hashing) -> Result<Self, AccountsError> {
        Ok(Self { argon2id: Argon2id::new(hashing)? })
    }

    /// The encoded hash of a new password.
    pub(in super::super) fn encode(&self, password: &str) -> Result<String, AccountsError> {
        self.argon2id.encode(password)
    }

    /// A new hash of the password that `old` was made from, if a new one would be another: of
    /// another scheme, cost or length of salt, as by Django's `must_update`.
    ///
    /// Sessions that began with the old hash go on, unless it was one that is cheap to guess.
    pub(in super::super) fn renew(
        &self,
        password: &str,
        old: &PasswordHash,
    ) -> Result<Option<String>, AccountsError> {
        match Stored::parse(old.encoded()) {
            Some(Stored::Argon2(stored)) if self.argon2id.is_like(&stored) => Ok(None),
            Some(stored) if stored.hides_its_password() => {
                self.argon2id.encode_again(password, old.mark()).map(Some)
            }
            Some(_) | None => self.argon2id.encode(password).map(Some),
        }
    }

    /// Compares, and does what is missing to the configured cost, as Django's `harden_runtime`:
    /// whatever comes of it, so that the time does not tell either.
    fn compare(&self, password: &str, stored: &Stored) -> bool {
        let matches = stored.matches(password);
        let missing = self.argon2id.work().saturating_sub(stored.work());
        self.argon2id.labour(password, missing);
        matches
    }
}

impl PasswordHasher for Comparison<'_> {
    fn matches(&self, password: &str, hash: &PasswordHash) -> bool {
        let Some(stored) = Stored::parse(hash.encoded()) else {
            // A damaged hash costs as much, or it would show that the account is there.
            self.pretend(password);
            return false;
        };
        self.hasher.compare(password, &stored)
    }

    fn pretend(&self, password: &str) {
        match self.stand_in.and_then(|hash| Stored::parse(hash.encoded())) {
            Some(stored) => {
                std::hint::black_box(self.hasher.compare(password, &stored));
            }
            None => self.hasher.argon2id.labour(password, self.hasher.argon2id.work()),
        }
    }
}

#[cfg(test)]
mod tests;
