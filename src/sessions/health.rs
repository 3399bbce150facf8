//! How the store of the sessions is, for those who watch the gateway.

use std::sync::Arc;

use super::{Kept, Sessions, disk};

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It does what it is asked to.
    Fine,
    /// The disk takes nothing, for this reason: who is logged in stays so, and nobody can log in.
    NotKept(Arc<str>),
    /// The shared store is out of reach: sessions that are known here go on, nothing can be
    /// changed.
    Cut,
    /// It has been out of reach for longer than `store_grace`: no session is served.
    Lost,
}

/// What a shared store was asked, and what it told, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// How often it was asked for a session.
    pub questions: u64,
    /// How often it said that a session changed.
    pub changes: u64,
}

impl Sessions {
    /// How the store is.
    pub fn health(&self) -> Health {
        match &self.kept {
            Kept::Here(local) => {
                let failure = local.disk().and_then(|disk| disk.failure);
                failure.map_or(Health::Fine, Health::NotKept)
            }
            Kept::Shared(shared) if shared.is_out() => Health::Lost,
            Kept::Shared(shared) if !shared.is_up() => Health::Cut,
            Kept::Shared(_) => Health::Fine,
        }
    }

    /// How the sessions on disk are; nothing for sessions in memory alone, or elsewhere.
    pub fn disk(&self) -> Option<disk::State> {
        match &self.kept {
            Kept::Here(local) => local.disk(),
            Kept::Shared(_) => None,
        }
    }

    /// Whether other gateways have the same sessions.
    pub fn is_shared(&self) -> bool {
        matches!(self.kept, Kept::Shared(_))
    }

    /// What goes on between this gateway and a shared store; nothing where there is none.
    pub fn traffic(&self) -> Option<Traffic> {
        match &self.kept {
            Kept::Here(_) => None,
            Kept::Shared(shared) => Some(shared.traffic()),
        }
    }
}
