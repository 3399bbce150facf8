//! HTTP vocabulary: what headers, cookies, forms and bodies mean to the gateway.
//!
//! Here belongs whatever knows HTTP and nothing of a particular page, application or socket.

pub mod body;
pub mod caching;
pub mod cookie;
pub mod expression;
pub mod form;
pub mod forwarding;
pub mod glance;
pub mod identity_headers;
pub mod instructions;
pub mod messages;
pub mod profile_mentions;
pub mod refusal;
pub mod scope;
pub mod session_scope;
pub mod socket;
pub mod watch;
pub mod websocket;
