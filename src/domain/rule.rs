//! Rules: who may pass where, one per path prefix, and how the one that decides is found.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::path::{MalformedPath, Oddities, Oddity};
use super::{Permission, RequestPath, Visitor};

/// One entry under `paths`: what a visitor must be for requests below a prefix to pass.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The rule as its key was written, for explanations and logs: `POST /polls/`.
    pub name: String,
    /// What must hold, all of it; a rule without conditions is public.
    pub conditions: Vec<Condition>,
    /// What a path below the prefix may have in it although servers read it differently.
    pub allow_in_path: Oddities,
    /// The application that permitted requests go to: a number that the gateway gave out.
    pub application: ApplicationId,
    /// What else the rule leads to, limits and headers: a number that the gateway gave out.
    pub route: RouteId,
}

/// The number of an application; rules with the same one lead to the same servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApplicationId(pub usize);

/// The number of what a rule leads to; the gateway knows what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteId(pub usize);

/// One thing that a rule asks of a visitor.
#[derive(Debug, Clone)]
pub enum Condition {
    /// To be signed in.
    LoginRequired,
    /// To hold every one of these permissions.
    PermissionRequired(Vec<Permission>),
    /// To be in at least one of these groups.
    Groups(Vec<String>),
    /// To be one of these users.
    Users(Vec<String>),
    /// To be a member of staff.
    StaffRequired,
    /// To be a superuser.
    SuperuserRequired,
    /// To come from one of these networks.
    Networks(Vec<IpNet>),
    /// To pass a test, as Django's `user_passes_test` has it.
    Test(Arc<dyn Test>),
}

/// A test over the visitor and the request.
pub trait Test: fmt::Debug + fmt::Display + Send + Sync {
    /// Whether the visitor passes, or why that cannot be told.
    fn holds(
        &self,
        visitor: &Visitor,
        path: &RequestPath,
        request: &Circumstances<'_>,
    ) -> Result<bool, BrokenTest>;
}

/// A test failed to give an answer. That is our fault or the operator's, never a permission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the test `{test}` gave no answer: {why}")]
pub struct BrokenTest {
    /// The expression.
    pub test: String,
    /// What went wrong.
    pub why: String,
}

/// What of a request may decide, apart from who sends it.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The host asked for, in lower case, without a port.
    pub host: &'a str,
    /// Whether the visitor came by TLS.
    pub is_secure: bool,
    /// The visitor's own address, after trusted proxies.
    pub address: IpAddr,
}

/// What a condition says of a visitor. The order is that of strictness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It does not, and could after logging in.
    NeedsLogin,
    /// It does not, and logging in changes nothing.
    Lacks,
}

impl Condition {
    /// Whether the condition holds for `visitor` and `request`.
    pub fn examine(
        &self,
        visitor: &Visitor,
        path: &RequestPath,
        request: &Circumstances<'_>,
    ) -> Result<Finding, BrokenTest> {
        let holds = match self {
            Self::Networks(networks) => {
                let is_inside = networks.iter().any(|network| network.contains(&request.address));
                return Ok(if is_inside { Finding::Holds } else { Finding::Lacks });
            }
            Self::Test(test) => test.holds(visitor, path, request)?,
            Self::LoginRequired => visitor.user().is_some(),
            Self::PermissionRequired(permissions) => {
                visitor.user().is_some_and(|user| user.has_perms(permissions))
            }
            Self::Groups(groups) => {
                visitor.user().is_some_and(|user| groups.iter().any(|name| user.is_in_group(name)))
            }
            Self::Users(names) => visitor.user().is_some_and(|user| names.contains(&user.username)),
            Self::StaffRequired => visitor.user().is_some_and(|user| user.is_staff),
            Self::SuperuserRequired => visitor.user().is_some_and(|user| user.is_superuser),
        };
        Ok(match (holds, visitor) {
            (true, _) => Finding::Holds,
            (false, Visitor::Anonymous | Visitor::Guest(_)) => Finding::NeedsLogin,
            (false, Visitor::SignedIn(_)) => Finding::Lacks,
        })
    }
}

impl Rule {
    /// The strictest finding of all conditions; tests are asked last and only if the rest holds.
    pub fn examine(
        &self,
        visitor: &Visitor,
        path: &RequestPath,
        request: &Circumstances<'_>,
    ) -> Result<Finding, BrokenTest> {
        let is_test = |condition: &&Condition| matches!(condition, Condition::Test(_));
        let mut strictest = Finding::Holds;
        for condition in self.conditions.iter().filter(|condition| !is_test(condition)) {
            strictest = strictest.max(condition.examine(visitor, path, request)?);
        }
        for condition in self.conditions.iter().filter(is_test) {
            if strictest == Finding::Holds {
                strictest = condition.examine(visitor, path, request)?;
            }
        }
        Ok(strictest)
    }
}

/// The key of a rule: an optional list of methods and a path prefix, `POST,PUT /polls/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    methods: Vec<String>,
    segments: Vec<String>,
}

/// Why the key of a rule is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedPattern {
    /// A method is not a word in upper case.
    #[error(
        "`{0}` is not a method\nhint: write methods in upper case before the path, as in `\"POST,PUT /x/\"`"
    )]
    Method(String),
    /// The prefix could not be the path of a request.
    #[error("`{0}` is not a path prefix: {1}")]
    Path(String, MalformedPath),
    /// The prefix has a query.
    #[error("`{0}` has a query\nhint: rules look at the path alone")]
    Query(String),
    /// The prefix has something in it that servers read differently.
    #[error("`{prefix}` has `{oddity}` in it\nhint: write the plain prefix, and `allow_in_path = [\"{oddity}\"]` in its rule", prefix = .0, oddity = .1.name())]
    Odd(String, Oddity),
}

impl Pattern {
    /// Reads the key of a rule.
    pub fn parse(key: &str) -> Result<Self, MalformedPattern> {
        let (methods, prefix) = match key.rsplit_once(' ') {
            Some((methods, prefix)) => (Some(methods), prefix),
            None => (None, key),
        };
        let methods = methods.map_or(Ok(Vec::new()), |list| {
            list.split(',')
                .map(|method| match method.trim() {
                    name if !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase()) => {
                        Ok(name.to_owned())
                    }
                    name => Err(MalformedPattern::Method(name.to_owned())),
                })
                .collect()
        })?;
        let path = RequestPath::parse(prefix)
            .map_err(|why| MalformedPattern::Path(prefix.to_owned(), why))?;
        if path.query().is_some() {
            return Err(MalformedPattern::Query(prefix.to_owned()));
        }
        if let Some(oddity) = path.oddities().iter().next() {
            return Err(MalformedPattern::Odd(prefix.to_owned(), oddity));
        }
        let segments = path
            .readings()
            .next()
            .map(segments_of)
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect();
        Ok(Self { methods, segments })
    }

    /// The methods that the rule is for; none means all.
    pub fn methods(&self) -> &[String] {
        &self.methods
    }

    /// The segments of the prefix, in lower case.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether every path below `other` is also below this prefix.
    pub fn covers(&self, other: &Self) -> bool {
        other.segments.starts_with(&self.segments)
    }

    /// How many segments the prefix has; the rule with the most decides.
    pub fn length(&self) -> usize {
        self.segments.len()
    }
}

/// The rules of a site, compiled once: a tree of path segments.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    root: Node,
    fallback: usize,
}

/// What holds for paths that no rule names, besides that they need a login.
#[derive(Debug, Clone, Copy)]
pub struct Elsewhere {
    /// What such a path may have in it.
    pub allow_in_path: Oddities,
    /// Where permitted requests go.
    pub application: ApplicationId,
    /// What else they lead to.
    pub route: RouteId,
}

#[derive(Debug, Clone, Default)]
struct Node {
    children: HashMap<Box<str>, Node, foldhash::fast::RandomState>,
    any_method: Option<usize>,
    by_method: Vec<(Box<str>, usize)>,
}

/// Two rules of a site are for the same prefix and method, possibly in different case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{second}` is for the same requests as `{first}`\nhint: prefixes match without regard to case"
)]
pub struct SameRule {
    /// The name of the rule that came first.
    pub first: String,
    /// The name of the one that repeats it.
    pub second: String,
}

impl Rules {
    /// Compiles `rules`. Paths that none of them names need a login, and go where `elsewhere` says.
    pub fn compile(
        rules: impl IntoIterator<Item = (Pattern, Rule)>,
        elsewhere: Elsewhere,
    ) -> Result<Self, SameRule> {
        let Elsewhere { allow_in_path, application, route } = elsewhere;
        let mut compiled = Self { rules: Vec::new(), root: Node::default(), fallback: 0 };
        for (pattern, rule) in rules {
            compiled.insert(&pattern, rule)?;
        }
        compiled.fallback = compiled.rules.len();
        compiled.rules.push(Rule {
            name: "(no rule)".to_owned(),
            conditions: vec![Condition::LoginRequired],
            allow_in_path,
            application,
            route,
        });
        Ok(compiled)
    }

    /// The one rule that decides on `method` and a reading of a path: the longest prefix, and at
    /// equal length the one that names the method.
    pub fn find(&self, method: &str, reading: &str) -> &Rule {
        let mut node = &self.root;
        let mut best = node.rule_for(method);
        for segment in segments_of(reading) {
            let Some(child) = node.children.get(segment) else { break };
            node = child;
            best = node.rule_for(method).or(best);
        }
        &self.rules[best.unwrap_or(self.fallback)]
    }

    /// The rule for paths that no rule names: a login is needed.
    pub fn fallback(&self) -> &Rule {
        &self.rules[self.fallback]
    }

    /// Every rule, in the order of the file; the last is the one for paths that no rule names.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    fn insert(&mut self, pattern: &Pattern, rule: Rule) -> Result<(), SameRule> {
        let index = self.rules.len();
        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = node.children.entry(segment.as_str().into()).or_default();
        }
        let same = |first: usize| SameRule {
            first: self.rules[first].name.clone(),
            second: rule.name.clone(),
        };
        if pattern.methods.is_empty() {
            if let Some(first) = node.any_method {
                return Err(same(first));
            }
            node.any_method = Some(index);
        }
        for method in &pattern.methods {
            if let Some((_, first)) = node.by_method.iter().find(|(name, _)| **name == **method) {
                return Err(same(*first));
            }
            node.by_method.push((method.as_str().into(), index));
        }
        self.rules.push(rule);
        Ok(())
    }
}

impl Node {
    /// The rule that stands exactly here; one for GET covers HEAD.
    fn rule_for(&self, method: &str) -> Option<usize> {
        let named = |wanted: &str| {
            self.by_method.iter().find(|(name, _)| **name == *wanted).map(|(_, index)| *index)
        };
        if self.by_method.is_empty() {
            return self.any_method;
        }
        named(method)
            .or_else(|| (method == "HEAD").then(|| named("GET")).flatten())
            .or(self.any_method)
    }
}

/// The segments of a path; a slash at its end opens no segment of its own.
fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').take(if path.is_empty() { 0 } else { usize::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(keys: &[&str]) -> Result<Rules, SameRule> {
        let rules = keys.iter().enumerate().map(|(index, key)| {
            let rule = Rule {
                name: (*key).to_owned(),
                conditions: Vec::new(),
                allow_in_path: Oddities::NONE,
                application: ApplicationId(0),
                route: RouteId(index),
            };
            (Pattern::parse(key).unwrap(), rule)
        });
        let elsewhere = Elsewhere {
            allow_in_path: Oddities::NONE,
            application: ApplicationId(0),
            route: RouteId(99),
        };
        Rules::compile(rules, elsewhere)
    }

    #[test]
    fn the_longest_prefix_decides_whatever_the_order() {
        let rules = rules(&["/", "/pub/", "/pub/admin/", "/polls"]).unwrap();
        for (path, name) in [
            ("/", "/"),
            ("/x", "/"),
            ("/pub", "/pub/"),
            ("/pub/x/y", "/pub/"),
            ("/pub/admin", "/pub/admin/"),
            ("/pub/admin/x", "/pub/admin/"),
            ("/pub/administrator", "/pub/"),
            ("/polls/", "/polls"),
            ("/pollster", "/"),
        ] {
            assert_eq!(rules.find("GET", path).name, name, "{path}");
        }
    }

    #[test]
    fn a_rule_that_names_the_method_beats_one_of_the_same_length() {
        let rules = rules(&["/polls/", "POST,PUT /polls/", "GET /polls/results/"]).unwrap();
        assert_eq!(rules.find("POST", "/polls/1").name, "POST,PUT /polls/");
        assert_eq!(rules.find("GET", "/polls/1").name, "/polls/");
        assert_eq!(rules.find("HEAD", "/polls/results/").name, "GET /polls/results/");
        assert_eq!(rules.find("POST", "/polls/results/").name, "POST,PUT /polls/");
        assert_eq!(rules.find("GET", "/elsewhere").name, "(no rule)");
    }

    #[test]
    fn rules_that_differ_only_in_case_are_the_same() {
        assert!(rules(&["/Admin/", "/admin"]).is_err());
        assert!(rules(&["GET /a", "GET,POST /a/"]).is_err());
    }

    #[test]
    fn a_pattern_is_methods_and_a_clean_prefix() {
        for bad in ["polls", "get /polls/", "/a/../b", "/a?b", "/a//b", "/a;b", ", /a", ""] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
