//! The problems found so far, and the keys that may be in a file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::mentions::{Mention, Named};
use super::problem::{Problem, Span};

/// The problems found so far, and the keys that were asked for.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeMap<&'static str, BTreeSet<&'static str>>>,
    found: RefCell<BTreeMap<&'static str, BTreeSet<&'static str>>>,
    left_over: RefCell<Vec<LeftOver>>,
    mentions: RefCell<Vec<Mention>>,
    profile_mentions: RefCell<Vec<(String, Span)>>,
}

#[derive(Debug)]
struct LeftOver {
    section: &'static str,
    title: String,
    key: String,
    span: Span,
}

impl Report {
    pub(super) fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Notes the name of something that others than the file may know.
    pub(super) fn mention(&self, named: Named, name: impl Into<String>, place: Span) {
        self.mentions.borrow_mut().push(Mention { named, name: name.into(), place });
    }

    /// All names that were noted.
    pub(super) fn mentions(&self) -> Vec<Mention> {
        self.mentions.borrow().clone()
    }

    /// Remembers that these fields of a profile are named at `span`.
    pub(super) fn mention_profile(&self, fields: BTreeSet<String>, span: &Span) {
        let mentions = fields.into_iter().map(|field| (field, span.clone()));
        self.profile_mentions.borrow_mut().extend(mentions);
    }

    /// The fields that were named, and where.
    pub(super) fn take_profile_mentions(&self) -> Vec<(String, Span)> {
        self.profile_mentions.take()
    }

    /// Remembers that tables of `section` may have `key`.
    pub(super) fn ask(&self, section: &'static str, key: &'static str) {
        self.asked.borrow_mut().entry(section).or_default().insert(key);
    }

    /// Remembers that a table of `section` has `key`.
    pub(super) fn find(&self, section: &'static str, key: &'static str) {
        self.found.borrow_mut().entry(section).or_default().insert(key);
    }

    /// Notes a key that is in a table, unless the table was asked for it.
    pub(super) fn leave_over(&self, section: &'static str, title: &str, key: String, span: Span) {
        let is_known = |keys: &BTreeSet<&str>| keys.contains(key.as_str());
        if !self.asked.borrow().get(section).is_some_and(is_known) {
            let title = title.to_owned();
            self.left_over.borrow_mut().push(LeftOver { section, title, key, span });
        }
    }

    /// Takes `result`, or notes its error under `code` at `span`.
    pub(super) fn keep<T>(
        &self,
        code: &'static str,
        span: &Span,
        result: Result<T, impl ToString>,
    ) -> Option<T> {
        result.map_err(|error| self.add(Problem::error(code, span.clone(), error.to_string()))).ok()
    }

    /// All problems, the unknown keys with the nearest key that is known.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        let asked = self.asked.into_inner();
        for LeftOver { section, title, key, span } in self.left_over.into_inner() {
            let siblings = asked.get(section).into_iter().flatten().copied();
            let place = match section {
                "" => "at the top level".to_owned(),
                _ => format!("in {title}"),
            };
            let mut problem =
                Problem::error("unknown-key", span, format!("no key `{key}` {place}"))
                    .label("unknown");
            let elsewhere = || {
                asked
                    .iter()
                    .find(|(_, keys)| keys.contains(key.as_str()))
                    .map(|(section, _)| section)
            };
            if let Some(near) = nearest(&key, siblings) {
                problem = problem.hint(format!("did you mean `{near}`?"));
            } else if let Some(section) = elsewhere() {
                problem = problem.hint(format!("`{key}` belongs {}", whereabouts(section)));
            }
            problems.push(problem);
        }
        problems
    }

    /// The keys that were asked for and those that were there, as `section.key`.
    #[cfg(test)]
    pub(super) fn keys(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let names = |keys: &BTreeMap<&str, BTreeSet<&str>>| {
            keys.iter()
                .flat_map(|(section, keys)| keys.iter().map(move |key| format!("{section}.{key}")))
                .collect()
        };
        (names(&self.asked.borrow()), names(&self.found.borrow()))
    }
}

fn whereabouts(section: &str) -> String {
    match section {
        "" => "at the top of the file, before the first `[section]`".to_owned(),
        "paths.*" => "in a rule".to_owned(),
        "sites.*" => "in a site, `[sites.\"…\"]`".to_owned(),
        "upstreams.*" => "in `[upstreams.NAME]`".to_owned(),
        "test" => "in a `[[test]]`".to_owned(),
        "test.user" => "in the `user` of a `[[test]]`".to_owned(),
        _ => format!("in `[{section}]`"),
    }
}

/// The name most like `word`, if one is like it at all.
pub(super) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let folded = word.to_lowercase().replace('-', "_");
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}
