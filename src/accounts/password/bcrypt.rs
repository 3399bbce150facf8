//! `bcrypt_sha256$…` and `bcrypt$…`, checked only.

use std::fmt::Write as _;

use bcrypt::HashParts;
use sha2::{Digest as _, Sha256};

/// A hash as it is read from the database: `bcrypt_sha256$$2b$12$…`, `bcrypt$$2b$12$…`.
pub(super) struct Stored {
    is_digested: bool,
    cost: u32,
    /// From the `$2b$` on.
    hash: String,
}

/// The logarithm of the work: Django asks for 12; this much takes some seconds.
const MOST_COST: u32 = 16;

impl Stored {
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        let (scheme, hash) = encoded.split_once('$')?;
        let is_digested = match scheme {
            "bcrypt_sha256" => true,
            "bcrypt" => false,
            _ => return None,
        };
        // `2x` marks hashes of a faulty implementation, which `2b` does not reproduce.
        let is_known = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version));
        // The library takes the sign of a number for a part of it.
        let cost = hash.get(4..6)?;
        if !is_known || !cost.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let parts: HashParts = hash.parse().ok()?;
        let cost = parts.get_cost();
        (4..=MOST_COST).contains(&cost).then(|| Self { is_digested, cost, hash: hash.to_owned() })
    }

    /// Compares in constant time, which the library does.
    ///
    /// Without a digest, 72 bytes of the password are all that bcrypt looks at, as Django warns;
    /// the hash that replaces this one is of the whole password.
    pub(super) fn matches(&self, password: &str) -> bool {
        let verified = if self.is_digested {
            bcrypt::verify(hex(&Sha256::digest(password.as_bytes())), &self.hash)
        } else {
            bcrypt::verify(password, &self.hash)
        };
        verified.unwrap_or(false)
    }

    pub(super) fn work(&self) -> u64 {
        64 << self.cost
    }
}

/// The bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
