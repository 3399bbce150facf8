//! What the application behind the gateway does with one request, byte by byte.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// One act of the application.
#[derive(Clone)]
pub(crate) enum Step {
    /// The usual answer: what was seen, as JSON, with these header lines (each ended by CRLF) added.
    Echo(String),
    Send(Vec<u8>),
    /// Waits until the test opens the latch.
    Hold(Latch),
    /// Reads the body, where the script answers before reading.
    ReadBody,
    /// Sends this many bytes of the test pattern, as they are.
    Stream(u64),
    /// Sends this many bytes of the test pattern in chunks, and the last chunk.
    StreamChunked(u64),
    /// Gives back every byte it receives, letters in upper case, until the other side closes.
    Tunnel,
    /// Says nothing more until the other side closes.
    Stall,
    Close,
    Reset,
}

/// The acts in their order. Without `Close`, `Reset`, `Stall` or `Tunnel` at the end the connection stays open for the next request.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) reads_body_first: bool,
    pub(crate) steps: Vec<Step>,
}

impl Script {
    pub(crate) fn new(steps: impl Into<Vec<Step>>) -> Self {
        Self { reads_body_first: true, steps: steps.into() }
    }

    /// Answers these bytes and keeps the connection open.
    pub(crate) fn send(bytes: impl AsRef<[u8]>) -> Self {
        Self::new([Step::Send(bytes.as_ref().to_vec())])
    }

    /// Answers these bytes and closes.
    pub(crate) fn send_and_close(bytes: impl AsRef<[u8]>) -> Self {
        Self::new([Step::Send(bytes.as_ref().to_vec()), Step::Close])
    }

    /// The usual echo with more header lines.
    pub(crate) fn echo_with(lines: &str) -> Self {
        Self::new([Step::Echo(lines.to_owned())])
    }

    pub(crate) fn before_the_body(mut self) -> Self {
        self.reads_body_first = false;
        self
    }
}

/// A door in a script that the test opens.
#[derive(Clone)]
pub(crate) struct Latch(Arc<Semaphore>);

impl Latch {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn open(&self) {
        self.0.add_permits(1);
    }

    pub(crate) async fn wait(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}
