//! `[[test]]`: what the rules must say, run by `check` and before every reload.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::Configuration;
use super::mentions::Named;
use super::problem::{Problem, Problems, Span};
use super::question::{Outcome, Question};
use super::reader::{At, Entry, Table};
use crate::domain::session_data::DataChange;
use crate::domain::{
    Guest, Identity, PasswordHash, Permission, SessionData, Timestamp, User, UserId, Visitor,
};

/// One `[[test]]`: a request, whoever sends it, and what must come of it.
#[derive(Debug, Clone)]
pub struct PolicyTest {
    /// Who sends the request.
    pub user: TestUser,
    /// What applications keep in the sender's session.
    pub session: Option<Arc<SessionData>>,
    /// The request.
    pub question: Question,
    /// What must come of it.
    pub expect: Expectation,
    /// The line of its header, for messages.
    pub line: usize,
    pub(super) place: Span,
    pub(super) expect_place: Span,
}

/// Who sends the request of a test.
#[derive(Debug, Clone)]
pub enum TestUser {
    /// Nobody we know.
    Anonymous,
    /// The account of that name, as it is in the database.
    Account(String),
    /// A user whom the test describes.
    Described(Arc<User>),
}

/// What must come of the request of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// It reaches the application, or a page of the gateway's own.
    Allow,
    /// Its sender is asked to log in.
    Login,
    /// It is refused, whether for its sender, its path or its host.
    Deny,
}

impl Expectation {
    const ALL: [(&'static str, Self); 3] =
        [("allow", Self::Allow), ("login", Self::Login), ("deny", Self::Deny)];

    /// The word that `expect` has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Login => "login",
            Self::Deny => "deny",
        }
    }
}

/// Runs every `[[test]]` of `configuration`; accounts that tests name are looked up in `accounts`.
///
/// Gives the number of tests, or one problem for each that failed.
pub fn run_tests(
    configuration: &Configuration,
    accounts: impl Fn(&str) -> Option<Arc<User>>,
) -> Result<usize, Problems> {
    let failures: Vec<Problem> =
        configuration.tests.iter().filter_map(|test| test.run(configuration, &accounts)).collect();
    match failures.is_empty() {
        true => Ok(configuration.tests.len()),
        false => Err(Problems::new(Arc::clone(&configuration.source), failures)),
    }
}

impl PolicyTest {
    fn run(
        &self,
        configuration: &Configuration,
        accounts: &impl Fn(&str) -> Option<Arc<User>>,
    ) -> Option<Problem> {
        let user = match &self.user {
            TestUser::Anonymous => None,
            TestUser::Described(user) => Some(Arc::clone(user)),
            TestUser::Account(name) => match accounts(name) {
                Some(user) => Some(user),
                None => {
                    let message = format!("there is no user called `{name}`");
                    let hint =
                        "describe one: `user = { username = \"ada\", groups = [\"Editors\"] }`";
                    let problem = Problem::error("unknown-user", self.place.clone(), message);
                    return Some(problem.hint(hint));
                }
            },
        };
        let visitor = with_session(visitor(user), self.session.as_ref());
        let outcome = configuration.outcome(&self.question, &visitor);
        let (got, why) = described(configuration, &self.question, &outcome);
        if got == self.expect {
            return None;
        }
        let Question { method, target, host, .. } = &self.question;
        let host = host.as_deref().unwrap_or_default();
        let (expected, got) = (self.expect.name(), got.name());
        let message =
            format!("the test of `{method} {host}{target}` expected `{expected}` and got `{got}`");
        let problem = Problem::error("test-failed", self.expect_place.clone(), message).label(why);
        Some(match rule_place(configuration, &self.question, &outcome) {
            Some(place) => problem.other(place, "this rule decided"),
            None => problem,
        })
    }
}

/// The visitor that `user` would be with a live session: anonymous when deactivated.
pub fn visitor(user: Option<Arc<User>>) -> Visitor {
    match user {
        // No session is asked about, so it began at no time in particular.
        Some(user) if user.is_active => {
            Visitor::SignedIn(Identity::assumed(user, Timestamp::from_seconds(0)))
        }
        Some(_) | None => Visitor::Anonymous,
    }
}

/// The same visitor with a session in which applications keep `data`.
fn with_session(visitor: Visitor, data: Option<&Arc<SessionData>>) -> Visitor {
    match (visitor, data.cloned()) {
        (Visitor::SignedIn(identity), data) => Visitor::SignedIn(identity.with_data(data)),
        (Visitor::Anonymous | Visitor::Guest(_), Some(data)) => {
            Visitor::Guest(Guest::assumed(data, Timestamp::from_seconds(0)))
        }
        (nobody, None) => nobody,
    }
}

/// What came out, and why in a few words.
fn described(
    configuration: &Configuration,
    question: &Question,
    outcome: &Outcome<'_>,
) -> (Expectation, String) {
    match outcome {
        Outcome::OwnPage => (Expectation::Allow, "a page of the gateway's own".to_owned()),
        Outcome::Allow(rule, _) => (Expectation::Allow, format!("by the rule `{}`", rule.name)),
        Outcome::LogIn(rule, _) => (Expectation::Login, format!("by the rule `{}`", rule.name)),
        Outcome::Deny(rule, _) => (Expectation::Deny, format!("by the rule `{}`", rule.name)),
        Outcome::UnknownHost => {
            let host = configuration.host_of(question);
            (Expectation::Deny, format!("no site answers for `{host}`"))
        }
        Outcome::BadPath(why) => (Expectation::Deny, why.to_string()),
        Outcome::OddPath(oddity) => {
            let name = oddity.name();
            (Expectation::Deny, format!("the path has `{name}` in it, which no rule allows here"))
        }
        Outcome::Ambiguous => {
            let why = "the readings of the path lead to different applications";
            (Expectation::Deny, why.to_owned())
        }
        Outcome::Broken(broken) => (Expectation::Deny, broken.to_string()),
    }
}

fn rule_place(
    configuration: &Configuration,
    question: &Question,
    outcome: &Outcome<'_>,
) -> Option<Span> {
    let (Outcome::Allow(rule, _) | Outcome::LogIn(rule, _) | Outcome::Deny(rule, _)) = outcome
    else {
        return None;
    };
    let answering = configuration.site_for(&configuration.host_of(question))?;
    answering.place_of(rule)
}

/// Reads every `[[test]]`; `line` tells the line of a byte.
pub(super) fn read(root: &Table<'_>, line: impl Fn(usize) -> usize) -> Vec<PolicyTest> {
    let Some(entry) = root.entry("test") else { return Vec::new() };
    entry
        .tables("test", "a `[[test]]`")
        .into_iter()
        .filter_map(|table| read_test(table, &line))
        .collect()
}

fn read_test(table: Table<'_>, line: &impl Fn(usize) -> usize) -> Option<PolicyTest> {
    let report = table.report();
    let place = table.place.clone().unwrap_or_default();
    let missing = |key: &str, hint: &str| {
        let message = format!("a test has no `{key}`");
        report.add(Problem::error("missing-key", place.clone(), message).hint(hint));
    };
    let user = match table.entry("user") {
        None => Some(TestUser::Anonymous),
        Some(entry) if entry.is_table() => described_user(&entry).map(TestUser::Described),
        Some(entry) => entry.text().map(|name| TestUser::Account(name.value)),
    };
    let session = table.entry("session").map(|entry| Arc::new(kept_in_session(&entry)));
    let address = table.parsed("address", |text| {
        text.parse::<IpAddr>().map_err(|_| format!("`{text}` is not an IP address"))
    });
    let address = address.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |at| at.value);
    let question = table.parsed("request", |text| request(text, address));
    if table.misplaced("request").is_none() {
        missing("request", "write `request = \"GET /polls/\"`");
    }
    let expect = table.choice("expect", &Expectation::ALL);
    if table.misplaced("expect").is_none() {
        missing("expect", "write `expect = \"allow\"`, `\"login\"` or `\"deny\"`");
    }
    table.finish(&[]);
    let (question, At { value: expect, span: expect_place, .. }) = (question?.value, expect?);
    let (user, line) = (user?, line(place.start));
    Some(PolicyTest { user, session, question, expect, line, place, expect_place })
}

fn request(text: &str, address: IpAddr) -> Result<Question, String> {
    let Some((method, url)) = text.split_once(' ') else {
        return Err(format!("`{text}` has no method\nhint: write `GET {text}`"));
    };
    Question::parse(method, url.trim_start(), address)
}

fn kept_in_session(entry: &Entry<'_>) -> SessionData {
    let table = entry.table("test.session", "the `session` of a test".to_owned());
    let mut data = SessionData::default();
    for value in table.entries() {
        let Some(json) = value.json() else { continue };
        let set = DataChange::Set(value.name.as_str().into(), json.value.to_string().into());
        if let Some(changed) = table.report().keep("bad-value", &value.key, data.changed(&[set])) {
            data = changed;
        }
    }
    data
}

fn described_user(entry: &Entry<'_>) -> Option<Arc<User>> {
    let table = entry.table("test.user", "the `user` of a test".to_owned());
    let report = table.report();
    let username = table.parsed("username", crate::domain::user::normalize_username);
    let names = |key| -> Vec<At<String>> {
        let texts = table.entry(key).and_then(|entry| entry.texts_or_none());
        texts.map(|texts| texts.value).unwrap_or_default()
    };
    let permissions: BTreeSet<Permission> = names("permissions")
        .into_iter()
        .filter_map(|at| {
            let permission = report.keep("bad-value", &at.span, at.value.parse::<Permission>())?;
            report.mention(Named::Permission, at.value, at.span);
            Some(permission)
        })
        .collect();
    let groups = names("groups");
    for at in &groups {
        report.mention(Named::Group, &*at.value, at.span.clone());
    }
    let mut groups: Vec<String> = groups.into_iter().map(|at| at.value).collect();
    groups.sort();
    let profile: BTreeMap<String, String> = table
        .entry("profile")
        .map(|entry| entry.table("profile", "`profile`".to_owned()))
        .iter()
        .flat_map(Table::entries)
        .filter_map(|field| Some((field.name.clone(), field.text()?.value)))
        .collect();
    let text = |key| table.text(key).map(|at| at.value).unwrap_or_default();
    let flag = |key| table.flag(key).is_some_and(|at| at.value);
    let (email, first_name, last_name) = (text("email"), text("first_name"), text("last_name"));
    let (is_staff, is_superuser) = (flag("is_staff"), flag("is_superuser"));
    if table.misplaced("username").is_none() {
        let problem = Problem::error("missing-key", entry.span(), "the user of a test has no name");
        report.add(problem.hint("write `username = \"ada\"`"));
    }
    table.finish(&[]);
    Some(Arc::new(User {
        email,
        first_name,
        last_name,
        is_staff,
        is_superuser,
        groups,
        permissions,
        profile,
        ..hypothetical(username?.value)
    }))
}

/// An active user without any right, who is in no database.
pub fn hypothetical(username: String) -> User {
    User {
        id: UserId(0),
        username,
        first_name: String::new(),
        last_name: String::new(),
        email: String::new(),
        password: PasswordHash::from_encoded("!"),
        is_staff: false,
        is_active: true,
        is_superuser: false,
        last_login: None,
        date_joined: Timestamp::from_seconds(0),
        groups: Vec::new(),
        permissions: BTreeSet::new(),
        group_permissions: BTreeSet::new(),
        profile: BTreeMap::new(),
        has_messages: false,
    }
}
