//! Asking for a link to set a new password, as Django's `PasswordResetView`.
//!
//! The answer is the same, in text, size and time, whether there is such an account or not: the
//! letters are written after it.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use minijinja::context;

use super::bound_form::{BoundField, BoundForm};
use super::letters::{Letters, NotWritten};
use super::login::{self, Failure};
use super::password_change::REQUIRED;
use super::throttle::network;
use super::{Answer, PageRequest, Pages, answer};
use crate::accounts::AccountsError;
use crate::domain::audit::{Entry, Event, Outcome};
use crate::domain::{Purpose, Timestamp, User, link};
use crate::mail::{Address, LetterId};
use crate::web::scope::UserScope;

/// The wording of Django's `EmailField`.
pub(super) const NOT_AN_ADDRESS: &str = "Enter a valid email address.";

/// How often accounts are looked for again when the database does not answer.
const TRIES: u32 = 5;

/// What is wrong with what was typed.
enum Wrong {
    Nothing,
    Email(&'static str),
    Form(Failure),
}

impl Pages {
    /// GET: the form; where no mail can be sent, a page that says so.
    pub(super) fn password_reset_page(&self, request: &PageRequest) -> Answer {
        self.password_reset_form(request, "", &Wrong::Nothing)
    }

    /// POST: has the letters written, and says that they are on their way if there is an account.
    pub(super) fn reset_password(&self, request: &PageRequest) -> Answer {
        let form = self.submitted(request)?;
        let typed = form.value("email").unwrap_or_default().trim();
        let again = |wrong| self.password_reset_form(request, typed, &wrong);
        if let Err(failure) = self.check_token(request, &form) {
            return again(Wrong::Form(failure));
        }
        let Some(letters) = self.letters() else { return again(Wrong::Nothing) };
        let address: Address = match typed.parse() {
            Ok(address) => address,
            Err(_) if typed.is_empty() => return again(Wrong::Email(REQUIRED)),
            Err(_) => return again(Wrong::Email(NOT_AN_ADDRESS)),
        };
        if self.settings.lockout.enabled
            && let Err(wait) =
                self.state.letter_requests.take(network(request.address), request.now)
        {
            let entry = Entry::new(Event::ResetRequested, request.now).from(request.address);
            let entry = entry.outcome(Outcome::Throttled).with("wait", wait.as_secs());
            self.state.directory.note(&entry);
            return again(Wrong::Form(Failure::Throttled(wait)));
        }
        let entry = Entry::new(Event::ResetRequested, request.now).from(request.address);
        self.state.directory.note(&entry);
        let now = request.now;
        if !letters.later(move |letters| write_to_all(letters, address, now)) {
            return Err(answer::unavailable("too many letters are being written"));
        }
        Ok(answer::redirect(&self.url("password_reset/done/")))
    }

    /// GET: says what happens now.
    pub(super) fn password_reset_done_page(&self, request: &PageRequest) -> Answer {
        let template = "registration/password_reset_done.html";
        self.form_page(request, StatusCode::OK, template, context! {})
    }

    fn password_reset_form(&self, request: &PageRequest, typed: &str, wrong: &Wrong) -> Answer {
        let (errors, failure) = match wrong {
            Wrong::Nothing => (Vec::new(), None),
            Wrong::Email(message) => (vec![(*message).to_owned()], None),
            Wrong::Form(failure) => (Vec::new(), Some(*failure)),
        };
        let form = self.letters().map(|_| {
            BoundForm::new(vec![BoundField::email("email", "Email", typed).with_errors(errors)])
                .with_errors(failure.map(Failure::message).into_iter().collect())
                .into_value()
        });
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let names = context! { form };
        let template = "registration/password_reset_form.html";
        let mut response = self.form_page(request, status, template, names)?;
        if let Some(Failure::Throttled(delay)) = failure {
            login::retry_after(&mut response, delay);
        }
        Ok(response)
    }

    /// Where passwords are reset, for whoever forgot one; nowhere where no mail can be sent.
    pub(super) fn password_reset_url(&self) -> Option<String> {
        self.letters().map(|_| self.url("password_reset/"))
    }
}

/// Writes to every account of this address.
async fn write_to_all(letters: Letters, address: Address, now: Timestamp) {
    let users = match accounts_of(&letters, &address, now).await {
        Ok(users) => users,
        Err(error) => {
            tracing::error!(%error, "the letters to reset a password could not be written");
            return;
        }
    };
    // Whoever asks again and again for somebody else fills no mailbox: the first links are good.
    if !users.is_empty() && letters.state.letters_to.take(address.as_str(), now).is_err() {
        tracing::warn!("a password reset was asked for too often; no further letter is written");
        return;
    }
    for user in users {
        match write_reset_link(&letters, &user, now).await {
            Ok(letter) => {
                let entry = Entry::new(Event::ResetSent, now).of(&*user);
                letters.state.directory.note(&entry.with("letter", letter.to_string()));
            }
            Err(error) => {
                tracing::error!(%error, user = user.username, "no link to reset the password");
            }
        }
    }
}

/// Writes the letter with the link by which a user chooses another password.
pub(super) async fn write_reset_link(
    letters: &Letters,
    user: &Arc<User>,
    now: Timestamp,
) -> Result<LetterId, NotWritten> {
    let token = letters.state.links.token(Purpose::PasswordReset(user), now);
    let uid = link::uid(user.id);
    let names = context! {
        email => &*user.email,
        reset_url => letters.url(&format!("reset/{uid}/{token}/")),
        uid,
        token,
        user => UserScope::known(user),
    };
    // To the address that the account has, not to the one that was typed.
    letters.write(&user.email, "password_reset", names).await
}

/// The accounts that may have their password reset: Django's `PasswordResetForm.get_users`.
async fn accounts_of(
    letters: &Letters,
    address: &Address,
    now: Timestamp,
) -> Result<Vec<Arc<User>>, AccountsError> {
    let mut tries = 1;
    let mut users = loop {
        match letters.state.directory.users_by_email(address.as_str(), now).await {
            // The visitor was told to look into the mailbox: a hiccup is not the last word.
            Err(error) if tries < TRIES => {
                tracing::warn!(%error, "accounts are looked for again");
                tokio::time::sleep(Duration::from_secs(1 << tries)).await;
                tries += 1;
            }
            outcome => break outcome?,
        }
    };
    users.retain(|user| user.is_active && user.password.is_usable());
    Ok(users)
}
