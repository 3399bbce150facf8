//! Slows down whoever guesses passwords, without locking anybody out who was here before.
//!
//! Of a browser that nobody knows, three counters rise with each failure: that of the account from
//! this address, that of the address over all accounts, and that of the account over all addresses.
//! Past its bound each refuses with a delay that doubles. A browser in which the account has logged
//! in before has a counter of its own instead, so that strangers who fail on purpose, from wherever,
//! cannot keep the owner out (OWASP ASVS 6.1.1, and OWASP's "device cookies").
//!
//! Whether there is an account of that name changes nothing here: names are counted as they come.

mod kept;
mod lockouts;
mod record;
mod subject;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Lockout;
use super::known_browser::KnownBrowser;
use crate::domain::Timestamp;

pub use lockouts::{Lift, LockedOut, Scope};

use record::{Bound, Record, Wait};
use subject::{Names, Subject};
pub(super) use subject::{Whose, network};

/// How many counters are kept; past it those are forgotten that locked nobody out and failed
/// longest ago.
const MAX_RECORDS: usize = 100_000;

/// How many requests may wait for their turn; past it they are refused.
const MAX_WAITING: usize = 1024;

/// How long a request waits for its turn before it is refused.
const PATIENCE: Duration = Duration::from_secs(10);

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many failures an address has, and an account over all addresses, for each that an account
/// has from one address.
const PER_ADDRESS: u32 = 4;
const PER_ACCOUNT: u32 = 20;

/// The failures of late.
pub(super) struct Throttle {
    records: Mutex<HashMap<Subject, Record>>,
    names: Names,
    turn: Notify,
    waiting: AtomicUsize,
    /// Whether what outlasts a restart has changed since it was kept.
    is_changed: AtomicBool,
}

/// Who tries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    /// The name that was typed, in its normal form.
    pub(super) account: &'a str,
    /// Where the request comes from.
    pub(super) address: IpAddr,
    /// The browser, if this very account has logged in with it before.
    pub(super) browser: Option<KnownBrowser>,
}

/// An attempt that may not be made now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    /// For how long.
    pub(super) wait: Duration,
    /// What is locked out; nothing when there are only too many at once.
    pub(super) scope: Option<Scope>,
    /// The account, as far as failures of before have told.
    pub(super) whose: Option<Arc<Whose>>,
}

/// An attempt that was let through. It counts as a failure unless it is said to have ended
/// otherwise, so that hanging up early hides nothing.
pub(super) struct Attempt<'t> {
    throttle: &'t Throttle,
    bounds: Vec<Bound>,
    now: Timestamp,
}

#[derive(Clone, PartialEq, Eq)]
enum Outcome {
    Failed(Option<Arc<Whose>>),
    Succeeded,
    Abandoned,
}

impl Throttle {
    /// No failures yet. `key` is random, and the same over restarts and for gateways that share
    /// what they count.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            records: Mutex::default(),
            names: Names::new(key),
            turn: Notify::new(),
            waiting: AtomicUsize::new(0),
            is_changed: AtomicBool::new(false),
        }
    }

    /// Lets an attempt through, after waiting for its turn when others are under way.
    pub(super) async fn admit(
        &self,
        lockout: &Lockout,
        caller: Caller<'_>,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Refused> {
        let too_many = || Refused { wait: SECOND, scope: None, whose: None };
        let began = Instant::now();
        let turns = async {
            loop {
                let turn = self.turn.notified();
                match self.begin(lockout, caller, now.after(began.elapsed())) {
                    Ok(attempt) => return Ok(attempt),
                    Err(Some(refused)) => return Err(refused),
                    Err(None) => {}
                }
                let _place = Place::take(&self.waiting).ok_or_else(too_many)?;
                // A turn may also come by time alone.
                tokio::time::timeout(SECOND, turn).await.ok();
            }
        };
        tokio::time::timeout(PATIENCE, turns).await.unwrap_or_else(|_| Err(too_many()))
    }

    /// Lets an attempt through, or says how long to wait; `None` is until others that were begun
    /// are decided. Attempts under way count as failures until then, so that many at once get no
    /// further than one after another.
    fn begin(
        &self,
        lockout: &Lockout,
        caller: Caller<'_>,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Option<Refused>> {
        let bounds = if lockout.enabled { self.bounds(lockout, caller) } else { Vec::new() };
        let mut records = self.records();
        if records.len() + bounds.len() > MAX_RECORDS {
            make_room(&mut records, now);
        }
        let waits = bounds.iter().filter_map(|bound| {
            let record = records.get(&bound.subject)?;
            Some((record.wait(bound, now)?, bound, record))
        });
        // A delay outweighs a turn: waiting for a turn would be in vain.
        let longest = waits.max_by_key(|(wait, ..)| match wait {
            Wait::Turn => Duration::ZERO,
            Wait::For(delay) => *delay,
        });
        match longest {
            None => {}
            Some((Wait::Turn, ..)) => return Err(None),
            Some((Wait::For(wait), bound, _)) => {
                // Whose name it is was seen when it failed before, if it did so from here.
                let mut known = bounds.iter().filter_map(|bound| records.get(&bound.subject));
                let whose = known.find_map(|record| record.whose.clone());
                let scope = Some(Scope::of(&bound.subject));
                return Err(Some(Refused { wait, scope, whose }));
            }
        }
        for bound in &bounds {
            records.entry(bound.subject).or_insert_with(|| Record::new(now)).begin(now);
        }
        drop(records);
        Ok(Attempt { throttle: self, bounds, now })
    }

    /// Forgets what no longer counts, to free memory; nothing depends on when it runs.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.records().retain(|_, record| !record.is_over(now));
    }

    fn bounds(&self, lockout: &Lockout, caller: Caller<'_>) -> Vec<Bound> {
        let failures = lockout.failures.max(1);
        let bound = |subject, times: u32, memory| Bound {
            subject,
            free_failures: failures.saturating_mul(times),
            delay: lockout.delay,
            longest: lockout.window.max(SECOND),
            memory,
        };
        if let Some(browser) = caller.browser {
            return vec![bound(Subject::Browser(browser), 1, lockout.window)];
        }
        let (name, network) = (self.names.digest(caller.account), network(caller.address));
        vec![
            bound(Subject::Pair(name, network), 1, lockout.window),
            bound(Subject::Address(network), PER_ADDRESS, lockout.window),
            // Whoever has many addresses is not to begin anew with each window.
            bound(Subject::Account(name), PER_ACCOUNT, lockout.window.max(DAY)),
        ]
    }

    /// Counts what came of an attempt; gives who is locked out by it.
    fn settle(&self, bounds: &[Bound], now: Timestamp, outcome: &Outcome) -> Vec<LockedOut> {
        let mut records = self.records();
        let mut locked_out = Vec::new();
        for bound in bounds {
            let Some(record) = records.get_mut(&bound.subject) else { continue };
            record.in_flight = record.in_flight.saturating_sub(1);
            match outcome {
                Outcome::Failed(whose) => {
                    if bound.subject.is_of_an_account() && whose.is_some() {
                        record.whose.clone_from(whose);
                    }
                    if record.fail(bound, now) {
                        self.is_changed.store(true, Ordering::Relaxed);
                        locked_out.push(LockedOut::of(&bound.subject, record));
                    }
                }
                Outcome::Succeeded if bound.subject.is_forgiven() => {
                    self.is_changed.fetch_or(record.has_locked(), Ordering::Relaxed);
                    record.failures = 0;
                }
                Outcome::Succeeded | Outcome::Abandoned => {}
            }
            if record.failures == 0 && record.in_flight == 0 {
                records.remove(&bound.subject);
            }
        }
        drop(records);
        self.turn.notify_waiters();
        locked_out
    }

    fn records(&self) -> MutexGuard<'_, HashMap<Subject, Record>> {
        // Counters have no broken states that a panic could leave behind.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The credentials were right: this account's failures from this address, or in this browser,
    /// are forgotten. The address keeps its own, or one account of one's own would clear the way
    /// to all others.
    pub(super) fn succeeded(mut self) {
        self.settle(&Outcome::Succeeded);
    }

    /// The credentials were wrong. `whose` is the account of that name, if there is one. Gives who
    /// is locked out from now on.
    pub(super) fn failed(mut self, whose: Option<Whose>) -> Vec<LockedOut> {
        self.settle(&Outcome::Failed(whose.map(Arc::new)))
    }

    /// Nobody looked at the credentials.
    pub(super) fn abandoned(mut self) {
        self.settle(&Outcome::Abandoned);
    }

    fn settle(&mut self, outcome: &Outcome) -> Vec<LockedOut> {
        let bounds = std::mem::take(&mut self.bounds);
        self.throttle.settle(&bounds, self.now, outcome)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.bounds.is_empty() {
            self.settle(&Outcome::Failed(None));
        }
    }
}

/// Forgets what no longer counts; if that is little, also the half that matters least.
fn make_room(records: &mut HashMap<Subject, Record>, now: Timestamp) {
    records.retain(|_, record| !record.is_over(now));
    if records.len() <= MAX_RECORDS / 2 {
        return;
    }
    let mut ranks: Vec<_> = records.values().map(Record::rank).collect();
    let middle = ranks.len() / 2;
    let (_, &mut median, _) = ranks.select_nth_unstable(middle);
    let mut surplus = middle;
    records.retain(|_, record| {
        let goes = surplus > 0 && record.in_flight == 0 && record.rank() <= median;
        surplus -= usize::from(goes);
        !goes
    });
}

/// A place in the queue, given back when it is dropped.
struct Place<'w>(&'w AtomicUsize);

impl<'w> Place<'w> {
    fn take(waiting: &'w AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < MAX_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
