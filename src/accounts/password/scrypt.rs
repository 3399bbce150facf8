//! `scrypt$…`, checked only.

use base64ct::{Base64, Encoding as _};
use scrypt::{Params, scrypt};
use subtle::ConstantTimeEq as _;

use super::stored::number;

/// A hash as it is read from the database: `scrypt$N$salt$r$p$hash`.
pub(super) struct Stored {
    cost: Params,
    pub(super) salt: Vec<u8>,
    hash: [u8; 64],
}

/// In KiB; Django asks for 16 MiB. The library ends the process when it gets no memory.
const MOST_MEMORY: u64 = 256 * 1024;

/// In KiB that are filled, for all lanes: this many take some seconds.
const MOST_WORK: u64 = 2 * 1024 * 1024;

impl Stored {
    pub(super) fn parse(encoded: &str) -> Option<Self> {
        let parts: Vec<&str> = encoded.strip_prefix("scrypt$")?.split('$').collect();
        let [n, salt, r, p, hash] = parts[..] else { return None };
        let cost = bounded(number(n)?, number(r)?, number(p)?)?;
        let hash = Base64::decode_vec(hash).ok()?.try_into().ok()?;
        if salt.is_empty() {
            return None;
        }
        Some(Self { cost, salt: salt.into(), hash })
    }

    pub(super) fn matches(&self, password: &str) -> bool {
        let mut computed = [0; 64];
        scrypt(password.as_bytes(), &self.salt, &self.cost, &mut computed)
            .is_ok_and(|()| computed.ct_eq(&self.hash).into())
    }

    /// Each KiB is written once and read once, by a slower mixer than argon2's.
    pub(super) fn work(&self) -> u64 {
        3 * u64::from(self.cost.p()) * kib(self.cost.n(), self.cost.r())
    }
}

fn bounded(n: u32, r: u32, p: u32) -> Option<Params> {
    let memory = kib(n.into(), r);
    let is_reasonable = n.is_power_of_two()
        && n > 1
        && (1..=64).contains(&r)
        && (1..=64).contains(&p)
        && memory <= MOST_MEMORY
        && memory * u64::from(p) <= MOST_WORK;
    if !is_reasonable {
        return None;
    }
    Params::new(u8::try_from(n.ilog2()).ok()?, r, p).ok()
}

/// The memory of one lane: N blocks of 128 times r bytes.
fn kib(n: u64, r: u32) -> u64 {
    n.saturating_mul(u64::from(r)) / 8
}
