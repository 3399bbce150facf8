//! Setting a new password by a link from a letter, as Django's `PasswordResetConfirmView`.

use std::sync::Arc;

use http::{StatusCode, header};
use minijinja::{Value, context};

use super::bound_form::{BoundField, BoundForm};
use super::link::Arrival;
use super::login::Failure;
use super::password_change::{MISMATCH, REQUIRED, VERIFICATION};
use super::refusal::Notice;
use super::{Answer, PageRequest, Pages, answer};
use crate::accounts::{By, Command};
use crate::domain::audit::{Entry, Event};
use crate::domain::{Purpose, User, UserId, link};
use crate::web::form::Form;
use crate::web::scope::UserScope;

/// What stands in the token's place once it was moved, as Django's `reset_url_token`.
const WORD: &str = "set-password";

/// What is wrong with what was typed.
#[derive(Default)]
struct Wrong {
    first: Vec<String>,
    second: Vec<String>,
    other: Option<Failure>,
}

impl Pages {
    /// GET: moves the token out of the address, and then shows the form, if the link is good.
    pub(super) async fn reset_link_page(&self, request: &PageRequest) -> Answer {
        let Some((user, arrival)) = self.reset_link(request).await? else {
            return self.reset_form(request, None, Wrong::default());
        };
        match arrival {
            Arrival::WithToken(token) => {
                let page = format!("reset/{}/{WORD}/", link::uid(user.id));
                Ok(self.move_token(request, &page, &token))
            }
            Arrival::Moved(_) => self.reset_form(request, Some(&user), Wrong::default()),
        }
    }

    /// POST: sets the password, once.
    pub(super) async fn set_password_by_link(&self, request: &PageRequest) -> Answer {
        let form = self.submitted(request)?;
        let Some((user, Arrival::Moved(_))) = self.reset_link(request).await? else {
            return self.reset_form(request, None, Wrong::default());
        };
        if let Err(failure) = self.check_token(request, &form) {
            let wrong = Wrong { other: Some(failure), ..Wrong::default() };
            return self.reset_form(request, Some(&user), wrong);
        }
        let mut wrong = Wrong::of(&form);
        let new = form.value("new_password1").unwrap_or_default();
        if wrong.is_nothing() {
            wrong.second = self.weaknesses(new, &user);
        }
        if !wrong.is_nothing() {
            return self.reset_form(request, Some(&user), wrong);
        }
        // Of two who send the same link at once, the second finds it spent.
        let turn = self.state.spending_links.lock().await;
        if self.reset_link(request).await?.is_none() {
            return self.reset_form(request, None, Wrong::default());
        }
        let (username, by) = (user.username.clone(), By::User(Arc::clone(&user)));
        let command = Command::UserSetPassword { username, password: new.to_owned().into() };
        match self.state.directory.execute(command, &by, request.now).await {
            Ok(_) => {}
            Err(error) => {
                wrong.second.push(answer::objection(&error)?);
                return self.reset_form(request, Some(&user), wrong);
            }
        }
        drop(turn);
        let entry = Entry::new(Event::PasswordReset, request.now).from(request.address);
        self.state.directory.note(&entry.of(&*user));
        // They are refused already, since the password is another: a failure leaves nobody in.
        match self.state.sessions.end_all_of(user.id, None).await {
            Ok(ended) => self.note_revoked(request, &user, ended, "the password was reset"),
            Err(error) => {
                tracing::warn!(%error, of = user.username, "sessions could not be revoked");
            }
        }
        self.tell_of_new_password(&user).await;
        let mut response = answer::redirect(&self.url("reset/done/"));
        response.headers_mut().append(header::SET_COOKIE, self.forget_token(request));
        // The password is another by now, and the answer says so whatever happens here. Whoever was
        // sent the link is the owner, and is not to wait because of strangers who fail.
        if let Ok(Some(user)) = self.state.directory.user(user.id, request.now).await {
            self.remember_browser(request, &user, &mut response)?;
        }
        Ok(response)
    }

    /// GET: says that it was done.
    pub(super) fn password_reset_complete_page(&self, request: &PageRequest) -> Answer {
        let template = "registration/password_reset_complete.html";
        self.form_page(request, StatusCode::OK, template, context! {})
    }

    /// Tells a user by mail that the account has another password (OWASP ASVS 6.3.6), where mail
    /// is set up.
    pub(super) async fn tell_of_new_password(&self, user: &Arc<User>) {
        if let Some(letters) = self.letters() {
            let names = context! { user => UserScope::known(user), email => &*user.email };
            letters.tell(&user.email, "password_changed", names).await;
        }
    }

    /// The user whose password the link is for, if it is good now, and where its token was.
    async fn reset_link(
        &self,
        request: &PageRequest,
    ) -> Result<Option<(Arc<User>, Arrival)>, Notice> {
        let Some(([uid], arrival)) = request.link("reset/", WORD) else { return Ok(None) };
        let (Arrival::WithToken(token) | Arrival::Moved(Some(token))) = &arrival else {
            return Ok(None);
        };
        let Some(user) = self.user_of_link(request, link::user_of(uid)).await? else {
            return Ok(None);
        };
        let (timeout, now) = (self.settings.password_reset_timeout, request.now);
        let checked = self.state.links.check(Purpose::PasswordReset(&user), token, timeout, now);
        Ok(checked.is_ok().then_some((user, arrival)))
    }

    /// The user whom a link names, as of now and not as of what is remembered; none who is not
    /// active.
    pub(super) async fn user_of_link(
        &self,
        request: &PageRequest,
        named: Option<UserId>,
    ) -> Result<Option<Arc<User>>, Notice> {
        let Some(id) = named else { return Ok(None) };
        let found = self.state.directory.user(id, request.now).await;
        let found = found.map_err(|error| answer::unavailable(&error.to_string()))?;
        Ok(found.filter(|user| user.is_active))
    }

    /// The form, or where the link is not good a page that says so, under Django's `validlink`.
    fn reset_form(&self, request: &PageRequest, user: Option<&Arc<User>>, wrong: Wrong) -> Answer {
        let status = wrong.other.map_or(StatusCode::OK, Failure::status);
        let names = context! {
            validlink => user.is_some(),
            form => user.map(|_| wrong.form(self.new_password_help())),
            // For password managers.
            username => user.map(|user| &*user.username),
        };
        self.form_page(request, status, "registration/password_reset_confirm.html", names)
    }
}

impl Wrong {
    /// What is wrong without asking anybody.
    fn of(form: &Form) -> Self {
        let text = |name| form.value(name).unwrap_or_default();
        let required =
            |name| text(name).is_empty().then(|| REQUIRED.to_owned()).into_iter().collect();
        let (first, mut second): (Vec<_>, Vec<_>) =
            (required("new_password1"), required("new_password2"));
        if first.is_empty() && second.is_empty() && text("new_password1") != text("new_password2") {
            second.push(MISMATCH.to_owned());
        }
        Self { first, second, other: None }
    }

    fn is_nothing(&self) -> bool {
        self.first.is_empty() && self.second.is_empty() && self.other.is_none()
    }

    /// Django's `SetPasswordForm`.
    fn form(self, help: String) -> Value {
        BoundForm::new(vec![
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
