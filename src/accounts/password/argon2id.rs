//! argon2id, in the form in which Django writes it: the one scheme of new hashes.

use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64Unpadded, Encoding as _};
use subtle::ConstantTimeEq as _;

use super::super::AccountsError;
use super::super::settings::Hashing;
use super::memory;
use super::stored::number;
use crate::domain::password::PasswordMark;

/// Makes new hashes at the configured cost.
#[derive(Debug, Clone)]
pub(super) struct Argon2id {
    cost: Params,
}

impl Argon2id {
    /// A hasher whose new hashes cost what the settings say; they must be ones it would accept.
    pub(super) fn new(hashing: &Hashing) -> Result<Self, AccountsError> {
        let Hashing { memory_kib, iterations, parallelism } = *hashing;
        let cost = bounded(memory_kib, iterations, parallelism, HASH_LENGTH).ok_or_else(|| {
            AccountsError::Cost(format!(
                "{memory_kib} KiB, {iterations} iterations, parallelism {parallelism}\n\
                 hint: 8 KiB to 1 GiB, 1 to 64 iterations, 1 to 64 lanes of 8 KiB or more; \
                 memory times iterations at most 4 GiB"
            ))
        })?;
        Ok(Self { cost })
    }

    /// The encoded hash of a new password: `argon2$argon2id$v=19$m=…,t=…,p=…$salt$hash`.
    pub(super) fn encode(&self, password: &str) -> Result<String, AccountsError> {
        self.encode_with(password, &random()?)
    }

    /// A new hash of a password that is the same as before, for which sessions that began with
    /// the old hash go on; see [`PasswordMark::into_salt`].
    pub(super) fn encode_again(
        &self,
        password: &str,
        mark: PasswordMark,
    ) -> Result<String, AccountsError> {
        self.encode_with(password, &mark.into_salt(random()?))
    }

    fn encode_with(&self, password: &str, salt: &[u8]) -> Result<String, AccountsError> {
        let mut hash = [0; HASH_LENGTH];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.cost.clone());
        memory::hash(&argon2, password, salt, &mut hash)
            .map_err(|error| AccountsError::Hashing(error.to_string()))?;
        Ok(format!(
            "argon2$argon2id$v=19$m={},t={},p={}${}${}",
            self.cost.m_cost(),
            self.cost.t_cost(),
            self.cost.p_cost(),
            Base64Unpadded::encode_string(salt),
            Base64Unpadded::encode_string(&hash),
        ))
    }

    /// The configured cost, as [`Stored::work`] counts it.
    pub(super) fn work(&self) -> u64 {
        work(&self.cost)
    }

    /// Does this much work for nothing.
    pub(super) fn labour(&self, password: &str, work: u64) {
        let (iterations, lanes) = (self.cost.t_cost(), self.cost.p_cost());
        let memory = u32::try_from(work / u64::from(iterations)).unwrap_or(u32::MAX);
        // What is less than the least there is would make no difference that can be measured.
        let Some(cost) = bounded(memory, iterations, lanes, HASH_LENGTH) else { return };
        let mut hash = [0; HASH_LENGTH];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost);
        let outcome = memory::hash(&argon2, password, b"nobody's account", &mut hash);
        std::hint::black_box((outcome.is_ok(), hash));
    }

    /// Whether a new hash would be like this one.
    pub(super) fn is_like(&self, stored: &Stored) -> bool {
        stored.algorithm == Algorithm::Argon2id
            && stored.version == Version::V0x13
            && stored.cost.m_cost() == self.cost.m_cost()
            && stored.cost.t_cost() == self.cost.t_cost()
            && stored.cost.p_cost() == self.cost.p_cost()
            && stored.hash.len() == HASH_LENGTH
            && stored.salt.len() >= SALT_LENGTH
    }
}

fn random() -> Result<[u8; SALT_LENGTH], AccountsError> {
    let mut bytes = [0; SALT_LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| AccountsError::Hashing(error.to_string()))?;
    Ok(bytes)
}

/// A hash as it is read from the database; argon2i and argon2d are only ever read.
pub(super) struct Stored {
    algorithm: Algorithm,
    version: Version,
    cost: Params,
    pub(super) salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Of new hashes, in bytes; also argon2-cffi's.
const HASH_LENGTH: usize = 32;

/// Of the random part of new salts, in bytes.
const SALT_LENGTH: usize = 16;

impl Stored {
    /// Reads Django's form: `argon2$` and then the PHC string without its first `$`. As there,
    /// the version may be missing in old hashes, and then it is 16.
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        let mut parts = encoded.strip_prefix("argon2$")?.split('$');
        let algorithm = Algorithm::new(parts.next()?).ok()?;
        let mut part = parts.next()?;
        let version = match part.strip_prefix("v=") {
            Some("19") => Version::V0x13,
            Some("16") | None => Version::V0x10,
            Some(_) => return None,
        };
        if part.starts_with("v=") {
            part = parts.next()?;
        }
        let mut parameters = part.split(',');
        let mut cost = |prefix| number(parameters.next()?.strip_prefix(prefix)?);
        let (memory, iterations, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
        if parameters.next().is_some() {
            return None;
        }
        let salt = decode(parts.next()?, 8..=64)?;
        let hash = decode(parts.next()?, 16..=64)?;
        if parts.next().is_some() {
            return None;
        }
        let cost = bounded(memory, iterations, lanes, hash.len())?;
        Some(Self { algorithm, version, cost, salt, hash })
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        let mut computed = vec![0; self.hash.len()];
        let argon2 = Argon2::new(self.algorithm, self.version, self.cost.clone());
        memory::hash(&argon2, password, &self.salt, &mut computed)
            .is_ok_and(|()| computed.ct_eq(&self.hash).into())
    }

    /// How much memory is gone over, in KiB.
    pub(super) fn work(&self) -> u64 {
        work(&self.cost)
    }
}

fn work(cost: &Params) -> u64 {
    u64::from(cost.m_cost()) * u64::from(cost.t_cost())
}

fn decode(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<Vec<u8>> {
    if text.len() > 100 {
        return None;
    }
    Base64Unpadded::decode_vec(text).ok().filter(|bytes| lengths.contains(&bytes.len()))
}

/// The parameters, if they are not meant to bring us down.
fn bounded(memory_kib: u32, iterations: u32, parallelism: u32, length: usize) -> Option<Params> {
    const GIB: u32 = 1024 * 1024;
    let reasonable = memory_kib <= GIB
        && iterations <= 64
        && parallelism <= 64
        && u64::from(memory_kib) * u64::from(iterations) <= 4 * u64::from(GIB);
    if !reasonable {
        return None;
    }
    Params::new(memory_kib, iterations, parallelism, Some(length)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher() -> Argon2id {
        Argon2id::new(&Hashing { memory_kib: 8, iterations: 1, parallelism: 1 }).unwrap()
    }

    fn matches(password: &str, encoded: &str) -> bool {
        Stored::parse(encoded).is_some_and(|stored| stored.matches(password))
    }

    #[test]
    fn a_new_hash_matches_its_password_and_no_other() {
        let encoded = hasher().encode("lètmein").unwrap();
        assert!(encoded.starts_with("argon2$argon2id$v=19$m=8,t=1,p=1$"), "{encoded}");
        assert!(matches("lètmein", &encoded));
        assert!(!matches("letmein", &encoded));
        assert!(!matches("", &encoded));
        assert_ne!(hasher().encode("lètmein").unwrap(), encoded, "salted");
    }

    #[test]
    fn hashes_of_others_are_understood() {
        // From the reference implementation's test.c.
        let reference = "argon2$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\
                         CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(matches("password", reference));
        // From Django's test_hashers.py: without a version, and short.
        let old = "argon2$argon2i$m=8,t=1,p=1$c29tZXNhbHQ$\
                   gwQOXSNhxiOxPOA0+PY10P9QFO4NAYysnqRt1GSQLE55m+2GYDt9FEjPMHhP2Cuf0nOEXXMocVrsJAtNSsKyfg";
        let short = "argon2$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$YC9+jJCrQhs5R6db7LlN8Q";
        for django in [old, short] {
            assert!(matches("secret", django), "{django}");
            assert!(!matches("wrong", django), "{django}");
        }
    }

    #[test]
    fn damaged_and_hostile_hashes_match_nothing() {
        let good = hasher().encode("x").unwrap();
        let (head, hash) = good.rsplit_once('$').unwrap();
        let (start, salt) = head.rsplit_once('$').unwrap();
        let with = |parameters: &str| format!("argon2$argon2id$v=19${parameters}${salt}${hash}");
        assert_eq!(with("m=8,t=1,p=1"), good);
        let mut hostile: Vec<String> = [
            "m=4294967295,t=1,p=1",
            "m=1048577,t=1,p=1",
            "m=1048576,t=5,p=1",
            "m=8,t=65,p=1",
            "m=8,t=4294967295,p=1",
            "m=8,t=0,p=1",
            "m=0,t=1,p=1",
            "m=8,t=1,p=0",
            "m=8,t=1,p=2",
            "m=1024,t=1,p=65",
            "m=8,t=1,p=16777216",
            "m=8,t=1,p=536870913",
            "m=+8,t=1,p=1",
            "m=99999999999,t=1,p=1",
            "m=8,t=1",
            "m=8,t=1,p=1,keyid=x",
            "t=1,m=8,p=1",
            "m=,t=,p=",
            "",
        ]
        .map(with)
        .to_vec();
        hostile.extend([
            good.replace("v=19", "v=18"),
            good.replace("argon2$", ""),
            good.replace("argon2id", "argon2x"),
            format!("{good}$"),
            format!("{good}="),
            format!("{head}$"),
            format!("{head}$AAAA"),
            format!("{start}$$"),
            format!("{start}$AAAA${hash}"),
            format!("{head}${}", "A".repeat(1 << 20)),
            format!("{head}$\u{e9}\u{e9}"),
            "argon2$".to_owned(),
            "argon2$$$$$$".to_owned(),
            "!".to_owned(),
            String::new(),
        ]);
        for encoded in hostile {
            assert!(!matches("x", &encoded), "{encoded:.80}");
        }
        for cut in 0..good.len() {
            assert!(!matches("x", &good[..cut]), "{cut}");
        }
    }

    #[test]
    fn a_cost_that_could_not_be_read_back_cannot_be_configured() {
        let refused = |memory_kib, iterations, parallelism| {
            let hashing = Hashing { memory_kib, iterations, parallelism };
            matches!(Argon2id::new(&hashing), Err(AccountsError::Cost(_)))
        };
        assert!(refused(7, 1, 1) && refused(8, 0, 1) && refused(8, 1, 2) && refused(8, 65, 1));
        assert!(refused(1024 * 1024 + 1, 1, 1));
        assert!(!refused(1024 * 1024, 4, 4));
    }
}
