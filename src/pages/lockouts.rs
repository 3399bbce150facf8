//! Who is locked out, and letting them in again: for commands and for the pages of staff.

use super::throttle::{Lift, LockedOut};
use super::{Checked, State};
use crate::accounts::By;
use crate::domain::Timestamp;
use crate::domain::audit::{Entry, Event, Person};

impl State {
    /// Who is locked out now; whoever waits longest stands first.
    pub fn locked_out(&self, now: Timestamp) -> Vec<LockedOut> {
        self.throttle.locked_out(now)
    }

    /// Lets those in again who are named, and writes down who ordered it. Their failures are
    /// forgotten, also of those who were not locked out yet. Gives who was locked out.
    pub fn lift(&self, lift: &Lift, by: &By, now: Timestamp) -> Vec<LockedOut> {
        let lifted = self.throttle.lift(lift, now);
        let entry = Entry::new(Event::LockoutLifted, now).by(by);
        let entry = match lift {
            Lift::User(id, name) => entry.of(Person { name: name.clone(), id: Some(*id) }),
            Lift::Address(address) => entry.from(*address),
            Lift::All => entry.with("all", true),
        };
        self.directory.note(&entry.with("lifted", lifted.len()));
        lifted
    }

    /// What is to outlast a restart, if that has changed since it was last asked for.
    pub fn lockouts_to_keep(&self, now: Timestamp) -> Option<String> {
        self.throttle.to_keep(now)
    }

    /// Takes up what was kept before a restart; gives how many lines could not be read.
    pub fn take_up_lockouts(&self, text: &str, now: Timestamp) -> usize {
        self.throttle.take_up(text, now)
    }

    /// How often credentials were checked, for metrics.
    pub fn checked(&self) -> Checked {
        self.checks.so_far()
    }
}
