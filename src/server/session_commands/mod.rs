//! What operators ask and order about sessions: the language of `POST /v1/sessions` on the admin
//! socket, and its carrying out.
//!
//! Here belongs what needs both the sessions and the names of their users. What a session is and
//! when it ends is the layer `sessions`' business, and how an answer is printed that of `cli`.

mod answer;
mod command;
mod desk;
mod listing;

pub use answer::{Body, answer};
pub use command::{
    Cleared, Item, LimitName, Limits, Line, Revoke, Revoked, SessionCommand, SessionDetails,
    SessionRecord,
};
pub use desk::{Desk, Moment, Reply, SessionError};
pub use listing::Listing;

#[cfg(test)]
mod tests;
