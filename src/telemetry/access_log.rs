//! One line for each request, in Apache's combined format with three words more: seconds,
//! outcome and rule.
//!
//! A worker writes lines into a buffer of its own and hands it over when it is full, or now and
//! then; one thread writes to the file. When that thread cannot keep up, lines are dropped and
//! counted: a slow disk must not slow down requests.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use http::header::{REFERER, USER_AGENT};
use http::{HeaderValue, Request, Version};

use super::{AccessLog, Outcome};
use crate::domain::Timestamp;

/// How many bytes a worker gathers before it hands them over.
const BATCH: usize = 32 * 1024;

/// How many batches may wait for the disk.
const QUEUE: usize = 256;

/// A worker's end of the access log.
pub struct AccessLines {
    batch: RefCell<Vec<u8>>,
    queue: Option<SyncSender<Vec<u8>>>,
    lost: Arc<AtomicU64>,
    time: RefCell<(Timestamp, String)>,
    wall_clock: fn() -> Timestamp,
    waiting: Cell<u64>,
}

/// What a line says of a request, taken down before the request is sent on.
pub struct Line {
    text: String,
    user_at: usize,
    rule: String,
}

/// The thread that writes, and what the rest of the gateway holds of it.
pub struct AccessLogWriter {
    queue: Option<SyncSender<Vec<u8>>>,
    lost: Arc<AtomicU64>,
    reopen: Arc<AtomicBool>,
}

impl AccessLogWriter {
    /// Opens the log and starts its thread.
    pub fn start(log: &AccessLog) -> io::Result<Self> {
        let (lost, reopen) = (Arc::default(), Arc::default());
        let target = match log {
            AccessLog::Off => return Ok(Self { queue: None, lost, reopen }),
            AccessLog::Stdout => Target::Stdout,
            AccessLog::File(path) => Target::File(path.clone(), open(path)?),
        };
        let (queue, batches) = sync_channel(QUEUE);
        let asked = Arc::clone(&reopen);
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_batches(target, &batches, &asked))?;
        Ok(Self { queue: Some(queue), lost, reopen })
    }

    /// An end for one worker.
    pub fn lines(&self, wall_clock: fn() -> Timestamp) -> AccessLines {
        AccessLines {
            batch: RefCell::default(),
            queue: self.queue.clone(),
            lost: Arc::clone(&self.lost),
            time: RefCell::new((Timestamp::from_seconds(0), String::new())),
            wall_clock,
            waiting: Cell::new(0),
        }
    }

    /// Has the file opened again, after something has moved it away.
    pub fn reopen(&self) {
        self.reopen.store(true, Relaxed);
    }

    /// How many lines were dropped.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }
}

enum Target {
    Stdout,
    File(PathBuf, File),
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

fn write_batches(mut target: Target, batches: &Receiver<Vec<u8>>, reopen: &AtomicBool) {
    while let Ok(batch) = batches.recv() {
        if reopen.swap(false, Relaxed)
            && let Target::File(path, file) = &mut target
        {
            match open(path) {
                Ok(new) => *file = new,
                Err(error) => tracing::error!(%error, "the access log cannot be opened again"),
            }
        }
        let written = match &mut target {
            Target::Stdout => io::stdout().lock().write_all(&batch),
            Target::File(_, file) => file.write_all(&batch),
        };
        if let Err(error) = written {
            tracing::error!(%error, "the access log cannot be written");
        }
    }
}

impl AccessLines {
    /// Takes down what the line needs of a request; `None` when there is no log.
    pub fn line<B>(&self, address: IpAddr, request: &Request<B>) -> Option<Line> {
        self.queue.as_ref()?;
        let mut text = String::with_capacity(256);
        let target = request.uri().path_and_query().map_or("*", |target| target.as_str());
        let version = match request.version() {
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        // Writing into a string cannot fail.
        let _ = write!(text, "{address} - ");
        let user_at = text.len();
        self.write_time(&mut text);
        let _ = write!(text, " \"{} ", request.method());
        escape(&mut text, target.as_bytes());
        let _ = write!(text, " HTTP/{version}\"\u{0}");
        for name in [REFERER, USER_AGENT] {
            text.push_str(" \"");
            escape(&mut text, request.headers().get(name).map_or(b"-", HeaderValue::as_bytes));
            text.push('"');
        }
        Some(Line { text, user_at, rule: "-".to_owned() })
    }

    /// Writes the line of an exchange that is over.
    pub fn write(&self, line: Line, status: u16, sent: u64, elapsed: Duration, outcome: Outcome) {
        let Some((request, agents)) = line.text.split_once('\u{0}') else { return };
        let mut batch = self.batch.borrow_mut();
        let (address, request) = request.split_at(line.user_at);
        batch.extend_from_slice(address.as_bytes());
        if request.starts_with('[') {
            batch.extend_from_slice(b"- ");
        }
        // Writing into a vector cannot fail.
        let _ = writeln!(
            batch,
            "{request} {status} {sent}{agents} {:.6} {} \"{}\"",
            elapsed.as_secs_f64(),
            outcome.name(),
            line.rule
        );
        self.waiting.set(self.waiting.get() + 1);
        if batch.len() >= BATCH {
            drop(batch);
            self.flush();
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&self) {
        let batch = std::mem::take(&mut *self.batch.borrow_mut());
        let lines = self.waiting.replace(0);
        if let Some(queue) = &self.queue
            && !batch.is_empty()
            && queue.try_send(batch).is_err()
        {
            self.lost.fetch_add(lines, Relaxed);
        }
    }

    /// Writes the time in the combined format; it is made anew once a second.
    fn write_time(&self, text: &mut String) {
        let now = (self.wall_clock)();
        let mut kept = self.time.borrow_mut();
        if kept.0 != now {
            let seconds = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
            let moment =
                jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            *kept = (now, moment.strftime("[%d/%b/%Y:%H:%M:%S +0000]").to_string());
        }
        text.push_str(&kept.1);
    }
}

impl Line {
    /// Puts in the name of the user.
    pub fn set_user(&mut self, name: &str) {
        let mut user = String::with_capacity(name.len() + 1);
        escape(&mut user, name.as_bytes());
        user.push(' ');
        self.text.insert_str(self.user_at, &user);
    }

    /// Puts in the rule that decided.
    pub fn set_rule(&mut self, rule: &str) {
        self.rule.clear();
        escape(&mut self.rule, rule.as_bytes());
    }

    /// Adds to the rule why it did not stay at what it had decided.
    pub fn add_cause(&mut self, cause: &str) {
        self.rule.push_str(": ");
        escape(&mut self.rule, cause.as_bytes());
    }
}

/// Writes `bytes` so that they stay in their line and in their quotes.
fn escape(text: &mut String, bytes: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
    for run in bytes.chunk_by(|one, next| is_plain(one) == is_plain(next)) {
        match std::str::from_utf8(run) {
            Ok(plain) if run.first().is_some_and(is_plain) => text.push_str(plain),
            Ok(_) | Err(_) => run.iter().for_each(|&byte| escape_byte(text, byte)),
        }
    }
}

fn escape_byte(text: &mut String, byte: u8) {
    if matches!(byte, b'"' | b'\\') {
        text.push('\\');
        text.push(char::from(byte));
    } else {
        // Writing into a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(user: Option<&str>, agent: &[u8]) -> String {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let writer = AccessLogWriter::start(&AccessLog::File(path.to_path_buf())).unwrap();
        let lines = writer.lines(|| Timestamp::from_seconds(1_700_000_000));
        let request = Request::builder()
            .uri("/a%0ab?c=d")
            .header(USER_AGENT, HeaderValue::from_bytes(agent).unwrap())
            .body(())
            .unwrap();
        let mut line = lines.line("192.0.2.1".parse().unwrap(), &request).unwrap();
        if let Some(user) = user {
            line.set_user(user);
        }
        line.set_rule("POST /a/");
        lines.write(line, 200, 12, Duration::from_millis(3), Outcome::Allowed);
        String::from_utf8(lines.batch.borrow().clone()).unwrap()
    }

    #[test]
    fn a_line_is_in_the_combined_format() {
        assert_eq!(
            written(Some("ada"), b"curl"),
            "192.0.2.1 - ada [14/Nov/2023:22:13:20 +0000] \"GET /a%0ab?c=d HTTP/1.1\" 200 12 \
             \"-\" \"curl\" 0.003000 allow \"POST /a/\"\n"
        );
    }

    #[test]
    fn nothing_that_a_client_sends_ends_the_line_or_its_quotes() {
        let line = written(None, b"x\" 200 \xff\t\\");
        assert!(line.starts_with("192.0.2.1 - - ["), "{line}");
        assert!(line.contains("\"x\\\" 200 \\xff\\x09\\\\\""), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
    }
}
