//! Who orders a change: for the log, and for what he or she may order.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::User;

/// Who orders something.
#[derive(Debug, Clone)]
pub enum By {
    /// Whoever may open the admin socket or the database, as the operating system names them.
    Operator(String),
    /// A user at one of the gateway's own pages.
    User(Arc<User>),
    /// Somebody at the registration page, by the address.
    Visitor(IpAddr),
}

impl By {
    /// The operator who runs this process.
    pub fn this_process() -> Self {
        Self::Operator(format!("uid {}", rustix::process::getuid().as_raw()))
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => f.write_str(name),
            Self::User(user) => f.write_str(&user.username),
            Self::Visitor(address) => write!(f, "a visitor from {address}"),
        }
    }
}
