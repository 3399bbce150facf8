//! What outlasts a restart: whoever has come to be locked out, and how often they had failed.
//!
//! Failures that have not come to that are kept in memory alone. A name that was typed stands here
//! as a digest, but the key of the digest lies on the same disk; a password that somebody typed into
//! the wrong field once or twice must not be found out from it, and is not here at all.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::record::Record;
use super::subject::{Name, Subject, Whose};
use super::{KnownBrowser, MAX_RECORDS, Throttle};
use crate::domain::{Timestamp, UserId};

/// A counter as it is kept: moments are seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Kept {
    of: KeptSubject,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<(i64, String)>,
    failures: u32,
    failed_at: u64,
    free_at: u64,
    forgotten_at: u64,
}

/// Digests are hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KeptSubject {
    Pair(String, IpAddr),
    Address(IpAddr),
    Account(String),
    Browser(i64, String),
}

impl Throttle {
    /// What is to be kept, if that has changed since it was last asked for: a line for each.
    pub(in super::super) fn to_keep(&self, now: Timestamp) -> Option<String> {
        if !self.is_changed.swap(false, Ordering::Relaxed) {
            return None;
        }
        let mut text = String::new();
        for (subject, record) in self.records().iter() {
            if record.has_locked() && !record.is_over(now) {
                // Numbers and text cannot fail to be written.
                text += &serde_json::to_string(&Kept::of(subject, record)).unwrap_or_default();
                text.push('\n');
            }
        }
        Some(text)
    }

    /// Takes up what was kept; gives how many lines could not be read.
    pub(in super::super) fn take_up(&self, text: &str, now: Timestamp) -> usize {
        let mut records = self.records();
        let mut unreadable = 0;
        for line in text.lines().take(MAX_RECORDS) {
            let kept = serde_json::from_str::<Kept>(line).ok();
            match kept.and_then(|kept| Some((kept.subject()?, kept.record()))) {
                Some((_, record)) if record.is_over(now) => {}
                Some((subject, record)) => drop(records.insert(subject, record)),
                None => unreadable += 1,
            }
        }
        unreadable
    }
}

impl Kept {
    fn of(subject: &Subject, record: &Record) -> Self {
        let of = match subject {
            Subject::Pair(name, network) => KeptSubject::Pair(hexadecimal(name.bytes()), *network),
            Subject::Address(network) => KeptSubject::Address(*network),
            Subject::Account(name) => KeptSubject::Account(hexadecimal(name.bytes())),
            Subject::Browser(browser) => {
                KeptSubject::Browser(browser.user().0, hexadecimal(browser.nonce()))
            }
        };
        Self {
            of,
            user: record.whose.as_ref().map(|whose| (whose.id.0, whose.username.clone())),
            failures: record.failures,
            failed_at: record.failed_at.seconds(),
            free_at: record.free_at.seconds(),
            forgotten_at: record.forgotten_at.seconds(),
        }
    }

    fn subject(&self) -> Option<Subject> {
        Some(match &self.of {
            KeptSubject::Pair(name, network) => Subject::Pair(Name::of(bytes(name)?), *network),
            KeptSubject::Address(network) => Subject::Address(*network),
            KeptSubject::Account(name) => Subject::Account(Name::of(bytes(name)?)),
            KeptSubject::Browser(user, nonce) => {
                Subject::Browser(KnownBrowser::counted(UserId(*user), bytes(nonce)?))
            }
        })
    }

    fn record(self) -> Record {
        let whose = self.user.map(|(id, username)| Arc::new(Whose { id: UserId(id), username }));
        Record {
            failures: self.failures,
            in_flight: 0,
            failed_at: Timestamp::from_seconds(self.failed_at),
            free_at: Timestamp::from_seconds(self.free_at),
            forgotten_at: Timestamp::from_seconds(self.forgotten_at),
            whose,
        }
    }
}

fn hexadecimal(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}

fn bytes(text: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
