//! What would happen to a request: the question that `explain` and `[[test]]` ask of the rules.

use super::Configuration;
use super::problem::Span;
use crate::domain::authorize::{NoJudgement, judge};
use crate::domain::path::MalformedPath;
pub use crate::domain::question::Question;
use crate::domain::question::without_port;
use crate::domain::rule::{BrokenTest, Finding};
use crate::domain::{Oddity, RequestPath, Rule, Visitor};
use crate::gateway::settings::{HostPattern, Route, Site};

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
        let sites = self.gateway.sites.iter().zip(&self.places.sites);
        let named = sites
            .filter_map(|(site, place)| site.0.fits(host).map(|length| (length, site, place)))
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

#[cfg(test)]
mod tests {
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
