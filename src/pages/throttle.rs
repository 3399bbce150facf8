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
fn network(address: IpAddr) -> IpAddr {
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
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_000_000);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    const LOCKOUT: Lockout = Lockout {
        enabled: true,
        failures: 5,
        window: Duration::from_secs(900),
        delay: Duration::from_secs(30),
    };

    fn after(seconds: u64) -> Timestamp {
        NOON.after(Duration::from_secs(seconds))
    }

    fn elsewhere(number: u32) -> IpAddr {
        IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number))
    }

    fn fail(throttle: &Throttle, account: &str, address: IpAddr, now: Timestamp) -> Option<Wait> {
        throttle.begin(&LOCKOUT, account, address, now).map(Attempt::failed).err()
    }

    fn wait(seconds: u64) -> Option<Wait> {
        Some(Wait::For(Duration::from_secs(seconds)))
    }

    #[test]
    fn the_delay_begins_after_the_free_failures_and_doubles_up_to_the_window() {
        let throttle = Throttle::default();
        for _ in 0..5 {
            assert_eq!(fail(&throttle, "ada", HOME, NOON), None);
        }
        let mut now = NOON;
        for delay in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(fail(&throttle, "ada", HOME, now), wait(delay));
            now = now.after(Duration::from_secs(delay));
            assert_eq!(fail(&throttle, "ada", HOME, now), None, "after {delay}");
        }
    }

    #[test]
    fn a_refused_attempt_does_not_prolong_the_delay() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
        (0..50).for_each(|_| assert_eq!(fail(&throttle, "ada", HOME, after(10)), wait(20)));
        assert!(throttle.begin(&LOCKOUT, "ada", HOME, after(30)).is_ok());
    }

    #[test]
    fn failures_are_forgotten_after_the_window() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
        (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, after(30 + 900)).is_none()));
        throttle.sweep(after(30 + 900));
        assert!(!throttle.records().is_empty());
        throttle.sweep(after(5000));
        assert!(throttle.records().is_empty());
    }

    #[test]
    fn a_success_clears_the_pair_and_not_the_address() {
        let throttle = Throttle::default();
        for round in 0..4 {
            for _ in 0..4 {
                assert_eq!(fail(&throttle, "ada", HOME, NOON), None, "round {round}");
            }
            throttle.begin(&LOCKOUT, "ada", HOME, NOON).map(Attempt::succeeded).ok().unwrap();
        }
        (16..20).for_each(|_| assert!(fail(&throttle, "bob", HOME, NOON).is_none()));
        assert_eq!(fail(&throttle, "carol", HOME, NOON), wait(30));
        assert_eq!(fail(&throttle, "carol", elsewhere(1), NOON), None);
    }

    #[test]
    fn strangers_cannot_lock_the_owner_out() {
        let throttle = Throttle::default();
        for number in 0..1000 {
            // Each comes from an address of its own, and has to wait a second for its turn.
            let now = after(u64::from(number) * 2);
            assert_eq!(fail(&throttle, "ada", elsewhere(number), now), None);
        }
        let last = after(999 * 2);
        assert_eq!(fail(&throttle, "ada", HOME, last).unwrap(), Wait::Turn);
        let second_later = last.after(Duration::from_secs(1));
        assert!(throttle.begin(&LOCKOUT, "ada", HOME, second_later).is_ok());
    }

    #[test]
    fn attempts_under_way_count_as_failures() {
        let throttle = Throttle::default();
        let mut attempts: Vec<_> =
            (0..5).map(|_| throttle.begin(&LOCKOUT, "ada", HOME, NOON).ok().unwrap()).collect();
        assert_eq!(fail(&throttle, "ada", HOME, NOON), Some(Wait::Turn));
        attempts.pop().unwrap().abandoned();
        assert_eq!(fail(&throttle, "ada", HOME, NOON), None);
        assert_eq!(fail(&throttle, "ada", HOME, NOON), Some(Wait::Turn));
        drop(attempts);
        assert_eq!(fail(&throttle, "ada", HOME, NOON), wait(30), "hanging up is a failure");
    }

    #[test]
    fn after_a_delay_one_attempt_is_let_through_at_a_time() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, NOON).is_none()));
        let attempt = throttle.begin(&LOCKOUT, "ada", HOME, after(30)).ok().unwrap();
        assert_eq!(fail(&throttle, "ada", HOME, after(30)), Some(Wait::Turn));
        attempt.failed();
        assert_eq!(fail(&throttle, "ada", HOME, after(30)), wait(60));
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let at = |address: &str| network(address.parse().unwrap());
        assert_eq!(at("2001:db8:1:2:3::4"), at("2001:db8:1:2:ffff::"));
        assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
        assert_eq!(at("::ffff:192.0.2.1"), HOME);
    }

    #[test]
    fn memory_is_bounded_and_the_latest_failures_are_kept() {
        let throttle = Throttle::default();
        for number in 0..u32::try_from(MAX_RECORDS).unwrap() {
            let account = number.to_string();
            let now = after(u64::from(number) / 1000);
            assert_eq!(fail(&throttle, &account, elsewhere(number), now), None);
        }
        assert!(throttle.records().len() <= MAX_RECORDS);
        let last = u32::try_from(MAX_RECORDS).unwrap() - 1;
        let bounds = throttle.bounds(&LOCKOUT, &last.to_string(), elsewhere(last));
        assert!(bounds.iter().all(|bound| throttle.records().contains_key(&bound.key)));
    }

    #[test]
    fn a_clock_that_was_set_back_locks_nobody_out() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| assert!(fail(&throttle, "ada", HOME, after(86_400)).is_none()));
        assert!(throttle.begin(&LOCKOUT, "ada", HOME, NOON).is_ok());
    }

    #[test]
    fn nothing_is_slowed_down_when_it_is_switched_off() {
        let (throttle, off) = (Throttle::default(), Lockout { enabled: false, ..LOCKOUT });
        for _ in 0..100 {
            assert!(throttle.begin(&off, "ada", HOME, NOON).map(Attempt::failed).is_ok());
        }
        assert!(throttle.records().is_empty());
    }

    #[tokio::test]
    async fn many_at_once_take_turns_and_all_get_through() {
        let throttle = std::sync::Arc::new(Throttle::default());
        let logins: Vec<_> = (0..200)
            .map(|_| {
                let throttle = std::sync::Arc::clone(&throttle);
                tokio::spawn(async move {
                    let attempt = throttle.admit(&LOCKOUT, "ada", HOME, NOON).await.ok().unwrap();
                    tokio::task::yield_now().await;
                    attempt.succeeded();
                })
            })
            .collect();
        for login in logins {
            login.await.unwrap();
        }
        assert!(throttle.records().is_empty());
    }
}
