//! Expressions over the visitor and the request: the `test` of a rule.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior, context};

use super::scope;
use super::session_scope::SessionScope;
use crate::domain::rule::{BrokenTest, Circumstances, Test};
use crate::domain::{RequestPath, Visitor};

/// The names that a test may use.
const NAMES: [&str; 5] = ["user", "groups", "profile", "session", "request"];

/// How many steps a test may take; an expression without a loop needs a few dozen.
const FUEL: u64 = 20_000;

/// A compiled expression such as `user.email.endswith("@example.org") or "staff" in groups`.
///
/// The language is Jinja's. A name or an attribute that does not exist is an error, never false,
/// since `not usr.is_staff` would let everybody in otherwise.
pub struct Expression {
    source: String,
    compiled: minijinja::Expression<'static, 'static>,
}

/// Why a text is not an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MalformedExpression {
    /// What is wrong, in a sentence.
    pub message: String,
    /// Where, in bytes from the start, if that is known.
    pub range: Option<std::ops::Range<usize>>,
}

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(string_method);
    environment
});

impl Expression {
    /// Compiles `source` and tries it on an anonymous visitor, so that a misspelt name is found now.
    pub fn compile(source: &str) -> Result<Self, MalformedExpression> {
        let malformed = |error: minijinja::Error| MalformedExpression {
            message: error.detail().map_or_else(|| error.kind().to_string(), str::to_owned),
            range: error.range(),
        };
        let compiled =
            ENVIRONMENT.compile_expression_owned(source.to_owned()).map_err(malformed)?;
        let mut unknown: Vec<String> = compiled
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !NAMES.contains(&name.as_str()))
            .collect();
        unknown.sort();
        if let Some(name) = unknown.first() {
            let range = source.find(name.as_str()).map(|start| start..start + name.len());
            let message =
                format!("there is no `{name}` in a test\nhint: it may use {}", NAMES.join(", "));
            return Err(MalformedExpression { message, range });
        }
        let expression = Self { source: source.to_owned(), compiled };
        let nobody = Circumstances {
            method: "GET",
            host: "localhost",
            is_secure: false,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        if let Ok(root) = RequestPath::parse("/") {
            let message =
                |broken: BrokenTest| MalformedExpression { message: broken.why, range: None };
            expression.holds(&Visitor::Anonymous, &root, &nobody).map_err(message)?;
        }
        Ok(expression)
    }
}

impl Test for Expression {
    fn holds(
        &self,
        visitor: &Visitor,
        path: &RequestPath,
        circumstances: &Circumstances<'_>,
    ) -> Result<bool, BrokenTest> {
        let names = context! {
            user => scope::UserScope::of(visitor),
            groups => scope::groups(visitor),
            profile => scope::ProfileScope::of(visitor),
            session => SessionScope::of(visitor, None),
            request => scope::request(path, circumstances),
        };
        match self.compiled.eval(names) {
            // Strictness ends before the value as a whole: `user.is_stuff` alone would be false.
            Ok(value) if value.is_undefined() => Err(BrokenTest {
                test: self.source.clone(),
                why: "it names something that does not exist".to_owned(),
            }),
            Ok(value) => Ok(value.is_true()),
            Err(error) => {
                let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                Err(BrokenTest { test: self.source.clone(), why })
            }
        }
    }
}

/// The methods of Python's strings that Django's users know, for `user.email.endswith(…)`.
fn string_method(
    _state: &mut minijinja::State<'_, '_>,
    value: &minijinja::Value,
    method: &str,
    args: &[minijinja::Value],
) -> Result<minijinja::Value, minijinja::Error> {
    let unknown = || {
        minijinja::Error::new(
            minijinja::ErrorKind::UnknownMethod,
            format!("no method `{method}` with {} arguments", args.len()),
        )
    };
    let text = value.as_str().ok_or_else(unknown)?;
    let argument = args.first().and_then(|argument| argument.as_str());
    match (method, argument, args.len()) {
        ("startswith", Some(prefix), 1) => Ok(text.starts_with(prefix).into()),
        ("endswith", Some(suffix), 1) => Ok(text.ends_with(suffix).into()),
        ("lower", None, 0) => Ok(text.to_lowercase().into()),
        ("upper", None, 0) => Ok(text.to_uppercase().into()),
        ("strip", None, 0) => Ok(text.trim().into()),
        _ => Err(unknown()),
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_attributes_that_do_not_exist_are_errors() {
        for source in [
            "usr.is_staff",
            "user.is_stuff",
            "not user.is_stuff",
            "request.pth == '/'",
            "user.email.endswth('x')",
            "1 +",
            "session.pop('a')",
        ] {
            assert!(Expression::compile(source).is_err(), "{source}");
        }
    }

    #[test]
    fn nobody_has_anything_in_a_profile_or_a_session() {
        for source in ["'a' in profile", "'a' in session", "'started' in session", "profile.a"] {
            let expression = Expression::compile(source).unwrap();
            let (path, address) = (RequestPath::parse("/").unwrap(), Ipv4Addr::LOCALHOST.into());
            let request = Circumstances { method: "GET", host: "", is_secure: false, address };
            assert_eq!(expression.holds(&Visitor::Anonymous, &path, &request), Ok(false));
        }
    }

    #[test]
    fn what_is_known_of_nobody_is_tried_at_once() {
        for source in [
            "user.is_staff",
            "user.email.endswith('@example.org') or 'staff' in groups",
            "user.has_perm('polls.can_vote') and request.method == 'GET'",
            "profile.age == 'x' and session.fav_color == 'red'",
            "session['fav-color'] == 'red' or session.get('fav-color') == 'blue'",
            "session.visits and session.visits > 3 and 'cart' in session",
            "'a' in session.keys() or session.has_key('b') or session.items()",
            "not user.is_anonymous",
        ] {
            assert!(
                Expression::compile(source).is_ok(),
                "{source}: {:?}",
                Expression::compile(source)
            );
        }
    }
}
