//! A question to the rules: what would happen to this request?

use std::net::IpAddr;

use super::rule::Circumstances;

/// A request as far as rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The method.
    pub method: String,
    /// The host, in lower case and without a port; `None` when only a path was given.
    pub host: Option<String>,
    /// Whether it comes by TLS.
    pub is_secure: bool,
    /// Path and query, as a browser would send them.
    pub target: String,
    /// The address of whoever asks.
    pub address: IpAddr,
}

impl Question {
    /// Reads a method and a URL, or a path for whichever site answers without one.
    pub fn parse(method: &str, url: &str, address: IpAddr) -> Result<Self, String> {
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
            return Err(format!("`{method}` is not a method\nhint: write it in upper case, `GET`"));
        }
        let method = method.to_owned();
        if url.starts_with('/') {
            let target = without_fragment(url).to_owned();
            return Ok(Self { method, host: None, is_secure: false, target, address });
        }
        let (is_secure, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
            Some(_) | None => {
                return Err(format!(
                    "`{url}` is neither a path nor a URL\nhint: write `/polls/` or `https://example.org/polls/`"
                ));
            }
        };
        let rest = without_fragment(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let host = without_port(authority).trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() || host.contains('@') {
            return Err(format!("`{url}` names no host"));
        }
        let slash = if target.starts_with('/') { "" } else { "/" };
        let target = format!("{slash}{target}");
        Ok(Self { method, host: Some(host), is_secure, target, address })
    }
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

/// The host of `host:port`.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    }
}

impl Question {
    /// What conditions see of it when it is sent to `host`.
    pub fn circumstances<'q>(&'q self, host: &'q str) -> Circumstances<'q> {
        let Self { method, is_secure, address, .. } = self;
        Circumstances { method, host, is_secure: *is_secure, address: *address }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn parse(method: &str, url: &str) -> Result<Question, String> {
        Question::parse(method, url, IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    #[test]
    fn a_url_is_taken_apart_as_a_browser_would() {
        for (url, host, is_secure, target) in [
            ("/polls/?a=b#c", None, false, "/polls/?a=b"),
            ("https://Wiki.Example.org.:8443/x", Some("wiki.example.org"), true, "/x"),
            ("http://[::1]:8000?q", Some("[::1]"), false, "/?q"),
            ("http://[::1]", Some("[::1]"), false, "/"),
        ] {
            let question = parse("GET", url).unwrap();
            assert_eq!(question.host.as_deref(), host, "{url}");
            assert_eq!((question.is_secure, question.target.as_str()), (is_secure, target));
        }
        for (method, url) in
            [("get", "/"), ("GET", "polls/"), ("GET", "ftp://x/"), ("GET", "http:///x")]
        {
            assert!(parse(method, url).is_err(), "{method} {url}");
        }
    }
}
