//! Where commands about sessions are carried out: by the running gateway, which has them.

use std::ops::ControlFlow;
use std::path::Path;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use serde::de::DeserializeOwned;

use super::{PATIENCE, complaint, connect, no_gateway, open, unanswered};
use crate::cli::{Failure, load_for_accounts};
use crate::server::session_commands::{Line, SessionCommand, SessionRecord};

/// The longest line that is read: a thousand times the usual.
const MAX_LINE: usize = 1 << 18;

/// Has the gateway carry out `command`, and gives its reply.
pub(in super::super) fn execute<R: DeserializeOwned>(
    file: Option<&Path>,
    command: &SessionCommand,
) -> Result<R, Failure> {
    run(file, async |socket| {
        let body = in_time(async { ask(socket, command).await?.collect().await.map_err(lost) });
        serde_json::from_slice(&body.await?.to_bytes()).map_err(|error| unanswered(&error))
    })
}

/// Has the gateway list sessions, and shows each to `look` until that has seen enough.
pub(in super::super) fn list(
    file: Option<&Path>,
    command: &SessionCommand,
    look: impl FnMut(SessionRecord) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    run(file, async |socket| read_list(in_time(ask(socket, command)).await?, look).await)
}

/// Reads a list up to its end. One that breaks off is a failure, never a shorter list.
async fn read_list(
    mut body: Incoming,
    mut look: impl FnMut(SessionRecord) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    let mut lines = Lines::default();
    while let Some(frame) = in_time(async { Ok(body.frame().await) }).await? {
        lines.add(&frame.map_err(lost)?.into_data().unwrap_or_default())?;
        while let Some(line) = lines.next() {
            match serde_json::from_slice(&line).map_err(|error| unanswered(&error))? {
                Line::Session(session) => {
                    if look(session)?.is_break() {
                        return Ok(());
                    }
                }
                Line::Complaint(complaint) => return Err(Failure::No(complaint.error)),
            }
        }
    }
    if lines.is_empty() { Ok(()) } else { Err(unanswered("the list broke off")) }
}

fn run<T>(
    file: Option<&Path>,
    work: impl AsyncFnOnce(&Path) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let configuration = load_for_accounts(file)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    runtime.block_on(work(&configuration.server.admin_socket))
}

/// The body of the answer, if it is a good one.
async fn ask(socket: &Path, command: &SessionCommand) -> Result<Incoming, Failure> {
    let Some(stream) = connect(socket).await? else { return Err(no_gateway(socket)) };
    let body = serde_json::to_vec(command).map_err(|error| Failure::No(error.to_string()))?;
    match open(stream, "/v1/sessions", body).await? {
        (StatusCode::OK, body) => Ok(body),
        (status, body) => Err(complaint(status, &body.collect().await.map_err(lost)?.to_bytes())),
    }
}

/// Bounds how long the gateway may take for a step; for a whole list there is no bound.
async fn in_time<T>(step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, step)
        .await
        .unwrap_or_else(|_| Err(unanswered("it takes too long")))
}

fn lost(error: hyper::Error) -> Failure {
    unanswered(&error)
}

/// Bytes that came, cut into lines.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    taken: usize,
}

impl Lines {
    fn add(&mut self, bytes: &Bytes) -> Result<(), Failure> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        if self.bytes.len() > MAX_LINE {
            return Err(unanswered("a line of its list is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let rest = &self.bytes[self.taken..];
        let length = memchr::memchr(b'\n', rest)?;
        let line = rest[..length].to_vec();
        self.taken += length + 1;
        Some(line)
    }

    fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = r#"{"key":"0","user":null,"user_id":null,"device":"curl","address":"::1",
        "started":"2026-11-25T10:46:29Z","last_seen":"2026-11-25T10:46:29Z",
        "expires":"2026-11-25T10:46:29Z"}"#;

    /// What becomes of a list that the gateway sends so, and how many sessions were seen of it.
    async fn read(chunks: &[String], has_end: bool) -> (Result<(), String>, usize) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let (ours, mut theirs) = tokio::net::UnixStream::pair().unwrap();
        let mut text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        for chunk in chunks {
            text += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
        }
        text += if has_end { "0\r\n\r\n" } else { "" };
        let gateway = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            let _read = theirs.read(&mut buffer).await.unwrap();
            theirs.write_all(text.as_bytes()).await.unwrap();
        });
        let (_, body) = open(ours, "/v1/sessions", Vec::new()).await.unwrap();
        let mut seen = 0;
        let outcome = read_list(body, |_| {
            seen += 1;
            Ok(if seen < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        });
        let outcome = outcome.await.map_err(|failure| failure.to_string());
        gateway.await.unwrap();
        (outcome, seen)
    }

    #[tokio::test]
    async fn a_list_that_breaks_off_is_a_failure() {
        let line = format!("{}\n", SESSION.replace('\n', ""));
        let (start, end) = line.split_at(20);
        assert_eq!(read(&[start.to_owned(), format!("{end}{line}")], true).await, (Ok(()), 2));
        assert_eq!(read(&[], true).await, (Ok(()), 0));
        assert_eq!(read(&[line.repeat(5)], false).await, (Ok(()), 3), "who has seen enough, stops");

        let complaint = "{\"error\":\"the database is gone\",\"kind\":\"failed\"}\n".to_owned();
        let (outcome, seen) = read(&[line.clone(), complaint], true).await;
        assert_eq!((outcome, seen), (Err("the database is gone".to_owned()), 1));
        for (chunks, has_end) in [
            (vec![line.clone()], false),
            (vec![line.clone(), start.to_owned()], true),
            (vec!["nonsense\n".to_owned()], true),
        ] {
            let error = read(&chunks, has_end).await.0.unwrap_err();
            assert!(error.contains("gives no answer"), "{error}");
        }
    }

    #[test]
    fn lines_are_cut_wherever_the_pieces_end() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["a\nb", "", "b\n", "\nc", "\n"] {
            lines.add(&Bytes::from(piece)).unwrap();
            while let Some(line) = lines.next() {
                seen.push(String::from_utf8(line).unwrap());
            }
        }
        assert_eq!(seen, ["a", "bb", "", "c"]);
        assert!(lines.is_empty());
        lines.add(&Bytes::from("broken o")).unwrap();
        assert!(lines.next().is_none() && !lines.is_empty());
        lines.add(&Bytes::from(vec![b'x'; MAX_LINE])).unwrap();
        assert!(lines.add(&Bytes::from("x")).is_err());
    }
}
