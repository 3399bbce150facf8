//! The login page, as Django's `LoginView`: whoever is logged in may log in again, as somebody else.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use minijinja::{Value, context};

use super::bound_form::{BoundField, BoundForm};
use super::csrf::Secret;
use super::{Answer, PageRequest, Pages, answer};
use crate::domain::audit::{Entry, Event};
use crate::domain::{NextPath, SessionKey, User, Verified};
use crate::web::cookie;
use crate::web::form::Form;

/// The one wording for every failed login: Django's `AuthenticationForm.error_messages`.
const WRONG: &str =
    "Please enter a correct username and password. Note that both fields may be case-sensitive.";

/// The credentials as they were typed; no `Debug`, for one of them is a password.
pub(super) struct Credentials<'f> {
    pub(super) username: &'f str,
    pub(super) password: &'f str,
}

/// Why a login did not happen, and so what the form says when it is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Whatever was wrong with the credentials.
    Wrong,
    /// Too many failures before.
    Throttled(Duration),
    /// The browser did not send the cookie that came with the form.
    NoCookie,
    /// The form is of another session, or from before a restart.
    OutOfDate,
}

impl Failure {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Wrong => StatusCode::OK,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoCookie | Self::OutOfDate => StatusCode::FORBIDDEN,
        }
    }

    /// What the form says above its fields.
    pub(super) fn message(self) -> String {
        match self {
            Self::Wrong => WRONG.to_owned(),
            Self::Throttled(delay) => {
                format!("Too many attempts. Please wait {} and try again.", in_words(delay))
            }
            Self::NoCookie => {
                "Your browser did not send the cookie that came with this form. Please enable \
                 cookies for this site and try again."
                    .to_owned()
            }
            Self::OutOfDate => "This form was out of date. Please try again.".to_owned(),
        }
    }
}

impl Pages {
    /// GET: the form.
    pub(super) fn login_page(&self, request: &PageRequest) -> Answer {
        let next = self.next(None, request.query());
        self.login_form(request, "", next.as_ref(), None)
    }

    /// POST: checks the credentials and begins a session.
    pub(super) async fn log_in(&self, request: &PageRequest) -> Answer {
        let form = self.submitted(request)?;
        let next = self.next(Some(&form), request.query());
        let credentials = Credentials::of(&form);
        let again =
            |failure| self.login_form(request, credentials.username, next.as_ref(), Some(failure));
        if let Err(failure) = self.check_token(request, &form) {
            return again(failure);
        }
        match self.verify(&credentials, request).await? {
            Ok(verified) => self.begin(request, &verified, next.as_ref()).await,
            Err(failure) => again(failure),
        }
    }

    /// Begins the session and sends the browser on, with new cookies for both session and forms.
    async fn begin(
        &self,
        request: &PageRequest,
        verified: &Verified,
        next: Option<&NextPath>,
    ) -> Answer {
        let secret = Secret::random().map_err(answer::no_randomness)?;
        let known = self.known_browser(&verified.user().username, request).await?;
        let (settings, now, user) = (&self.sessions, request.now, verified.user());
        let id = self
            .state
            .sessions
            .log_in(
                verified,
                request.session_id.as_ref(),
                request.client(),
                now,
                &settings.lifetime,
            )
            .await
            .map_err(|error| answer::no_sessions(&error))?;
        if let Err(error) = self.state.directory.record_login(user.id, now).await {
            tracing::warn!(%error, user = user.username, "the login could not be recorded");
        }
        let entry = Entry::new(Event::Login, now).from(request.address).of(&**user);
        let entry = entry.session(SessionKey::of(&id)).with("known_browser", known.is_some());
        self.state.directory.note(&entry);
        let (age, is_secure) = (settings.max_age(), request.is_secure);
        let session = cookie::session_cookie(&settings.cookie, &id, age, is_secure);
        let mut response = answer::redirect(&self.after_login_of(user, next));
        response.headers_mut().append(header::SET_COOKIE, session);
        response.headers_mut().append(header::SET_COOKIE, self.csrf_cookie(&secret, request));
        self.remember_browser(request, user, &mut response)?;
        Ok(response)
    }

    /// Gives the browser the cookie by which it is known for this user from now on, who has just
    /// shown to be the owner of the account, with the password that it has now.
    pub(super) fn remember_browser(
        &self,
        request: &PageRequest,
        user: &User,
        response: &mut Response<Bytes>,
    ) -> Result<(), super::Notice> {
        let (browsers, now) = (&self.state.known_browsers, request.now);
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(answer::no_randomness)?;
        let before = browsers.entries(&request.headers, now);
        let place = (&*self.settings.prefix, &self.sessions.cookie, request.is_secure);
        let cookie = browsers.cookie(user, &before, nonce, now, place);
        response.headers_mut().append(header::SET_COOKIE, cookie);
        Ok(())
    }

    /// The form, for the first time or again. Nothing in it depends on whether there is such a user.
    pub(super) fn login_form(
        &self,
        request: &PageRequest,
        username: &str,
        next: Option<&NextPath>,
        failure: Option<Failure>,
    ) -> Answer {
        let names = context! {
            form => form(username, failure),
            next => next.map(NextPath::as_str).unwrap_or_default(),
            register_url => self.registration_link(next),
        };
        let status = failure.map_or(StatusCode::OK, Failure::status);
        let mut response = self.form_page(request, status, "registration/login.html", names)?;
        if let Some(Failure::Throttled(delay)) = failure {
            retry_after(&mut response, delay);
        }
        Ok(response)
    }
}

impl<'f> Credentials<'f> {
    /// The name without space around it, as Django's `CharField` has it, and the password exactly.
    fn of(form: &'f Form) -> Self {
        Self {
            username: form.value("username").unwrap_or_default().trim(),
            password: form.value("password").unwrap_or_default(),
        }
    }
}

/// The `form` of the template, with the names of Django's `AuthenticationForm`.
fn form(username: &str, failure: Option<Failure>) -> Value {
    let password = BoundField::current_password("password", "Password");
    BoundForm::new(vec![BoundField::username(username), password])
        .with_errors(failure.map(Failure::message).into_iter().collect())
        .saying("is_refused", failure == Some(Failure::Wrong))
        .into_value()
}

pub(super) fn retry_after(response: &mut Response<Bytes>, delay: Duration) {
    let seconds = HeaderValue::from(delay.as_secs().max(1));
    response.headers_mut().insert(header::RETRY_AFTER, seconds);
}

pub(super) fn in_words(delay: Duration) -> String {
    match delay.as_secs() {
        0 | 1 => "a second".to_owned(),
        seconds @ 2..=90 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}
