//! One look over a request's head: which of the headers that some step asks for are there at all.
//!
//! Most requests have few of them. To look each one up by its name costs more than to look once at
//! all the names.

use http::{HeaderMap, HeaderValue};

/// What a request's head has in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Glance {
    seen: u16,
}

/// Something that a request's head may have in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Seen {
    /// `Connection`.
    Connection = 1,
    /// `Expect`.
    Expect = 1 << 1,
    /// `Host`.
    Host = 1 << 2,
    /// A second `Host`.
    SecondHost = 1 << 3,
    /// `TE`.
    Te = 1 << 4,
    /// `Transfer-Encoding`.
    TransferEncoding = 1 << 5,
    /// `Upgrade`.
    Upgrade = 1 << 6,
    /// `Accept` that names `text/html`.
    AcceptsHtml = 1 << 7,
    /// `X-Requested-With`, which scripts send.
    RequestedWith = 1 << 8,
    /// `Sec-Fetch-Mode` other than `navigate`.
    NoNavigation = 1 << 9,
    /// `Cookie`.
    Cookie = 1 << 10,
    /// A second `Cookie`.
    SecondCookie = 1 << 11,
    /// `Referer`.
    Referer = 1 << 12,
}

impl Glance {
    /// Looks over a head.
    pub fn over(headers: &HeaderMap) -> Self {
        let mut glance = Self::default();
        for (name, value) in headers {
            let seen = match name.as_str() {
                "connection" => Seen::Connection,
                "expect" => Seen::Expect,
                "host" if glance.saw(Seen::Host) => Seen::SecondHost,
                "host" => Seen::Host,
                "te" => Seen::Te,
                "transfer-encoding" => Seen::TransferEncoding,
                "upgrade" => Seen::Upgrade,
                "accept" if names_html(value) => Seen::AcceptsHtml,
                "x-requested-with" => Seen::RequestedWith,
                "sec-fetch-mode" if value != "navigate" => Seen::NoNavigation,
                "cookie" if glance.saw(Seen::Cookie) => Seen::SecondCookie,
                "cookie" => Seen::Cookie,
                "referer" => Seen::Referer,
                _ => continue,
            };
            glance.seen |= seen as u16;
        }
        glance
    }

    /// Whether the head has this in it.
    pub const fn saw(self, what: Seen) -> bool {
        self.seen & what as u16 != 0
    }
}

fn names_html(accept: &HeaderValue) -> bool {
    let html = b"text/html";
    let is_html = |window: &[u8]| window.eq_ignore_ascii_case(html);
    let accept = accept.as_bytes();
    accept.starts_with(html) || accept.windows(html.len()).any(is_html)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(headers: &[(&'static str, &'static str)]) -> Glance {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Glance::over(&map)
    }

    #[test]
    fn what_is_there_is_seen_and_nothing_else() {
        assert_eq!(glance(&[("user-agent", "x"), ("accept", "*/*")]), Glance::default());
        let seen = glance(&[("accept", "image/png, Text/HTML;q=0.1"), ("host", "a"), ("te", "x")]);
        assert!(seen.saw(Seen::AcceptsHtml) && seen.saw(Seen::Host) && seen.saw(Seen::Te));
        assert!(!seen.saw(Seen::SecondHost) && !seen.saw(Seen::Cookie));
        assert!(!glance(&[("sec-fetch-mode", "navigate")]).saw(Seen::NoNavigation));
        assert!(glance(&[("sec-fetch-mode", "cors")]).saw(Seen::NoNavigation));
    }

    #[test]
    fn a_second_header_of_a_name_is_told_from_the_first() {
        let seen = glance(&[("host", "a"), ("cookie", "a=b"), ("host", "b"), ("cookie", "c=d")]);
        assert!(seen.saw(Seen::SecondHost) && seen.saw(Seen::SecondCookie));
    }
}
