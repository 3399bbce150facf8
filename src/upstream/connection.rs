//! One connection to a server, driven by whoever waits for its answer.
//!
//! The usual way gives a connection a task of its own, and wakes that task and the waiting one in
//! turn. Here the request polls the connection itself: an exchange wakes one task, not two.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

use super::{ForwardError, Outgoing, Server, Settings};
use crate::web::body::RequestBody;
use crate::web::socket;
use crate::web::watch::{Verdict, Watch};

/// A connection to a server. Nothing moves on it unless it is polled.
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    driver: Option<Driver>,
}

/// The half of hyper's client that reads and writes.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>>>>;

/// How much of an answer is read at once. More would be no faster, and each piece is memory until
/// the browser has taken it.
const READ_AT_ONCE: usize = 128 * 1024;

/// How an exchange failed.
pub(super) enum Lost {
    /// The connection was dead already; the request is as it was.
    Unsent(Outgoing),
    /// The request may have arrived.
    Sent(hyper::Error),
    /// The answer did not begin in time.
    Late,
}

impl Connection {
    /// Connects to `server`, in the time and the way that the application's settings say.
    pub(super) async fn open(server: &Server, settings: &Settings) -> Result<Self, ForwardError> {
        match tokio::time::timeout(settings.connect_timeout, establish(server, settings)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(cause)) => Err(ForwardError::Unreachable { server: server.to_string(), cause }),
            Err(_elapsed) => Err(ForwardError::ConnectTimeout(server.to_string())),
        }
    }

    /// Sends a request, and waits for the head of the answer.
    pub(super) async fn exchange(
        &mut self,
        request: Outgoing,
        watch: &Watch,
    ) -> Result<Response<Incoming>, Lost> {
        let Self { sender, driver } = self;
        let mut answer = std::pin::pin!(sender.try_send_request(*request));
        poll_fn(|context| {
            drive(driver, context);
            match answer.as_mut().poll(context) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(unsent) => Lost::Unsent(Box::new(unsent)),
                    None => Lost::Sent(error.into_error()),
                })),
                Poll::Pending if watch.take(Verdict::Late) => Poll::Ready(Err(Lost::Late)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Moves on what can be moved, and has `context` woken when there is more.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        drive(&mut self.driver, context);
    }

    /// Whether the next request could be sent. Looks at the socket, so that a server that closed
    /// the connection while it rested is noticed.
    pub(super) fn is_ready(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop()));
        self.driver.is_some() && self.sender.is_ready()
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_none() || self.sender.is_closed()
    }

    /// Waits until the next request could be sent; an error when that will never be.
    pub(super) async fn ready(&mut self) -> hyper::Result<()> {
        let Self { sender, driver } = self;
        poll_fn(|context| {
            drive(driver, context);
            sender.poll_ready(context)
        })
        .await
    }

    /// The rest of the connection's life, to be awaited after a change of protocol.
    pub(super) async fn run(mut self) {
        if let Some(driver) = self.driver.take()
            && let Err(error) = driver.await
        {
            tracing::debug!(%error, "the connection to the application ended");
        }
    }
}

/// Polls the driver until it waits; one that has ended is dropped, and the socket with it.
fn drive(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    if let Some(running) = driver
        && let Poll::Ready(ended) = running.as_mut().poll(context)
    {
        // Whoever waits for an answer is told of the error by way of it; the end of a connection
        // that rests is no news.
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection to the application ended");
        }
        *driver = None;
    }
}

async fn establish(server: &Server, settings: &Settings) -> io::Result<Connection> {
    match server {
        Server::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            socket::tune(&stream)?;
            handshake(stream, settings).await
        }
        Server::Unix(path) => handshake(UnixStream::connect(path).await?, settings).await,
    }
}

async fn handshake<S>(stream: S, settings: &Settings) -> io::Result<Connection>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = Builder::new()
        .title_case_headers(settings.title_case_headers)
        // A message goes out in one piece: a vector costs the kernel more than the copy costs us.
        .writev(false)
        .max_buf_size(READ_AT_ONCE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    Ok(Connection { sender, driver: Some(Box::pin(connection.with_upgrades())) })
}
