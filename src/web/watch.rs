//! What a connection is waiting for, and until when.
//!
//! A timer for every wait of every request would cost more than some of the requests. Whoever
//! begins or ends a wait writes down a tick; a worker's clock looks at all its connections once
//! a tick, and ends those that have waited too long.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// How much time a tick is; no wait ends later than this after its limit.
pub const TICK: Duration = Duration::from_millis(50);

/// A worker's coarse clock: ticks since it was started, never 0.
#[derive(Debug, Clone)]
pub struct Ticks(Arc<AtomicU32>);

impl Ticks {
    /// A clock at its first tick.
    #[must_use]
    pub fn start() -> Self {
        Self(Arc::new(AtomicU32::new(1)))
    }

    /// The current tick.
    pub fn now(&self) -> u32 {
        self.0.load(Relaxed)
    }

    /// The tick that comes `duration` from now.
    pub fn in_future(&self, duration: Duration) -> u32 {
        self.now().saturating_add(ticks(duration))
    }

    /// Moves the clock to `elapsed` after its start.
    pub fn set(&self, elapsed: Duration) {
        self.0.store(ticks(elapsed).saturating_add(1), Relaxed);
    }
}

/// How many ticks fit into `duration`, rounded up.
fn ticks(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u32::MAX)
}

/// The waits of one connection, shared by its socket, the request under way and the clock.
#[derive(Debug)]
pub struct Watch {
    clock: Ticks,
    phase: AtomicU8,
    deadline: AtomicU32,
    reading_since: AtomicU32,
    writing_since: AtomicU32,
    wants_body: AtomicBool,
    was_heard: AtomicBool,
    is_attended: AtomicBool,
    is_revoked: AtomicBool,
    verdict: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// What has a deadline of its own; the two directions of the socket are watched beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// The connection is ours to work on; nothing is waited for.
    Working,
    /// Between two requests.
    Idle,
    /// A request's head has begun to arrive.
    Head,
    /// The application has the request, and has not begun to answer.
    Answer,
    /// The application has begun to answer, and owes the rest of the body.
    Rest,
}

/// What the clock decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Go on.
    None,
    /// The browser took too long: close the connection.
    Cut,
    /// The application took too long: answer in its place.
    Late,
    /// The gateway is stopping: finish the request under way and close.
    Drain,
}

/// The bounds that the clock applies on its own.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Between two reads of a request's body.
    pub body: Duration,
    /// Between two writes to a browser that does not read.
    pub write: Duration,
}

impl Watch {
    /// The watch of a new connection, which waits for its first request's head.
    #[must_use]
    pub fn new(clock: Ticks, header_timeout: Duration) -> Self {
        let watch = Self {
            clock,
            phase: AtomicU8::new(Phase::Head as u8),
            deadline: AtomicU32::new(0),
            reading_since: AtomicU32::new(0),
            writing_since: AtomicU32::new(0),
            wants_body: AtomicBool::new(false),
            was_heard: AtomicBool::new(false),
            is_attended: AtomicBool::new(false),
            is_revoked: AtomicBool::new(false),
            verdict: AtomicU8::new(Verdict::None as u8),
            task: Mutex::new(None),
        };
        watch.enter(Phase::Head, header_timeout);
        watch
    }

    /// Enters a phase that may last for `limit`.
    pub fn enter(&self, phase: Phase, limit: Duration) {
        self.phase.store(phase as u8, Relaxed);
        self.deadline.store(self.clock.in_future(limit), Relaxed);
    }

    /// Enters the phase in which nothing is waited for.
    pub fn work(&self) {
        self.phase.store(Phase::Working as u8, Relaxed);
        self.deadline.store(0, Relaxed);
    }

    /// Whether the connection is between two requests.
    pub fn is_idle(&self) -> bool {
        self.phase.load(Relaxed) == Phase::Idle as u8
    }

    /// Says whether the rest of a request's body is wanted from the browser.
    pub fn want_body(&self, wanted: bool) {
        self.wants_body.store(wanted, Relaxed);
    }

    /// Whether the rest of a request's body is wanted from the browser.
    pub fn wants_body(&self) -> bool {
        self.wants_body.load(Relaxed)
    }

    /// Notes that a part of a request's body came from the browser.
    pub fn hear(&self) {
        if !self.was_heard.load(Relaxed) {
            self.was_heard.store(true, Relaxed);
        }
    }

    /// Whether anything was heard since this was last asked.
    pub fn take_heard(&self) -> bool {
        let was_heard = self.was_heard.load(Relaxed);
        if was_heard {
            self.was_heard.store(false, Relaxed);
        }
        was_heard
    }

    /// Says whether something lasts on the connection that is looked at in every tick.
    pub fn attend(&self, attended: bool) {
        self.is_attended.store(attended, Relaxed);
    }

    /// Whether something does.
    pub fn is_attended(&self) -> bool {
        self.is_attended.load(Relaxed)
    }

    /// Takes back the right to what goes on on the connection, and wakes its task. That is no
    /// verdict of the clock's, which another one may replace.
    pub fn revoke(&self) {
        self.is_revoked.store(true, Relaxed);
        self.wake();
    }

    /// Whether the right to what goes on was taken back.
    pub fn is_revoked(&self) -> bool {
        self.is_revoked.load(Relaxed)
    }

    /// Whether the right to what goes on was taken back, and nothing but the end of the connection
    /// would tell the browser: while the application has not begun to answer, we can.
    pub fn is_to_be_cut(&self) -> bool {
        self.is_revoked() && self.phase.load(Relaxed) != Phase::Answer as u8
    }

    /// Takes note that the browser was told, and lets the connection go on or end well.
    pub fn pardon(&self) {
        self.is_revoked.store(false, Relaxed);
    }

    /// Notes whether the socket had something to read.
    pub fn read(&self, is_pending: bool) {
        Self::note(&self.reading_since, is_pending, &self.clock);
    }

    /// Notes whether the socket took what was written.
    pub fn wrote(&self, is_pending: bool) {
        Self::note(&self.writing_since, is_pending, &self.clock);
    }

    fn note(since: &AtomicU32, is_pending: bool, clock: &Ticks) {
        let noted = since.load(Relaxed) != 0;
        if is_pending != noted {
            since.store(if is_pending { clock.now() } else { 0 }, Relaxed);
        }
    }

    /// What the clock decided; the connection's task asks when it is woken.
    pub fn verdict(&self) -> Verdict {
        match self.verdict.load(Relaxed) {
            value if value == Verdict::Cut as u8 => Verdict::Cut,
            value if value == Verdict::Late as u8 => Verdict::Late,
            value if value == Verdict::Drain as u8 => Verdict::Drain,
            _ => Verdict::None,
        }
    }

    /// Whether the clock decided `verdict`; it counts once, so that the next request starts afresh.
    pub fn take(&self, verdict: Verdict) -> bool {
        let is_so = self.verdict() == verdict;
        if is_so {
            self.verdict.store(Verdict::None as u8, Relaxed);
        }
        is_so
    }

    /// Decides, and wakes the connection's task.
    pub fn decide(&self, verdict: Verdict) {
        self.verdict.store(verdict as u8, Relaxed);
        self.wake();
    }

    fn wake(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*task {
            waker.wake_by_ref();
        }
    }

    /// Remembers the task to wake; once is enough for as long as the connection stays in a task.
    pub fn set_task(&self, waker: &Waker) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    /// Looks at every wait; called once a tick.
    pub fn check(&self, bounds: &Bounds) {
        let now = self.clock.now();
        let deadline = self.deadline.load(Relaxed);
        if deadline != 0 && now > deadline {
            self.deadline.store(0, Relaxed);
            let phase = self.phase.load(Relaxed);
            let is_upstreams = phase == Phase::Answer as u8 || phase == Phase::Rest as u8;
            self.decide(if is_upstreams { Verdict::Late } else { Verdict::Cut });
        }
        let exceeds = |since: &AtomicU32, bound: Duration| {
            let since = since.load(Relaxed);
            since != 0 && now.saturating_sub(since) > ticks(bound)
        };
        let body_stalls =
            self.wants_body.load(Relaxed) && exceeds(&self.reading_since, bounds.body);
        if body_stalls || exceeds(&self.writing_since, bounds.write) {
            self.decide(Verdict::Cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { body: Duration::from_secs(3), write: Duration::from_secs(4) };

    fn after(seconds: u64, prepare: impl Fn(&Watch)) -> Verdict {
        let clock = Ticks::start();
        let watch = Watch::new(clock.clone(), Duration::from_secs(1));
        watch.work();
        prepare(&watch);
        clock.set(Duration::from_secs(seconds));
        watch.check(&BOUNDS);
        watch.verdict()
    }

    #[test]
    fn each_wait_has_its_own_bound_and_its_own_end() {
        let two = Duration::from_secs(2);
        assert_eq!(after(60, |_| {}), Verdict::None);
        assert_eq!(after(3, |watch| watch.enter(Phase::Idle, two)), Verdict::Cut);
        assert_eq!(after(1, |watch| watch.enter(Phase::Idle, two)), Verdict::None);
        assert_eq!(after(3, |watch| watch.enter(Phase::Answer, two)), Verdict::Late);
        assert_eq!(after(5, |watch| watch.wrote(true)), Verdict::Cut);
        assert_eq!(after(60, |watch| watch.read(true)), Verdict::None);
        let stalled_body = |watch: &Watch| {
            watch.want_body(true);
            watch.read(true);
        };
        assert_eq!(after(2, stalled_body), Verdict::None);
        assert_eq!(after(4, stalled_body), Verdict::Cut);
    }
}
