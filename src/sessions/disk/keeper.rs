//! What is done besides writing the journal: snapshots, renewals, and coming back after a failure.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::Unavailable;
use super::super::map::Map;
use super::super::settings::{Durability, Keeping};
use super::change::Change;
use super::folder::Folder;
use super::journal::{Journal, Noted, Ticket};
use super::recovery::{self, OpenError};
use super::snapshot::{self, Written};
use crate::domain::Timestamp;

/// How old what the disk knows of requests and renewals may become.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);

/// A journal that is longer than this, and longer than the last snapshot, is replaced by a
/// snapshot before its time: it would make the next start slow.
const LONG_JOURNAL: u64 = 64 * 1024 * 1024;

/// From how many segments on a snapshot is written at once: each start adds one.
const MANY_SEGMENTS: u64 = 8;

/// After a failure, how long to wait before the first and the later attempts to go on.
const FIRST_ATTEMPT: Duration = Duration::from_secs(1);
const LATEST_ATTEMPT: Duration = Duration::from_secs(30);

/// How many bytes of renewals are noted at once.
const SEEN_BATCH: usize = 1024 * 1024;

/// The sessions' place on disk.
#[derive(Debug)]
pub(in crate::sessions) struct Keeper {
    folder: Arc<Folder>,
    journal: Journal,
    keeping: Keeping,
    schedule: Mutex<Schedule>,
    record: Stats,
}

/// What is due when, as time since the start.
#[derive(Debug)]
struct Schedule {
    snapshot: Duration,
    seen: Duration,
    attempt: Duration,
    patience: Duration,
    /// What the disk knows of requests is complete up to here.
    seen_since: Timestamp,
    /// Whether the last snapshot failed, which is said once.
    is_troubled: bool,
}

#[derive(Debug, Default)]
struct Stats {
    snapshots: AtomicU64,
    failures: AtomicU64,
    micros: AtomicU64,
    bytes: AtomicU64,
    finished: AtomicU64,
    is_asked: AtomicBool,
}

/// How the sessions on disk are, for metrics and health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// What is in the way of keeping changes, if anything is.
    pub failure: Option<Arc<str>>,
    /// Bytes in the journal since the last snapshot.
    pub journal_bytes: u64,
    /// How often the journal has waited for the disk.
    pub syncs: u64,
    /// How many snapshots were written.
    pub snapshots: u64,
    /// How many snapshots could not be written.
    pub snapshot_failures: u64,
    /// How long the last snapshot took.
    pub snapshot_duration: Duration,
    /// How large the last snapshot is.
    pub snapshot_bytes: u64,
    /// When it was complete; nothing before the first.
    pub snapshot_finished: Option<Timestamp>,
}

impl Keeper {
    /// Reads what there is below `directory`, and begins to write there.
    pub(in crate::sessions) fn open(
        directory: &Path,
        keeping: Keeping,
        now: Timestamp,
    ) -> Result<(Self, Map), OpenError> {
        let cannot = |cause| OpenError::Io { path: directory.to_owned(), cause };
        let folder = Arc::new(Folder::open(directory.to_owned()).map_err(cannot)?);
        let found = recovery::read(&folder)?;
        let start =
            || Journal::start(Arc::clone(&folder), keeping.durability, found.number, found.synced);
        let journal = start().map_err(cannot)?;
        let keeper = Self::over(Arc::clone(&folder), journal, keeping, now);
        let is_long = found.bytes > LONG_JOURNAL || found.segments >= MANY_SEGMENTS;
        keeper.record.is_asked.store(is_long, Relaxed);
        keeper.record.bytes.store(found.snapshot_bytes, Relaxed);
        Ok((keeper, found.map))
    }

    fn over(folder: Arc<Folder>, journal: Journal, keeping: Keeping, now: Timestamp) -> Self {
        let schedule = Schedule {
            snapshot: keeping.snapshot_interval,
            seen: SEEN_INTERVAL,
            attempt: Duration::ZERO,
            patience: Duration::ZERO,
            seen_since: now,
            is_troubled: false,
        };
        let schedule = Mutex::new(schedule);
        Self { folder, journal, keeping, schedule, record: Stats::default() }
    }

    /// Whether a change that is made now could be kept.
    pub(in crate::sessions) fn check(&self) -> Result<(), Unavailable> {
        self.journal.check()
    }

    /// Notes a change; to be called from within [`Map::alter`].
    pub(in crate::sessions) fn note(&self, change: &Change<'_>) -> Noted {
        self.journal.note(change)
    }

    /// The last change that was noted, to wait for.
    pub(in crate::sessions) fn latest(&self) -> Noted {
        self.journal.latest()
    }

    /// Waits until a change is kept.
    pub(in crate::sessions) async fn kept(&self, ticket: Ticket) -> Result<(), Unavailable> {
        self.journal.kept(ticket).await
    }

    /// Does what is due; to be called every second. It may take as long as a snapshot does.
    /// `clock` is the time since the start.
    pub(in crate::sessions) fn tend(
        &self,
        map: &Map,
        now: Timestamp,
        clock: &dyn Fn() -> Duration,
    ) {
        let mut schedule = self.schedule();
        let since_start = clock();
        if self.journal.failure().is_some() {
            if since_start >= schedule.attempt {
                self.mend(map, &mut schedule, now, clock);
            }
            return;
        }
        if self.keeping.durability == Durability::EverySecond {
            self.journal.sync();
        }
        let is_long = self.journal.bytes() > LONG_JOURNAL.max(self.record.bytes.load(Relaxed));
        let is_asked = self.record.is_asked.swap(false, Relaxed);
        if since_start >= schedule.snapshot || is_long || is_asked {
            // Where nothing has happened, nothing is written.
            if self.journal.bytes() > 0 || is_asked {
                let outcome = self
                    .journal
                    .rotate()
                    .and_then(|number| self.take_snapshot(map, number, &mut schedule, now, clock));
                self.tell(&outcome, &mut schedule);
            }
            schedule.snapshot = clock() + self.keeping.snapshot_interval;
        }
        if since_start >= schedule.seen {
            self.note_seen(map, &mut schedule, now);
            schedule.seen = since_start + SEEN_INTERVAL;
        }
    }

    /// Writes everything down for the last time, and ends the thread that writes.
    pub(in crate::sessions) fn close(
        &self,
        map: &Map,
        now: Timestamp,
        clock: &dyn Fn() -> Duration,
    ) {
        let mut schedule = self.schedule();
        if self.journal.failure().is_some() {
            self.mend(map, &mut schedule, now, clock);
        } else {
            self.note_seen(map, &mut schedule, now);
            let outcome = self
                .journal
                .rotate()
                .and_then(|number| self.take_snapshot(map, number, &mut schedule, now, clock));
            self.tell(&outcome, &mut schedule);
        }
        self.journal.close();
    }

    pub(in crate::sessions) fn state(&self) -> State {
        let finished = self.record.finished.load(Relaxed);
        State {
            failure: self.journal.failure(),
            journal_bytes: self.journal.bytes(),
            syncs: self.journal.syncs(),
            snapshots: self.record.snapshots.load(Relaxed),
            snapshot_failures: self.record.failures.load(Relaxed),
            snapshot_duration: Duration::from_micros(self.record.micros.load(Relaxed)),
            snapshot_bytes: self.record.bytes.load(Relaxed),
            snapshot_finished: (finished > 0).then(|| Timestamp::from_seconds(finished)),
        }
    }

    #[cfg(test)]
    pub(in crate::sessions) fn faults(&self) -> &super::Faults {
        &self.folder.faults
    }

    /// Goes on after a failure: in another segment, with a snapshot of all that is in memory, so
    /// that nothing depends on what became of the files before.
    fn mend(
        &self,
        map: &Map,
        schedule: &mut Schedule,
        now: Timestamp,
        clock: &dyn Fn() -> Duration,
    ) {
        let outcome = self.journal.reopen().and_then(|number| {
            let written = self.take_snapshot(map, number, schedule, now, clock);
            if written.is_ok() && self.journal.mended() {
                return Ok(());
            }
            self.journal.abandon()?;
            written
        });
        if outcome.is_ok() && self.journal.failure().is_none() {
            tracing::warn!("sessions are written to disk again");
            (schedule.patience, schedule.is_troubled) = (Duration::ZERO, false);
            schedule.snapshot = clock() + self.keeping.snapshot_interval;
        } else {
            // Each attempt writes as much as fits: fewer and fewer of them.
            schedule.patience = (schedule.patience * 2).clamp(FIRST_ATTEMPT, LATEST_ATTEMPT);
            schedule.attempt = clock() + schedule.patience;
        }
    }

    fn take_snapshot(
        &self,
        map: &Map,
        number: u64,
        schedule: &mut Schedule,
        now: Timestamp,
        clock: &dyn Fn() -> Duration,
    ) -> io::Result<()> {
        let (begun, journal_before) = (clock(), self.journal.bytes());
        match snapshot::write(&self.folder, map, number) {
            Ok(Written { sessions, bytes }) => {
                let took = clock().saturating_sub(begun);
                let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                self.record.snapshots.fetch_add(1, Relaxed);
                self.record.micros.store(micros, Relaxed);
                self.record.bytes.store(bytes, Relaxed);
                self.record.finished.store(now.seconds(), Relaxed);
                self.journal.forget(journal_before);
                schedule.seen_since = now;
                tracing::debug!(sessions, bytes, ?took, "a snapshot of the sessions was written");
                Ok(())
            }
            Err(error) => {
                self.record.failures.fetch_add(1, Relaxed);
                Err(error)
            }
        }
    }

    /// Says that there is no snapshot, once until there is one again. The journal goes on.
    fn tell(&self, outcome: &io::Result<()>, schedule: &mut Schedule) {
        let was_troubled = std::mem::replace(&mut schedule.is_troubled, outcome.is_err());
        match outcome {
            Err(cause) if !was_troubled && self.journal.failure().is_none() => {
                tracing::warn!(%cause, "no snapshot of the sessions could be written; the journal goes on");
            }
            Ok(()) if was_troubled => tracing::warn!("snapshots of the sessions are written again"),
            Ok(()) | Err(_) => {}
        }
    }

    /// Notes which sessions were seen since the last time, and how far they were renewed. It may
    /// be noted after such a session has ended, which brings none back.
    fn note_seen(&self, map: &Map, schedule: &mut Schedule, now: Timestamp) {
        let since = schedule.seen_since;
        let (mut seen, mut changes, mut count) = (Vec::new(), Vec::new(), 0);
        for shard in map.shards() {
            map.copy_seen(shard, since, &mut seen);
            count += seen.len() as u64;
            for (key, span) in seen.drain(..) {
                Change::seen(key, span).write(&mut changes);
            }
            if changes.len() >= SEEN_BATCH {
                self.journal.note_at_leisure(&changes, count);
                changes.clear();
                count = 0;
            }
        }
        if count > 0 {
            self.journal.note_at_leisure(&changes, count);
        }
        schedule.seen_since = now;
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
