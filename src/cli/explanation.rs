//! What `explain` has to say, put together before it is printed as text or as JSON.

use std::sync::Arc;

use serde_json::{Value, json};

use super::page::Page;
use super::words::{Verdict, fact, in_units, server, title_case, verdict, written};
use crate::config::{Answering, Configuration, Outcome, Question};
use crate::domain::rule::{Finding, Pattern};
use crate::domain::{RequestPath, Rule, User, Visitor};
use crate::gateway::settings::{HostPattern, Route};

/// Everything that decided on one request.
pub(super) struct Explanation {
    method: String,
    url: String,
    address: String,
    user: Option<Arc<User>>,
    /// A user who cannot have a session.
    is_inactive: bool,
    verdict: Verdict,
    site: Option<(String, Option<String>)>,
    readings: Vec<Reading>,
    to: Vec<(&'static str, String)>,
    headers: Vec<(String, String)>,
}

/// One way to read the path, and the rule that decides on it.
struct Reading {
    path: String,
    rule: String,
    place: Option<String>,
    conditions: Vec<Asked>,
    others: Vec<Loser>,
}

/// One condition of the rule and whether it holds.
struct Asked {
    condition: String,
    finding: Option<Finding>,
    fact: String,
}

/// A rule that covers the path as well and does not decide.
struct Loser {
    rule: String,
    place: Option<String>,
    why: &'static str,
}

impl Explanation {
    /// Whether the request would reach the application, or a page of the gateway's own.
    pub(super) fn is_allowed(&self) -> bool {
        self.verdict.word == "allow"
    }

    pub(super) fn of(
        configuration: &Configuration,
        question: &Question,
        visitor: &Visitor,
        user: Option<Arc<User>>,
    ) -> Self {
        let host = configuration.host_of(question);
        let outcome = configuration.outcome(question, visitor);
        let scheme = if question.is_secure { "https" } else { "http" };
        let mut explanation = Self {
            method: question.method.clone(),
            url: format!("{scheme}://{host}{}", question.target),
            address: question.address.to_string(),
            is_inactive: user.as_ref().is_some_and(|user| !user.is_active),
            user,
            verdict: verdict(&outcome, &host, &configuration.pages.prefix),
            site: None,
            readings: Vec::new(),
            to: Vec::new(),
            headers: Vec::new(),
        };
        let Some(answering) = configuration.site_for(&host) else { return explanation };
        let place = |line: Option<usize>| place_of(configuration, line);
        let name = match answering.pattern {
            Some(HostPattern::Exact(host)) => host.clone(),
            Some(HostPattern::Below(domain)) => format!("*.{domain}"),
            None => "the top level, which answers for every other host".to_owned(),
        };
        explanation.site = Some((name, place(configuration.line_of_site(&answering))));
        if let (Ok(path), false) =
            (RequestPath::parse(question.target.as_str()), matches!(outcome, Outcome::OwnPage))
        {
            explanation.readings = path
                .readings()
                .map(|reading| {
                    Reading::of(configuration, &answering, question, visitor, &path, reading)
                })
                .collect();
        }
        match &outcome {
            Outcome::Allow(_, route) => explanation.lead(configuration, route, visitor),
            Outcome::LogIn(_, route) => {
                let target = percent_encoding::utf8_percent_encode(
                    &question.target,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                // As Django quotes it: a slash says itself.
                let target = target.to_string().replace("%2F", "/");
                let sign = if route.login_url.contains('?') { '&' } else { '?' };
                let location = format!("{}{sign}next={target}", route.login_url);
                explanation.to.push(("login page", location));
            }
            Outcome::Deny(..)
            | Outcome::OwnPage
            | Outcome::UnknownHost
            | Outcome::BadPath(_)
            | Outcome::OddPath(_)
            | Outcome::Ambiguous
            | Outcome::Broken(_) => {}
        }
        explanation
    }

    /// Where a permitted request goes, and what it says of the visitor there.
    fn lead(&mut self, configuration: &Configuration, route: &Route, visitor: &Visitor) {
        if let Some(upstream) = configuration.gateway.upstreams.get(route.application) {
            let servers: Vec<String> = upstream.servers.iter().map(server).collect();
            let servers = servers.join(", ");
            let text = match upstream.name.contains(':') {
                true => servers,
                false => format!("{} ({servers})", upstream.name),
            };
            self.to.push(("upstream", text));
        }
        let size = route
            .max_body_size
            .map_or("of any size".to_owned(), |bytes| format!("up to {}", in_units(bytes)));
        self.to.push(("body", size));
        match route.identity.render(visitor, None) {
            Ok(rendered) => {
                for (name, value) in &rendered {
                    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                    self.headers.push((title_case(name.as_str()), value));
                }
            }
            Err(error) => self.headers.push(("(none)".to_owned(), error.to_string())),
        }
    }

    /// For a terminal.
    pub(super) fn render(&self) -> String {
        let mut page = Page::default();
        page.line(&format!("{} {}", self.method, self.url));
        page.line(&format!("from {}, as {}", self.address, self.visitor()));
        page.line("");
        page.field("outcome", &format!("{}: {}", self.verdict.word, self.verdict.sentence));
        for (name, text) in &self.to {
            page.field(name, text);
        }
        if let Some((site, place)) = &self.site {
            page.field("site", &with_place(site, place.as_ref()));
        }
        for reading in &self.readings {
            if self.readings.len() > 1 {
                page.line("");
                page.field("read as", &reading.path);
            }
            page.field(
                "rule",
                &with_place(&format!("\"{}\"", reading.rule), reading.place.as_ref()),
            );
            reading.render(&mut page);
        }
        if self.verdict.word == "allow" && !self.readings.is_empty() {
            page.line("");
            match self.headers.as_slice() {
                [] => page.line("  The application is told nothing of who asks."),
                headers => {
                    page.line("  The application is told");
                    let rows: Vec<[&str; 2]> =
                        headers.iter().map(|(n, v)| [n.as_str(), v.as_str()]).collect();
                    page.table(&rows);
                }
            }
        }
        page.into_text()
    }

    fn visitor(&self) -> String {
        let Some(user) = &self.user else { return "nobody: not logged in".to_owned() };
        if self.is_inactive {
            return format!("{}, who is deactivated and so counts as nobody", user.username);
        }
        let mut facts = Vec::new();
        if user.is_superuser {
            facts.push("superuser".to_owned());
        }
        if user.is_staff {
            facts.push("staff".to_owned());
        }
        if !user.groups.is_empty() {
            facts.push(format!("groups {}", user.groups.join(", ")));
        }
        if !user.permissions.is_empty() {
            let names: Vec<&str> = user.permissions.iter().map(|held| held.as_str()).collect();
            facts.push(format!("permissions {}", names.join(", ")));
        }
        match facts.is_empty() {
            true => format!("{}, without groups and permissions", user.username),
            false => format!("{} ({})", user.username, facts.join("; ")),
        }
    }

    /// For programs.
    pub(super) fn to_json(&self) -> Value {
        let to: serde_json::Map<String, Value> = self
            .to
            .iter()
            .map(|(name, text)| (name.replace(' ', "_"), Value::from(text.as_str())))
            .collect();
        json!({
            "method": self.method,
            "url": self.url,
            "address": self.address,
            "user": self.user.as_ref().filter(|_| !self.is_inactive).map(|user| &user.username),
            "outcome": self.verdict.word,
            "why": self.verdict.sentence,
            "to": to,
            "site": self.site.as_ref().map(|(name, place)| json!({ "name": name, "place": place })),
            "readings": self.readings.iter().map(Reading::to_json).collect::<Vec<_>>(),
            "identity_headers": self.headers,
        })
    }
}

impl Reading {
    fn of(
        configuration: &Configuration,
        answering: &Answering<'_>,
        question: &Question,
        visitor: &Visitor,
        path: &RequestPath,
        reading: &str,
    ) -> Self {
        let rules = &answering.site.rules;
        let decisive = rules.find(&question.method, reading);
        let place =
            |rule: &Rule| place_of(configuration, configuration.line_of_rule(answering, rule));
        let host = configuration.host_of(question);
        let circumstances = question.circumstances(&host);
        let conditions = decisive
            .conditions
            .iter()
            .map(|condition| {
                let finding = condition.examine(visitor, path, &circumstances);
                Asked {
                    condition: written(condition),
                    fact: match &finding {
                        Ok(_) => fact(condition, visitor, question),
                        Err(broken) => broken.why.clone(),
                    },
                    finding: finding.ok(),
                }
            })
            .collect();
        // The prefix as a pattern: what covers it covers the path.
        let path_pattern = Pattern::parse(&plain(reading)).ok();
        let decisive_length = Pattern::parse(&decisive.name).map_or(0, |own| own.length());
        let mut others: Vec<(usize, Loser)> = rules
            .iter()
            .filter(|rule| !std::ptr::eq(*rule, decisive))
            .filter_map(|rule| {
                let pattern = Pattern::parse(&rule.name).ok()?;
                if !path_pattern.as_ref().is_some_and(|path| pattern.covers(path)) {
                    return None;
                }
                let methods = pattern.methods();
                let is_for_method = methods.is_empty()
                    || methods.contains(&question.method)
                    || question.method == "HEAD" && methods.iter().any(|method| method == "GET");
                let why = match is_for_method {
                    false => "for other methods",
                    true if pattern.length() < decisive_length => "a shorter prefix",
                    true => "the same prefix, for any method",
                };
                Some((pattern.length(), Loser { rule: rule.name.clone(), place: place(rule), why }))
            })
            .collect();
        others.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        Self {
            path: reading.to_owned(),
            rule: decisive.name.clone(),
            place: place(decisive),
            conditions,
            others: others.into_iter().map(|(_, loser)| loser).collect(),
        }
    }

    fn render(&self, page: &mut Page) {
        page.line("");
        if self.conditions.is_empty() {
            page.line("  The rule asks for nothing: `login_required = false`.");
        } else {
            page.line("  It asks for");
            let rows: Vec<[&str; 3]> = self
                .conditions
                .iter()
                .map(|asked| [asked.mark(), asked.condition.as_str(), asked.fact.as_str()])
                .collect();
            page.table(&rows);
        }
        if !self.others.is_empty() {
            page.line("");
            page.line("  Rules that cover the path too and do not decide");
            let rows: Vec<[&str; 3]> = self
                .others
                .iter()
                .map(|loser| {
                    [loser.rule.as_str(), loser.why, loser.place.as_deref().unwrap_or_default()]
                })
                .collect();
            page.table(&rows);
        }
    }

    fn to_json(&self) -> Value {
        let asked = |asked: &Asked| {
            json!({
                "condition": asked.condition,
                "holds": asked.finding.map(|finding| finding == Finding::Holds),
                "fact": asked.fact,
            })
        };
        let loser =
            |loser: &Loser| json!({ "rule": loser.rule, "place": loser.place, "why": loser.why });
        json!({
            "path": self.path,
            "rule": self.rule,
            "place": self.place,
            "conditions": self.conditions.iter().map(asked).collect::<Vec<_>>(),
            "other_rules": self.others.iter().map(loser).collect::<Vec<_>>(),
        })
    }
}

impl Asked {
    fn mark(&self) -> &'static str {
        match self.finding {
            Some(Finding::Holds) => "hit ",
            Some(Finding::NeedsLogin | Finding::Lacks) => "miss",
            None => "fail",
        }
    }
}

/// `reading` as the key of a rule, with what no key may have in it left out.
fn plain(reading: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in reading.split('/').filter(|segment| !segment.is_empty()) {
        if segment.contains(['%', ';', ' ', '?', '#']) {
            break;
        }
        segments.push(segment);
    }
    format!("/{}", segments.join("/"))
}

fn place_of(configuration: &Configuration, line: Option<usize>) -> Option<String> {
    let name = configuration.path.as_deref()?.display();
    line.map(|line| format!("{name}:{line}"))
}

fn with_place(text: &str, place: Option<&String>) -> String {
    place.map_or_else(|| text.to_owned(), |place| format!("{text}   {place}"))
}
