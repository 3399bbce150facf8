//! One counter: how many failures there were, and when the next attempt may be made.

use std::sync::Arc;
use std::time::Duration;

use super::subject::{Subject, Whose};
use crate::domain::Timestamp;

/// What a counter allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) subject: Subject,
    /// How many failures are free.
    pub(super) free_failures: u32,
    /// The first delay, which doubles.
    pub(super) delay: Duration,
    /// The longest delay.
    pub(super) longest: Duration,
    /// How long failures count after the last delay.
    pub(super) memory: Duration,
}

/// Why an attempt may not be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Until others that were begun are decided.
    Turn,
    /// For so long.
    For(Duration),
}

/// A counter.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) failures: u32,
    pub(super) in_flight: u32,
    pub(super) failed_at: Timestamp,
    /// When the next attempt may be made.
    pub(super) free_at: Timestamp,
    pub(super) forgotten_at: Timestamp,
    /// Whose account it is, if there is one of that name.
    pub(super) whose: Option<Arc<Whose>>,
}

impl Record {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            failures: 0,
            in_flight: 0,
            failed_at: now,
            free_at: now,
            forgotten_at: now,
            whose: None,
        }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.in_flight == 0 && now >= self.forgotten_at
    }

    /// Whether attempts are refused now.
    pub(super) fn is_locked(&self, now: Timestamp) -> bool {
        self.failures > 0 && self.free_at > now
    }

    /// Whether failures have ever come to a delay.
    pub(super) fn has_locked(&self) -> bool {
        self.failures > 0 && self.free_at > self.failed_at
    }

    /// What goes first when there is no room: what locked nobody out, and failed longest ago.
    pub(super) fn rank(&self) -> (bool, Timestamp) {
        (self.has_locked(), self.failed_at)
    }

    pub(super) fn begin(&mut self, now: Timestamp) {
        if self.is_over(now) {
            *self = Self::new(now);
        }
        self.in_flight += 1;
    }

    pub(super) fn wait(&self, bound: &Bound, now: Timestamp) -> Option<Wait> {
        if self.is_over(now) || self.failures.saturating_add(self.in_flight) < bound.free_failures {
            return None;
        }
        if self.failures < bound.free_failures {
            return Some(Wait::Turn);
        }
        let delay = self.free_at.since(now);
        // No delay is longer than the longest; one that seems so comes of a clock set back.
        if !delay.is_zero() && delay <= bound.longest {
            return Some(Wait::For(delay));
        }
        (self.in_flight > 0).then_some(Wait::Turn)
    }

    /// Counts a failure; says whether attempts are refused from now on.
    pub(super) fn fail(&mut self, bound: &Bound, now: Timestamp) -> bool {
        self.failures = self.failures.saturating_add(1);
        let excess = self.failures.checked_sub(bound.free_failures);
        let delay = excess.map(|excess| {
            bound.delay.saturating_mul(2_u32.saturating_pow(excess)).min(bound.longest)
        });
        self.failed_at = now;
        self.free_at = now.after(delay.unwrap_or_default());
        self.forgotten_at = self.free_at.after(bound.memory);
        delay.is_some()
    }

    /// Forgets the failures; attempts that are under way stay so.
    pub(super) fn forgive(&mut self, now: Timestamp) {
        *self = Self { in_flight: self.in_flight, ..Self::new(now) };
    }
}
