//! The application behind the gateway.
//!
//! It has no login, no users and no sessions: it serves pages, believes `Remote-User`, and has the
//! gateway remember what it wants to know again.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Full, Limited, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;
use serde_json::json;

use super::pages::{PROBLEM, Pages, file_at, page_at};
use super::polls::Poll;
use super::visitor::Visitor;
use super::{CONFIGURATION, USERS, color, events, websocket};

/// What the application answers with, or why an answer cannot be written down.
pub(super) type Answer = Result<Response<Body>, http::Error>;
/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The largest form that is read.
const MAX_FORM: usize = 4096;

/// The words that a command to the running gateway begins and ends with, for people to copy.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Command {
    /// The program itself.
    pub(super) program: String,
    /// What `--config` is to name.
    pub(super) file: String,
}

/// Starts the application on a free port of this machine, in a thread of its own that ends with
/// the process.
pub(super) fn start(command: Command) -> io::Result<SocketAddr> {
    let pages = Pages::new().map_err(io::Error::other)?;
    let application = Arc::new(Application { pages, poll: Poll::default(), command });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new()
        .name("application".to_owned())
        .spawn(move || runtime.block_on(serve(listener, application)))?;
    Ok(address)
}

async fn serve(listener: TcpListener, application: Arc<Application>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, as a rule: some will be closed soon.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let application = Arc::clone(&application);
        let service = service_fn(move |request| {
            let application = Arc::clone(&application);
            async move { application.answer(request).await }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // How a connection ends is the gateway's business, which tells it better.
        tokio::spawn(async move { connection.await.ok() });
    }
}

struct Application {
    pages: Pages,
    poll: Poll,
    command: Command,
}

impl Application {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let visitor = Visitor::of(request.headers());
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match (path.as_str(), visitor) {
            ("/polls/vote/", Some(visitor)) if *request.method() == Method::POST => {
                self.vote(request, &visitor).await
            }
            ("/color/", _) if *request.method() == Method::POST => self.choose_color(request).await,
            _ if !is_read => self.problem(&request, StatusCode::METHOD_NOT_ALLOWED),
            ("/socket/ws", Some(visitor)) => websocket::open(request, visitor.username),
            ("/events/stream", _) => events::stream(),
            ("/api/me", visitor) => me(visitor.as_ref()),
            (path, _) => match (page_at(path), file_at(path)) {
                (Some(template), _) => self.page(&request, StatusCode::OK, template, context! {}),
                (None, Some((content_type, content))) => {
                    answer(StatusCode::OK, content_type, content)
                }
                (None, None) if page_at(&format!("{path}/")).is_some() => {
                    see(StatusCode::MOVED_PERMANENTLY, &format!("{path}/"))
                }
                (None, None) => self.problem(&request, StatusCode::NOT_FOUND),
            },
        }
    }

    async fn vote(&self, request: Request<Incoming>, visitor: &Visitor) -> Answer {
        // The visitor's cookies come with a form on another site's page too.
        if !is_same_origin(request.headers()) {
            return self.problem(&request, StatusCode::FORBIDDEN);
        }
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, ());
        let form = Limited::new(body, MAX_FORM).collect().await;
        let is_counted = form.is_ok_and(|form| self.poll.vote(&visitor.username, &form.to_bytes()));
        match is_counted {
            true => {
                let mut answer = see(StatusCode::SEE_OTHER, "/polls/")?;
                let message = HeaderValue::from_static("Your vote was counted.");
                answer.headers_mut().insert("vestibule-message-success", message);
                Ok(answer)
            }
            false => self.problem(&request, StatusCode::BAD_REQUEST),
        }
    }

    async fn choose_color(&self, request: Request<Incoming>) -> Answer {
        if !is_same_origin(request.headers()) {
            return self.problem(&request, StatusCode::FORBIDDEN);
        }
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, ());
        let form = Limited::new(body, MAX_FORM).collect().await.ok();
        match form.and_then(|form| color::instruction(&form.to_bytes())) {
            Some((name, value)) => {
                let mut answer = see(StatusCode::SEE_OTHER, "/color/")?;
                answer.headers_mut().insert(name, value);
                Ok(answer)
            }
            None => self.problem(&request, StatusCode::BAD_REQUEST),
        }
    }

    fn problem<B>(&self, request: &Request<B>, status: StatusCode) -> Answer {
        let reason = status.canonical_reason();
        self.page(request, status, PROBLEM, context! { status => status.as_u16(), reason })
    }

    fn page<B>(
        &self,
        request: &Request<B>,
        status: StatusCode,
        template: &str,
        more: Value,
    ) -> Answer {
        let common = context! {
            path => request.uri().path(),
            visitor => Serde(Visitor::of(request.headers())),
            headers => received(request.headers()),
            color => color::of(request.headers()),
            colors => color::COLORS,
            messages => messages(request.headers()),
            tallies => Serde(self.poll.tallies()),
            users => Serde(USERS),
            configuration => CONFIGURATION,
            command => Serde(&self.command),
        };
        match self.pages.render(template, context! { ..more, ..common }) {
            Ok(html) => answer(status, "text/html; charset=utf-8", html),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")),
        }
    }
}

/// Whether a page of this very site caused the request, so far as browsers tell; what is not a
/// browser cannot be tricked.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (origin.as_ref().and_then(Uri::authority), host) {
        (Some(origin), Some(host)) => origin.as_str().eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// A line of plain text.
pub(super) fn text(status: StatusCode, content: impl Into<Bytes>) -> Answer {
    answer(status, "text/plain; charset=utf-8", content)
}

/// Nothing.
pub(super) fn empty() -> Body {
    Body::new(Empty::new())
}

fn answer(status: StatusCode, content_type: &str, content: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, "no-store")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'")
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(Body::new(Full::new(content.into())))
}

fn see(status: StatusCode, path: &str) -> Answer {
    Response::builder().status(status).header(header::LOCATION, path).body(empty())
}

/// What the gateway wants the visitor to be shown on this page.
fn messages(headers: &HeaderMap) -> Value {
    let json = headers.get("x-messages").and_then(|value| value.to_str().ok());
    let messages = json.and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    Value::from(Serde(messages.unwrap_or_else(|| json!([]))))
}

fn me(visitor: Option<&Visitor>) -> Answer {
    let (status, about) = match visitor {
        Some(visitor) => (StatusCode::OK, json!(visitor)),
        None => (StatusCode::UNAUTHORIZED, json!({ "error": "nobody is signed in" })),
    };
    answer(status, "application/json", format!("{about:#}\n"))
}

/// The headers for the page that shows them, with who wrote each.
fn received(headers: &HeaderMap) -> Vec<Value> {
    let readable = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let from_gateway = |name: &str| {
        name.starts_with("remote-")
            || name.starts_with("x-forwarded-")
            || ["x-fav-color", "x-messages"].contains(&name)
    };
    let row = |(name, value): (&http::HeaderName, &HeaderValue)| {
        let (name, from_gateway) = (name.as_str(), from_gateway(name.as_str()));
        context! { name, value => readable(value), from_gateway }
    };
    headers.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
