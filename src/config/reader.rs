//! A cursor over the parsed file: typed questions, with a problem noted for every wrong answer.
//!
//! Every table is asked for the keys that it may have, and remembers them; what is left over is
//! unknown. Nothing here stops at the first problem.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Span};
use super::quantity;
use super::report::{Report, nearest};

/// A value with the places of its key and of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) key: Span,
    pub(super) span: Span,
}

/// A table and the section of the reference that says what may be in it.
#[derive(Debug, Clone)]
pub(super) struct Table<'a> {
    report: &'a Report,
    section: &'static str,
    title: String,
    entries: Option<&'a DeTable<'a>>,
    /// Where the table, or its key, stands; nowhere when it is not in the file.
    pub(super) place: Option<Span>,
}

/// One key of a table with its value, not yet read.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    report: &'a Report,
    /// The key.
    pub(super) name: String,
    /// Where the key stands.
    pub(super) key: Span,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Table<'a> {
    /// The file as a whole.
    pub(super) fn root(report: &'a Report, entries: &'a DeTable<'a>) -> Self {
        let title = "the top level".to_owned();
        Self { report, section: "", title, entries: Some(entries), place: None }
    }

    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    pub(super) fn is_in_file(&self) -> bool {
        self.entries.is_some()
    }

    /// The entry for a key that this table may have.
    pub(super) fn entry(&self, key: &'static str) -> Option<Entry<'a>> {
        self.report.ask(self.section, key);
        let (name, value) = self.entries?.get_key_value(key)?;
        self.report.find(self.section, key);
        Some(Entry { report: self.report, name: key.to_owned(), key: name.span(), value })
    }

    /// Every entry of a table whose keys are free, in the order of the file.
    pub(super) fn entries(&self) -> Vec<Entry<'a>> {
        let mut entries: Vec<Entry<'a>> = self
            .entries
            .into_iter()
            .flat_map(|table| table.iter())
            .map(|(name, value)| Entry {
                report: self.report,
                name: name.get_ref().to_string(),
                key: name.span(),
                value,
            })
            .collect();
        entries.sort_by_key(|entry| entry.key.start);
        entries
    }

    /// A table inside this one; without entries when it is not there.
    pub(super) fn table(&self, key: &'static str) -> Self {
        let title = format!("`[{key}]`");
        match self.entry(key) {
            Some(entry) => entry.table(key, title),
            None => Self { report: self.report, section: key, title, entries: None, place: None },
        }
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        self.entry(key)?.text()
    }

    /// A text that `read` understands.
    pub(super) fn parsed<T, E: ToString>(
        &self,
        key: &'static str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        let value = self.report.keep("bad-value", &text.span, read(&text.value))?;
        Some(At { value, key: text.key, span: text.span })
    }

    /// A text or a list of texts, at least one.
    pub(super) fn texts(&self, key: &'static str) -> Option<At<Vec<At<String>>>> {
        self.entry(key)?.texts()
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<At<bool>> {
        let entry = self.entry(key)?;
        match entry.value.get_ref().as_bool() {
            Some(value) => Some(entry.at(value)),
            None => entry.wrong_type("`true` or `false`"),
        }
    }

    /// An integer from `least` to `most`.
    pub(super) fn integer(&self, key: &'static str, least: u64, most: u64) -> Option<At<u64>> {
        let entry = self.entry(key)?;
        if entry.value.get_ref().is_integer() && entry.integer().is_none() {
            let message = format!("`{key}` is out of range\nhint: it must be {least} or more");
            self.report.add(Problem::error("out-of-range", entry.span(), message));
            return None;
        }
        let Some(value) = entry.integer() else { return entry.wrong_type("an integer") };
        entry.within(value, least, most, |bound| bound.to_string())
    }

    /// A duration of `least` or more.
    pub(super) fn duration(&self, key: &'static str, least: Duration) -> Option<At<Duration>> {
        let entry = self.entry(key)?;
        if let Some(seconds) = entry.integer() {
            let message = format!("`{key}` has no unit");
            let problem = Problem::error("wrong-type", entry.value.span(), message);
            self.report.add(problem.hint(format!("write `\"{seconds}s\"` for seconds")));
            return None;
        }
        let Some(text) = entry.value.get_ref().as_str() else {
            return entry.wrong_type("a duration such as `\"30s\"`");
        };
        let value = self.report.keep("bad-value", &entry.value.span(), quantity::duration(text))?;
        entry.within(value, least, Duration::MAX, quantity::written)
    }

    /// A number of bytes from `least` to `most`.
    pub(super) fn size(&self, key: &'static str, least: u64, most: u64) -> Option<At<u64>> {
        let entry = self.entry(key)?;
        let value = match (entry.integer(), entry.value.get_ref().as_str()) {
            (Some(bytes), _) => bytes,
            (None, Some(text)) => {
                self.report.keep("bad-value", &entry.value.span(), quantity::size(text))?
            }
            (None, None) => return entry.wrong_type("a size such as `\"1MiB\"`"),
        };
        entry.within(value, least, most, |bound| format!("{bound} bytes"))
    }

    /// One of the names in `choices`, with what it stands for.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<At<T>> {
        let text = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(At { value: *value, key: text.key, span: text.span });
        }
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        let near = nearest(&text.value, choices.iter().map(|(name, _)| *name));
        let hint = near.map_or_else(
            || format!("write one of {}", names.join(", ")),
            |name| format!("did you mean `{name}`? It may be one of {}", names.join(", ")),
        );
        let message = format!("`{key}` cannot be `{}`", text.value);
        self.report.add(Problem::error("bad-value", text.span, message).hint(hint));
        None
    }

    /// A key of a later version: an error when it is there, so that nobody takes it for in force.
    pub(super) fn not_yet(&self, key: &str, message: &str) {
        if let Some((name, _)) = self.entries.and_then(|table| table.get_key_value(key)) {
            let problem = Problem::error("not-yet", name.span(), message);
            self.report.add(problem.label("not in force"));
        }
    }

    /// Where a key stands that belongs to another kind of table.
    pub(super) fn misplaced(&self, key: &str) -> Option<Span> {
        self.entries.and_then(|table| table.get_key_value(key)).map(|(name, _)| name.span())
    }

    /// The place in the file of a part of `text`; all of it where that cannot be told.
    pub(super) fn inside(&self, text: &At<String>, part: Option<Span>) -> Span {
        let length = text.span.len();
        // Between plain quotes the bytes of the file are those of the text.
        match part {
            Some(part) if length == text.value.len() + 2 && part.end <= text.value.len() => {
                let start = text.span.start + 1;
                let end = part.end.max(part.start + 1).min(text.value.len());
                start + part.start..start + end.max(part.start)
            }
            Some(_) | None => text.span.clone(),
        }
    }

    /// Notes every key that was not asked for, apart from those in `reported`.
    pub(super) fn finish(self, reported: &[&str]) {
        for entry in self.entries() {
            if !reported.contains(&entry.name.as_str()) {
                self.report.leave_over(self.section, &self.title, entry.name, entry.key);
            }
        }
    }
}

impl<'a> Entry<'a> {
    fn at<T>(&self, value: T) -> At<T> {
        At { value, key: self.key.clone(), span: self.value.span() }
    }

    pub(super) fn report(&self) -> &'a Report {
        self.report
    }

    /// Where the value stands.
    pub(super) fn span(&self) -> Span {
        self.value.span()
    }

    fn integer(&self) -> Option<u64> {
        let integer = self.value.get_ref().as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    fn within<T: PartialOrd + Copy>(
        &self,
        value: T,
        least: T,
        most: T,
        show: impl Fn(T) -> String,
    ) -> Option<At<T>> {
        let name = &self.name;
        let message = if value < least {
            format!("`{name}` is too small\nhint: it must be {} or more", show(least))
        } else if value > most {
            format!("`{name}` is too large\nhint: it must be {} or less", show(most))
        } else {
            return Some(self.at(value));
        };
        self.report.add(Problem::error("out-of-range", self.span(), message));
        None
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    pub(super) fn text(&self) -> Option<At<String>> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(self.at(text.to_owned())),
            None => self.wrong_type("a string"),
        }
    }

    /// The value as JSON, whatever its type.
    pub(super) fn json(&self) -> Option<At<serde_json::Value>> {
        match super::json::of(self.value.get_ref()) {
            Some(json) => Some(self.at(json)),
            None => self.wrong_type("something that JSON has a word for"),
        }
    }

    pub(super) fn texts(&self) -> Option<At<Vec<At<String>>>> {
        if let Some(text) = self.value.get_ref().as_str() {
            return Some(self.at(vec![self.at(text.to_owned())]));
        }
        let Some(array) = self.value.get_ref().as_array() else {
            return self.wrong_type("a string or a list of strings");
        };
        if array.is_empty() {
            let message = format!("`{}` is empty", self.name);
            let problem = Problem::error("empty-list", self.span(), message);
            self.report.add(problem.hint("leave the key out, or name at least one"));
            return None;
        }
        let items: Vec<At<String>> = array
            .iter()
            .filter_map(|item| {
                Self {
                    report: self.report,
                    name: self.name.clone(),
                    key: self.key.clone(),
                    value: item,
                }
                .text()
            })
            .collect();
        Some(self.at(items))
    }

    /// A list of texts that may be empty.
    pub(super) fn texts_or_none(&self) -> Option<At<Vec<At<String>>>> {
        match self.value.get_ref().as_array() {
            Some(array) if array.is_empty() => Some(self.at(Vec::new())),
            Some(_) | None => self.texts(),
        }
    }

    /// The value as a table of `section`; empty, and noted, when it is something else.
    pub(super) fn table(&self, section: &'static str, title: String) -> Table<'a> {
        let entries = self.value.get_ref().as_table();
        if entries.is_none() {
            let _: Option<()> = self.wrong_type("a table");
        }
        let place = Some(self.key.clone());
        Table { report: self.report, section, title, entries, place }
    }

    /// The tables of `[[…]]`.
    pub(super) fn tables(&self, section: &'static str, title: &str) -> Vec<Table<'a>> {
        let Some(array) = self.value.get_ref().as_array() else {
            let _: Option<()> = self.wrong_type("a list of tables");
            return Vec::new();
        };
        array
            .iter()
            .filter_map(|item| {
                let Some(entries) = item.get_ref().as_table() else {
                    let message = format!("each `{}` must be a table", self.name);
                    self.report.add(Problem::error("wrong-type", item.span(), message));
                    return None;
                };
                Some(Table {
                    report: self.report,
                    section,
                    title: title.to_owned(),
                    entries: Some(entries),
                    place: Some(item.span()),
                })
            })
            .collect()
    }

    /// Notes that the value is not `expected`.
    pub(super) fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let message = format!("`{}` must be {expected}", self.name);
        self.report.add(
            Problem::error("wrong-type", self.span(), message).label(format!("this is {found}")),
        );
        None
    }
}
