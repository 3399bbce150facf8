//! Proof that a form was sent from a page of ours: a token bound to a cookie, and the origin.
//!
//! The token is an HMAC over the cookie's secret and the session, so that nobody can make one
//! without both. Whoever plants a cookie from a neighbouring host has a token for it, made for a
//! browser of their own; that is what the origin is checked for.

use ::cookie::Cookie;
use hmac::digest::KeyInit as _;
use hmac::{Hmac, Mac as _};
use http::header::{ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::domain::SessionKey;
use crate::sessions::{CookieSettings, SameSite};
use crate::web::cookie;

/// The name of the cookie, as Django's `CSRF_COOKIE_NAME`.
pub(super) const COOKIE: &str = "csrftoken";

/// The name of the form field, as Django has it.
pub(super) const FIELD: &str = "csrfmiddlewaretoken";

/// Makes and checks tokens; it keeps its key over reloads so that open forms stay good.
pub(super) struct Csrf {
    key: [u8; 32],
}

/// The random value in a browser's cookie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret([u8; 32]);

impl Secret {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The secret in the request's cookie. An application's own `csrftoken` can be sent beside
    /// ours, or without it; what cannot be one of ours is passed over.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        cookie::pairs(headers)
            .filter(|(name, _)| *name == COOKIE.as_bytes())
            .find_map(|(_, value)| from_hex(value))
            .map(Self)
    }

    /// The `Set-Cookie` for it. It is sent to our own pages only, so it neither reaches an
    /// application nor hides the cookie of one that uses the same name.
    pub(super) fn cookie(
        &self,
        prefix: &str,
        session: &CookieSettings,
        is_secure: bool,
    ) -> HeaderValue {
        let mut cookie = Cookie::new(COOKIE, to_hex(&self.0));
        cookie.set_http_only(true);
        let settings = CookieSettings {
            name: COOKIE.to_owned(),
            domain: None,
            path: prefix.to_owned(),
            secure: session.secure,
            same_site: SameSite::Lax,
        };
        cookie::written(cookie, &settings, is_secure)
    }
}

impl Csrf {
    pub(super) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The token for the forms of a browser with this secret, in this session if there is one.
    ///
    /// It is the same each time, so that two answers to the same form are equal byte for byte;
    /// masking it would hide it from BREACH, and the gateway's pages are never compressed.
    pub(super) fn token(&self, secret: &Secret, session: Option<SessionKey>) -> String {
        to_hex(&self.mac(secret, session))
    }

    /// Whether `token` was made for this browser and session.
    pub(super) fn matches(
        &self,
        token: &str,
        secret: &Secret,
        session: Option<SessionKey>,
    ) -> bool {
        from_hex(token.as_bytes())
            .is_some_and(|token| token.ct_eq(&self.mac(secret, session)).into())
    }

    fn mac(&self, secret: &Secret, session: Option<SessionKey>) -> [u8; 32] {
        // HMAC fills a short key up with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(&secret.0);
        if let Some(session) = session {
            mac.update(session.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }
}

/// The form was sent from another site, or from one that hides which it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the form was sent from {from}, not from this site")]
pub(super) struct OtherOrigin {
    from: String,
}

/// Whether the request was sent from a page of this gateway.
///
/// Browsers send `Origin` with every form that is posted. Older ones do not, and then
/// `Sec-Fetch-Site` or `Referer` says it. A client without any of them is no browser, and cannot
/// be made to send somebody's cookies.
pub(super) fn check_origin(
    headers: &HeaderMap,
    host: &str,
    is_secure: bool,
    public_url: Option<&str>,
) -> Result<(), OtherOrigin> {
    let is_ours = |origin: &str| {
        is_origin_of(origin, host, is_secure)
            || public_url.is_some_and(|url| origin.eq_ignore_ascii_case(url.trim_end_matches('/')))
    };
    let sender = if let Some(origins) = text(headers, ORIGIN.as_str()) {
        (!is_ours(&origins)).then_some(origins)
    } else if let Some(site) = text(headers, "sec-fetch-site") {
        (site != "same-origin" && site != "none").then_some(site)
    } else if let Some(referer) = text(headers, REFERER.as_str()) {
        (!is_ours(origin_of(&referer))).then_some(referer)
    } else {
        None
    };
    sender.map_or(Ok(()), |from| Err(OtherOrigin { from: format!("{from:?}") }))
}

/// The scheme and host at the front of a URL.
pub(super) fn origin_of(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#', '\\']).map_or(url.len(), |at| host + at);
    &url[..end]
}

/// Whether `origin` is that of the host that was asked.
///
/// A proxy in front may have ended TLS without saying so; then the origin has a better scheme than
/// we know of, on the same host. The other way round, somebody on the wire could have sent it.
fn is_origin_of(origin: &str, host: &str, is_secure: bool) -> bool {
    let (named, default_port, is_good) = match origin.split_once("://") {
        Some(("https", named)) => (named, ":443", true),
        Some(("http", named)) => (named, ":80", !is_secure),
        Some(_) | None => return false,
    };
    let bare = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    is_good && !host.is_empty() && bare(named) == bare(host)
}

/// A header's value. Of several the whole is taken, so that it is none that is expected.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<_> = headers
        .get_all(name)
        .into_iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn to_hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SessionId;

    fn session(letter: &str) -> Option<SessionKey> {
        Some(SessionKey::of(&SessionId::parse(letter.repeat(32).as_bytes()).unwrap()))
    }

    #[test]
    fn a_token_is_good_for_its_browser_session_and_key_only() {
        let (csrf, secret) = (Csrf::new([1; 32]), Secret([2; 32]));
        let token = csrf.token(&secret, session("a"));
        assert!(csrf.matches(&token, &secret, session("a")));
        assert!(!csrf.matches(&token, &secret, session("b")));
        assert!(!csrf.matches(&token, &secret, None));
        assert!(!csrf.matches(&token, &Secret([3; 32]), session("a")));
        assert!(!Csrf::new([4; 32]).matches(&token, &secret, session("a")));
        for bad in ["", "x", &token[..63], &token.to_uppercase(), &to_hex(&secret.0)] {
            assert!(!csrf.matches(bad, &secret, session("a")), "{bad}");
        }
    }

    #[test]
    fn the_cookie_is_read_back_and_an_applications_is_passed_over() {
        let secret = Secret::random().unwrap();
        let cookie =
            secret.cookie("/accounts/", &crate::sessions::Settings::default().cookie, true);
        let cookie = cookie.to_str().unwrap();
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/accounts/"] {
            assert!(cookie.contains(attribute), "{attribute} in {cookie}");
        }
        let pair = cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        let sent = format!("csrftoken=fXjQ9kXnYw3tZq8mVb2cLd5sGh7pRa4e; {pair}");
        headers.insert(http::header::COOKIE, HeaderValue::from_str(&sent).unwrap());
        assert!(Secret::of(&headers) == Some(secret));
    }

    fn sent_from(name: &'static str, value: &'static str, is_secure: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        check_origin(&headers, "Site.example:8000", is_secure, Some("https://public.example"))
            .is_ok()
    }

    #[test]
    fn only_our_own_origin_may_send_a_form() {
        assert!(sent_from("origin", "http://site.example:8000", false));
        assert!(sent_from("origin", "https://site.example:8000", false));
        assert!(sent_from("origin", "https://site.example:8000", true));
        assert!(sent_from("origin", "https://public.example", false));
        for bad in [
            "null",
            "",
            "http://evil.example",
            "http://site.example",
            "http://site.example:8000.evil.example",
            "http://public.example",
            "file://site.example:8000",
            "http://site.example:8000/",
        ] {
            assert!(!sent_from("origin", bad, false), "{bad}");
        }
        assert!(!sent_from("origin", "http://site.example:8000", true), "a better scheme only");
    }

    #[test]
    fn without_an_origin_the_other_headers_decide() {
        for (site, is_good) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false)]
        {
            assert_eq!(sent_from("sec-fetch-site", site, false), is_good, "{site}");
        }
        assert!(sent_from("referer", "http://site.example:8000/accounts/login/?next=/", false));
        assert!(!sent_from("referer", "http://evil.example/http://site.example:8000/", false));
        assert!(check_origin(&HeaderMap::new(), "site.example", false, None).is_ok());
    }

    #[test]
    fn default_ports_may_be_left_out() {
        for (origin, host) in [
            ("http://a.example", "a.example:80"),
            ("https://a.example", "a.example:443"),
            ("https://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(is_origin_of(origin, host, false), "{origin} {host}");
        }
        assert!(!is_origin_of("http://a.example", "a.example:443", false));
    }

    #[test]
    fn several_origins_are_none() {
        let mut headers = HeaderMap::new();
        for value in ["http://a.example", "http://evil.example"] {
            headers.append(ORIGIN, HeaderValue::from_static(value));
        }
        assert!(check_origin(&headers, "a.example", false, None).is_err());
    }
}
