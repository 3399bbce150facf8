//! Whoever is signed in gives the password once more before it, or the address, is changed: the
//! session may be one that was left open, or stolen (OWASP ASVS 7.5.1).

use std::sync::Arc;

use super::login::{Credentials, Failure};
use super::refusal::Notice;
use super::{PageRequest, Pages};
use crate::domain::{Identity, User};

/// The signed-in user gave the right password with this very request: evidence that whoever asks
/// is the owner of the account, and not of the session alone.
///
/// What changes the password or the address takes one. Its only maker is [`Pages::reauthenticate`].
#[derive(Debug)]
pub(super) struct Reauthenticated {
    user: Arc<User>,
}

impl Reauthenticated {
    /// The user, as of the moment of the check.
    pub(super) fn user(&self) -> &Arc<User> {
        &self.user
    }
}

impl Pages {
    /// Checks `password` as that of the signed-in user, as a login does: guesses are slowed down
    /// together with those at the login page.
    ///
    /// # Errors
    ///
    /// The [`Failure`] that the form is to tell when the password is wrong or has to wait; the
    /// [`Notice`] when it cannot be checked now.
    pub(super) async fn reauthenticate(
        &self,
        request: &PageRequest,
        identity: &Identity,
        password: &str,
    ) -> Result<Result<Reauthenticated, Failure>, Notice> {
        let credentials = Credentials { username: &identity.user().username, password };
        Ok(self.verify(&credentials, request).await?.and_then(|verified| {
            let user = Arc::clone(verified.user());
            // The name may have become somebody else's since the session was confirmed.
            if user.id == identity.user().id {
                Ok(Reauthenticated { user })
            } else {
                Err(Failure::Wrong)
            }
        }))
    }
}
