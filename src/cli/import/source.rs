//! What was read, with the place where each record stands, and what is wrong with it so far.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde::Serialize;

use crate::accounts::{Record, RecordKind};
use crate::cli::Failure;
use crate::domain::user::normalize_username;

/// Everything that a file or a database holds.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// What it is called.
    pub(super) name: String,
    pub(super) records: Vec<Placed>,
    pub(super) problems: Vec<Problem>,
    /// What was left out and need not be missed.
    pub(super) warnings: Vec<String>,
    /// Whether groups are named only to be there: what one may do that is there already is left as
    /// it is.
    pub(super) keeps_groups: bool,
}

/// A record and where it stands.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) place: Place,
    pub(super) record: Record,
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// A line of the file, counted from 1.
    Line(u64),
    /// A row of a table, or an object.
    Row(String),
}

/// What is wrong with a record. The message names no password and no hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) place: Place,
    pub(super) message: String,
}

impl Source {
    /// Something of this name, still empty.
    pub(super) fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(super) fn add(&mut self, place: Place, record: Record) {
        self.records.push(Placed { place, record });
    }

    /// Notes what is wrong at `place`.
    pub(super) fn refuse(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem { place, message: message.into() });
    }

    /// The same, with a problem in place of every record that speaks of what another has spoken of.
    pub(super) fn without_repeated(mut self) -> Self {
        let mut seen: HashMap<(RecordKind, String), Place> = HashMap::new();
        let mut kept = Vec::with_capacity(self.records.len());
        for placed in std::mem::take(&mut self.records) {
            let kind = placed.record.kind();
            let name = match kind {
                // Two names that are written differently may be one.
                RecordKind::User => normalize_username(placed.record.name())
                    .unwrap_or_else(|_| placed.record.name().to_owned()),
                RecordKind::Group | RecordKind::Permission => placed.record.name().to_owned(),
            };
            match seen.get(&(kind, name.clone())) {
                Some(first) => {
                    let what = match kind {
                        RecordKind::User => "user",
                        RecordKind::Group => "group",
                        RecordKind::Permission => "permission",
                    };
                    let name = name.escape_debug();
                    let message =
                        format!("the {what} `{name}` stands here again, first at {first}");
                    self.refuse(placed.place, message);
                }
                None => {
                    seen.insert((kind, name), placed.place.clone());
                    kept.push(placed);
                }
            }
        }
        self.records = kept;
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Row(row) => f.write_str(row),
        }
    }
}

impl Problem {
    /// `people.csv:12: there is no group `Editor` (did you mean `Editors`?)`.
    pub(super) fn line(&self, name: &str) -> String {
        let (message, hint) = self.parts();
        let place = match &self.place {
            Place::Line(line) => line.to_string(),
            Place::Row(row) => format!(" {row}"),
        };
        let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{name}:{place}: {message}{hint}")
    }

    /// The message and its hint, each on one line, however many there are of them.
    pub(super) fn parts(&self) -> (String, Option<String>) {
        let (hints, messages): (Vec<&str>, Vec<&str>) =
            self.message.lines().partition(|line| line.starts_with("hint: "));
        let hints: Vec<&str> =
            hints.into_iter().filter_map(|it| it.strip_prefix("hint: ")).collect();
        (messages.join("; "), (!hints.is_empty()).then(|| hints.join("; ")))
    }
}

/// The bytes of a file, or of standard input for `-`, and what it is called.
pub(super) fn read(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let read = match is_stdin {
        true => std::io::stdin().lock().read_to_end(&mut bytes),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)),
    };
    match read {
        Ok(_) => Ok((name, bytes)),
        Err(error) => Err(Failure::No(format!("`{name}` cannot be read: {error}"))),
    }
}

/// The lines of a file, counted from 1, without their ends; each that is not UTF-8 is noted.
pub(super) fn lines<'b>(bytes: &'b [u8], source: &mut Source) -> Vec<(Place, &'b str)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match std::str::from_utf8(line) {
            Ok(line) => lines.push((Place::Line(number), line)),
            Err(_) => source.refuse(Place::Line(number), "the line is not UTF-8"),
        }
    }
    lines
}
