//! A hash of any scheme that Django has had, as it is read from the database.

use super::{argon2id, bcrypt, digest, pbkdf2, scrypt};

/// What a self-describing hash describes; its parameters are within bounds, so that whoever can
/// write one hash into the database cannot take a gigabyte or a minute with each login.
pub(super) enum Stored {
    Argon2(argon2id::Stored),
    Pbkdf2(pbkdf2::Stored),
    Bcrypt(bcrypt::Stored),
    Scrypt(scrypt::Stored),
    Digest(digest::Stored),
}

/// No hash is longer; what is, need not be looked at.
const LONGEST: usize = 1024;

/// From how many bytes on a salt counts as one that nobody guesses: Django's had 12 characters
/// before 3.2, and 22 since.
const SECRET_SALT: usize = 12;

impl Stored {
    /// Reads a hash, as Django's `identify_hasher`; `None` when it is damaged, of an unknown scheme,
    /// out of bounds, or one that says that no password matches.
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        if encoded.len() > LONGEST {
            return None;
        }
        let (scheme, _) = encoded.split_once('$').unwrap_or(("md5", ""));
        match scheme {
            "argon2" => argon2id::Stored::parse(encoded).map(Self::Argon2),
            "pbkdf2_sha256" | "pbkdf2_sha1" => pbkdf2::Stored::parse(encoded).map(Self::Pbkdf2),
            "bcrypt_sha256" | "bcrypt" => bcrypt::Stored::parse(encoded).map(Self::Bcrypt),
            "scrypt" => scrypt::Stored::parse(encoded).map(Self::Scrypt),
            "sha1" | "md5" => digest::Stored::parse(encoded).map(Self::Digest),
            _ => None,
        }
    }

    /// Whether it was made from this password; compared in constant time.
    pub(super) fn matches(&self, password: &str) -> bool {
        match self {
            Self::Argon2(hash) => hash.matches(password),
            Self::Pbkdf2(hash) => hash.matches(password),
            Self::Bcrypt(hash) => hash.matches(password),
            Self::Scrypt(hash) => hash.matches(password),
            Self::Digest(hash) => hash.matches(password),
        }
    }

    /// About how long a comparison takes, in KiB that argon2 goes over in that time. Rather too
    /// little than too much: what is missing to the configured cost is made up for.
    pub(super) fn work(&self) -> u64 {
        match self {
            Self::Argon2(hash) => hash.work(),
            Self::Pbkdf2(hash) => hash.work(),
            Self::Bcrypt(hash) => hash.work(),
            Self::Scrypt(hash) => hash.work(),
            Self::Digest(_) => 0,
        }
    }

    /// Whether a digest of the hash tells nothing to somebody who guesses the password: its salt
    /// would have to be guessed too, and each guess would have to be hashed slowly.
    pub(super) fn hides_its_password(&self) -> bool {
        match self {
            Self::Argon2(hash) => hash.salt.len() >= SECRET_SALT,
            Self::Pbkdf2(hash) => hash.salt.len() >= SECRET_SALT,
            Self::Scrypt(hash) => hash.salt.len() >= SECRET_SALT,
            // 16 bytes always.
            Self::Bcrypt(_) => true,
            Self::Digest(_) => false,
        }
    }
}

/// A number as it is written in hashes: `parse` alone would take a sign.
pub(super) fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}
