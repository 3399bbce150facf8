//! A connection of ours to the gateway: bytes out, strictly read answers in.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    DEADLINE,
    answer::{self, Answer, Reading},
};

pub(crate) struct Wire {
    stream: TcpStream,
    received: Vec<u8>,
    ended: bool,
    was_reset: bool,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = timeout(DEADLINE, TcpStream::connect(address)).await.unwrap().unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, received: Vec::new(), ended: false, was_reset: false }
    }

    /// Sends bytes. A peer that has closed already is no failure here: its answer, or the end, is what the test reads next.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = timeout(DEADLINE, self.stream.write_all(bytes.as_ref())).await;
        drop(sent.unwrap_or_else(|_| panic!("the gateway stopped reading")));
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub(crate) async fn finish(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// The next answer, to a request with `method`; `None` when the gateway closed the connection instead.
    pub(crate) async fn try_answer(&mut self, method: &str) -> Result<Option<Answer>, String> {
        loop {
            match answer::read(&self.received, method, self.ended)? {
                Reading::Whole(answer, used) => {
                    drop(self.received.drain(..used));
                    return Ok(Some(*answer));
                }
                Reading::More if self.ended => return Ok(None),
                Reading::More => self.receive().await?,
            }
        }
    }

    pub(crate) async fn answer_to(&mut self, method: &str) -> Answer {
        self.try_answer(method)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
            .unwrap_or_else(|| panic!("the gateway closed instead of answering"))
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to("GET").await
    }

    /// Waits for an interim 100 and consumes it.
    pub(crate) async fn is_told_to_continue(&mut self) {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        while self.received.len() < CONTINUE.len() && !self.ended {
            self.receive().await.unwrap();
        }
        assert!(
            self.received.starts_with(CONTINUE),
            "expected 100 Continue, got {:?}",
            String::from_utf8_lossy(&self.received)
        );
        drop(self.received.drain(..CONTINUE.len()));
    }

    /// Exactly `length` bytes of a stream that has no framing any more.
    pub(crate) async fn bytes(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length && !self.ended {
            self.receive().await.unwrap();
        }
        assert!(
            self.received.len() >= length,
            "the stream ended after {:?}",
            String::from_utf8_lossy(&self.received)
        );
        self.received.drain(..length).collect()
    }

    /// Everything that comes until the gateway closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while !self.ended {
            self.receive().await.unwrap_or_else(|error| {
                panic!("{error}; so far: {:?}", String::from_utf8_lossy(&self.received))
            });
        }
        std::mem::take(&mut self.received)
    }

    /// Counts a body of any length without keeping it; gives the length of what came before the close and whether it was the pattern.
    pub(crate) async fn drain_pattern(&mut self, length: u64) -> bool {
        let mut seen = 0_u64;
        let mut right = true;
        while seen < length {
            if self.received.is_empty() {
                self.receive().await.unwrap();
                assert!(
                    !self.ended || !self.received.is_empty(),
                    "the stream ended after {seen} bytes"
                );
            }
            let take =
                self.received.len().min(usize::try_from(length - seen).unwrap_or(usize::MAX));
            right &=
                self.received[..take].iter().zip(seen..).all(|(&byte, at)| byte == pattern(at));
            seen += take as u64;
            drop(self.received.drain(..take));
        }
        right
    }

    /// The head of an answer whose body is too long to keep.
    pub(crate) async fn head(&mut self) -> String {
        loop {
            if let Some(length) = memchr::memmem::find(&self.received, b"\r\n\r\n") {
                return String::from_utf8(self.received.drain(..length + 4).collect()).unwrap();
            }
            assert!(!self.ended, "the gateway closed instead of answering");
            self.receive().await.unwrap();
        }
    }

    async fn receive(&mut self) -> Result<(), String> {
        self.receive_within(DEADLINE).await
    }

    async fn receive_within(&mut self, patience: Duration) -> Result<(), String> {
        let mut buffer = vec![0; 64 * 1024];
        match timeout(patience, self.stream.read(&mut buffer)).await {
            Err(_) => Err(format!(
                "no byte for {patience:?}; unread so far: {:?}",
                String::from_utf8_lossy(&self.received)
            )),
            Ok(Ok(0)) => {
                self.ended = true;
                Ok(())
            }
            Ok(Err(error)) => {
                self.ended = true;
                self.was_reset = error.kind() == std::io::ErrorKind::ConnectionReset;
                Ok(())
            }
            Ok(Ok(count)) => {
                self.received.extend_from_slice(&buffer[..count]);
                Ok(())
            }
        }
    }

    /// Everything that comes until the gateway resets the connection: a close would be a failure, because what came could
    /// be taken for the whole.
    pub(crate) async fn rest_until_reset(&mut self) -> Vec<u8> {
        let rest = self.rest().await;
        assert!(self.was_reset, "closed, not reset, after {:?}", String::from_utf8_lossy(&rest));
        rest
    }

    /// Whether the gateway closes, without a further byte, before the test's deadline.
    pub(crate) async fn is_closed(&mut self) {
        let rest = self.rest().await;
        assert!(
            rest.is_empty(),
            "expected the end of the connection, got {:?}",
            String::from_utf8_lossy(&rest)
        );
    }
}

/// The byte at a position of the endless test body: its period is no power of two, so a lost or doubled buffer shows.
pub(crate) fn pattern(at: u64) -> u8 {
    u8::try_from(at % 251).unwrap_or(0)
}

/// All that was said on one connection until it closed.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) answers: Vec<Answer>,
}

impl Conversation {
    /// Sends `bytes` and reads until the gateway closes. A malformed answer is a failure whatever was asked.
    pub(crate) async fn hold(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut wire = Wire::connect(address).await;
        wire.send(bytes).await;
        Self::listen(&mut wire).await
    }

    pub(crate) async fn listen(wire: &mut Wire) -> Self {
        let mut answers = Vec::new();
        while let Some(answer) =
            wire.try_answer("GET").await.unwrap_or_else(|error| panic!("{error}"))
        {
            answers.push(answer);
        }
        Self { answers }
    }

    #[track_caller]
    pub(crate) fn only(self) -> Answer {
        assert_eq!(self.answers.len(), 1, "expected one answer: {self:?}");
        self.answers.into_iter().next().unwrap()
    }

    /// Refused or closed: at most one answer, and that a refusal of the request itself.
    #[track_caller]
    pub(crate) fn is_bad_request_or_close(&self) {
        assert!(self.answers.len() <= 1, "expected at most one answer: {self:?}");
        for answer in &self.answers {
            assert!(!answer.came_from_upstream(), "the application answered: {answer:?}");
            assert!(
                matches!(answer.status, 400 | 408 | 411 | 413 | 414 | 431 | 501 | 505),
                "expected a refusal: {answer:?}"
            );
        }
    }

    pub(crate) fn forwarded(&self) -> usize {
        self.answers.iter().filter(|answer| answer.came_from_upstream()).count()
    }
}

/// A plain GET that asks to close, so that the conversation ends by itself.
pub(crate) fn get(target: impl AsRef<[u8]>) -> Vec<u8> {
    get_with(target, "")
}

/// A GET with more header lines, each ended by CRLF.
pub(crate) fn get_with(target: impl AsRef<[u8]>, lines: &str) -> Vec<u8> {
    request("GET", target, lines)
}

pub(crate) fn request(method: &str, target: impl AsRef<[u8]>, lines: &str) -> Vec<u8> {
    let mut bytes = format!("{method} ").into_bytes();
    bytes.extend_from_slice(target.as_ref());
    bytes.extend_from_slice(
        format!(
            " HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n{lines}Connection: close\r\n\r\n"
        )
        .as_bytes(),
    );
    bytes
}
