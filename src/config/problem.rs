//! What is wrong with a file, and how it is shown: place, source line, caret, hint.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::secrets;

/// A range of bytes in the file.
pub(super) type Span = Range<usize>;

/// Everything that is wrong with a file, errors and warnings, in the order of the file.
#[derive(Debug, Clone)]
pub struct Problems {
    source: Arc<Source>,
    list: Vec<Problem>,
}

/// The text that problems are shown in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// The name of the file as it was given; empty when there is none.
    pub(super) name: String,
    /// What is in it.
    pub(super) text: String,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    severity: Severity,
    code: &'static str,
    message: String,
    span: Option<Span>,
    label: Option<String>,
    other: Option<(Span, String)>,
    hint: Option<String>,
}

/// Whether the file is usable in spite of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is not.
    Error,
    /// It is.
    Warning,
}

impl Problem {
    /// An error; a `hint:` line at the end of `message` becomes its hint.
    pub(super) fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, Some(span), message.into())
    }

    /// A warning; a `hint:` line at the end of `message` becomes its hint.
    pub(super) fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, Some(span), message.into())
    }

    /// An error about the file as a whole.
    pub(super) fn of_file(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, None, message.into())
    }

    fn new(severity: Severity, code: &'static str, span: Option<Span>, message: String) -> Self {
        let (message, hint) = match message.split_once("\nhint: ") {
            Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
            None => (message, None),
        };
        Self { severity, code, message, span, label: None, other: None, hint }
    }

    /// What stands beside the caret.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The other half of the problem, and what it is.
    pub(super) fn other(mut self, span: Span, label: impl Into<String>) -> Self {
        self.other = Some((span, label.into()));
        self
    }

    /// What to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The name of this kind of problem, which does not change between versions.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether the file is usable in spite of it.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    pub(super) fn span(&self) -> Option<&Span> {
        self.span.as_ref()
    }
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Problems {
    pub(super) fn new(source: Arc<Source>, mut list: Vec<Problem>) -> Self {
        let start = |problem: &Problem| problem.span.as_ref().map_or(0, |span| span.start);
        list.sort_by_key(|problem| (start(problem), problem.severity));
        Self { source, list }
    }

    /// The problems of a file that could not be read at all.
    pub(super) fn unreadable(name: &str, problem: Problem) -> Self {
        let source = Source { name: name.to_owned(), text: String::new() };
        Self::new(Arc::new(source), vec![problem])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many of them are errors.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// How many of them are warnings.
    pub fn warnings(&self) -> usize {
        self.list.len() - self.errors()
    }

    /// Each of them, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// The problems of both, in the order of the file; `other` is about the same file.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        Self::new(self.source, self.list)
    }

    /// All of them with source lines and carets, and a last line that counts them.
    pub fn render(&self, with_colour: bool) -> String {
        let renderer = if with_colour { Renderer::styled() } else { Renderer::plain() };
        let masked = secrets::masked(&self.source.text);
        let mut text = String::new();
        for problem in &self.list {
            text.push_str(&renderer.render(&[self.group(problem, &masked)]));
            text.push_str("\n\n");
        }
        let level = if self.errors() > 0 { Level::ERROR } else { Level::WARNING };
        let summary = Group::with_title(level.primary_title(self.summary()));
        text.push_str(&renderer.render(&[summary]));
        text
    }

    /// One line for each: `vestibule.toml:3:1: error[unknown-key]: …`.
    pub fn short(&self) -> String {
        let mut lines = String::new();
        for problem in &self.list {
            let place = match &problem.span {
                Some(span) => {
                    let (line, column) = self.source.position(span.start);
                    format!("{}:{line}:{column}: ", self.source.name)
                }
                None if self.source.name.is_empty() => String::new(),
                None => format!("{}: ", self.source.name),
            };
            let hint = problem.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
            let line = format!(
                "{place}{}[{}]: {}{hint}",
                problem.severity.name(),
                problem.code,
                problem.message
            );
            lines.push_str(&safe(&line).replace('\n', " "));
            lines.push('\n');
        }
        lines
    }

    /// All of them for programs.
    pub fn to_json(&self) -> serde_json::Value {
        let place = |span: &Span| {
            let (line, column) = self.source.position(span.start);
            let (end_line, end_column) = self.source.position(span.end);
            serde_json::json!({
                "line": line, "column": column, "end_line": end_line, "end_column": end_column,
            })
        };
        let problem = |problem: &Problem| {
            serde_json::json!({
                "severity": problem.severity.name(),
                "code": problem.code,
                "message": secrets::masked_urls(&problem.message),
                "label": problem.label.as_deref().map(secrets::masked_urls),
                "hint": problem.hint.as_deref().map(secrets::masked_urls),
                "place": problem.span.as_ref().map(place),
                "other": problem.other.as_ref().map(|(span, label)| {
                    serde_json::json!({ "place": place(span), "label": secrets::masked_urls(label) })
                }),
            })
        };
        serde_json::json!({
            "file": self.source.name,
            "errors": self.errors(),
            "warnings": self.warnings(),
            "problems": self.list.iter().map(problem).collect::<Vec<_>>(),
        })
    }

    fn summary(&self) -> String {
        let count = |number: usize, word: &str| {
            format!("{number} {word}{}", if number == 1 { "" } else { "s" })
        };
        let errors = count(self.errors(), "error");
        let warnings = count(self.warnings(), "warning");
        let name = if self.source.name.is_empty() { "no file" } else { &self.source.name };
        match self.errors() {
            0 => format!("{warnings} in {name}"),
            _ if self.source.name.is_empty() => format!("{errors}, {warnings}"),
            _ => format!("{errors}, {warnings}; {name} was not loaded"),
        }
    }

    fn group<'a>(&'a self, problem: &'a Problem, masked: &'a str) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level.primary_title(safe(&problem.message)).id(problem.code);
        let mut group = match &problem.span {
            Some(span) => {
                let primary = AnnotationKind::Primary.span(clamped(span, masked));
                let label = problem.label.as_deref().map(safe);
                let mut snippet = Snippet::source(masked)
                    .path(self.source.name.as_str())
                    .annotation(primary.label(label));
                if let Some((span, label)) = &problem.other {
                    let context = AnnotationKind::Context.span(clamped(span, masked));
                    snippet = snippet.annotation(context.label(safe(label)));
                }
                group.element(snippet)
            }
            None if self.source.name.is_empty() => Group::with_title(group),
            None => {
                group = group.id(problem.code);
                group.element(Origin::path(self.source.name.as_str()))
            }
        };
        if let Some(hint) = &problem.hint {
            group = group.element(Level::HELP.message(safe(hint)));
        }
        group
    }
}

impl Source {
    /// Line and column of a byte, both counted from 1, the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

/// `text` for a terminal: without secrets, and with control characters made visible, so that a
/// value from the file cannot move the cursor.
fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in secrets::masked_urls(text).chars() {
        if character.is_control() && character != '\n' {
            shown.extend(character.escape_debug());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// `span` inside of `text` and on the boundaries of characters.
fn clamped(span: &Span, text: &str) -> Span {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end
}
