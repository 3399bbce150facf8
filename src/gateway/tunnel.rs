//! A connection that changed its protocol: bytes both ways until one end closes, or until the
//! right to it ends.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use super::Worker;
use super::connection::Connection;
use super::exchange::{Exchange, Switched};
use crate::telemetry::Revoked;
use crate::web::websocket::{self, Frames};

/// How much is read at once. One buffer serves all tunnels of a worker: what an end does not take
/// at once is kept apart, so an idle tunnel has none.
const READ_AT_ONCE: usize = 64 * 1024;

/// How long a browser may take for what is left of a frame, and for the frame that says why the
/// connection ends. It has had the rest of the 100 ms in which streams end.
const LAST_WORDS: Duration = Duration::from_millis(40);

/// How long the tidying up waits for a browser that does not answer the last frame; and how long
/// each time, when a reload ends thousands of WebSockets, until all others have heard of it.
const TIDY_LATER: Duration = Duration::from_millis(50);

/// How long a browser may take to close the connection after that. Nothing passes any more; but
/// closing before it has read the last frame could take it away from it.
const FAREWELL: Duration = Duration::from_secs(1);

/// Joins the two ends when both have changed; the exchange, and its log line, end with them.
pub(super) fn open(browser: OnUpgrade, switched: Switched, mut exchange: Exchange) {
    tokio::task::spawn_local(async move {
        let worker = Rc::clone(exchange.worker());
        let connection = Rc::clone(exchange.connection());
        worker.open_tunnels.set(worker.open_tunnels.get() + 1);
        // From here on no clock looks at the connection any more.
        connection.keep();
        match (browser.await, switched.application.await) {
            (Ok(browser), Ok(application)) => {
                let ends = (TokioIo::new(browser), TokioIo::new(application));
                let mut tunnel = Tunnel::new(ends.0, ends.1, switched.is_websocket);
                let ended = tunnel.join(&worker, &connection).await;
                exchange.count(tunnel.down.sent);
                match ended {
                    Ok(Joined::Ended) => {}
                    // In a box: what only the end needs is no part of an idle tunnel.
                    Ok(Joined::Revoked(why)) => {
                        Box::pin(tunnel.part(why, &worker, &connection, exchange)).await;
                    }
                    Err(error) => tracing::debug!(%error, "a tunnel ended"),
                }
            }
            (Err(error), _) | (_, Err(error)) => tracing::debug!(%error, "no tunnel was made"),
        }
        worker.open_tunnels.set(worker.open_tunnels.get() - 1);
    });
}

/// Two joined ends.
struct Tunnel<B, A> {
    browser: B,
    application: A,
    up: Flow,
    down: Flow,
    /// Of a WebSocket: where its frames have come to.
    frames: Option<Both>,
}

/// The frames that came from the browser, and those that went to it.
#[derive(Default)]
struct Both {
    up: Frames,
    down: Frames,
}

/// How a tunnel came to its end.
enum Joined {
    /// Both ends had nothing more to say.
    Ended,
    /// The right to it was taken back.
    Revoked(Revoked),
}

impl<B, A> Tunnel<B, A>
where
    B: AsyncRead + AsyncWrite + Unpin,
    A: AsyncRead + AsyncWrite + Unpin,
{
    fn new(browser: B, application: A, is_websocket: bool) -> Self {
        let frames = is_websocket.then(Both::default);
        Self { browser, application, up: Flow::default(), down: Flow::default(), frames }
    }

    /// Carries bytes both ways.
    async fn join(&mut self, worker: &Worker, connection: &Connection) -> io::Result<Joined> {
        let mut is_known = false;
        poll_fn(|context| {
            if !is_known {
                connection.watch().set_task(context.waker());
                is_known = true;
            }
            // Before anything else, so that not a byte passes afterwards.
            if connection.watch().is_revoked() {
                return Poll::Ready(Ok(Joined::Revoked(
                    connection.revoked().unwrap_or(Revoked::Ended),
                )));
            }
            let buffer = &mut *worker.tunnel_buffer.borrow_mut();
            buffer.resize(READ_AT_ONCE, 0);
            let (was_heard, carried) = self.carry(buffer, context);
            if was_heard {
                worker.hear(connection);
            }
            carried.map_ok(|()| Joined::Ended)
        })
        .await
    }

    /// Moves on what can be moved; says whether the browser said anything, and whether both ends
    /// have closed.
    fn carry(
        &mut self,
        buffer: &mut [u8],
        context: &mut Context<'_>,
    ) -> (bool, Poll<io::Result<()>>) {
        let Self { browser, application, up, down, frames } = self;
        let mut was_heard = false;
        let upwards = up.poll(browser, application, buffer, context, |bytes| {
            was_heard |= frames.as_mut().is_none_or(|frames| frames.up.pass(bytes));
        });
        let downwards = down.poll(application, browser, buffer, context, |bytes| {
            if let Some(frames) = frames {
                frames.down.pass(bytes);
            }
        });
        let carried = match (upwards, downwards) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            (Poll::Pending, _) | (_, Poll::Pending) => Poll::Pending,
        };
        (was_heard, carried)
    }

    /// Ends the tunnel: with a last frame where there are frames and the browser takes it in time,
    /// and by resetting the connection otherwise.
    async fn part(
        mut self,
        why: Revoked,
        worker: &Worker,
        connection: &Connection,
        exchange: Exchange,
    ) {
        let told = tokio::time::timeout(LAST_WORDS, self.say(why)).await;
        drop(exchange);
        if !matches!(told, Ok(Ok(true))) {
            return;
        }
        // Whoever drops the socket of a connection that is still revoked resets it.
        connection.watch().pardon();
        // Whether the browser has closed or not: the one as well as the other is as it should be.
        let _answered = tokio::time::timeout(TIDY_LATER, self.is_answered()).await;
        let farewell = async {
            while worker.streams.is_telling() {
                tokio::time::sleep(TIDY_LATER).await;
            }
            drop(self.application);
            self.browser.shutdown().await?;
            let mut ignored = [0; 256];
            while self.browser.read(&mut ignored).await? > 0 {}
            io::Result::Ok(())
        };
        let _closed = tokio::time::timeout(FAREWELL, farewell).await;
    }

    /// Waits until the browser has closed, or has answered the last frame with its own.
    async fn is_answered(&mut self) {
        let Some(Both { up: frames, .. }) = &mut self.frames else { return };
        frames.pass(&std::mem::take(&mut self.up.rest));
        let mut heard = [0; 256];
        while !frames.has_closed() {
            match self.browser.read(&mut heard).await {
                Ok(count @ 1..) => frames.pass(&heard[..count]),
                Ok(0) | Err(_) => return,
            };
        }
    }

    /// Finishes the frame under way and says why it is the last one; says whether that was possible.
    async fn say(&mut self, why: Revoked) -> io::Result<bool> {
        let Some(Both { down: frames, .. }) = &mut self.frames else { return Ok(false) };
        let mut rest = std::mem::take(&mut self.down.rest);
        while !frames.is_at_boundary() {
            if rest.is_empty() {
                rest.resize(4096, 0);
                let count = self.application.read(&mut rest).await?;
                rest.truncate(count);
                if count == 0 {
                    return Ok(false);
                }
            }
            let end = frames.pass_to_boundary(&rest);
            self.browser.write_all(&rest[..end]).await?;
            rest.drain(..end);
        }
        if !frames.has_closed() {
            self.browser.write_all(&websocket::policy_violation(why.message())).await?;
        }
        Ok(true)
    }
}

/// One direction.
#[derive(Default)]
struct Flow {
    /// What was read and is not written yet.
    rest: Vec<u8>,
    must_flush: bool,
    stage: Stage,
    sent: u64,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// The reading end has closed, and the writing end has to.
    Closing,
    Closed,
}

impl Flow {
    /// Moves on what can be moved; `pass` sees the bytes that were written. Ready when the reading
    /// end has closed, and the writing end with it.
    fn poll(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        buffer: &mut [u8],
        context: &mut Context<'_>,
        mut pass: impl FnMut(&[u8]),
    ) -> Poll<io::Result<()>> {
        let (mut from, mut to) = (Pin::new(from), Pin::new(to));
        loop {
            while !self.rest.is_empty() {
                let count = ready!(to.as_mut().poll_write(context, &self.rest))?;
                self.wrote(count)?;
                pass(&self.rest[..count]);
                self.rest.drain(..count);
                if self.rest.is_empty() {
                    self.rest = Vec::new();
                }
            }
            match self.stage {
                Stage::Open => {}
                Stage::Closing => {
                    ready!(to.as_mut().poll_shutdown(context))?;
                    self.stage = Stage::Closed;
                    return Poll::Ready(Ok(()));
                }
                Stage::Closed => return Poll::Ready(Ok(())),
            }
            let mut read = ReadBuf::new(buffer);
            if from.as_mut().poll_read(context, &mut read)?.is_pending() {
                if self.must_flush {
                    ready!(to.as_mut().poll_flush(context))?;
                    self.must_flush = false;
                }
                return Poll::Pending;
            }
            let read = read.filled();
            if read.is_empty() {
                self.stage = Stage::Closing;
                continue;
            }
            let written = match to.as_mut().poll_write(context, read)? {
                Poll::Ready(count) => count,
                Poll::Pending => 0,
            };
            if written > 0 {
                self.wrote(written)?;
                pass(&read[..written]);
            }
            self.rest.extend_from_slice(&read[written..]);
        }
    }

    fn wrote(&mut self, count: usize) -> io::Result<()> {
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.sent += u64::try_from(count).unwrap_or(u64::MAX);
        self.must_flush = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// A WebSocket's tunnel over pipes of `size` bytes, and what is at its two ends.
    fn tunnel(size: usize) -> (Tunnel<DuplexStream, DuplexStream>, DuplexStream, DuplexStream) {
        let (browser, browsers_end) = duplex(size);
        let (application, applications_end) = duplex(1 << 20);
        (Tunnel::new(browser, application, true), browsers_end, applications_end)
    }

    /// Carries until both ends wait.
    async fn carry(tunnel: &mut Tunnel<DuplexStream, DuplexStream>) {
        let mut buffer = vec![0; 1000];
        poll_fn(|context| {
            let (_, carried) = tunnel.carry(&mut buffer, context);
            assert!(carried.is_pending());
            Poll::Ready(())
        })
        .await;
    }

    async fn rest(mut end: DuplexStream) -> Vec<u8> {
        let mut rest = Vec::new();
        end.read_to_end(&mut rest).await.unwrap();
        rest
    }

    fn frame(length: u16) -> Vec<u8> {
        let head = [&[0x82, 126], &length.to_be_bytes()[..]].concat();
        head.into_iter().chain((0..length).map(|at| (at % 251) as u8)).collect()
    }

    #[tokio::test]
    async fn bytes_arrive_whole_and_in_order_however_slowly_they_are_taken() {
        let (mut tunnel, browser, mut application) = tunnel(7);
        let said = [frame(3000), frame(5), frame(9000)].concat();
        application.write_all(&said).await.unwrap();
        drop(application);
        let reading = tokio::spawn(rest(browser));
        let mut buffer = vec![0; 1000];
        let mut sent = 0;
        poll_fn(|context| {
            drop(tunnel.carry(&mut buffer, context));
            sent = tunnel.down.sent;
            if sent == said.len() as u64 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(tunnel);
        assert_eq!(reading.await.unwrap(), said);
    }

    #[tokio::test]
    async fn the_frame_under_way_is_finished_and_none_begun() {
        let (mut tunnel, mut browser, mut application) = tunnel(4096);
        let said = [frame(9000), frame(5)].concat();
        application.write_all(&said).await.unwrap();
        // As much as the pipe takes, which is the first half of the frame.
        carry(&mut tunnel).await;
        let mut heard = vec![0; 4096];
        browser.read_exact(&mut heard).await.unwrap();
        let reading = tokio::spawn(rest(browser));
        assert!(tunnel.say(Revoked::Ended).await.unwrap());
        drop(tunnel);
        heard.extend(reading.await.unwrap());
        let last = websocket::policy_violation(Revoked::Ended.message());
        assert_eq!(heard, [frame(9000), last].concat());
    }

    #[tokio::test]
    async fn a_frame_whose_rest_does_not_come_has_no_last_word_behind_it() {
        let (mut tunnel, browser, mut application) = tunnel(4096);
        application.write_all(&frame(100)[..50]).await.unwrap();
        carry(&mut tunnel).await;
        drop(application);
        assert!(!tunnel.say(Revoked::Ended).await.unwrap());
        drop(tunnel);
        assert_eq!(rest(browser).await, frame(100)[..50]);
    }

    #[tokio::test]
    async fn whole_frames_that_the_browser_has_not_taken_are_dropped() {
        let (mut tunnel, mut browser, mut application) = tunnel(104);
        application.write_all(&[frame(100), frame(200), frame(300)].concat()).await.unwrap();
        carry(&mut tunnel).await;
        assert!(!tunnel.down.rest.is_empty(), "the second frame waits");
        let mut heard = vec![0; 104];
        browser.read_exact(&mut heard).await.unwrap();
        assert!(tunnel.say(Revoked::Ended).await.unwrap());
        drop(tunnel);
        assert_eq!(rest(browser).await, websocket::policy_violation(Revoked::Ended.message()));
    }
}
