//! Where commands about sessions are carried out: by the running gateway, which has them.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

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
    mut look: impl FnMut(SessionRecord) -> Result<ControlFlow<()>, Failure>,
) -> Result<(), Failure> {
    run(file, async |socket| {
        let mut body = in_time(ask(socket, command)).await?;
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
    })
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

/// What the gateway takes for each step may be long, for a whole list it is not bounded.
async fn in_time<T>(step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let waited: Duration = PATIENCE;
    tokio::time::timeout(waited, step)
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
