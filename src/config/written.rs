//! Sites and rules as they are written, before anything is inherited.

use std::sync::Arc;

use super::identity::{Header, read_headers};
use super::mentions::{self, Named};
use super::pages::destination;
use super::problem::{Problem, Span};
use super::reader::{At, Entry, Table};
use super::report::{Report, nearest};
use super::server::network;
use super::upstreams::{Target, target};
use crate::domain::path::{MalformedPath, Oddities};
use crate::domain::rule::{Condition, MalformedPattern, Pattern};
use crate::domain::user::normalize_username;
use crate::domain::{Oddity, Permission};
use crate::web::expression::Expression;
use crate::web::profile_mentions;

/// The top level, or one `[sites."…"]`.
#[derive(Debug)]
pub(super) struct WrittenSite {
    pub(super) upstream: Option<At<Target>>,
    pub(super) login_url: Option<At<String>>,
    pub(super) allow_in_path: Oddities,
    pub(super) headers: Vec<Header>,
    pub(super) max_body_size: Option<Option<u64>>,
    pub(super) rules: Vec<WrittenRule>,
    /// The first thing in it that needs an `upstream`, when it has any.
    pub(super) place: Option<Span>,
}

/// One entry of `paths`.
#[derive(Debug)]
pub(super) struct WrittenRule {
    pub(super) name: String,
    pub(super) place: Span,
    pub(super) pattern: Pattern,
    pub(super) conditions: Vec<Condition>,
    pub(super) login_url: Option<At<String>>,
    pub(super) upstream: Option<At<Target>>,
    pub(super) headers: Vec<Header>,
    pub(super) allow_in_path: Option<Oddities>,
    pub(super) max_body_size: Option<Option<u64>>,
}

/// The keys of a site that mean nothing without an `upstream`.
const SITE_KEYS: [&str; 5] = ["login_url", "allow_in_path", "headers", "max_body_size", "paths"];

impl WrittenSite {
    /// Reads the site's keys from `table`, which is the top level or a `[sites."…"]`.
    pub(super) fn read(table: &Table<'_>) -> Self {
        let upstream = target(table);
        let login_url = table.parsed("login_url", destination);
        let allow_in_path = allow_in_path(table).unwrap_or_default();
        let headers = read_headers(table);
        let max_body_size = max_body_size(table);
        let paths = table.entry("paths").map(|entry| entry.table("paths", "`paths`".to_owned()));
        let rules = paths.iter().flat_map(Table::entries).filter_map(|e| read_rule(&e)).collect();
        refuse_trust(table, "a site");
        let place = SITE_KEYS.iter().find_map(|key| table.entry(key)).map(|entry| entry.key);
        Self { upstream, login_url, allow_in_path, headers, max_body_size, rules, place }
    }
}

fn read_rule(entry: &Entry<'_>) -> Option<WrittenRule> {
    let report = entry.report();
    let pattern = match Pattern::parse(&entry.name) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            let problem = Problem::error("bad-pattern", entry.key.clone(), error.to_string());
            report.add(match misplaced(&entry.name) {
                Some(hint) => problem.hint(hint),
                None if matches!(error, MalformedPattern::Path(_, MalformedPath::NotAPath)) => {
                    problem.hint("write methods, if any, and a path that begins with `/`")
                }
                None => problem,
            });
            None
        }
    };
    if !entry.is_table() {
        if pattern.is_some() {
            let message = format!("the rule `{}` must be a table", entry.name);
            let problem = Problem::error("wrong-type", entry.span(), message);
            report.add(problem.hint("write `{ login_required = true }`"));
        }
        return None;
    }
    let table = entry.table("paths.*", format!("the rule `{}`", entry.name));
    let conditions = conditions(&table);
    let rule = WrittenRule {
        name: entry.name.clone(),
        place: entry.key.clone(),
        // A rule that cannot be placed is read all the same, for the problems in it.
        pattern: pattern.clone().or_else(|| Pattern::parse("/").ok())?,
        conditions,
        login_url: table.parsed("login_url", destination),
        upstream: target(&table),
        headers: read_headers(&table),
        allow_in_path: allow_in_path(&table),
        max_body_size: max_body_size(&table),
    };
    refuse_trust(&table, "a rule");
    table.finish(&[TRUST]);
    pattern.map(|_| rule)
}

/// A key that is noted where it stands in a site or a rule.
pub(super) const TRUST: &str = "trust_responses";

/// Trust is a matter of who wrote an application, wherever requests to it come from: were it given
/// by site or rule, one application could be trusted here and not there.
fn refuse_trust(table: &Table<'_>, holder: &str) {
    if let Some(at) = table.misplaced(TRUST) {
        let message = format!("`{TRUST}` belongs to an upstream, not to {holder}");
        let problem = Problem::error("unknown-key", at, message);
        table.report().add(
            problem
                .hint("set it in `[upstreams.NAME]`, or in `[upstream_defaults]` for all of them"),
        );
    }
}

/// A hint for a key that landed in `paths` because it stands below that header.
fn misplaced(name: &str) -> Option<String> {
    let keys = ["upstream", "login_url", "allow_in_path", "headers", "max_body_size"];
    let key = nearest(name, keys)?;
    Some(format!(
        "`{key}` stands in `paths` here; write it above the first `[section]`, or above `paths`"
    ))
}

fn conditions(table: &Table<'_>) -> Vec<Condition> {
    let report = table.report();
    let mut conditions = Vec::new();
    let login = table.flag("login_required");
    let mut identity_keys: Vec<(&str, Span)> = Vec::new();

    if let Some(texts) = table.texts("permission_required") {
        identity_keys.push(("permission_required", texts.key));
        let permissions = kept(report, texts.value, |text| text.parse::<Permission>());
        for at in &permissions {
            report.mention(Named::Permission, at.value.as_str(), at.span.clone());
        }
        let names = permissions.into_iter().map(|at| at.value).collect();
        conditions.push(Condition::PermissionRequired(names));
    }
    if let Some(texts) = table.texts("groups") {
        identity_keys.push(("groups", texts.key));
        for at in &texts.value {
            report.mention(Named::Group, &*at.value, at.span.clone());
        }
        let names = texts.value.into_iter().map(|at| at.value).collect();
        conditions.push(Condition::Groups(names));
    }
    if let Some(texts) = table.texts("users") {
        identity_keys.push(("users", texts.key));
        let names = kept(report, texts.value, normalize_username);
        for at in &names {
            report.mention(Named::User, &*at.value, at.span.clone());
        }
        conditions.push(Condition::Users(names.into_iter().map(|at| at.value).collect()));
    }
    for (key, condition) in [
        ("staff_required", Condition::StaffRequired),
        ("superuser_required", Condition::SuperuserRequired),
    ] {
        match table.flag(key) {
            Some(at) if at.value => {
                identity_keys.push((key, at.key));
                conditions.push(condition);
            }
            Some(at) => {
                let message = format!("`{key} = false` asks for nothing");
                let problem = Problem::error("no-meaning", at.key.start..at.span.end, message);
                report.add(problem.hint(
                    "leave it out; conditions are never inherited, so there is nothing to take back",
                ));
            }
            None => {}
        }
    }
    let is_public = login.as_ref().is_some_and(|at| !at.value);
    if let Some(at) = login.as_ref().filter(|at| !at.value) {
        for (key, place) in &identity_keys {
            let message = format!("`login_required = false` beside `{key}`");
            let problem = Problem::error("contradiction", at.key.start..at.span.end, message)
                .label("lets everybody in")
                .other(place.clone(), "asks who it is")
                .hint(format!("remove one of them; `{key}` needs a login by itself"));
            report.add(problem);
        }
    }
    // Nothing is public unless the file says so in these very words.
    if !is_public && (identity_keys.is_empty() || login.is_some()) {
        conditions.insert(0, Condition::LoginRequired);
    }
    if let Some(texts) = table.texts("networks") {
        let networks = kept(report, texts.value, network);
        conditions.push(Condition::Networks(networks.into_iter().map(|at| at.value).collect()));
    }
    if let Some(text) = table.text("test") {
        report.mention_profile(profile_mentions::in_expression(&text.value), &text.span);
        match Expression::compile(&text.value) {
            Ok(expression) => {
                mentions::in_expression(table, &text);
                conditions.push(Condition::Test(Arc::new(expression)));
            }
            Err(error) => {
                let span = table.inside(&text, error.range);
                let message = error.message;
                let problem = match message.contains("\nhint: ") {
                    true => Problem::error("bad-test", span, message),
                    false => {
                        Problem::error("bad-test", span, format!("the test is wrong: {message}"))
                    }
                };
                report.add(problem);
            }
        }
    }
    conditions
}

/// The texts that `read` understands, each of the others noted.
fn kept<T, E: ToString>(
    report: &Report,
    texts: Vec<At<String>>,
    read: impl Fn(&str) -> Result<T, E>,
) -> Vec<At<T>> {
    let keep = |at: At<String>| {
        let value = report.keep("bad-value", &at.span, read(&at.value))?;
        Some(At { value, key: at.key, span: at.span })
    };
    texts.into_iter().filter_map(keep).collect()
}

fn allow_in_path(table: &Table<'_>) -> Option<Oddities> {
    let report = table.report();
    let texts = table.entry("allow_in_path")?.texts_or_none()?;
    let oddity = |text: &str| {
        Oddity::ALL.into_iter().find(|oddity| oddity.name() == text).ok_or_else(|| {
            let names = Oddity::ALL.map(Oddity::name);
            let hint = match nearest(text, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it may be `{}`", names.join("`, `")),
            };
            format!("`{text}` is not something a path can be allowed to have in it\nhint: {hint}")
        })
    };
    Some(kept(report, texts.value, oddity).into_iter().map(|at| at.value).collect())
}

/// The largest body: `None` for any, which the file writes as 0.
fn max_body_size(table: &Table<'_>) -> Option<Option<u64>> {
    let at = table.size("max_body_size", 0, u64::MAX >> 1)?;
    Some((at.value > 0).then_some(at.value))
}
