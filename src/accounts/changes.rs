//! Telling whoever listens that a user is not what he or she was.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::domain::UserId;

/// Whom a change concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// These users, who may be another now, or gone.
    Users(Arc<[UserId]>),
    /// Nobody knows whom: somebody else wrote to the database.
    Anybody,
}

/// How many changes somebody who listens may be behind, before being told that some were missed.
const BEHIND: usize = 1024;

/// Where changes are told.
#[derive(Debug)]
pub(super) struct Changes(broadcast::Sender<Changed>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(BEHIND))
    }
}

impl Changes {
    /// The changes from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Changed> {
        self.0.subscribe()
    }

    /// Tells a change; to be called when nobody can find the old state any more.
    pub(super) fn tell(&self, changed: Changed) {
        // An error means that nobody listens.
        let _unheard = self.0.send(changed);
    }
}
