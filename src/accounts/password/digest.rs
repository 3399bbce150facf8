//! `sha1$…`, `md5$…` and their forms without salt: what Django wrote before 1.4. They are checked
//! for the sake of old databases and never made: the first login replaces them.

use md5::Md5;
use sha1::Sha1;
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use super::bcrypt::hex;

/// A hash as it is read from the database: `sha1$salt$hash`, `md5$salt$hash`, with an empty salt
/// or, for MD5, without anything before the hash.
pub(super) struct Stored {
    algorithm: Algorithm,
    salt: String,
    /// In lower case, as Django compares it.
    hash: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Sha1,
    Md5,
}

impl Stored {
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        let parts: Vec<&str> = encoded.split('$').collect();
        let (algorithm, salt, hash) = match parts[..] {
            [hash] => (Algorithm::Md5, "", hash),
            ["md5", salt, hash] => (Algorithm::Md5, salt, hash),
            ["sha1", salt, hash] => (Algorithm::Sha1, salt, hash),
            _ => return None,
        };
        let digits = match algorithm {
            Algorithm::Sha1 => 40,
            Algorithm::Md5 => 32,
        };
        let is_hash = hash.len() == digits
            && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        is_hash.then(|| Self { algorithm, salt: salt.to_owned(), hash: hash.to_owned() })
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        let salted = [self.salt.as_bytes(), password.as_bytes()].concat();
        let computed = match self.algorithm {
            Algorithm::Sha1 => hex(&Sha1::digest(salted)),
            Algorithm::Md5 => hex(&Md5::digest(salted)),
        };
        computed.as_bytes().ct_eq(self.hash.as_bytes()).into()
    }
}
