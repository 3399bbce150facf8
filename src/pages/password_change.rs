//! The change of one's own password, as Django's `PasswordChangeView`.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use minijinja::{Value, context};

use super::bound_form::{BoundField, BoundForm};
use super::login::{self, Failure};
use super::reauthentication::Reauthenticated;
use super::refusal::Notice;
use super::{Answer, PageRequest, Pages, answer};
use crate::accounts::{By, Command};
use crate::domain::session_data::DataChange;
use crate::domain::{SessionKey, Verified};
use crate::web::cookie;
use crate::web::form::Form;
use crate::web::refusal::Refusal;

/// Django's `PasswordChangeForm.error_messages["password_incorrect"]`.
const INCORRECT: &str = "Your old password was entered incorrectly. Please enter it again.";

/// Django's `password_mismatch`.
pub(super) const MISMATCH: &str = "The two password fields didn’t match.";

/// Django's help for the second of two fields.
pub(super) const VERIFICATION: &str = "Enter the same password as before, for verification.";

/// Django's wording for a field that was left empty.
pub(super) const REQUIRED: &str = "This field is required.";

/// What is wrong with what was typed.
#[derive(Default)]
struct Wrong {
    old: Vec<String>,
    first: Vec<String>,
    second: Vec<String>,
    other: Option<Failure>,
}

impl Pages {
    /// GET: the form; a login is needed to see it.
    pub(super) fn password_change_page(&self, request: &PageRequest) -> Answer {
        self.password_change_form(request, Wrong::default())
    }

    /// GET: says that it was done.
    pub(super) fn password_change_done_page(&self, request: &PageRequest) -> Answer {
        if request.identity().is_none() {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        }
        let template = "registration/password_change_done.html";
        self.form_page(request, StatusCode::OK, template, context! {})
    }

    /// POST: changes the password. The user's other sessions end; this one goes on, under another
    /// id.
    pub(super) async fn change_password(&self, request: &PageRequest) -> Answer {
        let Some(identity) = request.identity() else {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        };
        let form = self.submitted(request)?;
        if let Err(failure) = self.check_token(request, &form) {
            return self.password_change_form(request, Wrong::other(failure));
        }
        let text = |name| form.value(name).unwrap_or_default();
        let (old, new) = (text("old_password"), text("new_password1"));
        let mut wrong = Wrong::of(&form);
        if wrong.first.is_empty() && wrong.second.is_empty() {
            wrong.second = self.weaknesses(new, identity.user());
        }
        if wrong.old.is_empty() {
            match self.reauthenticate(request, identity, old).await? {
                Ok(proof) if wrong.is_nothing() => {
                    match self.set_password(request, &proof, new).await? {
                        Ok(()) => return self.go_on(request, &proof, new).await,
                        Err(complaint) => wrong.second.push(complaint),
                    }
                }
                Ok(_) => {}
                Err(Failure::Wrong) => wrong.old.push(INCORRECT.to_owned()),
                Err(failure) => wrong.other = Some(failure),
            }
        }
        self.password_change_form(request, wrong)
    }

    /// Gives the user, who proved to be the owner of the account, another password.
    async fn set_password(
        &self,
        request: &PageRequest,
        proof: &Reauthenticated,
        new: &str,
    ) -> Result<Result<(), String>, Notice> {
        let user = proof.user();
        let (username, password) = (user.username.clone(), new.to_owned().into());
        let command = Command::UserSetPassword { username, password };
        let by = By::User(user.clone());
        match self.state.directory.execute(command, &by, request.now).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => Ok(Err(answer::objection(&error)?)),
        }
    }

    /// Ends the sessions that began with the old password, and begins this one anew.
    ///
    /// The password is changed by now, and the answer says so whatever happens here: without a
    /// session the page that it leads to asks for a login.
    async fn go_on(&self, request: &PageRequest, proof: &Reauthenticated, new: &str) -> Answer {
        let (user, here) = (proof.user(), request.session_key());
        // They are refused already: a failure leaves nobody in.
        match self.state.sessions.end_all_of(user.id, here).await {
            Ok(ended) => self.note_revoked(request, user, ended, "the password was changed"),
            Err(error) => {
                tracing::warn!(%error, of = user.username, "sessions could not be revoked");
            }
        }
        self.tell_of_new_password(user).await;
        let mut response = answer::redirect(&self.url("password_change/done/"));
        let verified =
            self.state.directory.verify(&user.username, new.to_owned(), request.now).await;
        match verified {
            Ok(Ok(verified)) => self.move_session(request, &verified, &mut response).await?,
            Ok(Err(_)) => tracing::info!(of = user.username, "changed again in the meantime"),
            Err(error) => tracing::warn!(%error, "the session does not go on"),
        }
        Ok(response)
    }

    /// Begins a session with what was kept in the old one, as Django's `update_session_auth_hash`.
    async fn move_session(
        &self,
        request: &PageRequest,
        verified: &Verified,
        response: &mut Response<Bytes>,
    ) -> Result<(), Notice> {
        let (settings, sessions) = (&self.sessions, &self.state.sessions);
        let (now, lifetime) = (request.now, &settings.lifetime);
        let id = sessions
            .log_in(verified, request.session_id.as_ref(), request.client(), now, lifetime)
            .await
            .map_err(|error| answer::no_sessions(&error))?;
        // A login takes nothing over from a session with another password.
        let kept = request.visitor.data().into_iter().flat_map(|data| data.iter());
        let kept: Vec<_> =
            kept.map(|(key, value)| DataChange::Set(key.into(), value.into())).collect();
        if !kept.is_empty() {
            let moved = sessions.change_data(SessionKey::of(&id), &kept, now, lifetime).await;
            moved.map_err(|error| answer::no_sessions(&error))?;
        }
        let cookie =
            cookie::session_cookie(&settings.cookie, &id, settings.max_age(), request.is_secure);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        // It was known by the old password.
        self.remember_browser(request, verified.user(), response)
    }

    fn password_change_form(&self, request: &PageRequest, wrong: Wrong) -> Answer {
        if request.identity().is_none() {
            return Ok(self.refuse(&Refusal::LogIn, &self.asked(request)));
        }
        let failure = wrong.other;
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let names = context! { form => wrong.form(self.new_password_help()) };
        let template = "registration/password_change_form.html";
        let mut response = self.form_page(request, status, template, names)?;
        if let Some(Failure::Throttled(delay)) = failure {
            login::retry_after(&mut response, delay);
        }
        Ok(response)
    }
}

impl Wrong {
    fn other(failure: Failure) -> Self {
        Self { other: Some(failure), ..Self::default() }
    }

    /// What is wrong without asking anybody.
    fn of(form: &Form) -> Self {
        let text = |name| form.value(name).unwrap_or_default();
        let required =
            |name| text(name).is_empty().then(|| REQUIRED.to_owned()).into_iter().collect();
        let mut wrong = Self {
            old: required("old_password"),
            first: required("new_password1"),
            second: required("new_password2"),
            other: None,
        };
        if wrong.first.is_empty()
            && wrong.second.is_empty()
            && text("new_password1") != text("new_password2")
        {
            wrong.second.push(MISMATCH.to_owned());
        }
        wrong
    }

    fn is_nothing(&self) -> bool {
        self.old.is_empty()
            && self.first.is_empty()
            && self.second.is_empty()
            && self.other.is_none()
    }

    /// Django's `PasswordChangeForm`.
    fn form(self, help: String) -> Value {
        BoundForm::new(vec![
            BoundField::current_password("old_password", "Old password").with_errors(self.old),
            BoundField::new_password("new_password1", "New password")
                .explained(help)
                .with_errors(self.first),
            BoundField::new_password("new_password2", "New password confirmation")
                .explained(VERIFICATION)
                .with_errors(self.second),
        ])
        .with_errors(self.other.map(Failure::message).into_iter().collect())
        .into_value()
    }
}
