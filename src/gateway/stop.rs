//! A request on its way to a refusal.

use http::{HeaderValue, Method};

use super::settings::Route;
use super::streams::Admitted;
use crate::domain::Visitor;
use crate::pages::{Asked, Audience};
use crate::telemetry::Revoked;
use crate::upstream::ForwardError;
use crate::web::body::BodyError;
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
    /// Whether it had been admitted before.
    pub(super) is_revoked: bool,
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
            is_revoked: false,
        }
    }
}

impl From<Refusal> for Box<Stop> {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.into())
    }
}

impl Stop {
    /// A request that was admitted, and whose right was taken back before there was an answer.
    pub(super) fn revoked(why: Revoked, admitted: Option<&Admitted>, route: &Route) -> Self {
        let refusal = match why {
            Revoked::Ended | Revoked::Expired | Revoked::User => Refusal::LogIn,
            Revoked::Right | Revoked::Reload => Refusal::Denied,
            // The log has told what could not be asked.
            Revoked::Undecided => Refusal::Outage(why.message().to_owned()),
        };
        let text = |text: fn(&Admitted) -> &str| admitted.map_or("", text).to_owned();
        Self {
            rule: Some(route.rule.clone()),
            host: text(|admitted| admitted.host.as_sent()),
            target: text(|admitted| &admitted.target),
            login_url: Some(route.login_url.clone()),
            is_revoked: true,
            ..Self::from(refusal)
        }
    }

    /// Whether nothing more is read from the connection: what follows may be the rest of a body
    /// that nobody wants any more.
    pub(super) fn ends_the_connection(&self) -> bool {
        self.is_revoked || self.refusal.ends_the_connection()
    }

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

/// The refusal that a failed exchange with the application `name` comes to.
pub(super) fn refusal_for(error: ForwardError, name: &str) -> Refusal {
    match error {
        ForwardError::Body(BodyError::TooLarge) => Refusal::BodyTooLarge,
        ForwardError::Body(BodyError::Incomplete(_)) => {
            Refusal::MalformedRequest("the body ended early")
        }
        ForwardError::ConnectTimeout(_) => Refusal::GatewayTimeout("`connect_timeout` passed"),
        ForwardError::AnswerTimeout => Refusal::GatewayTimeout("`response_timeout` passed"),
        ForwardError::Unreachable { .. } | ForwardError::Garbled(_) => {
            Refusal::BadGateway(format!("`{name}`: {error}"))
        }
    }
}
