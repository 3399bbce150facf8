//! A form of ours: shown with a token and a cookie, and taken back only with both.

use http::{HeaderValue, StatusCode, header};
use minijinja::value::merge_maps;
use minijinja::{Value, context};

use super::csrf::{self, Secret};
use super::login::Failure;
use super::refusal::Notice;
use super::{Answer, PageRequest, Pages, answer};
use crate::web::form::{Form, MalformedForm};
use crate::web::refusal::Refusal;
use crate::web::scope::UserScope;

impl Pages {
    /// Renders a page that has a form, and gives the browser a cookie for it if it has none.
    pub(super) fn form_page(
        &self,
        request: &PageRequest,
        status: StatusCode,
        template: &str,
        names: Value,
    ) -> Answer {
        let sent = Secret::of(&request.headers);
        let secret = match sent {
            Some(secret) => secret,
            None => Secret::random().map_err(answer::no_randomness)?,
        };
        let token = self.state.csrf.token(&secret, request.session_key());
        let input = format!("<input type=\"hidden\" name=\"{}\" value=\"{token}\">", csrf::FIELD);
        let scope = self.scope(&request.visitor, &request.host);
        let messages = context! {
            messages => request.messages.value(),
            user => UserScope::with_messages(&request.visitor, Some(&request.messages)),
        };
        let context = context! {
            csrf_token => token,
            csrf_input => Value::from_safe_string(input),
            request => request.scope(),
            ..merge_maps([scope, messages, names])
        };
        let mut response = self.rendered(status, template, context);
        if sent.is_none() {
            let cookie = self.csrf_cookie(&secret, request);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        Ok(response)
    }

    pub(super) fn csrf_cookie(&self, secret: &Secret, request: &PageRequest) -> HeaderValue {
        secret.cookie(&self.settings.prefix, &self.sessions.cookie, request.is_secure)
    }

    /// The form that was sent, if a page of ours can have sent it.
    pub(super) fn submitted(&self, request: &PageRequest) -> Result<Form, Notice> {
        let public_url = self.settings.public_url.as_deref();
        csrf::check_origin(&request.headers, &request.host, request.is_secure, public_url)
            .map_err(|cause| {
                tracing::warn!(
                    %cause,
                    host = ?request.host,
                    hint = "behind another proxy, set `server.public_url`",
                    "refused a form"
                );
                Notice::FORGED
            })?;
        Form::read(&request.headers, &request.body).map_err(|malformed| match malformed {
            MalformedForm::OtherType => Notice::NO_FORM,
            MalformedForm::TooManyFields | MalformedForm::NotUtf8 => {
                Notice::from(&Refusal::MalformedRequest("the form is malformed"))
            }
        })
    }

    /// Whether the form's token was made for this browser and session.
    pub(super) fn check_token(&self, request: &PageRequest, form: &Form) -> Result<(), Failure> {
        let secret = Secret::of(&request.headers).ok_or(Failure::NoCookie)?;
        let token = form.value(csrf::FIELD).unwrap_or_default();
        let is_good = self.state.csrf.matches(token, &secret, request.session_key());
        if is_good { Ok(()) } else { Err(Failure::OutOfDate) }
    }
}
