//! What the directory does with passwords, under the names of Django's methods.

use std::sync::Arc;

use super::super::by::By;
use super::super::command::{Command, Outcome, Secret};
use super::super::error::{AccountsError, CommandError};
use super::super::password::{Attributes, Validators, Weakness};
use super::super::verification::{Renewal, Right};
use super::Directory;
use crate::domain::password::NotVerified;
use crate::domain::{PasswordHash, Timestamp, User, UserId, Verified};

impl Directory {
    /// Checks credentials on the hashing threads, as Django's `authenticate`.
    ///
    /// A hash that is of an old scheme or of another cost than the configured one is replaced
    /// before this returns, so that a session that begins with the answer is bound to the new one.
    /// Sessions that began with the old hash go on, unless it was one of MD5 or SHA-1.
    ///
    /// # Errors
    ///
    /// [`AccountsError::Busy`], at once, when too many others wait; the inner [`NotVerified`] when
    /// the credentials are wrong, which is never said because of a failure.
    pub async fn verify(
        &self,
        username: &str,
        password: String,
        now: Timestamp,
    ) -> Result<Result<Verified, NotVerified>, AccountsError> {
        let password = Secret::from(password);
        let checked = self.check(username, &password, now, true).await?;
        let Ok(Right { found: verified, renewed: Some(renewed) }) = checked else {
            return Ok(checked.map(|right| right.found));
        };
        let (user, old) = (verified.user().id, verified.user().password.clone());
        match self.renew(user, old, renewed).await {
            Ok(Renewal::Done(password)) => Ok(Ok(verified.rehashed(password))),
            // What was verified is not the password any more, or has another hash already.
            Ok(Renewal::Overtaken) => {
                let checked = self.check(username, &password, now, false).await?;
                Ok(checked.map(|right| right.found))
            }
            Err(error) => {
                let user = &verified.user().username;
                tracing::warn!(%error, user, "the hash of a password stays as it is");
                Ok(Ok(verified))
            }
        }
    }

    /// Whether this is the password of the user, active or not: Django's `User.check_password`,
    /// which replaces an old hash too. It is no login: for that there is [`Self::verify`].
    ///
    /// # Errors
    ///
    /// [`AccountsError::Busy`], at once, when too many others wait.
    pub async fn check_password(
        &self,
        user: &Arc<User>,
        password: String,
    ) -> Result<bool, AccountsError> {
        let place = self.shared.hashing.reserve()?;
        let shared = Arc::clone(&self.shared);
        let (password, asked) = (Secret::from(password), Arc::clone(user));
        let right =
            self.ask(async move { shared.check_password(place, asked, password).await }).await?;
        let Some(Right { renewed, .. }) = right else { return Ok(false) };
        if let Some(renewed) = renewed
            && let Err(error) = self.renew(user.id, user.password.clone(), renewed).await
        {
            let user = &user.username;
            tracing::warn!(%error, user, "the hash of a password stays as it is");
        }
        Ok(true)
    }

    /// Gives a user another password, which ends the sessions that began with the old one:
    /// Django's `User.set_password` and `save`, with [`Command::UserSetPassword`].
    pub async fn set_password(
        &self,
        username: &str,
        password: Secret,
        by: &By,
        now: Timestamp,
    ) -> Result<Outcome, CommandError> {
        let username = username.to_owned();
        self.carry_out(Command::UserSetPassword { username, password }, by, now).await
    }

    /// Leaves a user without a password that could match, which ends the sessions: Django's
    /// `User.set_unusable_password` and `save`, with [`Command::UserSetUnusablePassword`].
    ///
    /// Whether a user has one, [`User::has_usable_password`] says.
    pub async fn set_unusable_password(
        &self,
        username: &str,
        by: &By,
        now: Timestamp,
    ) -> Result<Outcome, CommandError> {
        let username = username.to_owned();
        self.carry_out(Command::UserSetUnusablePassword { username }, by, now).await
    }

    /// Checks a password that somebody chooses, with all that is wrong with it at once: what a page
    /// asks before it orders [`Command::UserCreate`] or [`Command::UserSetPassword`], which ask
    /// again, to show each [`Weakness`] beside the field.
    ///
    /// `about` is the user as on the form, or as stored ([`Attributes::from`] a [`User`]). Nothing
    /// is hashed and nobody is asked, so it may be called anywhere. The validators of Django's
    /// `validate_password`; `[passwords]` turns them on and off.
    pub fn check_new_password(
        &self,
        password: &str,
        about: &Attributes,
    ) -> Result<(), Vec<Weakness>> {
        self.shared.validators.check(password, about)
    }

    /// Which validators there are; their `help_texts` stand beside the field of a new password.
    pub fn validators(&self) -> &Validators {
        &self.shared.validators
    }

    async fn check(
        &self,
        username: &str,
        password: &Secret,
        now: Timestamp,
        may_renew: bool,
    ) -> Result<Result<Right<Verified>, NotVerified>, AccountsError> {
        let place = self.shared.hashing.reserve()?;
        let (shared, username) = (Arc::clone(&self.shared), username.to_owned());
        let password = password.clone();
        let check = async move { shared.check(place, &username, password, now, may_renew).await };
        self.ask(check).await
    }

    /// To its end, whether or not anybody waits: it is a change.
    async fn renew(
        &self,
        user: UserId,
        old: PasswordHash,
        renewed: String,
    ) -> Result<Renewal, AccountsError> {
        let shared = Arc::clone(&self.shared);
        self.order(async move { shared.renew(user, &old, renewed).await }).await
    }
}
