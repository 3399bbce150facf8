//! For operators: the Unix socket that commands speak to.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use super::reload::Reloader;
use super::session_commands::{self, Desk, Moment};
use super::{ServeError, lockout_commands, session_data, wall_clock};
use crate::accounts::{self, By};
use crate::gateway::Gateway;
use crate::mail::LetterId;

/// The largest command that is read.
const MAX_COMMAND: usize = 16 * 1024 * 1024;

/// The admin socket; its file goes when this value does.
pub(super) struct AdminSocket(PathBuf);

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "the admin socket was gone already");
        }
    }
}

/// Serves commands on a Unix socket that only this user may open.
pub(super) fn serve_socket(
    path: &Path,
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
) -> Result<AdminSocket, ServeError> {
    let failed = |cause| ServeError::State { path: path.to_owned(), cause };
    // The state directory is locked by now, so a socket that is there belongs to nobody.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (gateway, reloader) = (Arc::clone(&gateway), Arc::clone(&reloader));
            tokio::spawn(async move {
                let by = By::Operator(match stream.peer_cred() {
                    Ok(peer) => format!("uid {}", peer.uid()),
                    Err(_) => "a command".to_owned(),
                });
                let service = service_fn(|request| hear(request, &gateway, &reloader, &by));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                if let Err(error) = served.await {
                    tracing::debug!(%error, "a command's connection ended");
                }
            });
        }
    });
    Ok(AdminSocket(path.to_owned()))
}

/// Answers a request of `by`, whoever opened the socket.
async fn hear(
    request: Request<Incoming>,
    gateway: &Gateway,
    reloader: &Reloader,
    by: &By,
) -> Result<Response<session_commands::Body>, Infallible> {
    if request.uri().path() != "/v1/sessions" {
        return obey(request, gateway, reloader, by).await.map(|it| it.map(Either::Left));
    }
    if request.method() != Method::POST {
        return Ok(use_post().map(Either::Left));
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_COMMAND).collect().await else {
        return Ok(too_large().map(Either::Left));
    };
    let at = Moment { now: wall_clock(), lifetime: gateway.policy.load().sessions.lifetime };
    Ok(session_commands::answer(desk(gateway), body.to_bytes(), by.clone(), at).await)
}

fn desk(gateway: &Gateway) -> Desk {
    Desk::new(Arc::clone(&gateway.sessions), Arc::clone(&gateway.directory))
}

async fn obey(
    request: Request<Incoming>,
    gateway: &Gateway,
    reloader: &Reloader,
    by: &By,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_COMMAND).collect().await else {
        return Ok(too_large());
    };
    let (body, now) = (body.to_bytes(), wall_clock());
    let about = session_data::answer(gateway, &head.method, head.uri.path(), &body, now).await;
    if let Some((status, json)) = about {
        return Ok(answer(status, json));
    }
    Ok(match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/accounts") => about_accounts(gateway, body, by).await,
        (&Method::POST, "/v1/lockouts") => {
            let (pages, directory) = (reloader.pages(), &gateway.directory);
            let (status, json) = lockout_commands::answer(pages, directory, &body, by, now).await;
            answer(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), json)
        }
        (&Method::POST, "/v1/reload") => match reloader.reload().await {
            Ok(()) => answer(StatusCode::OK, r#"{"reloaded":true}"#),
            Err(problems) => {
                let json = serde_json::json!({ "error": problems, "kind": "invalid" }).to_string();
                answer(StatusCode::UNPROCESSABLE_ENTITY, json)
            }
        },
        (&Method::POST, "/v1/mail/retry") => retry_mail(reloader, &body).await,
        (_, "/v1/accounts" | "/v1/lockouts" | "/v1/reload" | "/v1/mail/retry") => use_post(),
        _ => answer(StatusCode::NOT_FOUND, r#"{"error":"there is no such command"}"#),
    })
}

/// Carries out a command about accounts, and then ends the sessions that it made worthless: both,
/// even if whoever ordered it goes away in between.
async fn about_accounts(gateway: &Gateway, body: Bytes, by: &By) -> Response<Full<Bytes>> {
    let (desk, directory, by) = (desk(gateway), Arc::clone(&gateway.directory), by.clone());
    let policy = gateway.policy.load_full();
    let work = tokio::spawn(async move {
        let answer = accounts::answer(&directory, &body, &by, wall_clock()).await;
        for shut_out in &answer.shut_out {
            desk.end_worthless(shut_out, &by, wall_clock()).await;
        }
        if let Some(decided) = &answer.decided {
            policy.pages.tell_applicant(decided).await;
        }
        answer
    });
    match work.await {
        Ok(answered) => answer(
            StatusCode::from_u16(answered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            answered.json,
        ),
        Err(crashed) => {
            tracing::error!(%crashed, "a command crashed");
            answer(StatusCode::INTERNAL_SERVER_ERROR, r#"{"error":"the command crashed"}"#)
        }
    }
}

/// Has letters tried again: the one that the body names, or all.
async fn retry_mail(reloader: &Reloader, body: &[u8]) -> Response<Full<Bytes>> {
    let only = match body {
        b"" => None,
        name => match std::str::from_utf8(name).ok().and_then(LetterId::parse) {
            Some(id) => Some(id),
            None => return answer(StatusCode::BAD_REQUEST, r#"{"error":"this names no letter"}"#),
        },
    };
    match reloader.outbox().retry(only).await {
        Ok(letters) => {
            answer(StatusCode::OK, serde_json::json!({ "letters": letters }).to_string())
        }
        Err(error) => {
            tracing::error!(%error, "letters cannot be tried again");
            let json = serde_json::json!({ "error": error.to_string() }).to_string();
            answer(StatusCode::INTERNAL_SERVER_ERROR, json)
        }
    }
}

fn too_large() -> Response<Full<Bytes>> {
    answer(StatusCode::PAYLOAD_TOO_LARGE, r#"{"error":"too large"}"#)
}

fn use_post() -> Response<Full<Bytes>> {
    answer(StatusCode::METHOD_NOT_ALLOWED, r#"{"error":"use POST"}"#)
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
