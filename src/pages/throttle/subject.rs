//! Whose failures are counted.

use std::net::{IpAddr, Ipv6Addr};

use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::super::known_browser::KnownBrowser;
use crate::domain::{UserId, audit};

/// What a counter counts the failures of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A name from one network.
    Pair(Name, IpAddr),
    /// A network, whatever the name.
    Address(IpAddr),
    /// A name, from wherever.
    Account(Name),
    /// A browser in which the account has logged in before.
    Browser(KnownBrowser),
}

impl Subject {
    /// Whether it is about one account alone.
    pub(super) fn is_of_an_account(&self) -> bool {
        match self {
            Self::Pair(..) | Self::Account(_) | Self::Browser(_) => true,
            Self::Address(_) => false,
        }
    }

    /// Whether a success shows that the failures were its owner's.
    pub(super) fn is_forgiven(&self) -> bool {
        match self {
            Self::Pair(..) | Self::Browser(_) => true,
            Self::Address(_) | Self::Account(_) => false,
        }
    }
}

/// A name that was typed, as a digest. The name itself is not kept: it may be a password that was
/// typed into the wrong field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name([u8; 16]);

impl Name {
    /// The name whose digest was kept.
    pub(super) fn of(digest: [u8; 16]) -> Self {
        Self(digest)
    }

    pub(super) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What makes digests of names. Clients choose names, so the digest has a key that they do not have.
pub(super) struct Names(Hmac<Sha256>);

impl Names {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        // HMAC fills a short key up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(key);
        Self(Hmac::new(&block.into()).chain_update(b"vestibule: names that failed\0"))
    }

    pub(super) fn digest(&self, account: &str) -> Name {
        let digest = self.0.clone().chain_update(account.as_bytes()).finalize().into_bytes();
        let mut name = [0; 16];
        name.copy_from_slice(&digest[..16]);
        Name(name)
    }
}

/// An account that failures are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Whose {
    /// Its number.
    pub(in super::super) id: UserId,
    /// Its name.
    pub(in super::super) username: String,
}

impl From<&Whose> for audit::Person {
    fn from(whose: &Whose) -> Self {
        Self { name: whose.username.clone(), id: Some(whose.id) }
    }
}

/// What an address counts as: a household has one IPv4 address, or an IPv6 network of 64 bits.
pub(in super::super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}
