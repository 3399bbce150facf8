//! The decision: may this visitor's request pass on this path?

use super::path::Oddity;
use super::rule::{BrokenTest, Circumstances, Finding, RouteId};
use super::{RequestPath, Rule, Rules, Visitor};

/// This request, on this path, was allowed by a rule to a visitor: evidence that it may be sent
/// to the application.
///
/// ```compile_fail
/// // There is no other maker than `authorize`: the fields are private.
/// use vestibule::domain::{Permitted, RequestPath};
/// let path = RequestPath::parse("/").unwrap();
/// let _ = Permitted { request: (), path, route: vestibule::domain::rule::RouteId(0) };
/// ```
///
/// The upstream takes it:
///
/// ```
/// use vestibule::domain::Permitted;
/// use vestibule::upstream::{Application, Outgoing, Pool, forward};
/// use vestibule::web::{forwarding::Told, watch::Watch};
///
/// async fn send(
///     pool: &Pool,
///     application: &Application,
///     request: Permitted<Outgoing>,
///     told: Told,
///     watch: &Watch,
/// ) {
///     let _ = forward(pool, application, request, told, watch).await;
/// }
/// ```
///
/// and the same without the evidence does not compile:
///
/// ```compile_fail
/// use vestibule::upstream::{Application, Outgoing, Pool, forward};
/// use vestibule::web::{forwarding::Told, watch::Watch};
///
/// async fn send(
///     pool: &Pool,
///     application: &Application,
///     request: Outgoing,
///     told: Told,
///     watch: &Watch,
/// ) {
///     let _ = forward(pool, application, request, told, watch).await;
/// }
/// ```
#[derive(Debug)]
pub struct Permitted<R> {
    request: R,
    path: RequestPath,
    route: RouteId,
}

impl<R> Permitted<R> {
    /// Where the rule that allowed the request leads.
    pub fn route(&self) -> RouteId {
        self.route
    }

    /// The request, to write headers into: what was judged is the path, and that is kept apart.
    pub fn request_mut(&mut self) -> &mut R {
        &mut self.request
    }

    /// The request and the path on which it was judged, to be sent.
    pub fn into_parts(self) -> (R, RequestPath) {
        (self.request, self.path)
    }
}

/// What [`authorize()`] says: three outcomes, and three ways not to come to one.
#[derive(Debug)]
pub enum Decision<R> {
    /// The request may pass.
    Allow(Permitted<R>),
    /// It may not, and might after logging in.
    LogIn(Refused),
    /// It may not, and logging in changes nothing.
    Deny(Refused),
    /// The path has something in it that a rule would have to allow and does not.
    OddPath(Oddity),
    /// The readings of the path lead to different applications.
    Ambiguous,
    /// A rule's test gave no answer.
    Broken(BrokenTest),
}

/// The path that was refused, and what the rule leads to.
#[derive(Debug)]
pub struct Refused {
    /// The path on which the request was judged.
    pub path: RequestPath,
    /// Where the rule that refused would have led.
    pub route: RouteId,
}

/// Decides whether `request` may pass on `path`.
///
/// A path with one reading is judged by the one rule that is found for it. A path with several is
/// judged on each, and the strictest finding decides; every rule involved must allow what makes
/// the path odd, and all must lead to the same place.
pub fn authorize<R>(
    rules: &Rules,
    visitor: &Visitor,
    path: RequestPath,
    circumstances: &Circumstances<'_>,
    request: R,
) -> Decision<R> {
    match judge(rules, visitor, &path, circumstances) {
        Ok((Finding::Holds, rule)) => {
            Decision::Allow(Permitted { request, path, route: rule.route })
        }
        Ok((Finding::NeedsLogin, rule)) => Decision::LogIn(Refused { path, route: rule.route }),
        Ok((Finding::Lacks, rule)) => Decision::Deny(Refused { path, route: rule.route }),
        Err(NoJudgement::OddPath(oddity)) => Decision::OddPath(oddity),
        Err(NoJudgement::Ambiguous) => Decision::Ambiguous,
        Err(NoJudgement::Broken(broken)) => Decision::Broken(broken),
    }
}

/// Why no rule could be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoJudgement {
    /// A rule does not allow what the path has in it.
    OddPath(Oddity),
    /// The readings lead to different applications.
    Ambiguous,
    /// A rule's test gave no answer.
    Broken(BrokenTest),
}

/// The strictest finding over all readings of the path, and the rule that made it.
///
/// It is the whole of [`authorize()`] without a request: what `explain` and `[[test]]` ask.
pub fn judge<'r>(
    rules: &'r Rules,
    visitor: &Visitor,
    path: &RequestPath,
    circumstances: &Circumstances<'_>,
) -> Result<(Finding, &'r Rule), NoJudgement> {
    let mut strictest: Option<(Finding, &Rule)> = None;
    for reading in path.readings() {
        let rule = rules.find(circumstances.method, reading);
        if let Some(oddity) = path.oddities().iter().find(|&odd| !rule.allow_in_path.contains(odd))
        {
            return Err(NoJudgement::OddPath(oddity));
        }
        if strictest.is_some_and(|(_, other)| std::ptr::eq(other, rule)) {
            continue;
        }
        let finding = rule.examine(visitor, path, circumstances).map_err(NoJudgement::Broken)?;
        if strictest.is_some_and(|(_, other)| other.application != rule.application) {
            return Err(NoJudgement::Ambiguous);
        }
        if strictest.is_none_or(|(other, _)| finding > other) {
            strictest = Some((finding, rule));
        }
    }
    let rule_of_last_resort = || (Finding::Lacks, rules.fallback());
    Ok(strictest.unwrap_or_else(rule_of_last_resort))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::path::Oddities;
    use super::super::rule::{ApplicationId, Condition, Elsewhere, Pattern};
    use super::*;

    fn rules(allow_in_path: Oddities) -> Rules {
        let rule = |name: &str, conditions| {
            let name = name.to_owned();
            let (application, route) = (ApplicationId(0), RouteId(0));
            let pattern = Pattern::parse(&name).unwrap();
            let rule = Rule { name, conditions, allow_in_path, application, route };
            (pattern, rule)
        };
        let rules = [
            rule("/public/", Vec::new()),
            rule("/public/admin/", vec![Condition::SuperuserRequired]),
            rule("/admin/", vec![Condition::StaffRequired]),
        ];
        let (application, route) = (ApplicationId(0), RouteId(0));
        Rules::compile(rules, Elsewhere { allow_in_path, application, route }).unwrap()
    }

    fn finding(target: &str, allow_in_path: Oddities) -> Result<Finding, NoJudgement> {
        let circumstances = Circumstances {
            method: "GET",
            host: "localhost",
            is_secure: false,
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let path = RequestPath::parse(target).unwrap();
        judge(&rules(allow_in_path), &Visitor::Anonymous, &path, &circumstances)
            .map(|(finding, _)| finding)
    }

    #[test]
    fn nothing_is_public_unless_a_rule_says_so() {
        assert_eq!(finding("/public/x", Oddities::NONE), Ok(Finding::Holds));
        assert_eq!(finding("/elsewhere", Oddities::NONE), Ok(Finding::NeedsLogin));
    }

    #[test]
    fn an_odd_path_needs_a_rule_that_allows_it() {
        assert_eq!(
            finding("/public/a%2fb", Oddities::NONE),
            Err(NoJudgement::OddPath(Oddity::EncodedSlash))
        );
    }

    #[test]
    fn the_strictest_reading_decides() {
        let all: Oddities = Oddity::ALL.into_iter().collect();
        assert_eq!(finding("/public/a%2fb", all), Ok(Finding::Holds));
        assert_eq!(finding("/public/admin%2fb", all), Ok(Finding::NeedsLogin));
        assert_eq!(finding("/public//admin/", all), Ok(Finding::NeedsLogin));
        assert_eq!(finding("//public/admin/", all), Ok(Finding::NeedsLogin));
        assert_eq!(finding("/public/admin;x/", all), Ok(Finding::NeedsLogin));
        assert_eq!(finding("/public/admin./", all), Ok(Finding::NeedsLogin));
        assert_eq!(finding("/public/%ef%bd%81dmin/", all), Ok(Finding::NeedsLogin));
    }
}
