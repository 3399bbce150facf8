//! From sites and rules as written to the policy: what is inherited filled in, rules compiled.

use std::collections::HashMap;
use std::sync::Arc;

use super::identity::{Identity, Set};
use super::problem::{Problem, Span};
use super::reader::{At, Table};
use super::report::Report;
use super::upstreams::Upstreams;
use super::written::{TRUST, WrittenRule, WrittenSite};
use crate::domain::authorize::judge;
use crate::domain::rule::{ApplicationId, Circumstances, Elsewhere, Finding, Pattern, RouteId};
use crate::domain::{RequestPath, Rule, Rules, Visitor};
use crate::gateway::settings::{HostPattern, Route, Settings, Site};
use crate::web::identity_headers::IdentityHeaders;

/// Where each site and each of its rules stands in the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) default_site: Vec<Span>,
    pub(super) sites: Vec<(usize, Vec<Span>)>,
}

/// What sites take from the rest of the file.
#[derive(Debug)]
pub(super) struct Surroundings<'s> {
    /// The prefix of the gateway's own pages.
    pub(super) prefix: &'s str,
    /// The largest body where neither site nor rule says otherwise.
    pub(super) max_body_size: Option<u64>,
}

/// Reads all sites, the top level first.
pub(super) fn read(root: &Table<'_>, surroundings: &Surroundings<'_>) -> (Settings, Places) {
    let report = root.report();
    let mut resolver = Resolver {
        report,
        surroundings,
        upstreams: Upstreams::read(root),
        identity: Identity::read(root),
    };
    let mut places = Places::default();
    let top = WrittenSite::read(root);
    let is_empty = !has_upstream_key(root) && top.place.is_none();
    let default_site = match (&top.upstream, &top.place) {
        (None, None) => None,
        (None, Some(_)) if has_upstream_key(root) => resolver.site(top, &mut places.default_site),
        (None, Some(place)) => {
            let message = "the top level has no `upstream`, so its rules lead nowhere";
            let problem = Problem::error("no-upstream", place.clone(), message);
            report.add(problem.hint("write `upstream = \"http://127.0.0.1:3000\"` above it"));
            resolver.site(top, &mut places.default_site)
        }
        (Some(_), _) => resolver.site(top, &mut places.default_site),
    };
    let mut sites: Vec<(HostPattern, Site)> = Vec::new();
    let mut hosts: HashMap<HostPattern, Span> = HashMap::new();
    let table = root.table("sites");
    for entry in table.entries() {
        let table = entry.table("sites.*", format!("the site `{}`", entry.name));
        if !table.is_in_file() {
            continue;
        }
        let host = report.keep("bad-host", &entry.key, host_pattern(&entry.name));
        let mut rules = Vec::new();
        let written = WrittenSite::read(&table);
        table.clone().finish(&[TRUST]);
        if written.upstream.is_none() && !has_upstream_key(&table) {
            let message = format!("the site `{}` has no `upstream`", entry.name);
            report.add(Problem::error("no-upstream", entry.key.clone(), message));
        }
        let site = resolver.site(written, &mut rules);
        let (Some(host), Some(site)) = (host, site) else { continue };
        if let Some(first) = hosts.insert(host.clone(), entry.key.clone()) {
            let message = format!("`{}` is the same host as another site", entry.name);
            let problem = Problem::error("duplicate", entry.key.clone(), message);
            report.add(problem.other(first, "first here").hint("case does not matter in hosts"));
        }
        places.sites.push((entry.key.start, rules));
        sites.push((host, site));
    }
    if is_empty && !table.is_in_file() {
        let message = "the file has neither an `upstream` nor a site";
        let problem = Problem::of_file("no-upstream", message);
        report.add(problem.hint("write `upstream = \"http://127.0.0.1:3000\"` at its top"));
    }
    let settings = Settings {
        sites,
        default_site,
        upstreams: resolver.upstreams.finish(),
        trusted_proxies: Vec::new(),
        identity_header_names: resolver.identity.into_names(),
    };
    (settings, places)
}

/// Whether `upstream` is there, though it could not be read.
fn has_upstream_key(table: &Table<'_>) -> bool {
    table.misplaced("upstream").is_some()
}

struct Resolver<'a, 's> {
    report: &'a Report,
    surroundings: &'s Surroundings<'s>,
    upstreams: Upstreams<'a>,
    identity: Identity,
}

/// What a route has after inheritance.
#[derive(Debug, Clone)]
struct Inherited {
    application: usize,
    headers: Set,
    max_body_size: Option<u64>,
}

impl Resolver<'_, '_> {
    fn site(&mut self, written: WrittenSite, places: &mut Vec<Span>) -> Option<Site> {
        // An application that does not exist was reported; its number is never used then.
        let application =
            written.upstream.as_ref().and_then(|target| self.upstreams.index(target)).unwrap_or(0);
        let base = self.identity.base();
        let top = Inherited {
            application,
            headers: self.identity.extended(&base, &written.headers),
            max_body_size: written.max_body_size.unwrap_or(self.surroundings.max_body_size),
        };
        let own_login = format!("{}login/", self.surroundings.prefix);
        let login_url =
            written.login_url.as_ref().map_or(own_login, |login_url| login_url.value.clone());
        let rules = self.without_duplicates(written.rules);
        let inherited = self.inherit(&rules, &top);

        let mut logins: Vec<At<String>> = written.login_url.into_iter().collect();
        let mut routes = Vec::with_capacity(rules.len() + 1);
        let mut compiled = Vec::with_capacity(rules.len());
        for (rule, own) in rules.into_iter().zip(inherited) {
            self.check(&rule);
            let route = RouteId(routes.len());
            let application = own.application;
            routes.push(Route {
                rule: rule.name.clone(),
                application,
                login_url: rule
                    .login_url
                    .as_ref()
                    .map_or_else(|| login_url.clone(), |login_url| login_url.value.clone()),
                max_body_size: own.max_body_size,
                identity: self.compiled(&own.headers)?,
            });
            places.push(rule.place.clone());
            logins.extend(rule.login_url);
            let allow_in_path = rule.allow_in_path.unwrap_or(written.allow_in_path);
            compiled.push((
                rule.pattern,
                Rule {
                    name: rule.name,
                    conditions: rule.conditions,
                    allow_in_path,
                    application: ApplicationId(application),
                    route,
                },
            ));
        }
        let elsewhere = Elsewhere {
            allow_in_path: written.allow_in_path,
            application: ApplicationId(top.application),
            route: RouteId(routes.len()),
        };
        routes.push(Route {
            rule: "(no rule)".to_owned(),
            application: top.application,
            login_url,
            max_body_size: top.max_body_size,
            identity: self.compiled(&top.headers)?,
        });
        // Rules and headers that do not compile were taken out above, with a word about each.
        let rules = Rules::compile(compiled, elsewhere)
            .map_err(|same| self.report.add(Problem::of_file("duplicate-rule", same.to_string())))
            .ok()?;
        for login_url in &logins {
            self.check_login(&rules, login_url);
        }
        Some(Site { rules, routes })
    }

    fn compiled(&mut self, set: &Set) -> Option<Arc<IdentityHeaders>> {
        self.identity
            .compiled(set)
            .map_err(|error| self.report.add(Problem::of_file("bad-header", error.to_string())))
            .ok()
    }

    /// The rules without those that repeat another, each of which is noted with both places.
    fn without_duplicates(&self, rules: Vec<WrittenRule>) -> Vec<WrittenRule> {
        let mut seen: HashMap<(Vec<String>, Option<String>), (String, Span)> = HashMap::new();
        let mut kept = Vec::with_capacity(rules.len());
        for rule in rules {
            let segments = rule.pattern.segments().to_vec();
            let methods: Vec<Option<String>> = match rule.pattern.methods() {
                [] => vec![None],
                methods => methods.iter().cloned().map(Some).collect(),
            };
            let keys: Vec<_> = methods.into_iter().map(|one| (segments.clone(), one)).collect();
            let first = keys.iter().find_map(|key| seen.get(key));
            if let Some((name, place)) = first {
                let message = format!("`{}` is for the same requests as `{name}`", rule.name);
                let problem = Problem::error("duplicate-rule", rule.place.clone(), message)
                    .other(place.clone(), "first here")
                    .hint("prefixes match without regard to case and to a slash at the end");
                self.report.add(problem);
                continue;
            }
            for key in keys {
                seen.insert(key, (rule.name.clone(), rule.place.clone()));
            }
            kept.push(rule);
        }
        kept
    }

    /// Fills in what each rule inherits from the next shorter prefix that covers it.
    fn inherit(&mut self, rules: &[WrittenRule], top: &Inherited) -> Vec<Inherited> {
        let mut at_prefix: HashMap<&[String], Vec<usize>> = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            at_prefix.entry(rule.pattern.segments()).or_default().push(index);
        }
        let mut order: Vec<usize> = (0..rules.len()).collect();
        // Whatever is inherited from comes first: shorter prefixes, then rules for any method.
        order.sort_by_key(|&index| {
            (rules[index].pattern.length(), !rules[index].pattern.methods().is_empty())
        });
        let mut resolved: Vec<Inherited> = vec![top.clone(); rules.len()];
        for index in order {
            let rule = &rules[index];
            let parent = parent_of(index, rules, &at_prefix);
            let parent = parent.map_or_else(|| top.clone(), |parent| resolved[parent].clone());
            let application = match &rule.upstream {
                Some(target) => self.upstreams.index(target).unwrap_or(parent.application),
                None => parent.application,
            };
            resolved[index] = Inherited {
                application,
                headers: self.identity.extended(&parent.headers, &rule.headers),
                max_body_size: rule.max_body_size.unwrap_or(parent.max_body_size),
            };
        }
        resolved
    }

    /// What is wrong or strange with one rule in its surroundings.
    fn check(&self, rule: &WrittenRule) {
        let prefix = self.surroundings.prefix;
        if Pattern::parse(prefix).is_ok_and(|own| own.covers(&rule.pattern)) {
            let message = format!("the rule `{}` is never reached", rule.name);
            let problem = Problem::warning("never-reached", rule.place.clone(), message);
            self.report.add(
                problem.hint(format!("the gateway answers everything below `{prefix}` itself")),
            );
        }
    }

    /// A login page that needs a login would send visitors in a circle.
    fn check_login(&self, rules: &Rules, login_url: &At<String>) {
        let is_local = login_url.value.starts_with('/');
        let path = match RequestPath::parse(login_url.value.as_str()) {
            Ok(path) if is_local => path,
            Err(why) if is_local => {
                let message = format!("`{}` would be refused: {why}", login_url.value);
                self.report.add(Problem::error("bad-value", login_url.span.clone(), message));
                return;
            }
            Ok(_) | Err(_) => return,
        };
        if path.below(self.surroundings.prefix).is_some() {
            return;
        }
        let browser = Circumstances {
            method: "GET",
            host: "localhost",
            is_secure: true,
            address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        };
        if let Ok((Finding::NeedsLogin, rule)) = judge(rules, &Visitor::Anonymous, &path, &browser)
        {
            let message = format!("the login page `{}` needs a login itself", login_url.value);
            let mut problem = Problem::error("login-loop", login_url.span.clone(), message);
            problem = problem.label(format!("decided by the rule `{}`", rule.name));
            self.report.add(problem.hint(format!(
                "add a rule `\"{}\" = {{ login_required = false }}`",
                path.as_sent()
            )));
        }
    }
}

/// The rule from which the one at `index` inherits: the longest prefix of another rule that
/// decides on the same methods.
fn parent_of(
    index: usize,
    rules: &[WrittenRule],
    at_prefix: &HashMap<&[String], Vec<usize>>,
) -> Option<usize> {
    let rule = &rules[index].pattern;
    let segments = rule.segments();
    (0..=segments.len()).rev().find_map(|length| {
        let candidates = at_prefix.get(&segments[..length])?;
        let fits = |&&other: &&usize| {
            let methods = rules[other].pattern.methods();
            other != index
                && (methods.is_empty()
                    || !rule.methods().is_empty()
                        && rule.methods().iter().all(|method| methods.contains(method)))
        };
        candidates
            .iter()
            .filter(fits)
            .max_by_key(|&&other| !rules[other].pattern.methods().is_empty())
            .copied()
    })
}

/// The hosts that a key of `sites` stands for.
fn host_pattern(text: &str) -> Result<HostPattern, String> {
    let malformed = |why: &str, hint: &str| format!("`{text}` is not a host: {why}\nhint: {hint}");
    let example = "write `wiki.example.org` or `*.example.org`";
    if text.contains("://") || text.contains('/') {
        return Err(malformed("it is a URL", example));
    }
    if text == "*" {
        return Err(malformed(
            "it stands for every host",
            "the top level of the file is the site for every other host",
        ));
    }
    if !text.is_ascii() {
        return Err(malformed(
            "browsers send international names in Punycode",
            "write it as `xn--…`",
        ));
    }
    let host = text.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let is_address = host.starts_with('[') && host.ends_with(']');
    if !is_address && host.contains(':') {
        return Err(malformed("it has a port", "a site answers on every port; leave it out"));
    }
    let (below, name) = match host.strip_prefix("*.") {
        Some(domain) => (true, domain),
        None => (false, host),
    };
    if name.contains('*') {
        return Err(malformed("`*` may stand at its beginning alone", example));
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if !is_address && !name.split('.').all(is_label) {
        return Err(malformed("it has more in it than letters, digits, `-` and `.`", example));
    }
    Ok(if below {
        HostPattern::Below(name.to_owned())
    } else {
        HostPattern::Exact(name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact_or_everything_below_a_domain() {
        let exact = |name: &str| Ok(HostPattern::Exact(name.to_owned()));
        assert_eq!(host_pattern("Wiki.Example.ORG."), exact("wiki.example.org"));
        assert_eq!(host_pattern("localhost"), exact("localhost"));
        assert_eq!(host_pattern("[::1]"), exact("[::1]"));
        assert_eq!(host_pattern("*.example.org"), Ok(HostPattern::Below("example.org".to_owned())));
        for bad in
            ["", "*", "a..b", "a b", "https://a", "a/b", "a:80", "*a.b", "a.*.b", "bücher.de"]
        {
            assert!(host_pattern(bad).is_err(), "{bad:?}");
        }
    }
}
