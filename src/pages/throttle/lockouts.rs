//! Who is locked out, for those who look and may let them in again.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::Ordering;

use super::Throttle;
use super::record::Record;
use super::subject::{Subject, network};
use crate::domain::audit::{Entry, Person};
use crate::domain::{Timestamp, UserId};

/// Somebody whose attempts are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedOut {
    /// What is refused.
    pub scope: Scope,
    /// The account, if it is about one and there is one of that name: its number and its name at
    /// the last failure. What was typed and is nobody's name is not known.
    pub user: Option<(UserId, String)>,
    /// The address, if it is about one; of an IPv6 address the network of 64 bits that it is in.
    pub address: Option<IpAddr>,
    /// How many failures there were.
    pub failures: u32,
    /// When the last one was.
    pub failed_at: Timestamp,
    /// When the next attempt may be made.
    pub until: Timestamp,
}

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One account from one address.
    AccountFromAddress,
    /// All accounts from one address.
    Address,
    /// One account in all browsers in which it has never logged in.
    Account,
    /// One account in one browser in which it has logged in before.
    KnownBrowser,
}

impl Scope {
    /// The word for it in lists and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountFromAddress => "account_from_address",
            Self::Address => "address",
            Self::Account => "account",
            Self::KnownBrowser => "known_browser",
        }
    }

    pub(super) fn of(subject: &Subject) -> Self {
        match subject {
            Subject::Pair(..) => Self::AccountFromAddress,
            Subject::Address(_) => Self::Address,
            Subject::Account(_) => Self::Account,
            Subject::Browser(_) => Self::KnownBrowser,
        }
    }
}

/// Whom to let in again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lift {
    /// This user, from wherever; addresses that failed with other names too stay locked out.
    User(UserId, String),
    /// This address, or the IPv6 network of 64 bits that it is in, whatever the account.
    Address(IpAddr),
    /// Everybody.
    All,
}

impl LockedOut {
    pub(super) fn of(subject: &Subject, record: &Record) -> Self {
        let address = match subject {
            Subject::Pair(_, network) | Subject::Address(network) => Some(*network),
            Subject::Account(_) | Subject::Browser(_) => None,
        };
        Self {
            scope: Scope::of(subject),
            user: record.whose.as_ref().map(|whose| (whose.id, whose.username.clone())),
            address,
            failures: record.failures,
            failed_at: record.failed_at,
            until: record.free_at,
        }
    }

    /// Adds to an entry of the audit log who is locked out.
    pub(in super::super) fn describe(&self, mut entry: Entry) -> Entry {
        entry.address = self.address;
        entry.user =
            self.user.as_ref().map(|(id, name)| Person { name: name.clone(), id: Some(*id) });
        entry.with("scope", self.scope.name()).with("failures", self.failures)
    }

    /// The address as it is shown and typed: of an IPv6 network with `/64`.
    pub fn shown_address(&self) -> Option<String> {
        self.address.map(|address| ShownAddress(address).to_string())
    }
}

/// An address that stands for its network.
pub(in super::super) struct ShownAddress(pub(in super::super) IpAddr);

impl fmt::Display for ShownAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match network(self.0) {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

impl Throttle {
    /// Who is locked out now; whoever waits longest stands first.
    pub(in super::super) fn locked_out(&self, now: Timestamp) -> Vec<LockedOut> {
        let records = self.records();
        let locked = records.iter().filter(|(_, record)| record.is_locked(now));
        let mut list: Vec<_> =
            locked.map(|(subject, record)| LockedOut::of(subject, record)).collect();
        drop(records);
        list.sort_by(|a, b| {
            let rank = |it: &LockedOut| (it.scope, it.failures, it.failed_at);
            (b.until, &a.user, a.address, rank(a)).cmp(&(a.until, &b.user, b.address, rank(b)))
        });
        list
    }

    /// Forgets the failures of those who are named, also of those who are not locked out yet; gives
    /// who was locked out.
    pub(in super::super) fn lift(&self, lift: &Lift, now: Timestamp) -> Vec<LockedOut> {
        let name = match lift {
            Lift::User(_, username) => Some(self.names.digest(username)),
            Lift::Address(_) | Lift::All => None,
        };
        let is_meant = |subject: &Subject| match (lift, subject) {
            (Lift::All, _) => true,
            (Lift::User(id, _), Subject::Browser(browser)) => browser.user() == *id,
            (Lift::User(..), Subject::Pair(it, _) | Subject::Account(it)) => Some(*it) == name,
            (Lift::Address(address), Subject::Pair(_, it) | Subject::Address(it)) => {
                network(*address) == *it
            }
            (Lift::User(..), Subject::Address(_))
            | (Lift::Address(_), Subject::Account(_) | Subject::Browser(_)) => false,
        };
        let mut lifted = Vec::new();
        self.records().retain(|subject, record| {
            if is_meant(subject) {
                if record.is_locked(now) {
                    lifted.push(LockedOut::of(subject, record));
                }
                record.forgive(now);
            }
            record.failures > 0 || record.in_flight > 0
        });
        self.is_changed.store(true, Ordering::Relaxed);
        self.turn.notify_waiters();
        lifted
    }
}
