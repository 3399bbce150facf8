//! `email_user`, as Django's `AbstractUser` has it.

use super::{Address, Letter, LetterId, Mailbox, NotAnAddress, NotQueued, Outbox, Subject};
use crate::domain::User;

/// Why a user gets no letter.
#[derive(Debug, thiserror::Error)]
pub enum NotMailed {
    /// The user has no e-mail address, or one that no letter can be sent to.
    #[error("the user has no address that a letter can be sent to")]
    NoAddress(#[from] NotAnAddress),
    /// The letter was not taken.
    #[error(transparent)]
    NotQueued(#[from] NotQueued),
}

/// Letters to users, under Django's name.
pub trait EmailUser {
    /// Sends an e-mail to the user. It comes from `mail.from` when `from_email` is `None`.
    ///
    /// When this returns well, the letter is safe on disk; see [`Outbox::send`].
    fn email_user(
        &self,
        outbox: &Outbox,
        subject: &str,
        message: &str,
        from_email: Option<Mailbox>,
    ) -> impl Future<Output = Result<LetterId, NotMailed>> + Send;
}

impl EmailUser for User {
    async fn email_user(
        &self,
        outbox: &Outbox,
        subject: &str,
        message: &str,
        from_email: Option<Mailbox>,
    ) -> Result<LetterId, NotMailed> {
        let to: Address = self.email.parse()?;
        let (subject, text) = (Subject::of(subject), message.to_owned());
        Ok(outbox.send(Letter { to, subject, text, from: from_email }).await?)
    }
}
