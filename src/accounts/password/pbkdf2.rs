//! `pbkdf2_sha256$…` and `pbkdf2_sha1$…`: Django's own default, checked only.

use base64ct::{Base64, Encoding as _};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::stored::number;

/// A hash as it is read from the database: `pbkdf2_sha256$iterations$salt$hash`.
pub(super) struct Stored {
    digest: Digest,
    iterations: u32,
    pub(super) salt: Vec<u8>,
    hash: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Digest {
    Sha256,
    Sha1,
}

/// Django asks for a million and adds some with each version; this many take some seconds.
const MOST_ITERATIONS: u32 = 10_000_000;

impl Stored {
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        let (scheme, rest) = encoded.split_once('$')?;
        let (digest, length) = match scheme {
            "pbkdf2_sha256" => (Digest::Sha256, 32),
            "pbkdf2_sha1" => (Digest::Sha1, 20),
            _ => return None,
        };
        let parts: Vec<&str> = rest.split('$').collect();
        let [iterations, salt, hash] = parts[..] else { return None };
        let iterations = number(iterations).filter(|n| (1..=MOST_ITERATIONS).contains(n))?;
        let hash = Base64::decode_vec(hash).ok().filter(|hash| hash.len() == length)?;
        if salt.is_empty() {
            return None;
        }
        Some(Self { digest, iterations, salt: salt.into(), hash })
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        let mut computed = vec![0; self.hash.len()];
        let (password, salt) = (password.as_bytes(), &self.salt);
        match self.digest {
            Digest::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, self.iterations, &mut computed),
            Digest::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, self.iterations, &mut computed),
        }
        computed.ct_eq(&self.hash).into()
    }

    /// Four iterations take about as long as argon2 takes for one KiB, where SHA is done by
    /// the processor; twice as long where it is not.
    pub(super) fn work(&self) -> u64 {
        u64::from(self.iterations) / 4
    }
}
