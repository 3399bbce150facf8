//! Slows down whoever guesses passwords, without locking anybody out.
//!
//! Three counters rise with each failure: that of the account from this address, that of the
//! address over all accounts, and that of the account over all addresses. The first two refuse
//! with a delay that doubles. The third lets attempts through one at a time, so that strangers
//! who fail on purpose from many places cannot keep the owner out (OWASP ASVS 6.1.1).

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hash};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Lockout;
use crate::domain::Timestamp;

/// How many counters are kept; past it those that failed longest ago are forgotten.
const MAX_RECORDS: usize = 100_000;

/// How many requests may wait for their turn; past it they are refused.
const MAX_WAITING: usize = 1024;

/// How long a request waits for its turn before it is refused.
const PATIENCE: Duration = Duration::from_secs(10);

const SECOND: Duration = Duration::from_secs(1);

/// How many failures an address has, and an account over all addresses, for each that an account
/// has from one address.
const PER_ADDRESS: u32 = 4;
const PER_ACCOUNT: u32 = 20;

/// The failures of late, by account and address.
///
/// Clients choose the keys, so they are hashed with a random key of our own (SipHash), and only
/// the hash is kept: no name that was typed stays in memory.
#[derive(Default)]
pub(super) struct Throttle {
    records: Mutex<HashMap<u64, Record>>,
    hasher: RandomState,
    turn: Notify,
    waiting: AtomicUsize,
}

/// Why an attempt may not be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until others that were begun are decided, or for a second.
    Turn,
    /// For so long.
    For(Duration),
}

/// An attempt that was let through. It counts as a failure unless it is said to have ended
/// otherwise, so that hanging up early hides nothing.
pub(super) struct Attempt<'t> {
    throttle: &'t Throttle,
    bounds: Option<[Bound; 3]>,
    window: Duration,
    now: Timestamp,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Failed,
    Succeeded,
    Abandoned,
}

/// One of the three counters, and what it allows.
#[derive(Clone, Copy)]
struct Bound {
    key: u64,
    is_pair: bool,
    free_failures: u32,
    /// The first delay, which doubles; none where attempts take turns instead.
    delay: Option<Duration>,
}

#[derive(Clone, Copy)]
struct Record {
    failures: u32,
    in_flight: u32,
    /// When the next attempt may be made.
    free_at: Timestamp,
    forgotten_at: Timestamp,
}

impl Throttle {
    /// Lets an attempt through, after waiting for its turn when others are under way.
    pub(super) async fn admit(
        &self,
        lockout: &Lockout,
        account: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Duration> {
        let began = Instant::now();
        let turns = async {
            loop {
                let turn = self.turn.notified();
                match self.begin(lockout, account, address, now.after(began.elapsed())) {
                    Ok(attempt) => return Ok(attempt),
                    Err(Wait::For(delay)) => return Err(delay),
                    Err(Wait::Turn) => {}
                }
                let _place = Place::take(&self.waiting).ok_or(SECOND)?;
                // A turn may also come by time alone.
                tokio::time::timeout(SECOND, turn).await.ok();
            }
        };
        tokio::time::timeout(PATIENCE, turns).await.unwrap_or(Err(SECOND))
    }

    /// Lets an attempt through, or says how long to wait. Attempts under way count as failures
    /// until they are decided, so that many at once get no further than one after another.
    pub(super) fn begin(
        &self,
        lockout: &Lockout,
        account: &str,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt<'_>, Wait> {
        let attempt = |bounds| Attempt {
            throttle: self,
            bounds,
            window: lockout.window,
            now,
            outcome: Outcome::Failed,
        };
        if !lockout.enabled {
            return Ok(attempt(None));
        }
        let bounds = self.bounds(lockout, account, address);
        let mut records = self.records();
        if records.len() + bounds.len() > MAX_RECORDS {
            make_room(&mut records, now);
        }
        let waits = bounds.iter().filter_map(|bound| {
            records.get(&bound.key).and_then(|record| record.wait(bound, lockout.window, now))
        });
        // A delay outweighs a turn: waiting for a turn would be in vain.
        let longest = waits.max_by_key(|wait| match wait {
            Wait::Turn => Duration::ZERO,
            Wait::For(delay) => *delay,
        });
        if let Some(wait) = longest {
            return Err(wait);
        }
        for bound in &bounds {
            records.entry(bound.key).or_insert_with(|| Record::new(now)).begin(now);
        }
        drop(records);
        Ok(attempt(Some(bounds)))
    }

    /// Forgets what no longer counts, to free memory; nothing depends on when it runs.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.records().retain(|_, record| !record.is_over(now));
    }

    fn bounds(&self, lockout: &Lockout, account: &str, address: IpAddr) -> [Bound; 3] {
        let network = network(address);
        let failures = lockout.failures.max(1);
        let bound = |is_pair, key, times: u32, delay| Bound {
            key,
            is_pair,
            free_failures: failures.saturating_mul(times),
            delay,
        };
        let delay = Some(lockout.delay);
        [
            bound(true, self.key(("pair", account, network)), 1, delay),
            bound(false, self.key(("address", network)), PER_ADDRESS, delay),
            bound(false, self.key(("account", account)), PER_ACCOUNT, None),
        ]
    }

    fn key(&self, of: impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    fn settle(&self, attempt: &Attempt<'_>) {
        let mut records = self.records();
        for bound in attempt.bounds.iter().flatten() {
            let Some(record) = records.get_mut(&bound.key) else { continue };
            record.in_flight = record.in_flight.saturating_sub(1);
            match attempt.outcome {
                Outcome::Failed => record.fail(bound, attempt.window, attempt.now),
                Outcome::Succeeded if bound.is_pair => record.failures = 0,
                Outcome::Succeeded | Outcome::Abandoned => {}
            }
            if record.failures == 0 && record.in_flight == 0 {
                records.remove(&bound.key);
            }
        }
        drop(records);
        self.turn.notify_waiters();
    }

    fn records(&self) -> MutexGuard<'_, HashMap<u64, Record>> {
        // Counters have no broken states that a panic could leave behind.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// The credentials were right: this account's failures from this address are forgotten. The
    /// address keeps its own, or one account of one's own would clear the way to all others.
    pub(super) fn succeeded(mut self) {
        self.outcome = Outcome::Succeeded;
    }

    /// The credentials were wrong.
    pub(super) fn failed(self) {
        drop(self);
    }

    /// Nobody looked at the credentials.
    pub(super) fn abandoned(mut self) {
        self.outcome = Outcome::Abandoned;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.bounds.is_some() {
            self.throttle.settle(self);
        }
    }
}

impl Record {
    fn new(now: Timestamp) -> Self {
        Self { failures: 0, in_flight: 0, free_at: now, forgotten_at: now }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.in_flight == 0 && now >= self.forgotten_at
    }

    fn begin(&mut self, now: Timestamp) {
        if self.is_over(now) {
            *self = Self::new(now);
        }
        self.in_flight += 1;
    }

    fn wait(&self, bound: &Bound, window: Duration, now: Timestamp) -> Option<Wait> {
        if self.is_over(now) || self.failures.saturating_add(self.in_flight) < bound.free_failures {
            return None;
        }
        if self.failures < bound.free_failures {
            return Some(Wait::Turn);
        }
        let delay = self.free_at.since(now);
        // No delay is longer than the window; one that seems so comes of a clock set back.
        if !delay.is_zero() && delay <= window.max(SECOND) {
            return Some(if bound.delay.is_some() { Wait::For(delay) } else { Wait::Turn });
        }
        (self.in_flight > 0).then_some(Wait::Turn)
    }

    fn fail(&mut self, bound: &Bound, window: Duration, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        let excess = self.failures.checked_sub(bound.free_failures);
        let delay = match (excess, bound.delay) {
            (None, _) => Duration::ZERO,
            (Some(excess), Some(delay)) => {
                delay.saturating_mul(2_u32.saturating_pow(excess)).min(window)
            }
            (Some(_), None) => SECOND,
        };
        self.free_at = now.after(delay);
        self.forgotten_at = self.free_at.after(window);
    }
}

/// What an address counts as: a household has one IPv4 address, or an IPv6 network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

/// Forgets what no longer counts; if that is little, also the half that failed longest ago.
fn make_room(records: &mut HashMap<u64, Record>, now: Timestamp) {
    records.retain(|_, record| !record.is_over(now));
    if records.len() <= MAX_RECORDS / 2 {
        return;
    }
    let mut ends: Vec<Timestamp> = records.values().map(|record| record.forgotten_at).collect();
    let middle = ends.len() / 2;
    let (_, &mut median, _) = ends.select_nth_unstable(middle);
    let mut surplus = middle;
    records.retain(|_, record| {
        let goes = surplus > 0 && record.in_flight == 0 && record.forgotten_at <= median;
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
