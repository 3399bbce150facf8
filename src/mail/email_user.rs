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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PasswordHash, Timestamp, UserId};
    use crate::mail::{Settings, Spool, Way};

    const NOON: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn user(email: &str) -> User {
        User {
            id: UserId(1),
            username: "ada".to_owned(),
            first_name: String::new(),
            last_name: String::new(),
            email: email.to_owned(),
            password: PasswordHash::from_encoded("!"),
            is_staff: false,
            is_active: true,
            is_superuser: false,
            last_login: None,
            date_joined: NOON,
            groups: Vec::new(),
            permissions: std::collections::BTreeSet::new(),
            group_permissions: std::collections::BTreeSet::new(),
            has_messages: false,
            profile: std::collections::BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn a_user_with_an_address_gets_a_letter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mail");
        let outbox = Outbox::open(path.clone(), || NOON).unwrap();
        let way = Way::Directory(directory.path().join("out"));
        let from = "site@example.org".parse().unwrap();
        outbox.set_up(Some(&Settings { way, from })).unwrap();
        let sent = user("ada@example.org").email_user(&outbox, "Hello\nBcc: x", "Hi.", None).await;
        let id = sent.unwrap().to_string();
        let listed = Spool::at(path).list().unwrap().remove(0);
        assert_eq!(
            (listed.id, &*listed.to, &*listed.subject),
            (id, "ada@example.org", "Hello Bcc: x")
        );
        let nobody = user("").email_user(&outbox, "Hello", "Hi.", None).await;
        assert!(matches!(nobody, Err(NotMailed::NoAddress(_))));
    }
}
