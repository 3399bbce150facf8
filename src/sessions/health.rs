//! How the store of the sessions is, for those who watch the gateway.

use super::{Kept, Sessions};

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Fine,
    /// It is out of reach: sessions that are known here go on, nothing can be changed.
    Cut,
    /// It has been out of reach for longer than `store_grace`: no session is served.
    Lost,
}

impl Sessions {
    /// Whether other gateways have the same sessions.
    pub fn is_shared(&self) -> bool {
        matches!(self.kept, Kept::Shared(_))
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        match &self.kept {
            Kept::Shared(shared) if shared.is_out() => Health::Lost,
            Kept::Shared(shared) if !shared.is_up() => Health::Cut,
            Kept::Shared(_) | Kept::Here(_) => Health::Fine,
        }
    }

    /// How often a shared store was asked for a session, and how often it said that one changed.
    pub fn traffic(&self) -> (u64, u64) {
        match &self.kept {
            Kept::Here(_) => (0, 0),
            Kept::Shared(shared) => shared.traffic(),
        }
    }
}
