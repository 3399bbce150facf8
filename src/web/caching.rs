//! What caches between the gateway and a browser are told of an answer that carries a session.

use http::header::{CACHE_CONTROL, VARY};
use http::{HeaderMap, HeaderValue};

/// Keeps an answer with a session's cookie out of caches that serve more than one visitor: a
/// stored `Set-Cookie` would give one visitor's session to all the others.
///
/// What the application says of the browser's own cache stays as it is; `public` and `s-maxage`,
/// which are for shared caches alone, go.
pub fn forbid_sharing(headers: &mut HeaderMap) {
    let is_for_shared_caches = |directive: &str| {
        let name = directive.split('=').next().unwrap_or_default().trim_ascii();
        ["", "public", "s-maxage", "private"].iter().any(|it| name.eq_ignore_ascii_case(it))
    };
    let mut directives = String::from("private");
    for value in headers.get_all(CACHE_CONTROL) {
        let written = value.to_str().unwrap_or_default().split(',').map(str::trim_ascii);
        for directive in written.filter(|directive| !is_for_shared_caches(directive)) {
            directives.push_str(", ");
            directives.push_str(directive);
        }
    }
    let value = HeaderValue::try_from(directives);
    headers.insert(CACHE_CONTROL, value.unwrap_or(HeaderValue::from_static("private")));

    let varies = headers.get_all(VARY).iter().any(|value| {
        let names = value.as_bytes().split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        names.into_iter().any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"))
    });
    if !varies {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_browser_may_keep_stays_and_what_others_may_goes() {
        for (lines, expected) in [
            (&[][..], "private"),
            (&["public, max-age=600"], "private, max-age=600"),
            (&["S-MaxAge=9, no-cache", "Public"], "private, no-cache"),
            (&["private=\"x-a\"", "no-store"], "private, no-store"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(line));
            }
            forbid_sharing(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], expected, "{lines:?}");
            assert_eq!(headers.get_all(CACHE_CONTROL).iter().count(), 1);
        }
    }

    #[test]
    fn an_answer_varies_by_the_cookie_and_says_so_once() {
        for (written, expected) in [
            (None, &["Cookie"][..]),
            (Some("Accept, cookie"), &["Accept, cookie"]),
            (Some("*"), &["*"]),
            (Some("Accept"), &["Accept", "Cookie"]),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(written.map(|line| (VARY, HeaderValue::from_static(line))));
            forbid_sharing(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().collect::<Vec<_>>(), expected);
        }
    }
}
