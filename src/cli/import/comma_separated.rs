//! Comma-separated values: a line of names, and a line for each user. `export --format csv` writes
//! them too.

use std::path::PathBuf;

use csv::{ReaderBuilder, StringRecord};

use super::source::{self, Place, Source};
use crate::accounts::{GroupEntry, Record, Secret, UserEntry, nearest};
use crate::cli::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file; `-` for standard input. Its first line names the columns: username, first_name,
    /// last_name, email, password or password_hash, is_active, is_staff, is_superuser, last_login,
    /// date_joined, groups, permissions, profile.FIELD
    file: PathBuf,
    /// What stands between columns
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    delimiter: u8,
    /// A group that all of them join; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Create the groups that are not there yet
    #[arg(long)]
    create_groups: bool,
}

fn delimiter(text: &str) -> Result<u8, &'static str> {
    match (text, text.as_bytes()) {
        ("tab" | "\\t", _) => Ok(b'\t'),
        (_, [byte]) if !byte.is_ascii_alphanumeric() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("write one character such as `;`, or `tab`"),
    }
}

pub(super) fn read(arguments: &Arguments) -> Result<Source, Failure> {
    let (name, bytes) = source::read(&arguments.file)?;
    let mut source = parse(name, &bytes, arguments.delimiter);
    if !arguments.groups.is_empty() {
        for placed in &mut source.records {
            if let Record::User(user) = &mut placed.record {
                let groups = user.groups.get_or_insert_default();
                groups.extend(arguments.groups.iter().cloned());
            }
        }
    }
    if arguments.create_groups {
        create_groups(&mut source);
    }
    Ok(source)
}

/// One column, by the name at its top.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Username,
    FirstName,
    LastName,
    Email,
    Password,
    PasswordHash,
    IsActive,
    IsStaff,
    IsSuperuser,
    LastLogin,
    DateJoined,
    Groups,
    Permissions,
    Profile(String),
}

impl Column {
    const ALL: [(&'static str, Self); 13] = [
        ("username", Self::Username),
        ("first_name", Self::FirstName),
        ("last_name", Self::LastName),
        ("email", Self::Email),
        ("password", Self::Password),
        ("password_hash", Self::PasswordHash),
        ("is_active", Self::IsActive),
        ("is_staff", Self::IsStaff),
        ("is_superuser", Self::IsSuperuser),
        ("last_login", Self::LastLogin),
        ("date_joined", Self::DateJoined),
        ("groups", Self::Groups),
        ("permissions", Self::Permissions),
    ];

    fn named(name: &str) -> Result<Self, String> {
        let name = name.trim();
        if let Some(field) = name.strip_prefix("profile.") {
            return Ok(Self::Profile(field.to_owned()));
        }
        let lower = name.to_ascii_lowercase();
        if let Some((_, column)) = Self::ALL.into_iter().find(|(known, _)| *known == lower) {
            return Ok(column);
        }
        let shown = name.escape_debug();
        let names = || Self::ALL.iter().map(|(known, _)| (*known).to_owned());
        Err(match nearest(&lower, names()) {
            Some(near) => format!("there is no column `{shown}`\nhint: did you mean `{near}`?"),
            None => {
                let all: Vec<String> = names().collect();
                let all = all.join(", ");
                format!("there is no column `{shown}`\nhint: there are {all}, profile.FIELD")
            }
        })
    }
}

fn parse(name: String, bytes: &[u8], delimiter: u8) -> Source {
    let mut source = Source::named(name);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let columns = match reader.headers() {
        Ok(header) => columns(header, &mut source),
        Err(error) => {
            source.refuse(Place::Line(1), complaint(&error));
            return source;
        }
    };
    let Some(columns) = columns else { return source };
    let mut lines = Lines { bytes, seen: 0, line: 1 };
    for row in reader.records() {
        match row {
            Ok(row) => {
                let place = lines.at(row.position());
                match entry(&columns, &row) {
                    Ok(entry) => source.add(place, Record::User(entry)),
                    Err(why) => source.refuse(place, why),
                }
            }
            Err(error) => {
                source.refuse(lines.at(error.position()), complaint(&error));
            }
        }
    }
    source
}

/// Counts lines. The reader's own count lags behind where lines end with a carriage return too.
struct Lines<'b> {
    bytes: &'b [u8],
    seen: usize,
    line: u64,
}

impl Lines<'_> {
    /// The line of a row, which stands behind all that were asked for before.
    fn at(&mut self, position: Option<&csv::Position>) -> Place {
        let start = position.map_or(self.seen, |at| usize::try_from(at.byte()).unwrap_or(0));
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        while self.seen < self.bytes.len()
            && (self.seen < start || self.bytes.get(self.seen).is_some_and(is_end))
        {
            self.line += u64::from(self.bytes[self.seen] == b'\n');
            self.seen += 1;
        }
        Place::Line(self.line)
    }
}

/// The columns; `None`, with the problems noted, when they cannot be told.
fn columns(header: &StringRecord, source: &mut Source) -> Option<Vec<Column>> {
    let first = Place::Line(1);
    let mut columns: Vec<Column> = Vec::new();
    let before = source.problems.len();
    for name in header {
        match Column::named(name) {
            Ok(column) if columns.contains(&column) => {
                source.refuse(first.clone(), format!("there are two columns `{}`", name.trim()));
            }
            Ok(column) => columns.push(column),
            Err(why) => source.refuse(first.clone(), why),
        }
    }
    if source.problems.len() > before {
        return None;
    }
    if !columns.contains(&Column::Username) {
        let message = "there is no column `username`\nhint: the first line names the columns";
        source.refuse(first, message);
        return None;
    }
    Some(columns)
}

/// What is wrong with a row. What is in it is not shown: it may be a password.
fn complaint(error: &csv::Error) -> String {
    if let csv::ErrorKind::UnequalLengths { expected_len, len, .. } = error.kind() {
        format!(
            "the row has {len} columns, and the first one {expected_len}\n\
             hint: a value with a comma in it stands between `\"`"
        )
    } else if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
        "the row is not UTF-8".to_owned()
    } else {
        "the row cannot be read".to_owned()
    }
}

fn entry(columns: &[Column], row: &StringRecord) -> Result<UserEntry, String> {
    let mut entry = UserEntry::default();
    for (column, cell) in columns.iter().zip(row) {
        let text = || Some(plain(cell).to_owned());
        let secret = || (!cell.is_empty()).then(|| Secret::from(cell.to_owned()));
        match column {
            Column::Username => entry.username = plain(cell).to_owned(),
            Column::FirstName => entry.first_name = text(),
            Column::LastName => entry.last_name = text(),
            Column::Email => entry.email = text(),
            Column::Password => entry.password = secret(),
            Column::PasswordHash => entry.password_hash = secret(),
            Column::IsActive => entry.is_active = flag("is_active", cell)?,
            Column::IsStaff => entry.is_staff = flag("is_staff", cell)?,
            Column::IsSuperuser => entry.is_superuser = flag("is_superuser", cell)?,
            Column::LastLogin => entry.last_login = moment("last_login", cell)?,
            Column::DateJoined => entry.date_joined = moment("date_joined", cell)?,
            Column::Groups => entry.groups = Some(names(plain(cell))?),
            Column::Permissions => entry.permissions = Some(names(plain(cell))?),
            Column::Profile(field) => {
                entry.profile.insert(field.clone(), plain(cell).to_owned());
            }
        }
    }
    Ok(entry)
}

/// The cell without the `'` by which an export keeps spreadsheets from taking it for a formula.
fn plain(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(crate::cli::export::FORMULA) => rest,
        Some(_) | None => cell,
    }
}

fn flag(name: &str, cell: &str) -> Result<Option<bool>, String> {
    match cell.trim().to_ascii_lowercase().as_str() {
        "" => Ok(None),
        "true" | "yes" | "1" => Ok(Some(true)),
        "false" | "no" | "0" => Ok(Some(false)),
        _ => Err(format!("`{name}` is `true` or `false`, and not `{}`", cell.escape_debug())),
    }
}

fn moment(name: &str, cell: &str) -> Result<Option<jiff::Timestamp>, String> {
    match cell.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(|_| {
            format!(
                "`{}` is no moment for `{name}`\nhint: write `2026-11-25T15:00:00Z`",
                text.escape_debug()
            )
        }),
    }
}

/// Several names in one cell: values with `;` between them, in their turn.
fn names(cell: &str) -> Result<Vec<String>, String> {
    let mut reader = ReaderBuilder::new()
        .delimiter(b';')
        .has_headers(false)
        .trim(csv::Trim::All)
        .from_reader(cell.as_bytes());
    let mut row = StringRecord::new();
    match reader.read_record(&mut row) {
        Ok(_) => Ok(row.iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        Err(_) => Err("several names stand in one cell like this: `Editors;Readers`".to_owned()),
    }
}

/// Adds a record for each group that somebody is in.
fn create_groups(source: &mut Source) {
    let mut groups: Vec<(Place, String)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for placed in &source.records {
        if let Record::User(user) = &placed.record {
            for group in user.groups.iter().flatten() {
                if seen.insert(group.clone()) {
                    groups.push((placed.place.clone(), group.clone()));
                }
            }
        }
    }
    for (place, name) in groups {
        // One that is there already keeps its permissions: `carry_out` never updates these.
        source.add(place, Record::Group(GroupEntry { name, permissions: Vec::new() }));
    }
    source.keeps_groups = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(source: &Source) -> Vec<&UserEntry> {
        fn user(record: &Record) -> Option<&UserEntry> {
            match record {
                Record::User(user) => Some(user),
                Record::Group(_) | Record::Permission(_) => None,
            }
        }
        source.records.iter().filter_map(|placed| user(&placed.record)).collect()
    }

    #[test]
    fn columns_are_known_by_name_and_absent_ones_are_not_spoken_of() {
        let text = "\u{feff}Username,email,is_staff,groups,profile.band,date_joined\n\
                    ada,ada@example.org,yes,\"Site editors;\"\"a;b\"\"\",\"Beatles, The\",\
                    2026-11-25T15:00:00Z\n\
                    '@bob,,,,,\n";
        let source = parse("f".to_owned(), text.as_bytes(), b',');
        assert_eq!(source.problems, []);
        let users = users(&source);
        assert_eq!(users[0].is_staff, Some(true));
        assert_eq!(users[0].is_active, None);
        assert_eq!(users[0].groups, Some(vec!["Site editors".to_owned(), "a;b".to_owned()]));
        assert_eq!(users[0].profile["band"], "Beatles, The");
        assert_eq!(users[0].date_joined.unwrap().to_string(), "2026-11-25T15:00:00Z");
        assert_eq!((&*users[1].username, users[1].email.as_deref()), ("@bob", Some("")));
        assert_eq!((users[1].is_staff, users[1].groups.as_deref()), (None, Some(&[][..])));
    }

    #[test]
    fn every_row_that_is_wrong_is_told_with_its_line() {
        let text = "username;is_staff;password\nada;maybe;hunter2\n\"two\nlines\";yes;hunter2\n\
                    bob;hunter2\ncarl;no;hunter2\n";
        let source = parse("f".to_owned(), text.as_bytes(), b';');
        let lines: Vec<String> = source.problems.iter().map(|it| it.line("f")).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("f:2: `is_staff` is `true` or `false`"), "{lines:?}");
        assert!(
            lines[1].starts_with("f:5: the row has 2 columns, and the first one 3"),
            "{lines:?}"
        );
        assert!(!lines.concat().contains("hunter2"));
        assert_eq!(users(&source).len(), 2);
        // Whatever ends a line.
        let source = parse("f".to_owned(), text.replace('\n', "\r\n").as_bytes(), b';');
        let again: Vec<String> = source.problems.iter().map(|it| it.line("f")).collect();
        assert_eq!(again, lines);
        let places = source.records.iter().map(|placed| placed.place.clone());
        assert_eq!(places.collect::<Vec<_>>(), [Place::Line(3), Place::Line(6)]);
    }

    #[test]
    fn a_header_that_is_wrong_is_told_whole_and_no_row_is_read() {
        let problems = |text: &str| {
            let source = parse("f".to_owned(), text.as_bytes(), b',');
            assert!(source.records.is_empty());
            source.problems.iter().map(|problem| problem.line("f")).collect::<Vec<_>>()
        };
        let lines = problems("usrname,email,email,shoe\nada,,,\n");
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains("did you mean `username`?"), "{lines:?}");
        assert!(problems("email\na@b\n")[0].contains("no column `username`"));
        assert!(problems("")[0].contains("no column `username`"));
    }
}
