//! What a visitor gets instead of a page: a redirect to the login, a page that says why, or JSON.

use bytes::Bytes;
use http::header;
use http::{HeaderValue, Method, Response, StatusCode};
use minijinja::context;

use super::csrf::origin_of;
use super::{Pages, answer, next};
use crate::domain::{NextPath, Visitor};
use crate::web::glance::{Glance, Seen};
use crate::web::refusal::Refusal;

/// After how many seconds it is worth while to try again when something is unavailable.
const RETRY_AFTER: &str = "5";

/// The request that is refused, as far as the answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a Method,
    /// Whether a person or a program waits for the answer.
    pub audience: Audience,
    /// The page that the request was sent from, if the browser says so.
    pub referer: Option<&'a HeaderValue>,
    /// Path and query as they were sent.
    pub target: &'a str,
    /// The host as it was sent.
    pub host: &'a str,
    /// The login page that the rule names; the gateway's own when it names none.
    pub login_url: Option<&'a str>,
    /// Who is asking, as far as that is known yet.
    pub visitor: &'a Visitor,
}

/// A refusal, or another answer of the kind, as it is told to the visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) status: StatusCode,
    /// A word for programs.
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) advice: &'static str,
    /// The methods that are allowed, where one was not.
    pub(super) allow: &'static str,
}

impl Notice {
    /// A form that was not sent from a page of ours, or not by the browser that got the page.
    pub(super) const FORGED: Self = Self {
        status: StatusCode::FORBIDDEN,
        code: "csrf_failed",
        title: "This form could not be accepted",
        advice: "For your safety, forms are accepted only from this site's own pages. \
                 Go back, reload the page and try again, with cookies enabled.",
        allow: "",
    };

    /// The body is not what a form sends.
    pub(super) const NO_FORM: Self = Self {
        status: StatusCode::BAD_REQUEST,
        code: "not_a_form",
        title: "This is not a form",
        advice: "Go back and try it in another way.",
        allow: "",
    };
}

impl From<&Refusal> for Notice {
    fn from(refusal: &Refusal) -> Self {
        Self {
            status: refusal.status(),
            code: refusal.code(),
            title: refusal.title(),
            advice: refusal.advice(),
            allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        }
    }
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person looks at a page that the browser is about to show, so that a redirect or a page
    /// is of use to somebody.
    Person,
    /// A script or another program, which reads JSON.
    Program,
}

impl Audience {
    /// The audience of a request with such a head.
    pub fn of(head: Glance) -> Self {
        let is_navigation = head.saw(Seen::AcceptsHtml)
            && !head.saw(Seen::RequestedWith)
            && !head.saw(Seen::NoNavigation);
        if is_navigation { Self::Person } else { Self::Program }
    }
}

impl Asked<'_> {
    fn is_navigation(&self) -> bool {
        self.audience == Audience::Person
    }

    /// The page to come back to after a login. A form or a script is sent from a page, and it is
    /// that page which can be shown again: what was in the body is lost.
    fn next(&self) -> Option<NextPath> {
        let is_page = matches!(*self.method, Method::GET | Method::HEAD) && self.is_navigation();
        let referer = if is_page { None } else { self.referer() };
        referer.or_else(|| NextPath::parse(self.target))
    }

    /// The path of the page that the request was sent from, if it is on this host.
    fn referer(&self) -> Option<NextPath> {
        let referer = self.referer?.to_str().ok()?;
        let origin = origin_of(referer);
        let (_, host) = origin.split_once("://")?;
        if !host.eq_ignore_ascii_case(self.host) {
            return None;
        }
        let path = &referer[origin.len()..];
        NextPath::parse(if path.is_empty() { "/" } else { path })
    }
}

impl Pages {
    /// The answer to a request that is refused. It waits for nothing, so workers may call it.
    pub fn refuse(&self, refusal: &Refusal, asked: &Asked<'_>) -> Response<Bytes> {
        let response = match refusal {
            Refusal::LogIn => self.ask_for_login(asked),
            Refusal::Denied
            | Refusal::MalformedPath(_)
            | Refusal::OddPath(_)
            | Refusal::AmbiguousPath
            | Refusal::MalformedRequest(_)
            | Refusal::Method
            | Refusal::Expectation
            | Refusal::BodyTooLarge
            | Refusal::BodyTimeout
            | Refusal::UnknownSite
            | Refusal::NoSuchPage
            | Refusal::BadGateway(_)
            | Refusal::GatewayTimeout(_)
            | Refusal::Unavailable(_)
            | Refusal::Outage(_)
            | Refusal::Broken(_) => self.notify(&Notice::from(refusal), asked),
        };
        self.dress(response)
    }

    /// Tells the visitor: a page for people, JSON for programs.
    pub(super) fn notify(&self, notice: &Notice, asked: &Asked<'_>) -> Response<Bytes> {
        let mut response = if asked.is_navigation() {
            self.notice_page(notice, asked)
        } else {
            let body = serde_json::json!({ "error": notice.code, "message": notice.title });
            json(notice.status, &body)
        };
        let headers = response.headers_mut();
        if notice.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(header::ALLOW, HeaderValue::from_static(notice.allow));
        }
        if notice.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER));
        }
        response
    }

    fn notice_page(&self, notice: &Notice, asked: &Asked<'_>) -> Response<Bytes> {
        let template = self.templates.for_status(notice.status.as_u16());
        let template = template.unwrap_or("refusal.html");
        let next = NextPath::parse(asked.target);
        let scope = self.scope(asked.visitor, asked.host);
        let context = context! {
            status => notice.status.as_u16(),
            code => notice.code,
            title => notice.title,
            advice => notice.advice,
            other_account_url => next::address(&self.url("logout/"), next.as_ref()),
            ..scope
        };
        self.rendered(notice.status, template, context)
    }

    fn ask_for_login(&self, asked: &Asked<'_>) -> Response<Bytes> {
        let own = self.url("login/");
        let login_url = asked.login_url.unwrap_or(&own);
        let path = |target: &str| target.split(['?', '#']).next().map(str::to_ascii_lowercase);
        if path(login_url) == path(asked.target) {
            // A login page that needs a login itself: a mistake in the rules, and an endless
            // redirect if it were answered with one.
            return self.notify(&Notice::from(&Refusal::Denied), asked);
        }
        let address = next::address(login_url, asked.next().as_ref());
        if asked.is_navigation() {
            let status = match *asked.method {
                Method::GET | Method::HEAD => StatusCode::FOUND,
                _ => StatusCode::SEE_OTHER,
            };
            return answer::redirect_as(status, &address);
        }
        let code = Refusal::LogIn.code();
        let body = serde_json::json!({ "error": code, "login_url": address });
        let mut response = json(StatusCode::UNAUTHORIZED, &body);
        // RFC 9110 demands a challenge. This one is none that a browser opens a window for.
        let challenge = HeaderValue::from_static("Cookie realm=\"login\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        response
    }
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
