//! One connection to a server.

use std::io;
use std::time::Duration;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};

use super::{ForwardError, Server};
use crate::web::body::RequestBody;

/// The end of a connection by which requests are sent.
pub(super) type Sender = SendRequest<RequestBody>;

/// Connects to `server` within `limit`.
pub(super) async fn connect(server: &Server, limit: Duration) -> Result<Sender, ForwardError> {
    match tokio::time::timeout(limit, establish(server)).await {
        Ok(Ok(sender)) => Ok(sender),
        Ok(Err(cause)) => Err(ForwardError::Unreachable { server: server.to_string(), cause }),
        Err(_elapsed) => Err(ForwardError::ConnectTimeout(server.to_string())),
    }
}

async fn establish(server: &Server) -> io::Result<Sender> {
    match server {
        Server::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            handshake(stream).await
        }
        Server::Unix(path) => handshake(UnixStream::connect(path).await?).await,
    }
}

async fn handshake<S>(stream: S) -> io::Result<Sender>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) = Builder::new()
        // Old applications and CGI scripts were written by people who typed `Content-Type`.
        .title_case_headers(true)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::task::spawn_local(async move {
        // Whoever waits for an answer is told of the error; an idle connection's end is no news.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "connection to the application ended");
        }
    });
    Ok(sender)
}
