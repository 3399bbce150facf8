//! What Vestibule knows and decides, free of sockets, files, clocks and HTTP.
//!
//! Here belong the words of the product (user, permission, session, identity, rule) and the
//! decisions about them. Everything is a function of its arguments: time is passed in, passwords
//! are checked by a hasher that is passed in. Nothing here may import another layer, and
//! `tests/architecture.rs` holds it to that.
//!
//! Seven values are *evidence*: whoever holds one knows that a check happened, because the check
//! is the only way to get one.
//!
//! | value | means | only maker |
//! |---|---|---|
//! | [`RequestPath`] | read once, no ambiguity | [`RequestPath::parse`] |
//! | [`Verified`] | these credentials belong to this active user | [`Verified::check`] |
//! | [`Session`] | a login happened | [`Session::begin`] |
//! | [`Identity`] | session live, user active, password unchanged since | [`Identity::confirm`] |
//! | [`StaffMember`](staff::StaffMember) | active staff, as of now | [`StaffMember::confirm`](staff::StaffMember::confirm) |
//! | [`Allowed`](staff::Allowed) | staff may do this | [`StaffMember::may`](staff::StaffMember::may) |
//! | [`Permitted`] | this request, on this path, was allowed by this rule to this visitor | [`authorize()`] |
//!
//! [`Identity::assumed`] stands beside them: it answers questions about rules on the command line,
//! and nothing that handles a request may call it.

pub mod audit;
pub mod authorize;
pub mod client;
pub mod email_address;
pub mod host;
pub mod identity;
pub mod link;
pub mod message;
pub mod next_path;
pub mod password;
pub mod path;
pub mod permission;
pub mod profile;
pub mod question;
pub mod reserved;
pub mod rule;
pub mod session;
pub mod session_data;
pub mod staff;
pub mod time;
pub mod user;
pub mod wording;

pub use authorize::{Decision, Permitted, authorize};
pub use client::{Client, Device};
pub use identity::{Guest, Identity, Visitor};
pub use link::{BadLink, Links, Purpose};
pub use message::Message;
pub use next_path::NextPath;
pub use password::{PasswordHash, Verified};
pub use path::{Oddity, RequestPath};
pub use permission::Permission;
pub use profile::{ProfileField, ProfileFields};
pub use rule::{Rule, Rules};
pub use session::{Session, SessionId, SessionKey};
pub use session_data::SessionData;
pub use time::Timestamp;
pub use user::{User, UserId};
