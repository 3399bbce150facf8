//! `[identity]`, and the `headers` of sites and rules.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::mentions;
use super::problem::{Problem, Span};
use super::reader::Table;
use crate::web::identity_headers::{
    Encoding, IdentityHeaders, MalformedHeader, Preset, SESSION_KEY,
};
use crate::web::profile_mentions;

/// A header as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) template: String,
}

/// The headers of a route: what was inherited with what was added or replaced.
pub(super) type Set = Rc<Vec<Header>>;

/// `[identity]`, and every set of headers that was compiled so far.
#[derive(Debug)]
pub(super) struct Identity {
    base: Set,
    separator: String,
    encoding: Encoding,
    compiled: HashMap<Set, Arc<IdentityHeaders>>,
    names: BTreeSet<String>,
}

impl Identity {
    pub(super) fn read(root: &Table<'_>) -> Self {
        let table = root.table("identity");
        let presets = Preset::ALL.map(|preset| (preset.name(), preset));
        let preset = table.choice("preset", &presets).map_or(Preset::Remote, |at| at.value);
        let separator = table.parsed("group_separator", separator);
        let encoding =
            table.choice("encoding", &[("utf-8", Encoding::Utf8), ("percent", Encoding::Percent)]);
        let tells_key = table.flag("session_key").is_some_and(|at| at.value);
        let own = read_headers(&table);
        table.finish(&[]);

        let session_key = tells_key.then_some(&SESSION_KEY);
        let base = preset.headers().iter().chain(session_key).map(|(name, template)| Header {
            name: (*name).to_owned(),
            template: (*template).to_owned(),
        });
        // Every name that another file might have the gateway write, so that an application never
        // sees a forged one of them.
        let names = Preset::ALL
            .iter()
            .flat_map(|preset| preset.headers())
            .chain([&SESSION_KEY])
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        let mut identity = Self {
            base: Rc::new(base.collect()),
            separator: separator.map_or_else(|| preset.group_separator().to_owned(), |at| at.value),
            encoding: encoding.map_or(Encoding::Utf8, |at| at.value),
            compiled: HashMap::new(),
            names,
        };
        let base = Rc::clone(&identity.base);
        identity.base = identity.extended(&base, &own);
        identity
    }

    /// The headers that hold where nothing else is said.
    pub(super) fn base(&self) -> Set {
        Rc::clone(&self.base)
    }

    /// `inherited` with `own` added, or put in the place of what has the same name.
    pub(super) fn extended(&mut self, inherited: &Set, own: &[Header]) -> Set {
        self.names.extend(own.iter().map(|header| header.name.to_ascii_lowercase()));
        if own.is_empty() {
            return Rc::clone(inherited);
        }
        let mut headers: Vec<Header> = inherited.as_ref().clone();
        for header in own {
            match headers.iter_mut().find(|other| folded(&other.name) == folded(&header.name)) {
                Some(other) => *other = header.clone(),
                None => headers.push(header.clone()),
            }
        }
        Rc::new(headers)
    }

    /// The compiled form of `set`, one for all routes that have the same.
    pub(super) fn compiled(&mut self, set: &Set) -> Result<Arc<IdentityHeaders>, MalformedHeader> {
        if let Some(compiled) = self.compiled.get(set) {
            return Ok(Arc::clone(compiled));
        }
        let headers = set.iter().map(|header| (header.name.as_str(), header.template.as_str()));
        let compiled = IdentityHeaders::compile(headers, &self.separator, self.encoding)?;
        let compiled = Arc::new(compiled);
        self.compiled.insert(Rc::clone(set), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Every name in the file and in the presets, in lower case.
    pub(super) fn into_names(self) -> Vec<String> {
        self.names.into_iter().collect()
    }
}

/// `headers`: names and templates, each tried by itself.
pub(super) fn read_headers(table: &Table<'_>) -> Vec<Header> {
    let report = table.report();
    let Some(entry) = table.entry("headers") else { return Vec::new() };
    let mut headers: Vec<(Header, Span)> = Vec::new();
    for entry in entry.table("headers", "`headers`".to_owned()).entries() {
        let Some(template) = entry.text() else { continue };
        mentions::in_template(table, &template);
        report.mention_profile(profile_mentions::in_template(&template.value), &template.span);
        let header = Header { name: entry.name.clone(), template: template.value };
        let one = [(header.name.as_str(), header.template.as_str())];
        if let Err(error) = IdentityHeaders::compile(one, ",", Encoding::Utf8) {
            let span = match error {
                MalformedHeader::Template { .. } => template.span,
                MalformedHeader::Name(_) | MalformedHeader::Reserved(_) => entry.key,
            };
            report.add(Problem::error("bad-header", span, error.to_string()));
            continue;
        }
        let same = |(other, _): &&(Header, Span)| folded(&other.name) == folded(&header.name);
        if let Some((first, place)) = headers.iter().find(same) {
            let message = format!("`{}` is the same header as `{}`", header.name, first.name);
            let problem = Problem::error("duplicate", entry.key, message)
                .other(place.clone(), "first here")
                .hint("names of headers do not differ by case, and not by `-` or `_`");
            report.add(problem);
            continue;
        }
        headers.push((header, entry.key));
    }
    headers.into_iter().map(|(header, _)| header).collect()
}

/// The name as applications that read headers from CGI variables see it.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

fn separator(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("`group_separator` is empty, so that groups would run together");
    }
    if text.chars().any(char::is_control) {
        return Err("`group_separator` has a control character in it");
    }
    Ok(text.to_owned())
}
