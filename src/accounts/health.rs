//! Whether the database can be reached, for whoever watches the gateway.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the database could be reached when that was last tried.
#[derive(Debug)]
pub(super) struct Health(AtomicBool);

impl Default for Health {
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Health {
    pub(super) fn is_fine(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Notes how it is now; gives how it was.
    pub(super) fn replace(&self, is_fine: bool) -> bool {
        self.0.swap(is_fine, Ordering::Relaxed)
    }
}
