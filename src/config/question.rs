//! What would happen to a request: the question that `explain` and `[[test]]` ask of the rules.

use std::net::IpAddr;

use super::Configuration;
use super::problem::Span;
use crate::domain::authorize::{NoJudgement, judge};
use crate::domain::path::MalformedPath;
use crate::domain::rule::{BrokenTest, Circumstances, Finding};
use crate::domain::{Oddity, RequestPath, Rule, Visitor};
use crate::gateway::settings::{HostPattern, Route, Site};

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

/// A site that answers for a host, and where its rules stand in the file.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'c> {
    /// Its hosts; `None` for the top level.
    pub pattern: Option<&'c HostPattern>,
    /// The site.
    pub site: &'c Site,
    /// Where its header stands, in bytes from the start of the file.
    place: Option<usize>,
    /// Where each of its rules stands.
    rules: &'c [Span],
}

/// What would happen.
#[derive(Debug)]
pub enum Outcome<'c> {
    /// The gateway answers with a page of its own.
    OwnPage,
    /// The rule lets the request pass, to this route.
    Allow(&'c Rule, &'c Route),
    /// The visitor is asked to log in.
    LogIn(&'c Rule, &'c Route),
    /// The visitor is refused.
    Deny(&'c Rule, &'c Route),
    /// No site answers for the host.
    UnknownHost,
    /// The path has no safe reading.
    BadPath(MalformedPath),
    /// The path has something in it that a rule does not allow.
    OddPath(Oddity),
    /// The readings of the path lead to different applications.
    Ambiguous,
    /// A test gave no answer.
    Broken(BrokenTest),
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

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        Some(_) | None => authority,
    }
}

impl Configuration {
    /// What would happen to the request in `question`, sent by `visitor`.
    pub fn outcome<'c>(&'c self, question: &Question, visitor: &Visitor) -> Outcome<'c> {
        let path = match RequestPath::parse(question.target.as_str()) {
            Ok(path) => path,
            Err(why) => return Outcome::BadPath(why),
        };
        let host = self.host_of(question);
        let Some(answering) = self.site_for(&host) else { return Outcome::UnknownHost };
        if path.below(&self.pages.prefix).is_some() {
            return Outcome::OwnPage;
        }
        let circumstances = question.circumstances(&host);
        let site = answering.site;
        match judge(&site.rules, visitor, &path, &circumstances) {
            Ok((finding, rule)) => match (finding, site.routes.get(rule.route.0)) {
                (Finding::Holds, Some(route)) => Outcome::Allow(rule, route),
                (Finding::NeedsLogin, Some(route)) => Outcome::LogIn(rule, route),
                (Finding::Lacks, Some(route)) => Outcome::Deny(rule, route),
                (_, None) => Outcome::Ambiguous,
            },
            Err(NoJudgement::OddPath(oddity)) => Outcome::OddPath(oddity),
            Err(NoJudgement::Ambiguous) => Outcome::Ambiguous,
            Err(NoJudgement::Broken(broken)) => Outcome::Broken(broken),
        }
    }

    /// The host that a question is about: the one it names, or that of the site which needs none.
    pub fn host_of(&self, question: &Question) -> String {
        if let Some(host) = &question.host {
            return host.clone();
        }
        let public = self.pages.public_url.as_deref().and_then(|url| url.split_once("://"));
        match (self.gateway.sites.as_slice(), &self.gateway.default_site) {
            ([(HostPattern::Exact(host), _)], None) => host.clone(),
            _ => public.map_or("localhost", |(_, host)| without_port(host)).to_ascii_lowercase(),
        }
    }

    /// The site that answers for `host`: one of that name, else the longest `*.` that fits, else
    /// the top level.
    pub fn site_for(&self, host: &str) -> Option<Answering<'_>> {
        let fits = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => (name == host).then_some(usize::MAX),
            HostPattern::Below(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                .then_some(domain.len()),
        };
        let sites = self.gateway.sites.iter().zip(&self.places.sites);
        let named = sites
            .filter_map(|(site, place)| fits(&site.0).map(|length| (length, site, place)))
            .max_by_key(|(length, _, _)| *length);
        if let Some((_, (pattern, site), (place, rules))) = named {
            let pattern = Some(pattern);
            return Some(Answering { pattern, site, place: Some(*place), rules });
        }
        let site = self.gateway.default_site.as_ref()?;
        Some(Answering { pattern: None, site, place: None, rules: &self.places.default_site })
    }

    /// The line of the site's header in the file; `None` for the top level.
    pub fn line_of_site(&self, answering: &Answering<'_>) -> Option<usize> {
        answering.place.map(|offset| self.source.position(offset).0)
    }

    /// The line of a rule in the file; `None` for the one that holds where no rule does.
    pub fn line_of_rule(&self, answering: &Answering<'_>, rule: &Rule) -> Option<usize> {
        answering.place_of(rule).map(|place| self.source.position(place.start).0)
    }
}

impl Answering<'_> {
    /// Where a rule's key stands.
    pub(super) fn place_of(&self, rule: &Rule) -> Option<Span> {
        self.rules.get(rule.route.0).cloned()
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

    #[test]
    fn an_exact_host_beats_a_longer_domain_beats_a_shorter_one() {
        let file = r#"
            upstream = "http://top"
            [sites."*.example.org"]
            upstream = "http://below"
            [sites."*.wiki.example.org"]
            upstream = "http://longer"
            [sites."a.wiki.example.org"]
            upstream = "http://exact"
        "#;
        let configuration = super::super::parse("test.toml", file).unwrap();
        for (host, upstream) in [
            ("a.wiki.example.org", "http://exact"),
            ("b.wiki.example.org", "http://longer"),
            ("wiki.example.org", "http://below"),
            ("example.org", "http://top"),
            (".example.org", "http://top"),
            ("badexample.org", "http://top"),
        ] {
            let answering = configuration.site_for(host).unwrap();
            let application = answering.site.rules.fallback().application.0;
            assert_eq!(configuration.gateway.upstreams[application].name, upstream, "{host}");
        }
    }
}
