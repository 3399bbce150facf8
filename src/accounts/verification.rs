//! Checking credentials, and replacing the hash of a password by a new one where that is due.

use std::sync::Arc;

use super::AccountsError;
use super::command::Secret;
use super::hashing::Place;
use super::load::Who;
use super::password::{Comparison, Hasher};
use super::shared::Shared;
use crate::domain::password::{MAX_PASSWORD_LENGTH, NotVerified, PasswordHasher as _};
use crate::domain::user::normalize_username;
use crate::domain::{PasswordHash, Timestamp, User, UserId, Verified};

/// A password that was the right one, and the hash that is to take the place of the stored one.
pub(super) struct Right<T> {
    pub(super) found: T,
    /// `None` when the stored hash is as a new one would be.
    pub(super) renewed: Option<String>,
}

/// What became of a hash that was to be replaced.
pub(super) enum Renewal {
    /// It was.
    Done(PasswordHash),
    /// Somebody else was quicker: the password is another now, or has a new hash already.
    Overtaken,
}

impl Shared {
    /// Checks credentials on a hashing thread, and makes the new hash there too if one is due.
    pub(super) async fn check(
        &self,
        place: Place,
        username: &str,
        password: Secret,
        now: Timestamp,
        may_renew: bool,
    ) -> Result<Result<Right<Verified>, NotVerified>, AccountsError> {
        // A name that nobody can have is looked for all the same, for equal work.
        let username = normalize_username(username).unwrap_or_default();
        let user = self.load(Who::Username(&username), now).await?;
        let mut reading = self.database.read().await?;
        let stand_in = self.stand_ins.find(&mut reading, &username).await?;
        reading.commit().await?;
        let may_renew = may_renew && self.upgrade_hashes;
        let work = move |hasher: &Hasher| {
            let comparison = Comparison { hasher, stand_in: stand_in.as_ref() };
            let verified = Verified::check(user, password.reveal(), &comparison)?;
            let old = &verified.user().password;
            let renewed = renew(hasher, may_renew, &password, old, &verified.user().username);
            Ok(Right { found: verified, renewed })
        };
        self.hashing.run(place, work).await
    }

    /// Compares a password with that of one user, who need not be active.
    pub(super) async fn check_password(
        &self,
        place: Place,
        user: Arc<User>,
        password: Secret,
    ) -> Result<Option<Right<()>>, AccountsError> {
        let may_renew = self.upgrade_hashes;
        let work = move |hasher: &Hasher| {
            let comparison = Comparison { hasher, stand_in: None };
            if password.reveal().len() > MAX_PASSWORD_LENGTH {
                return None;
            }
            if !user.has_usable_password() {
                comparison.pretend(password.reveal());
                return None;
            }
            let matches = comparison.matches(password.reveal(), &user.password);
            matches.then(|| Right {
                found: (),
                renewed: renew(hasher, may_renew, &password, &user.password, &user.username),
            })
        };
        self.hashing.run(place, work).await
    }

    /// Puts the new hash in the place of `old`, if that is still what is stored: a password that
    /// was changed meanwhile stays changed.
    pub(super) async fn renew(
        &self,
        user: UserId,
        old: &PasswordHash,
        renewed: String,
    ) -> Result<Renewal, AccountsError> {
        let mut change = self.begin_change_of_ours().await?;
        let update =
            sqlx::query("UPDATE vestibule_user SET password = $1 WHERE id = $2 AND password = $3")
                .bind(&renewed)
                .bind(user.0)
                .bind(old.encoded())
                .execute(change.sql())
                .await?;
        if update.rows_affected() == 0 {
            return Ok(Renewal::Overtaken);
        }
        let renewed = PasswordHash::from_encoded(renewed);
        change.concerns(user);
        if renewed.mark() == old.mark() {
            change.keeps_quiet();
        }
        change.commit().await?;
        Ok(Renewal::Done(renewed))
    }
}

/// The new hash, if one is due. Without it the login goes on: it can be made at the next one.
fn renew(
    hasher: &Hasher,
    may_renew: bool,
    password: &Secret,
    old: &PasswordHash,
    username: &str,
) -> Option<String> {
    if !may_renew {
        return None;
    }
    hasher.renew(password.reveal(), old).unwrap_or_else(|error| {
        tracing::warn!(%error, user = username, "the hash of a password stays as it is");
        None
    })
}
