//! A request on its way to a refusal.

use http::{HeaderValue, Method};

use crate::domain::Visitor;
use crate::pages::{Asked, Audience};
use crate::web::refusal::Refusal;

/// A request that is stopped: why, and what of it the answer depends on.
pub(super) struct Stop {
    pub(super) refusal: Refusal,
    pub(super) rule: Option<String>,
    pub(super) visitor: Visitor,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) referer: Option<HeaderValue>,
    pub(super) login_url: Option<String>,
}

impl From<Refusal> for Stop {
    /// A refusal that says the same to everybody.
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            rule: None,
            visitor: Visitor::Anonymous,
            host: String::new(),
            target: String::new(),
            referer: None,
            login_url: None,
        }
    }
}

impl From<Refusal> for Box<Stop> {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into())
    }
}

impl Stop {
    /// The request as the pages see it.
    pub(super) fn asked<'a>(&'a self, method: &'a Method, audience: Audience) -> Asked<'a> {
        Asked {
            method,
            audience,
            referer: self.referer.as_ref(),
            target: &self.target,
            host: &self.host,
            login_url: self.login_url.as_deref(),
            visitor: &self.visitor,
        }
    }
}
