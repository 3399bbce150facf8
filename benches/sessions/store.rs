//! The store by itself: filling it, and looking sessions up.

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vestibule::domain::password::PasswordHasher;
use vestibule::domain::session::Lifetime;
use vestibule::domain::{
    Client, Device, PasswordHash, SessionId, Timestamp, User, UserId, Verified,
};
use vestibule::server::wall_clock;
use vestibule::sessions::{Durability, Keeping, Sessions, Settings};

use crate::support::{Result, now};

const LIFETIME: Lifetime =
    Lifetime { age: Duration::from_secs(14 * 24 * 3600), idle: None, absolute: None };

/// How many logins wait for the disk at one time while the store is filled.
const AT_ONCE: usize = 4096;

struct AnyPassword;

impl PasswordHasher for AnyPassword {
    fn matches(&self, _password: &str, _hash: &PasswordHash) -> bool {
        true
    }

    fn pretend(&self, _password: &str) {}
}

/// Opens the sessions below `directory` as the gateway does.
pub(crate) fn open(directory: &Path) -> Result<Sessions> {
    let keeping = Keeping { durability: Durability::Process, ..Keeping::default() };
    let settings = Settings { keeping, lifetime: LIFETIME, ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(Sessions::open(&settings, directory, wall_clock))?)
}

/// Begins `count` sessions of as many users; the ids of every `step`-th come back.
pub(crate) fn fill(sessions: &Sessions, count: usize, step: usize) -> Result<Vec<SessionId>> {
    let (now, mut ids) = (wall_clock(), Vec::with_capacity(count / step));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for first in (0..count).step_by(AT_ONCE) {
        let users: Vec<Verified> =
            (first..count.min(first + AT_ONCE)).map(verified).collect::<Result<_>>()?;
        let client = Client { address: [192, 0, 2, 7].into(), device: Device::of("Firefox/140.0") };
        let logins = users.iter().map(|user| sessions.log_in(user, None, client, now, &LIFETIME));
        let begun = runtime.block_on(futures_util::future::try_join_all(logins))?;
        ids.extend(begun.into_iter().skip(first.next_multiple_of(step) - first).step_by(step));
    }
    Ok(ids)
}

fn verified(number: usize) -> Result<Verified> {
    let user = User {
        id: UserId(i64::try_from(number)?),
        username: String::new(),
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        password: PasswordHash::from_encoded("argon2$x"),
        is_staff: false,
        is_active: true,
        is_superuser: false,
        last_login: None,
        date_joined: Timestamp::from_seconds(0),
        groups: Vec::new(),
        permissions: BTreeSet::new(),
        group_permissions: BTreeSet::new(),
        profile: BTreeMap::new(),
        has_messages: false,
    };
    Ok(Verified::check(Some(Arc::new(user)), "x", &AnyPassword)?)
}

/// Nanoseconds that a look-up takes each of `threads` threads, over ids in no order.
pub(crate) fn look_up(sessions: &Sessions, ids: &[SessionId], threads: usize) -> Result<f64> {
    let now_on_the_wall = wall_clock();
    let elapsed: Vec<Duration> = std::thread::scope(|scope| {
        let lookers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let begun = now();
                    let mut at = thread * 7919;
                    for _ in 0..ids.len() {
                        // A stride through the ids that no cache can foresee.
                        at = (at + 1_000_003) % ids.len();
                        let found = ids.get(at).and_then(|id| {
                            sessions.load(black_box(id), now_on_the_wall, &LIFETIME).live()
                        });
                        black_box(found).is_some().then_some(()).ok_or("a session is lost")?;
                    }
                    Ok(begun.elapsed())
                })
            })
            .collect();
        lookers
            .into_iter()
            .map(|looker| looker.join().unwrap_or(Err("a thread panicked")))
            .collect::<std::result::Result<_, _>>()
    })?;
    let slowest = elapsed.into_iter().max().unwrap_or_default();
    Ok(slowest.as_nanos() as f64 / ids.len() as f64)
}
