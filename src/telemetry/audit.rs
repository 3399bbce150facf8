//! The audit log: a line of JSON for each login, failure, logout, revocation and change of accounts.
//!
//! A line is written before what it tells of is answered, in one piece and by whoever has the news:
//! there are few of them, and none may be lost in a queue when the process is killed. What cannot be
//! written stops nobody from logging in; it is counted, and said once.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::settings::AuditTarget;
use crate::domain::Timestamp;
use crate::domain::audit::{Detail, Entry, Person, Trail};

/// Where entries are written to.
#[derive(Debug)]
pub struct AuditLog {
    target: Mutex<Target>,
    lost: AtomicU64,
    is_failing: AtomicBool,
}

#[derive(Debug)]
enum Target {
    Nowhere,
    Stderr,
    Stdout,
    File(PathBuf, File),
}

impl AuditLog {
    /// Opens the log of a gateway.
    pub fn open(target: &AuditTarget) -> io::Result<Self> {
        Ok(Self::to(match target {
            AuditTarget::Off => Target::Nowhere,
            AuditTarget::Stderr => Target::Stderr,
            AuditTarget::Stdout => Target::Stdout,
            AuditTarget::File(path) => Target::File(path.clone(), append_to(path)?),
        }))
    }

    /// Opens the log for a command that changes accounts while no gateway runs. One that is written
    /// to the gateway's standard output or error is not there then: whoever gave the command sees
    /// what came of it.
    pub fn open_for_command(target: &AuditTarget) -> io::Result<Self> {
        match target {
            AuditTarget::File(_) => Self::open(target),
            AuditTarget::Off | AuditTarget::Stderr | AuditTarget::Stdout => {
                Ok(Self::to(Target::Nowhere))
            }
        }
    }

    fn to(target: Target) -> Self {
        Self { target: Mutex::new(target), lost: AtomicU64::new(0), is_failing: false.into() }
    }

    /// Opens the file again, after something has moved it away.
    pub fn reopen(&self) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if let Target::File(path, file) = &mut *target {
            match append_to(path) {
                Ok(new) => *file = new,
                Err(error) => tracing::error!(%error, "the audit log cannot be opened again"),
            }
        }
    }

    /// How many entries could not be written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

impl Trail for AuditLog {
    fn note(&self, entry: &Entry) {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        let written = match &mut *target {
            Target::Nowhere => return,
            Target::Stderr => io::stderr().lock().write_all(line(entry).as_bytes()),
            Target::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(line(entry).as_bytes()).and_then(|()| stdout.flush())
            }
            Target::File(_, file) => file.write_all(line(entry).as_bytes()),
        };
        drop(target);
        match written {
            Ok(()) => self.is_failing.store(false, Relaxed),
            Err(error) => {
                self.lost.fetch_add(1, Relaxed);
                if !self.is_failing.swap(true, Relaxed) {
                    tracing::error!(%error, "the audit log cannot be written");
                }
            }
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// The entry as one line of JSON. Its first fields are always these and in this order, so that a
/// pattern can be tied to the start of the line, where no value that somebody chose stands before it.
fn line(entry: &Entry) -> String {
    let mut line = Line(String::with_capacity(256));
    line.put("time", &date_time(entry.at));
    line.put("event", entry.event.name());
    line.put("outcome", entry.outcome.name());
    if let Some(address) = entry.address {
        line.put("address", &address.to_canonical().to_string());
    }
    line.person(["user", "user_id"], entry.user.as_ref());
    line.person(["by", "by_id"], entry.by.as_ref());
    if let Some(session) = entry.session {
        line.put("session", &session.to_string());
    }
    for (name, detail) in &entry.details {
        match detail {
            Detail::Text(text) => line.put(name, text),
            Detail::Number(number) => line.put(name, number),
            Detail::Flag(flag) => line.put(name, flag),
            Detail::List(list) => line.put(name, list),
        }
    }
    line.0.push_str("}\n");
    line.0
}

fn date_time(moment: Timestamp) -> String {
    let seconds = i64::try_from(moment.seconds()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// A line as far as it is written.
struct Line(String);

impl Line {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.json(name);
        self.0.push(':');
        self.json(value);
    }

    fn person(&mut self, [name, id]: [&str; 2], person: Option<&Person>) {
        let Some(person) = person else { return };
        self.put(name, &person.name);
        if let Some(number) = person.id {
            self.put(id, &number.0);
        }
    }

    /// JSON escapes quotes and line feeds. What else a terminal, an editor or a pattern could take
    /// for the end of a line or its direction is escaped too.
    fn json(&mut self, value: &(impl Serialize + ?Sized)) {
        // Text, numbers, flags and lists of text cannot fail to be written.
        for c in serde_json::to_string(value).unwrap_or_default().chars() {
            if is_invisible(c) {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    self.0.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                self.0.push(c);
            }
        }
    }
}

/// Controls, and characters that are not seen themselves but change how others are.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UserId;
    use crate::domain::audit::{Event, Outcome};

    const NOON: Timestamp = Timestamp::from_seconds(1_700_000_000);

    fn person(name: &str, id: Option<i64>) -> Person {
        Person { name: name.to_owned(), id: id.map(UserId) }
    }

    #[test]
    fn a_line_is_json_with_its_fields_in_order() {
        let entry = Entry::new(Event::UserChanged, NOON)
            .from("::ffff:192.0.2.1".parse().unwrap())
            .of(person("ada", Some(7)))
            .by(person("uid 0", None))
            .session(crate::domain::SessionKey::from_bytes([0xab; 16]))
            .with("is_staff", true)
            .with("ended", 2_usize)
            .with("fields", vec!["first_name".to_owned()]);
        assert_eq!(
            line(&entry),
            "{\"time\":\"2023-11-14T22:13:20Z\",\"event\":\"user_changed\",\"outcome\":\"ok\",\
             \"address\":\"192.0.2.1\",\"user\":\"ada\",\"user_id\":7,\"by\":\"uid 0\",\
             \"session\":\"abababababababababababababababab\",\"is_staff\":true,\"ended\":2,\
             \"fields\":[\"first_name\"]}\n"
        );
    }

    #[test]
    fn no_value_ends_its_line_or_begins_a_field() {
        let evil = "x\",\"outcome\":\"ok\"}\r\n{\"event\u{85}\u{2028}\u{202e}\u{1b}[2J\u{e0041}é\\";
        let entry = Entry::new(Event::Login, NOON)
            .outcome(Outcome::Failed)
            .of(person(evil, None))
            .with("group", evil)
            .with("users", vec![evil.to_owned()]);
        let line = line(&entry);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.trim_end().chars().all(|c| !is_invisible(c)), "{line:?}");
        let json: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(json["outcome"], "failed");
        for value in [&json["user"], &json["group"], &json["users"][0]] {
            assert_eq!(value, evil);
        }
    }

    #[test]
    fn a_file_is_appended_to_and_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let log = AuditLog::open(&AuditTarget::File(path.clone())).unwrap();
        let command = AuditLog::open_for_command(&AuditTarget::File(path.clone())).unwrap();
        log.note(&Entry::new(Event::Login, NOON));
        command.note(&Entry::new(Event::UserCreated, NOON));
        std::fs::rename(&path, directory.path().join("audit.log.1")).unwrap();
        log.note(&Entry::new(Event::Logout, NOON));
        log.reopen();
        log.note(&Entry::new(Event::Setup, NOON));
        let events = |name: &str| {
            let text = std::fs::read_to_string(directory.path().join(name)).unwrap();
            let event = |line: &str| {
                let json: serde_json::Value = serde_json::from_str(line).unwrap();
                json["event"].as_str().unwrap().to_owned()
            };
            text.lines().map(event).collect::<Vec<_>>()
        };
        assert_eq!(events("audit.log.1"), ["login", "user_created", "logout"]);
        assert_eq!(events("audit.log"), ["setup"]);
        assert_eq!(log.lost(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let log = AuditLog::open(&AuditTarget::File("/dev/full".into())).unwrap();
        log.note(&Entry::new(Event::Login, NOON));
        log.note(&Entry::new(Event::Login, NOON));
        assert_eq!(log.lost(), 2);
    }
}
