//! Letters to people: a queue on disk, and what sends from it.
//!
//! [`Outbox`] is the whole of it for the gateway. [`Outbox::send`] returns when a letter is safe on
//! disk; it is on its way from then on, over restarts and outages of the mail server, until it was
//! taken or refused for good. A letter that is given up is kept with the reason, for the operator.
//!
//! What can stand in a header of a letter is a type of its own ([`Address`], [`Mailbox`],
//! [`Subject`]), so that nothing that somebody typed can add a header or a recipient.
//!
//! Not here: what letters say, which the pages know, and their links, which are the domain's.

mod address;
mod email_user;
mod letter;
mod outbox;
mod record;
pub mod settings;
mod spool;
mod transport;

pub use address::{Address, Mailbox, NotAnAddress};
pub use email_user::{EmailUser, NotMailed};
pub use letter::{Letter, Subject};
pub use outbox::{NotQueued, Outbox};
pub use record::{LetterId, Listed, Place};
pub use settings::{Login, Password, Relay, Settings, Tls, Way};
pub use spool::Spool;
pub use transport::{Outcome, Transport, Unusable};
