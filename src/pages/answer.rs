//! The making of answers: rendered pages, redirects, the stylesheet, and the headers of all.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use minijinja::Value;

use super::csrf::origin_of;
use super::refusal::Notice;
use super::{PageRequest, Pages, Settings};
use crate::accounts::CommandError;
use crate::sessions::Unavailable;
use crate::web::refusal::Refusal;

/// What is shown when a template of the operator's fails while it is rendered.
const LAST_RESORT: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
    <title>Something went wrong</title></head>\n<body><h1>Something went wrong</h1>\
    <p>Tell the person who runs this site when it happened.</p></body></html>\n";

/// The headers of every answer; a page that says otherwise has its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "private, no-store"),
    (header::VARY, "Cookie"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
];

impl Pages {
    /// Adds the headers that every answer has.
    pub(super) fn dress(&self, mut response: Response<Bytes>) -> Response<Bytes> {
        let headers = response.headers_mut();
        for (name, value) in HEADERS {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        response
    }

    /// A page from a template. One that fails is logged, and the visitor is told no more than that.
    pub(super) fn rendered(
        &self,
        status: StatusCode,
        template: &str,
        context: Value,
    ) -> Response<Bytes> {
        let (status, page) = match self.templates.render(template, context) {
            Ok(page) => (status, page),
            Err(error) => {
                tracing::error!(%error, "a template failed");
                (StatusCode::INTERNAL_SERVER_ERROR, LAST_RESORT.to_owned())
            }
        };
        let mut response = Response::new(Bytes::from(page));
        *response.status_mut() = status;
        response
    }

    /// The stylesheet. Its address changes with it, so a browser may keep it for good.
    pub(super) fn stylesheet(&self, request: &PageRequest) -> Response<Bytes> {
        let (text, version) = self.templates.stylesheet();
        let mut response = Response::new(Bytes::copy_from_slice(text.as_bytes()));
        let is_current = request.query() == Some(&*format!("v={version}"));
        let keep = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
        for (name, value) in [
            (header::CACHE_CONTROL, keep),
            (header::VARY, "Accept-Encoding"),
            (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Sends the browser elsewhere, to be asked for with GET.
pub(super) fn redirect(location: &str) -> Response<Bytes> {
    redirect_as(StatusCode::FOUND, location)
}

/// Sends the browser elsewhere with this status.
pub(super) fn redirect_as(status: StatusCode, location: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// There are no random bytes for a cookie or a session.
pub(super) fn no_randomness(error: impl std::fmt::Display) -> Notice {
    unavailable(&error.to_string())
}

/// Something that the answer depends on cannot be asked; the log says what.
pub(super) fn unavailable(cause: &str) -> Notice {
    tracing::error!(cause, "a page is unavailable");
    Notice::from(&Refusal::Unavailable(String::new()))
}

/// What stands in the way of an order, as a form says it; a directory that cannot be asked is no
/// mistake of whoever filled it in.
pub(super) fn objection(error: &CommandError) -> Result<String, Notice> {
    match error {
        CommandError::Accounts(error) => Err(unavailable(&error.to_string())),
        CommandError::NotFound(_)
        | CommandError::Invalid(_)
        | CommandError::Conflict(_)
        | CommandError::Forbidden(_) => Ok(sentence(&error.to_string())),
    }
}

/// A message of ours for a person: lines that begin with `hint:` become sentences of their own,
/// and what stands in backticks stands alone.
pub(super) fn sentence(message: &str) -> String {
    let lines = message.lines().map(|line| {
        let line = line.trim_start_matches("hint:").trim().replace('`', "");
        let mut letters = line.chars();
        let first = letters.next().map(char::to_uppercase);
        format!("{}{}.", first.into_iter().flatten().collect::<String>(), letters.as_str())
    });
    lines.collect::<Vec<_>>().join(" ")
}

/// What sessions that cannot be asked for or changed come to. A store that fails is logged when that
/// begins, and not again for everybody who comes by.
pub fn refusal_of(error: &Unavailable) -> Refusal {
    let cause = error.to_string();
    if error.is_logged() { Refusal::Outage(cause) } else { Refusal::Unavailable(cause) }
}

/// As [`refusal_of`], for a page.
pub(super) fn no_sessions(error: &Unavailable) -> Notice {
    if error.is_logged() {
        tracing::debug!(%error, "a page is unavailable");
    } else {
        tracing::error!(%error, "a page is unavailable");
    }
    Notice::from(&refusal_of(error))
}

/// The name of the site for people: the host without its port.
pub(super) fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    }
}

/// No script at all, nothing from elsewhere, in nobody's frame.
///
/// Some browsers hold a form to `form-action` through redirects too, so the hosts that the
/// operator sends people to after a form are named.
pub(super) fn content_security_policy(settings: &Settings) -> HeaderValue {
    let redirects = [Some(&settings.login_redirect_url), settings.logout_redirect_url.as_ref()];
    let elsewhere: String = redirects
        .into_iter()
        .flatten()
        .filter(|url| url.contains("://") && !url.contains([';', ',', ' ']))
        .map(|url| format!(" {}", origin_of(url)))
        .collect();
    let policy = |elsewhere: &str| {
        format!(
            "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
             form-action 'self'{elsewhere}; frame-ancestors 'none'; base-uri 'none'"
        )
    };
    HeaderValue::try_from(policy(&elsewhere))
        .or_else(|_| HeaderValue::try_from(policy("")))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
}
