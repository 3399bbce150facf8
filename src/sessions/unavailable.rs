//! What can be in the way of the sessions.

use std::sync::Arc;

use super::disk;
use super::shared::CannotReach;
use crate::domain::SessionKey;

/// Sessions cannot be asked for, or a change of them cannot be kept, just now. A login was not
/// made. A session that was to end has ended on this gateway's own disk, and may be there again
/// when the gateway starts anew; in a shared store it is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The operating system gave no random bytes for an id.
    #[error("no random bytes for a session id: {0}")]
    NoRandomness(getrandom::Error),
    /// The disk does not take it. The log says so once, when it begins.
    #[error("the sessions cannot be written to disk: {0}")]
    NotKept(Arc<str>),
    /// The shared store cannot be reached. The log says so once, when it begins.
    #[error("the session store is out of reach")]
    OutOfReach,
    /// The shared store answers, and will not do it. The log says so now and then.
    #[error("the session store refuses: {0}")]
    Refused(String),
    /// A session is written in a way that this version does not know. The log says so now and
    /// then.
    #[error("the session `{0}` cannot be read")]
    Unreadable(SessionKey),
}

impl Unavailable {
    /// Whether the log has it already, and is not to have it again for every request.
    pub fn is_logged(&self) -> bool {
        match self {
            Self::NoRandomness(_) => false,
            Self::NotKept(_) | Self::OutOfReach | Self::Refused(_) | Self::Unreadable(_) => true,
        }
    }
}

/// The sessions cannot be used when the gateway is started.
#[derive(Debug, thiserror::Error)]
pub enum CannotOpen {
    /// Those on disk.
    #[error("cannot open the sessions: {0}")]
    Disk(#[from] disk::OpenError),
    /// Those in a shared store.
    #[error(transparent)]
    Shared(#[from] CannotReach),
}
