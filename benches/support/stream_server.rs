//! An upstream for streams: `GET /N` answers N bytes, a request body is read to its end and counted.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Result;
use super::process::{Cores, Running, free_address, role};

/// Starts the server as a child process.
pub(crate) fn start(cores: &Cores, log: PathBuf) -> Result<(Running, SocketAddr)> {
    let listen = free_address()?;
    let mut command = role("stream", cores)?;
    command.arg(listen.to_string());
    let mut running = Running::start("the stream server", command, log)?;
    running.wait_for_listener(listen)?;
    Ok((running, listen))
}

/// Serves on one thread, for ever.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            // A client that breaks off has ended its own measurement.
            tokio::task::spawn_local(async move {
                http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .await
                    .ok()
            });
        }
    })
}

async fn answer(
    request: Request<Incoming>,
) -> std::result::Result<Response<Either<Zeros, Full<Bytes>>>, hyper::Error> {
    let wanted = request.uri().path().trim_start_matches('/').parse().ok();
    let mut received = 0;
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        received += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(Response::new(match wanted {
        Some(left) => Either::Left(Zeros { left }),
        None => Either::Right(Full::from(received.to_string())),
    }))
}

/// A body of so many zero bytes, whose length is known.
struct Zeros {
    left: u64,
}

const CHUNK: &[u8] = &[0; 64 * 1024];

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let size = CHUNK.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= size as u64;
        let chunk = CHUNK.get(..size).filter(|chunk| !chunk.is_empty());
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(Bytes::from_static(chunk)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
