//! For operators: the Unix socket that commands speak to, and the listener for metrics and health.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, UnixListener};

use super::reload::Reloader;
use super::{ServeError, wall_clock};
use crate::accounts::{self, Directory};
use crate::sessions::{Health, Sessions};
use crate::telemetry::{AccessLogWriter, Exposition, Gauges};

/// The largest command that is read.
const MAX_COMMAND: usize = 16 * 1024 * 1024;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What metrics show besides the workers' counters.
pub(super) struct Observed {
    pub(super) sessions: Arc<Sessions>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) access_log: Arc<AccessLogWriter>,
}

impl Gauges for Observed {
    fn sessions(&self) -> u64 {
        u64::try_from(self.sessions.len()).unwrap_or(u64::MAX)
    }

    fn store_is_up(&self) -> bool {
        self.sessions.health() == Health::Fine
    }

    fn store_traffic(&self) -> (u64, u64) {
        self.sessions.traffic()
    }

    fn reload_succeeded(&self) -> bool {
        self.reloader.succeeded()
    }

    fn lost_lines(&self) -> u64 {
        self.access_log.lost()
    }
}

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
    directory: Arc<Directory>,
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
            let (directory, reloader) = (Arc::clone(&directory), Arc::clone(&reloader));
            tokio::spawn(async move {
                let service = service_fn(|request| obey(request, &directory, &reloader));
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                if let Err(error) = served.await {
                    tracing::debug!(%error, "a command's connection ended");
                }
            });
        }
    });
    Ok(AdminSocket(path.to_owned()))
}

async fn obey(
    request: Request<Incoming>,
    directory: &Directory,
    reloader: &Reloader,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_COMMAND).collect().await else {
        return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE, JSON, r#"{"error":"too large"}"#));
    };
    Ok(match (&head.method, head.uri.path()) {
        (&Method::POST, "/v1/accounts") => {
            let (status, json) = accounts::answer(directory, &body.to_bytes(), wall_clock()).await;
            answer(
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                JSON,
                json,
            )
        }
        (&Method::POST, "/v1/reload") => match reloader.reload().await {
            Ok(()) => answer(StatusCode::OK, JSON, r#"{"reloaded":true}"#),
            Err(problems) => {
                let json = serde_json::json!({ "error": problems }).to_string();
                answer(StatusCode::UNPROCESSABLE_ENTITY, JSON, json)
            }
        },
        (_, "/v1/accounts" | "/v1/reload") => {
            answer(StatusCode::METHOD_NOT_ALLOWED, JSON, r#"{"error":"use POST"}"#)
        }
        _ => answer(StatusCode::NOT_FOUND, JSON, r#"{"error":"there is no such command"}"#),
    })
}

/// Serves `/metrics`, `/healthz` and `/readyz`.
pub(super) async fn serve_listener(
    address: SocketAddr,
    exposition: Arc<Exposition>,
    sessions: Arc<Sessions>,
    stopping: Arc<AtomicBool>,
) -> Result<(), ServeError> {
    let failed = |cause| ServeError::Listen {
        address: address.to_string(),
        cause,
        hint: "\nhint: see `admin.listen`",
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    tracing::info!("admin on http://{}", listener.local_addr().map_err(failed)?);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (exposition, stopping) = (Arc::clone(&exposition), Arc::clone(&stopping));
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let answered = observe(&request, &exposition, sessions.health(), &stopping);
                    async { Ok::<_, Infallible>(answered) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(Duration::from_secs(10))
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = served.await {
                    tracing::debug!(%error, "an observer's connection ended");
                }
            });
        }
    });
    Ok(())
}

fn observe(
    request: &Request<Incoming>,
    exposition: &Exposition,
    health: Health,
    stopping: &AtomicBool,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match exposition.text() {
            Ok(text) => answer(StatusCode::OK, OPEN_METRICS, text),
            Err(_) => {
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "metrics cannot be written\n")
            }
        },
        (&Method::GET | &Method::HEAD, "/healthz") => match health {
            Health::Fine => answer(StatusCode::OK, TEXT, "ok\n"),
            // The process itself is fine: starting it again would only forget who is logged in.
            Health::Cut | Health::Lost => {
                answer(StatusCode::OK, TEXT, "degraded: the session store is out of reach\n")
            }
        },
        (&Method::GET | &Method::HEAD, "/readyz") if stopping.load(Relaxed) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n")
        }
        (&Method::GET | &Method::HEAD, "/readyz") if health == Health::Lost => {
            let cause = "the session store is out of reach for longer than `store_grace`\n";
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, cause)
        }
        (&Method::GET | &Method::HEAD, "/readyz") => answer(StatusCode::OK, TEXT, "ready\n"),
        (_, "/metrics" | "/healthz" | "/readyz") => {
            answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET\n")
        }
        _ => answer(StatusCode::NOT_FOUND, TEXT, "there is /metrics, /healthz and /readyz\n"),
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
