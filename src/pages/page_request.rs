//! A request to one of the pages, and what it says of whoever sent it.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Method};
use minijinja::{Value, context};

use crate::domain::{Client, Device, Identity, SessionId, SessionKey, Timestamp, Visitor};
use crate::web::messages::MessagesScope;

/// A request to one of the gateway's own pages, with its body.
#[derive(Debug)]
pub struct PageRequest {
    /// The method.
    pub method: Method,
    /// What stands below the prefix, in lower case, such as `login/`.
    pub page: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The host as it was sent.
    pub host: String,
    /// Whether the visitor came by TLS.
    pub is_secure: bool,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, no longer than [`Pages::MAX_FORM`](super::Pages::MAX_FORM).
    pub body: Bytes,
    /// The visitor's address.
    pub address: IpAddr,
    /// Who is asking.
    pub visitor: Visitor,
    /// The session's id if the visitor is signed in, or else the one that the browser sent.
    pub session_id: Option<SessionId>,
    /// When.
    pub now: Timestamp,
    /// What the page may show of the messages that wait for the visitor; nothing when it is asked.
    pub messages: MessagesScope,
}

impl PageRequest {
    pub(super) fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Who the visitor is, if that is known.
    pub(super) fn identity(&self) -> Option<&Identity> {
        match &self.visitor {
            Visitor::SignedIn(identity) => Some(identity),
            Visitor::Anonymous | Visitor::Guest(_) => None,
        }
    }

    /// The key of the visitor's session; none of one that is over.
    pub(super) fn session_key(&self) -> Option<SessionKey> {
        self.visitor.user().and(self.session_id.as_ref()).map(SessionKey::of)
    }

    /// Where the request comes from, as a session that it begins remembers it.
    pub(super) fn client(&self) -> Client {
        let user_agent = self.headers.get(http::header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        Client { address: self.address, device: Device::of(user_agent) }
    }

    /// The `request` of templates.
    pub(super) fn scope(&self) -> Value {
        context! {
            method => self.method.as_str(),
            path => self.target.split('?').next(),
            query => self.query().unwrap_or_default(),
            host => &*self.host,
            address => self.address.to_string(),
            is_secure => self.is_secure,
        }
    }
}
