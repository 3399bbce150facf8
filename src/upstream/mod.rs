//! The single door to applications: [`forward`] takes a [`Permitted`] request and nothing else.
//!
//! Here belong connections to applications: making, keeping, reusing and losing them. What may go
//! through is decided elsewhere; that it was decided is in the type.

mod answer;
mod connection;
mod pool;
pub mod settings;

use std::error::Error as _;

use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

pub use answer::Answer;
pub use pool::{Application, Applications, Pool};
pub use settings::{Server, Settings};

use pool::Lease;

use crate::domain::Permitted;
use crate::web::body::{BodyError, RequestBody};
use crate::web::forwarding::{self, Told};
use crate::web::watch::{Phase, Watch};

/// A request on its way, in a box: it is handed on several times, and it is large.
pub type Outgoing = Box<Request<RequestBody>>;

/// What the application said.
pub enum Forwarded {
    /// An answer, its body still to come.
    Answered(Response<Answer>),
    /// It changes to the protocol that was asked for; the connection is a tunnel from here on.
    Switched(Response<()>, OnUpgrade),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No server of the application could be reached.
    #[error("{server} cannot be reached: {cause}")]
    Unreachable {
        /// The server tried last.
        server: String,
        /// What the operating system said.
        cause: std::io::Error,
    },
    /// No server took the connection within `connect_timeout`.
    #[error("{0} did not take the connection within `connect_timeout`")]
    ConnectTimeout(String),
    /// The answer did not begin within `response_timeout`.
    #[error("no answer within `response_timeout`")]
    AnswerTimeout,
    /// What came was not an answer, or the connection ended before one.
    #[error("not an answer: {0}")]
    Garbled(String),
    /// The browser's part of the exchange failed.
    #[error(transparent)]
    Body(BodyError),
}

/// Sends a permitted request to `application`, to the very target on which it was judged and with
/// what the gateway tells it, and waits for the head of the answer.
///
/// A request is sent a second time when the first connection was an idle one that had died, and
/// only where that is safe: it was not sent at all, or it is idempotent and has no body (RFC 9110,
/// section 9.2.2).
pub fn forward<'f>(
    pool: &'f Pool,
    application: &'f Application,
    permitted: Permitted<Outgoing>,
    told: Told,
    watch: &'f Watch,
) -> impl Future<Output = Result<Forwarded, ForwardError>> + use<'f> {
    // What waits for nothing is done first, and leaves no trace in the future.
    let addressed = address(permitted, application);
    async move {
        let request = addressed?;
        watch.enter(Phase::Answer, application.settings.response_timeout);
        let outcome = pool.send(application, request, &told, watch).await;
        watch.work();
        let (response, lease) = outcome?;
        receive(response, lease, told.asks_upgrade)
    }
}

/// Addresses a request to the target on which it was judged.
fn address(
    permitted: Permitted<Outgoing>,
    application: &Application,
) -> Result<Outgoing, ForwardError> {
    let (mut request, path) = permitted.into_parts();
    // What the browser sent may stay as it is when it is the judged target to the byte.
    if request.uri().authority().is_some()
        || request.uri().path_and_query().is_none_or(|sent| sent.as_str() != path.target())
    {
        *request.uri_mut() = origin_form(path.into_target())?;
    }
    if request.version() != Version::HTTP_11 {
        speak_http11(&mut request, application);
    }
    Ok(request)
}

/// Sorts what came: an answer, or another protocol if one was asked for.
fn receive(
    mut response: Response<Incoming>,
    lease: Lease,
    asks_upgrade: bool,
) -> Result<Forwarded, ForwardError> {
    // What the application speaks is between it and us.
    *response.version_mut() = Version::HTTP_11;

    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let granted = forwarding::upgrade_of(response.headers());
        if !asks_upgrade || granted.is_none() {
            return Err(ForwardError::Garbled("it changed protocol unasked".to_owned()));
        }
        let tunnel = hyper::upgrade::on(&mut response);
        tokio::task::spawn_local(lease.into_connection().run());
        return Ok(Forwarded::Switched(response.map(drop), tunnel));
    }
    Ok(Forwarded::Answered(response.map(|incoming| Answer::new(incoming, lease))))
}

/// Makes a request of HTTP/1.0 one of HTTP/1.1, which has to name a host.
fn speak_http11(request: &mut Request<RequestBody>, application: &Application) {
    *request.version_mut() = Version::HTTP_11;
    let server = application.settings.servers.first();
    let name = match server {
        Some(Server::Tcp { host, port }) => HeaderValue::from_str(&format!("{host}:{port}")).ok(),
        Some(Server::Unix(_)) | None => None,
    };
    let name = name.unwrap_or_else(|| HeaderValue::from_static("localhost"));
    request.headers_mut().entry(HOST).or_insert(name);
}

/// The target in the form for an origin server (RFC 9112, section 3.2.1), from the judged path.
fn origin_form(target: String) -> Result<Uri, ForwardError> {
    let garbled = |error: http::uri::InvalidUri| ForwardError::Garbled(error.to_string());
    Uri::from_maybe_shared(bytes::Bytes::from(target)).map_err(garbled)
}

/// Whether the request may be sent again after it may have arrived.
fn is_repeatable(request: &Request<RequestBody>, told: &Told) -> bool {
    let is_idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
    );
    is_idempotent && request.body().is_empty() && !told.asks_upgrade
}

/// A second request like `request`, which has no body.
fn copy_of(request: &Request<RequestBody>) -> Outgoing {
    let mut copy = Box::new(Request::new(RequestBody::Empty));
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Sorts an error of the connection: the browser's body, or the application.
fn sort(error: &hyper::Error) -> ForwardError {
    if let Some(BodyError::TooLarge) = error.source().and_then(|cause| cause.downcast_ref()) {
        return ForwardError::Body(BodyError::TooLarge);
    }
    let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
    ForwardError::Garbled(format!("{error}{cause}"))
}
