//! Whether the database can be reached, for whoever watches the gateway.

use std::sync::atomic::{AtomicU8, Ordering};

/// How it is with the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseHealth {
    /// It can be reached.
    Fine,
    /// It cannot; whoever is known is served for `users.refresh` all the same.
    Cut,
    /// It could not be for longer than that: nobody who is signed in is served.
    Lost,
}

/// How it was when that was last tried.
#[derive(Debug)]
pub(super) struct Health(AtomicU8);

impl Default for Health {
    fn default() -> Self {
        Self(AtomicU8::new(0))
    }
}

impl Health {
    pub(super) fn now(&self) -> DatabaseHealth {
        from_number(self.0.load(Ordering::Relaxed))
    }

    /// Notes how it is now; gives how it was.
    pub(super) fn replace(&self, health: DatabaseHealth) -> DatabaseHealth {
        let number = match health {
            DatabaseHealth::Fine => 0,
            DatabaseHealth::Cut => 1,
            DatabaseHealth::Lost => 2,
        };
        from_number(self.0.swap(number, Ordering::Relaxed))
    }
}

fn from_number(number: u8) -> DatabaseHealth {
    match number {
        0 => DatabaseHealth::Fine,
        1 => DatabaseHealth::Cut,
        _ => DatabaseHealth::Lost,
    }
}
