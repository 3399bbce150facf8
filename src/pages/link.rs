//! Links from letters: whose they are, and their token, which leaves the address bar at once.
//!
//! The address of a link ends in its token. Opening it moves the token into a cookie and leads to
//! the same address with a word in the token's place, as Django does with `set-password`: so the
//! token is in no history, no `Referer` and no log of what the page loads or leads to.

use ::cookie::Cookie;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};

use super::{PageRequest, Pages, answer};
use crate::sessions::{CookieSettings, SameSite};
use crate::web::cookie;

/// The cookie with the token of the link that was opened last.
const COOKIE: &str = "linktoken";

/// The last part of the address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The token itself: the link was opened just now.
    WithToken(String),
    /// The word in its place, and the token that the browser kept, if it did.
    Moved(Option<String>),
}

impl PageRequest {
    /// The page's name as it was sent, with its capitals: `reset/MQ/abc/`.
    fn page_as_sent(&self) -> Option<&str> {
        let path = self.target.split('?').next()?;
        let name = path.get(path.len().checked_sub(self.page.len())?..)?;
        name.eq_ignore_ascii_case(&self.page).then_some(name)
    }

    /// The parts of a link's address behind `before`, of which there are `N`; the last is read as
    /// the token, or as `word` in its place.
    pub(super) fn link<const N: usize>(
        &self,
        before: &str,
        word: &str,
    ) -> Option<([&str; N], Arrival)> {
        let rest = self.page_as_sent()?.get(before.len()..)?;
        let parts: Vec<&str> = rest.strip_suffix('/').unwrap_or(rest).split('/').collect();
        let (last, first) = parts.split_last()?;
        let arrival = if last.eq_ignore_ascii_case(word) {
            Arrival::Moved(kept_token(&self.headers))
        } else {
            Arrival::WithToken((*last).to_owned())
        };
        Some((first.try_into().ok()?, arrival))
    }
}

impl Pages {
    /// Leads to `page` with the token in a cookie instead of in the address.
    pub(super) fn move_token(
        &self,
        request: &PageRequest,
        page: &str,
        token: &str,
    ) -> Response<Bytes> {
        let mut response = answer::redirect(&self.url(page));
        let headers = response.headers_mut();
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        let mut cookie = Cookie::new(COOKIE, token.to_owned());
        cookie.set_http_only(true);
        headers.append(header::SET_COOKIE, self.link_cookie(cookie, request));
        response
    }

    /// The `Set-Cookie` that takes the token from the browser.
    pub(super) fn forget_token(&self, request: &PageRequest) -> HeaderValue {
        let mut cookie = Cookie::new(COOKIE, "");
        cookie.set_http_only(true);
        cookie.make_removal();
        self.link_cookie(cookie, request)
    }

    /// It is sent to the gateway's own pages only. Links are opened from other sites, so it cannot
    /// be strict.
    fn link_cookie(&self, cookie: Cookie<'_>, request: &PageRequest) -> HeaderValue {
        let settings = CookieSettings {
            name: COOKIE.to_owned(),
            domain: None,
            path: self.settings.prefix.clone(),
            secure: self.sessions.cookie.secure,
            same_site: SameSite::Lax,
        };
        cookie::written(cookie, &settings, request.is_secure)
    }
}

fn kept_token(headers: &HeaderMap) -> Option<String> {
    let token = std::str::from_utf8(cookie::value(headers, COOKIE)?).ok()?;
    (!token.is_empty()).then(|| token.to_owned())
}
