//! One connection of a browser, from its first byte to its last.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::gateway::{Connection, Worker};
use crate::server::Limits;
use crate::web::watch::{Phase, Verdict, Watch};

/// Serves the requests of one connection, until either end closes it or the clock does.
pub(super) async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    http: &http1::Builder,
    worker: &Rc<Worker>,
    limits: &Limits,
    browser: Rc<Connection>,
) {
    let watch = Arc::clone(browser.watch());
    let socket = Watched {
        stream: TokioIo::new(stream),
        watch: Arc::clone(&watch),
        header_timeout: limits.header_timeout,
    };
    // In a box for as long as a request is under way: a connection that rests keeps no room for one.
    let service =
        service_fn(|request| Box::pin(Rc::clone(worker).answer(Rc::clone(&browser), request)));
    let mut connection = std::pin::pin!(http.serve_connection(socket, service).with_upgrades());
    let mut is_known = false;
    poll_fn(|context| {
        if !is_known {
            watch.set_task(context.waker());
            is_known = true;
        }
        // Before anything else, so that not a byte goes out afterwards.
        if watch.is_to_be_cut() {
            tracing::debug!(peer = %from, "the right to what was open has ended");
            return Poll::Ready(());
        }
        if watch.take(Verdict::Cut) {
            tracing::debug!(peer = %from, "the connection took too long");
            return Poll::Ready(());
        }
        if watch.take(Verdict::Drain) {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(context).map(|ended| {
            if let Err(error) = ended {
                tracing::debug!(peer = %from, %error, "the connection ended");
            }
        })
    })
    .await;
}

/// A socket that notes when it waits, for the worker's clock to see.
struct Watched {
    stream: TokioIo<TcpStream>,
    watch: Arc<Watch>,
    header_timeout: Duration,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.watch.is_revoked() {
            // What is cut off must not look complete where only the end of the connection is the
            // end of a body; and what the kernel still has to send shall not arrive.
            if let Err(error) = SockRef::from(self.stream.inner()).set_linger(Some(Duration::ZERO))
            {
                tracing::debug!(%error, "a connection was closed instead of reset");
            }
        }
    }
}

impl Read for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.watch.read(polled.is_pending());
        if polled.is_ready() && self.watch.is_idle() {
            self.watch.enter(Phase::Head, self.header_timeout);
        }
        polled
    }
}

impl Write for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch.wrote(polled.is_pending());
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
