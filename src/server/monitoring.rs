//! For programs that watch the gateway: the listener for metrics and health.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::reload::Reloader;
use super::{ServeError, wall_clock};
use crate::accounts::{DatabaseHealth, Directory};
use crate::sessions::{Health, Sessions, Traffic};
use crate::telemetry::{
    AccessLogWriter, AuditLog, Exposition, Gauges, Logins, OnDisk, SharedStore,
};

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What metrics show besides the workers' counters.
pub(super) struct Observed {
    pub(super) sessions: Arc<Sessions>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) access_log: Arc<AccessLogWriter>,
    pub(super) audit_log: Arc<AuditLog>,
}

impl Gauges for Observed {
    fn sessions(&self) -> u64 {
        u64::try_from(self.sessions.len()).unwrap_or(u64::MAX)
    }

    fn reload_succeeded(&self) -> bool {
        self.reloader.succeeded()
    }

    fn lost_lines(&self) -> u64 {
        self.access_log.lost()
    }

    fn logins(&self) -> Logins {
        let (pages, now) = (self.reloader.pages(), wall_clock());
        let checked = pages.checked();
        Logins {
            succeeded: checked.succeeded,
            failed: checked.failed,
            throttled: checked.throttled,
            unavailable: checked.unavailable,
            lockouts: checked.lockouts,
            locked_out: u64::try_from(pages.locked_out(now).len()).unwrap_or(u64::MAX),
            lost_entries: self.audit_log.lost(),
        }
    }

    fn shared_store(&self) -> Option<SharedStore> {
        let Traffic { questions, changes } = self.sessions.traffic()?;
        Some(SharedStore { is_up: self.sessions.health() == Health::Fine, questions, changes })
    }

    fn sessions_on_disk(&self) -> Option<OnDisk> {
        let disk = self.sessions.disk()?;
        Some(OnDisk {
            is_durable: disk.failure.is_none(),
            journal_bytes: disk.journal_bytes,
            journal_syncs: disk.syncs,
            snapshots: disk.snapshots,
            snapshot_failures: disk.snapshot_failures,
            snapshot_duration: disk.snapshot_duration,
            snapshot_bytes: disk.snapshot_bytes,
            snapshot_age: disk.snapshot_finished.map(|finished| wall_clock().since(finished)),
        })
    }
}

/// Serves `/metrics`, `/healthz` and `/readyz`.
pub(super) async fn serve(
    address: SocketAddr,
    exposition: Arc<Exposition>,
    sessions: Arc<Sessions>,
    accounts: Arc<Directory>,
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
            let (sessions, accounts) = (Arc::clone(&sessions), Arc::clone(&accounts));
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let answered =
                        observe(&request, &exposition, &sessions, accounts.health(), &stopping);
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
    sessions: &Sessions,
    users: DatabaseHealth,
    stopping: &AtomicBool,
) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match exposition.text() {
            Ok(text) => answer(StatusCode::OK, OPEN_METRICS, text),
            Err(_) => {
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "metrics cannot be written\n")
            }
        },
        (&Method::GET | &Method::HEAD, "/healthz") => {
            answer(StatusCode::OK, TEXT, condition(&sessions.health(), users))
        }
        (&Method::GET | &Method::HEAD, "/readyz") if stopping.load(Relaxed) => {
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "stopping\n")
        }
        (&Method::GET | &Method::HEAD, "/readyz") if sessions.health() == Health::Lost => {
            let cause = "the session store is out of reach for longer than `store_grace`\n";
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, cause)
        }
        (&Method::GET | &Method::HEAD, "/readyz") if users == DatabaseHealth::Lost => {
            let cause = "the user database is out of reach for longer than `users.refresh`\n";
            answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, cause)
        }
        (&Method::GET | &Method::HEAD, "/readyz") => answer(StatusCode::OK, TEXT, "ready\n"),
        (_, "/metrics" | "/healthz" | "/readyz") => {
            answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "use GET\n")
        }
        _ => answer(StatusCode::NOT_FOUND, TEXT, "there is /metrics, /healthz and /readyz\n"),
    }
}

/// The process answers, and those who are logged in stay so: nothing that a restart would mend, so
/// the status stays 200 for those who restart by it.
fn condition(health: &Health, users: DatabaseHealth) -> String {
    match health {
        Health::Fine => match users {
            DatabaseHealth::Fine => "ok\n".to_owned(),
            DatabaseHealth::Cut | DatabaseHealth::Lost => {
                "degraded: the user database is out of reach\n".to_owned()
            }
        },
        Health::NotKept(cause) => {
            format!("degraded: nobody can log in, sessions cannot be written to disk: {cause}\n")
        }
        Health::Cut | Health::Lost => "degraded: the session store is out of reach\n".to_owned(),
    }
}

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
