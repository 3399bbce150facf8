//! The WebSocket: says the time once a second, and says back what it is told.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::interval;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::application::{Answer, empty, is_same_origin, text};
use super::events::time_of_day;

/// The longest message that is said back.
const MAX_MESSAGE: usize = 64 * 1024;

/// Switches the connection over, or says why not.
pub(super) fn open(mut request: Request<Incoming>, username: String) -> Answer {
    // A page of another site may open a WebSocket to us with our visitor's cookies.
    if !is_same_origin(request.headers()) {
        return text(StatusCode::FORBIDDEN, "this page may not open the socket\n");
    }
    let Some(accept) = accept_key(request.headers()) else {
        return text(StatusCode::BAD_REQUEST, "this address speaks WebSocket only\n");
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        // An error means that the other side is gone, so there is nobody to tell.
        let _gone = converse(upgraded, &username).await;
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, accept)
        .body(empty())
}

/// The proof that the request was understood (RFC 6455, section 4.2.2); `None` for another request.
fn accept_key(headers: &HeaderMap) -> Option<String> {
    let is_websocket = headers.get(header::UPGRADE)?.as_bytes().eq_ignore_ascii_case(b"websocket");
    let is_known = headers.get(header::SEC_WEBSOCKET_VERSION)? == "13";
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?;
    (is_websocket && is_known).then(|| derive_accept_key(key.as_bytes()))
}

async fn converse(upgraded: Upgraded, username: &str) -> Result<(), Error> {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE));
    let io = TokioIo::new(upgraded);
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
    socket.send(Message::text(format!("hello {username}"))).await?;
    let mut clock = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = clock.tick() => {
                socket.send(Message::text(format!("time {}", time_of_day()))).await?;
            }
            message = socket.next() => match message.transpose()? {
                Some(Message::Text(said)) => {
                    socket.send(Message::text(format!("echo {said}"))).await?;
                }
                Some(Message::Binary(said)) => socket.send(Message::Binary(said)).await?,
                Some(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                // The library answers a close with a close by itself.
                Some(Message::Close(_)) | None => return Ok(()),
            },
        }
    }
}
