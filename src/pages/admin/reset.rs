//! Starting a password reset for somebody: a letter to the account's own address, with a link that
//! is good once. Nobody else learns the password, and an account without one gets its first so.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;

use super::super::letters::NotWritten;
use super::super::password_reset::write_reset_link;
use super::desk::{Desk, Stopped};
use crate::accounts::{By, Deed, SeenUser};
use crate::domain::staff::ChangeUser;

impl Desk<'_> {
    /// Whether a letter can be sent to this user.
    pub(super) fn can_reset(&self, seen: &SeenUser) -> bool {
        seen.user.is_active && !seen.user.email.is_empty() && self.pages.letters().is_some()
    }

    /// Sends the user a link to choose another password.
    pub(super) async fn start_reset(&self, seen: &SeenUser) -> Result<(), Stopped> {
        let allowed = self.allowed::<ChangeUser>()?;
        let told = |status, text: &str| Err(Stopped::Told(status, text.to_owned()));
        if !self.staff.has_power_over(&seen.user) {
            return told(StatusCode::FORBIDDEN, "This account holds more than you do.");
        }
        let Some(letters) = self.pages.letters().filter(|_| self.can_reset(seen)) else {
            return told(StatusCode::OK, "No letter can be sent to this account.");
        };
        let (user, now) = (&seen.user, self.request.now);
        let letter = match write_reset_link(&letters, user, now).await {
            Ok(letter) => letter,
            Err(NotWritten::NoAddress(_)) => {
                return told(StatusCode::OK, "No letter can be sent to this address.");
            }
            Err(error) => {
                return Err(super::super::answer::unavailable(&error.to_string()).into());
            }
        };
        let by = By::User(Arc::clone(self.staff.user()));
        tracing::info!(%by, user = user.username, %letter, "a link to reset the password");
        let deed = Deed {
            action: "reset",
            kind: "user",
            object_id: Some(user.id.0),
            object: user.username.clone(),
            changes: BTreeMap::new(),
        };
        Ok(self.pages.state.directory.write_down(&allowed, &by, deed, now).await?)
    }
}
