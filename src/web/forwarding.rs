//! What of a request's head goes on to the application, and what of an answer's comes back.
//!
//! Everything that a client could forge is removed here, on every route and whatever is set
//! afterwards: the removal is unconditional, by folded name, and comes before anything is added.

use std::collections::HashSet;
use std::rc::Rc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::cookie;
use super::glance::{Glance, Seen};
use super::identity_headers::Rendered;
use super::instructions::{self, Instructions};

/// Names, under every spelling of which a client's header is removed.
#[derive(Debug, Clone, Default)]
pub struct StrippedNames {
    folded: HashSet<Box<str>, foldhash::fast::RandomState>,
    /// One bit for each length that a name has; most headers are let through by it alone.
    lengths: u64,
}

/// Headers by which a client could name another path, method, scheme or address than its own, or
/// (`Proxy`) set a variable of a CGI program. Their values are believed by some application.
const OVERRIDES: [&str; 22] = [
    "forwarded",
    "proxy",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-override-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-host",
];

/// Headers that belong to one connection (RFC 9110, section 7.6.1), and `Expect`, which the
/// gateway answers itself.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

impl StrippedNames {
    /// The names of the identity headers, the overrides, and what belongs to one connection.
    pub fn new<'n>(identity_headers: impl IntoIterator<Item = &'n str>) -> Self {
        let mut names = Self::default();
        for name in identity_headers.into_iter().chain(OVERRIDES).chain(HOP_BY_HOP) {
            let folded = fold(name);
            names.lengths |= length_bit(&folded);
            names.folded.insert(folded.into());
        }
        names
    }

    /// Whether a header of this name, in lower case, is removed.
    fn contains(&self, name: &str) -> bool {
        // Folding changes neither the length nor a letter: most names are let through by these. The
        // letters are those of `X-Forwarded-…` and `Vestibule-…`.
        if self.lengths & length_bit(name) == 0 && !name.starts_with(['x', 'v']) {
            return false;
        }
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return self.contains_folded(name);
        }
        self.contains_folded(&fold(name))
    }

    fn contains_folded(&self, name: &str) -> bool {
        // What else calls itself so is written by proxies, and this one writes its own.
        name.starts_with("x-forwarded-")
            || instructions::is_for_us(name)
            || self.lengths & length_bit(name) != 0 && self.folded.contains(name)
    }

    /// Removes every header of these names; for trailers as well as for heads.
    pub fn strip_all(&self, headers: &mut HeaderMap) {
        while let Some(name) = headers.keys().find(|name| self.contains(name.as_str())).cloned() {
            headers.remove(name);
        }
    }
}

/// The name in lower case, with whatever some server maps to `-` or `_` as `-`.
///
/// CGI and WSGI map `-` to `_`, PHP `.` and space as well, and Apache once mapped everything.
fn fold(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect()
}

fn length_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

/// What the connection tells the application about the visitor.
#[derive(Debug, Clone)]
pub struct Forwarded {
    /// `X-Forwarded-For`: the visitor's address, or the chain of a trusted proxy and its address.
    pub addresses: HeaderValue,
    /// `X-Forwarded-Proto`.
    pub is_secure: bool,
    /// `X-Forwarded-Host`: the host that the visitor asked for.
    pub host: Option<HeaderValue>,
    /// `X-Forwarded-Port`.
    pub port: HeaderValue,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// What only the gateway says to the application, written last, into every copy of a request that
/// is sent.
#[derive(Debug)]
pub struct Told {
    /// Where the visitor comes from.
    pub forwarded: Forwarded,
    /// Who the visitor is.
    pub identity: Rc<Rendered>,
    /// Whether the request asks for another protocol; it is written in its head already.
    pub asks_upgrade: bool,
}

impl Told {
    /// Writes the headers; whatever a client sent under these names is gone already.
    pub fn write(&self, headers: &mut HeaderMap) {
        let Forwarded { addresses, is_secure, host, port } = &self.forwarded;
        headers.reserve(4 + self.identity.len());
        headers.insert(X_FORWARDED_FOR, addresses.clone());
        let proto = if *is_secure { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        if let Some(host) = host {
            headers.insert(X_FORWARDED_HOST, host.clone());
        }
        headers.insert(X_FORWARDED_PORT, port.clone());
        for (name, value) in self.identity.iter() {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// Removes from a request's head what must not reach the application: the connection's own
/// headers, what `Connection` names, and everything in `stripped`.
///
/// `has_body_of_unknown_length` writes the one framing header that such a body has.
pub fn clean_request(
    headers: &mut HeaderMap,
    glance: Glance,
    stripped: &StrippedNames,
    has_body_of_unknown_length: bool,
) {
    let wants_trailers =
        glance.saw(Seen::Te) && headers.get_all(TE).iter().any(|value| lists(value, "trailers"));
    if glance.saw(Seen::Connection) {
        remove_named_by_connection(headers);
    }
    stripped.strip_all(headers);
    if has_body_of_unknown_length {
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Removes the headers that `Connection` names, but for those which no client may have removed:
/// a request without its `Host` or `Cookie` is another request.
fn remove_named_by_connection(headers: &mut HeaderMap) {
    let Some(first) = headers.get(CONNECTION) else { return };
    if headers.len() == 1
        || is_plain_option(first) && headers.get_all(CONNECTION).iter().count() == 1
    {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| {
            ![HOST, COOKIE, SET_COOKIE, CONTENT_LENGTH, TRANSFER_ENCODING].contains(name)
                && !instructions::is_for_us(name.as_str())
        })
        .collect();
    for name in named {
        headers.remove(name);
    }
}

/// The values of `Connection` that nearly every message has, and that name no header to remove.
fn is_plain_option(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    [&b"keep-alive"[..], b"close", b"upgrade"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
}

fn lists(value: &HeaderValue, token: &str) -> bool {
    value
        .as_bytes()
        .split(|&byte| byte == b',')
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The protocol that a message wants to change to, when `Connection` says so as well.
///
/// Another version of HTTP, or TLS, is not one that is relayed: requests would follow that nobody
/// judges.
pub fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let protocol = headers.get(UPGRADE)?;
    let is_asked = headers.get_all(CONNECTION).iter().any(|value| lists(value, "upgrade"));
    let carries_requests = protocol.as_bytes().split(|&byte| byte == b',').any(|name| {
        let name = name.trim_ascii().to_ascii_lowercase();
        [&b"h2"[..], b"http", b"tls"].iter().any(|version| name.starts_with(version))
    });
    (is_asked && !carries_requests).then(|| protocol.clone())
}

/// Writes the two headers by which a change of protocol is asked for or granted.
pub fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Whether `Expect` is absent or names the one expectation there is (RFC 9110, section 10.1.1).
pub fn expectation_is_known(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(EXPECT).iter();
    match (values.next(), values.next()) {
        (None, _) => true,
        (Some(value), None) => value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
        (Some(_), Some(_)) => false,
    }
}

/// The session cookie's name, and the one under which an application keeps a cookie that it calls
/// the same: renamed on the way out, and back on the way in.
#[derive(Debug, Clone)]
pub struct CookieNames {
    ours: String,
    renamed: String,
}

impl CookieNames {
    /// The names for a session cookie called `ours`.
    pub fn new(ours: &str) -> Self {
        Self { ours: ours.to_owned(), renamed: format!("app_{ours}") }
    }

    /// The session cookie's name.
    pub fn ours(&self) -> &str {
        &self.ours
    }

    /// Removes the session cookie from a request, and gives the application's own its name back.
    pub fn hide(&self, headers: &mut HeaderMap) {
        let Some(line) = headers.get(COOKIE) else { return };
        let is_alone =
            self.is_ours_alone(line.as_bytes()) && headers.get_all(COOKIE).iter().nth(1).is_none();
        if is_alone {
            headers.remove(COOKIE);
            return;
        }
        let is_concerned = |name: &[u8], value: &[u8]| {
            name == self.ours.as_bytes()
                || name == self.renamed.as_bytes()
                || name.is_empty() && value == self.ours.as_bytes()
        };
        if !cookie::pairs(headers).any(|(name, value)| is_concerned(name, value))
            && headers.get_all(COOKIE).iter().count() == 1
        {
            return;
        }
        let mut kept = Vec::new();
        for (name, value) in cookie::pairs(headers) {
            let name = match name {
                name if name == self.renamed.as_bytes() => self.ours.as_bytes(),
                name if name == self.ours.as_bytes() => continue,
                name if name.is_empty() && value.is_empty() => continue,
                name if is_concerned(name, value) => continue,
                name => name,
            };
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(name);
            if !name.is_empty() {
                kept.push(b'=');
            }
            kept.extend_from_slice(value);
        }
        match HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)) {
            Ok(line) if !line.is_empty() => {
                headers.insert(COOKIE, line);
            }
            Ok(_) | Err(_) => {
                headers.remove(COOKIE);
            }
        }
    }

    /// Renames a cookie of an answer that is called as ours, and drops one without a name, which
    /// a browser would send back in a form that reads as ours.
    pub fn rename(&self, headers: &mut HeaderMap) {
        let is_suspect = |line: &HeaderValue| {
            let name =
                line.as_bytes().split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            let name = name.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
            let has_name = memchr::memchr(b'=', line.as_bytes()).is_some() && !name.is_empty();
            !has_name || name == self.ours.as_bytes()
        };
        if !headers.get_all(SET_COOKIE).iter().any(is_suspect) {
            return;
        }
        let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        headers.remove(SET_COOKIE);
        for line in lines {
            if !is_suspect(&line) {
                headers.append(SET_COOKIE, line);
            } else if let Some(line) = self.renamed_line(&line) {
                headers.append(SET_COOKIE, line);
            }
        }
    }

    /// Whether the line is the session cookie, and no other is in it.
    fn is_ours_alone(&self, line: &[u8]) -> bool {
        let value =
            line.strip_prefix(self.ours.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        value.is_some_and(|value| memchr::memchr(b';', value).is_none())
    }

    fn renamed_line(&self, line: &HeaderValue) -> Option<HeaderValue> {
        let line = line.as_bytes();
        let equals = memchr::memchr(b'=', line)?;
        if line[..equals].trim_ascii() != self.ours.as_bytes() {
            return None;
        }
        HeaderValue::from_bytes(&[self.renamed.as_bytes(), &line[equals..]].concat()).ok()
    }
}

/// Removes from an answer's head, or from its trailers, what belonged to the connection to the
/// application, and the `Vestibule-…` headers; gives what those say if it is trusted.
pub fn clean_answer(headers: &mut HeaderMap, is_trusted: bool) -> Option<Box<Instructions>> {
    remove_named_by_connection(headers);
    let is_removed = |name: &str| match name {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding"
        | "upgrade" => true,
        _ => instructions::is_for_us(name),
    };
    let mut said = None::<Box<Instructions>>;
    while let Some(name) = headers.keys().find(|name| is_removed(name.as_str())).cloned() {
        if is_trusted && instructions::is_for_us(name.as_str()) {
            said.get_or_insert_default().note(&name, headers.get_all(&name));
        }
        headers.remove(name);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers
                .append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    fn cleaned(pairs: &[(&str, &str)]) -> Vec<String> {
        let mut headers = headers(pairs);
        let glance = Glance::over(&headers);
        clean_request(&mut headers, glance, &StrippedNames::new(["Remote-User"]), false);
        let mut names: Vec<String> = headers.keys().map(HeaderName::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn every_spelling_of_an_identity_header_is_removed() {
        for name in [
            "remote-user",
            "REMOTE_USER",
            "Remote.User",
            "remote~user",
            "X-Forwarded-User",
            "x_real_ip",
            "Vestibule-Logout",
            "vestibule_session_set",
        ] {
            assert!(cleaned(&[(name, "root")]).is_empty(), "{name}");
        }
        assert_eq!(cleaned(&[("remote-userx", "a"), ("x-a", "b")]).len(), 2);
    }

    #[test]
    fn more_names_than_are_looked_up_at_once_are_all_removed() {
        let mut many: Vec<(String, &str)> =
            (0..40).map(|index| (format!("x-forwarded-{index}"), "a")).collect();
        many.push(("x-keep".to_owned(), "b"));
        let pairs: Vec<(&str, &str)> = many.iter().map(|(name, value)| (&**name, *value)).collect();
        assert_eq!(cleaned(&pairs), ["x-keep"]);
    }

    #[test]
    fn a_connection_header_names_what_is_removed_but_not_what_makes_the_request() {
        assert_eq!(
            cleaned(&[
                ("connection", "close, x-a"),
                ("connection", "x-b, host, cookie"),
                ("x-a", "1"),
                ("x-b", "2"),
                ("host", "h"),
                ("cookie", "c=d"),
                ("te", "gzip"),
                ("keep-alive", "5")
            ]),
            ["cookie", "host"]
        );
    }

    #[test]
    fn the_session_cookie_is_hidden_and_the_applications_gets_its_name_back() {
        let names = CookieNames::new("sessionid");
        for (sent, seen) in [
            ("a=b; sessionid=x; c=d", Some("a=b; c=d")),
            ("sessionid=x", None),
            ("sessionid=x; sessionid=y; app_sessionid=z", Some("sessionid=z")),
            ("a=b;c", Some("a=b;c")),
            ("xsessionid=1", Some("xsessionid=1")),
        ] {
            let mut headers = headers(&[("cookie", sent)]);
            names.hide(&mut headers);
            assert_eq!(headers.get(COOKIE).map(|line| line.to_str().unwrap()), seen, "{sent}");
        }
    }

    #[test]
    fn an_applications_cookie_of_our_name_is_renamed() {
        let names = CookieNames::new("sessionid");
        let mut headers = headers(&[
            ("set-cookie", "sessionid=evil; Path=/"),
            ("set-cookie", "a=sessionid"),
            ("set-cookie", "=sessionid=evil"),
            ("set-cookie", "sessionid"),
        ]);
        names.rename(&mut headers);
        let lines: Vec<_> =
            headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines, ["app_sessionid=evil; Path=/", "a=sessionid"]);
    }

    #[test]
    fn what_is_for_the_gateway_is_removed_from_answers_and_read_if_it_is_trusted() {
        let lines = [
            ("vestibule-logout", "1"),
            ("vestibule_logout", "1"),
            ("vestibule-message", "hello"),
            ("connection", "vestibule-logout, x-b"),
            ("x-a", "b"),
            ("x-b", "c"),
        ];
        for is_trusted in [false, true] {
            let mut headers = headers(&lines);
            let said = clean_answer(&mut headers, is_trusted);
            assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-a"]);
            assert_eq!(said.is_some_and(|said| said.is_logout()), is_trusted);
        }
        assert_eq!(clean_answer(&mut headers(&[("x-a", "b")]), true), None);
        let misspelt = clean_answer(&mut headers(&[("vestibule_logout", "1")]), true);
        assert!(misspelt.is_some_and(|said| !said.is_logout()));
    }

    #[test]
    fn an_expectation_is_understood_exactly() {
        assert!(expectation_is_known(&headers(&[("expect", "100-Continue")])));
        for value in ["y 100-continue", "100-continue, x", ""] {
            assert!(!expectation_is_known(&headers(&[("expect", value)])), "{value}");
        }
    }
}
