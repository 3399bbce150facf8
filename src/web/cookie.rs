//! The session cookie: read from a request without an allocation, written with every attribute.

use std::time::Duration;

use cookie::Cookie;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::domain::SessionId;
use crate::sessions::{CookieSettings, SameSite};

/// How many well-formed session cookies of one request are looked at. Whoever can set cookies for
/// a parent domain can send many; only the first few are worth a look-up.
pub const MAX_CANDIDATES: usize = 3;

/// The ids that a request's session cookies carry, in the order in which they were sent; what
/// cannot be an id of ours is passed over.
pub fn session_ids<'h>(
    headers: &'h HeaderMap,
    name: &'h str,
) -> impl Iterator<Item = SessionId> + use<'h> {
    pairs(headers)
        .filter(move |(cookie, _)| *cookie == name.as_bytes())
        .filter_map(|(_, value)| SessionId::parse(value))
        .take(MAX_CANDIDATES)
}

/// The value of the first cookie called `name`.
pub fn value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    pairs(headers).find(|(cookie, _)| *cookie == name.as_bytes()).map(|(_, value)| value)
}

/// Every cookie of a request as name and value. Names are compared whole and exactly; a cookie
/// without a name (RFC 6265bis, section 5.7) has the empty one.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    headers
        .get_all(COOKIE)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b';'))
        .map(|pair| {
            let pair = pair.trim_ascii();
            match memchr::memchr(b'=', pair) {
                Some(at) => (pair[..at].trim_ascii_end(), pair[at + 1..].trim_ascii_start()),
                None => (&[][..], pair),
            }
        })
}

/// The `Set-Cookie` that gives a browser its session.
pub fn session_cookie(
    settings: &CookieSettings,
    id: &SessionId,
    max_age: Option<Duration>,
    is_secure: bool,
) -> HeaderValue {
    let mut cookie = Cookie::new(settings.name.clone(), id.reveal().to_owned());
    cookie.set_http_only(true);
    cookie.set_max_age(max_age.map(seconds));
    written(cookie, settings, is_secure)
}

/// The `Set-Cookie` that takes the session from a browser.
pub fn no_session_cookie(settings: &CookieSettings, is_secure: bool) -> HeaderValue {
    let mut cookie = Cookie::new(settings.name.clone(), "");
    cookie.set_http_only(true);
    cookie.make_removal();
    written(cookie, settings, is_secure)
}

/// Fills in what every cookie of the gateway has: path, domain, `Secure` and `SameSite`.
pub fn written(mut cookie: Cookie<'_>, settings: &CookieSettings, is_secure: bool) -> HeaderValue {
    cookie.set_path(settings.path.clone());
    if let Some(domain) = &settings.domain {
        cookie.set_domain(domain.clone());
    }
    cookie.set_secure(settings.secure.unwrap_or(is_secure));
    cookie.set_same_site(match settings.same_site {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    });
    HeaderValue::try_from(cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn seconds(duration: Duration) -> cookie::time::Duration {
    cookie::time::Duration::seconds(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "abcdefghijklmnopqrstuvwxyz012345";

    fn headers(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    #[test]
    fn the_session_id_is_found_among_other_cookies() {
        for line in [
            format!("sessionid={ID}"),
            format!("a=b; sessionid={ID}; c=d"),
            format!("a=b;sessionid = {ID}"),
            format!("sessionid=nonsense; sessionid={ID}"),
        ] {
            let headers = headers(&[&line]);
            assert_eq!(session_ids(&headers, "sessionid").next().unwrap().reveal(), ID, "{line}");
        }
        let two_lines = headers(&["a=b", &format!("sessionid={ID}")]);
        assert_eq!(session_ids(&two_lines, "sessionid").count(), 1);
    }

    #[test]
    fn what_only_resembles_our_cookie_is_not_it() {
        for line in [
            format!("xsessionid={ID}"),
            format!("sessionid2={ID}"),
            format!("a=sessionid={ID}"),
            format!("SESSIONID={ID}"),
            format!("={ID}"),
            format!("sessionid=\"{ID}\""),
        ] {
            assert_eq!(session_ids(&headers(&[&line]), "sessionid").count(), 0, "{line}");
        }
    }

    #[test]
    fn a_flood_of_cookies_costs_few_look_ups() {
        let line = format!("sessionid={ID};").repeat(200);
        assert_eq!(session_ids(&headers(&[&line]), "sessionid").count(), MAX_CANDIDATES);
    }

    #[test]
    fn the_cookie_has_every_attribute() {
        let id = SessionId::parse(ID.as_bytes()).unwrap();
        let settings = crate::sessions::Settings::default();
        let value = session_cookie(&settings.cookie, &id, Some(settings.lifetime.age), true);
        let text = value.to_str().unwrap();
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=1209600"] {
            assert!(text.contains(attribute), "{attribute} in {text}");
        }
    }
}
