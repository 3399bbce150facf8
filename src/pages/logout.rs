//! Logging out: a question on GET, since a link or an image must not do it, and the deed on POST.

use http::{StatusCode, header};
use minijinja::context;

use super::login::Failure;
use super::{Answer, PageRequest, Pages, answer};
use crate::domain::audit::{Entry, Event};
use crate::domain::{NextPath, SessionKey, Visitor};
use crate::web::cookie;

impl Pages {
    /// GET: asks whether to log out.
    pub(super) fn logout_page(&self, request: &PageRequest) -> Answer {
        self.logout_question(request, self.next(None, request.query()).as_ref(), None)
    }

    /// POST: ends the session here and in the browser.
    pub(super) async fn log_out(&self, request: &PageRequest) -> Answer {
        let form = self.submitted(request)?;
        let next = self.next(Some(&form), request.query());
        if let Err(failure) = self.check_token(request, &form) {
            return self.logout_question(request, next.as_ref(), Some(failure));
        }
        if let Some(id) = &request.session_id {
            let ended = self.state.sessions.end(SessionKey::of(id)).await;
            ended.map_err(|error| answer::no_sessions(&error))?;
        }
        if let Some(user) = request.visitor.user() {
            let mut entry = Entry::new(Event::Logout, request.now).from(request.address).of(user);
            entry.session = request.session_key();
            self.state.directory.note(&entry);
        }
        let mut response = match (&next, &self.settings.logout_redirect_url) {
            (Some(next), _) => answer::redirect(next.as_str()),
            (None, Some(url)) => answer::redirect(url),
            (None, None) => {
                let scope = self.scope(&Visitor::Anonymous, &request.host);
                let context = context! { request => request.scope(), ..scope };
                self.rendered(StatusCode::OK, "registration/logged_out.html", context)
            }
        };
        let gone = cookie::no_session_cookie(&self.sessions.cookie, request.is_secure);
        response.headers_mut().append(header::SET_COOKIE, gone);
        Ok(response)
    }

    fn logout_question(
        &self,
        request: &PageRequest,
        next: Option<&NextPath>,
        failure: Option<Failure>,
    ) -> Answer {
        let status = if failure.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK };
        let messages: Vec<String> = failure.map(Failure::message).into_iter().collect();
        let names = context! {
            form => context! { errors => messages.clone(), non_field_errors => messages },
            next => next.map(NextPath::as_str).unwrap_or_default(),
        };
        self.form_page(request, status, "registration/logout.html", names)
    }
}
