//! A request and its answer until the last byte: what is counted, and the one line in the log.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::connection::Connection;
use super::{Worker, tunnel};
use crate::domain::Visitor;
use crate::telemetry::{Line, Outcome, Stopwatch};
use crate::upstream::Answer;
use crate::web::forwarding;
use crate::web::glance::{Glance, Seen};
use crate::web::refusal::{Blame, Refusal};
use crate::web::watch::{Phase, Verdict};

/// What is known of an exchange so far. When it is dropped the exchange is over, whether the
/// answer went out whole or the browser went away.
pub(super) struct Exchange {
    worker: Rc<Worker>,
    connection: Rc<Connection>,
    stopwatch: Stopwatch,
    outcome: Outcome,
    status: u16,
    sent: u64,
    upgrade: Option<OnUpgrade>,
    line: Option<Box<Line>>,
}

/// Where an answer's body comes from.
pub(super) enum Kind {
    /// From us.
    Own(Bytes),
    /// From the application, which may pause for as long as `patience`.
    Proxied { answer: Answer, patience: Duration },
    /// There is none: both ends change to another protocol.
    Switched(Switched),
}

/// The application's end of a connection that changes its protocol.
pub(super) struct Switched {
    pub(super) application: OnUpgrade,
    pub(super) is_websocket: bool,
}

/// The body of every answer to a browser.
pub struct AnswerBody {
    kind: Kind,
    exchange: Option<Exchange>,
}

impl Exchange {
    /// Begins with the request's head, which will be gone when the line is written.
    pub(super) fn begin(
        worker: &Rc<Worker>,
        connection: &Rc<Connection>,
        request: &Request<Incoming>,
    ) -> Self {
        Self {
            worker: Rc::clone(worker),
            connection: Rc::clone(connection),
            stopwatch: Stopwatch::start(),
            outcome: Outcome::Refused,
            status: 0,
            sent: 0,
            upgrade: None,
            line: worker.lines.line(connection.peer().address, request).map(Box::new),
        }
    }

    /// Notes who is asking.
    pub(super) fn identify(&mut self, visitor: &Visitor) {
        if let (Some(line), Some(user)) = (&mut self.line, visitor.user()) {
            line.set_user(&user.username);
        }
    }

    /// Notes the rule that let the request pass.
    pub(super) fn allow(&mut self, rule: &str) {
        self.outcome = Outcome::Allowed;
        if let Some(line) = &mut self.line {
            line.set_rule(rule);
        }
    }

    /// Notes that the gateway answered with a page of its own.
    pub(super) fn own_page(&mut self) {
        self.outcome = Outcome::OwnPage;
    }

    /// Notes that the request was refused, by a rule or before any was found, and says why in the
    /// log, as loudly as its blame asks.
    pub(super) fn refuse(&mut self, refusal: &Refusal, rule: Option<&str>) {
        self.outcome = match (refusal, refusal.blame()) {
            (Refusal::LogIn, _) => Outcome::LogIn,
            (Refusal::Denied, _) => Outcome::Denied,
            (_, Blame::Client) => Outcome::Refused,
            (_, Blame::Upstream) => Outcome::UpstreamFailed,
            (_, Blame::Gateway) => Outcome::GatewayFailed,
        };
        let (code, cause) = (refusal.code(), refusal.cause());
        if let Some(line) = &mut self.line {
            match rule {
                Some(rule) => line.set_rule(rule),
                None => line.set_rule(&format!("{code}: {cause}")),
            }
        }
        match (refusal, refusal.blame()) {
            (_, Blame::Client) => tracing::debug!(code, cause, "refused"),
            (_, Blame::Upstream) => tracing::warn!(code, cause, "the application failed"),
            (Refusal::Outage(_), Blame::Gateway) => tracing::debug!(code, cause, "an outage"),
            (_, Blame::Gateway) => tracing::error!(code, cause, "a request could not be answered"),
        }
    }

    /// Keeps the browser's end of a connection that may change its protocol.
    pub(super) fn expect_upgrade<B>(&mut self, glance: Glance, request: &mut Request<B>) {
        if glance.saw(Seen::Upgrade) && forwarding::upgrade_of(request.headers()).is_some() {
            self.upgrade = Some(hyper::upgrade::on(request));
        }
    }

    /// Makes the answer that goes to the browser; the exchange lasts as long as its body.
    pub(super) fn answer(mut self, response: Response<Kind>) -> Response<AnswerBody> {
        self.status = response.status().as_u16();
        let (head, kind) = response.into_parts();
        let body = match (kind, self.upgrade.take()) {
            (Kind::Switched(switched), Some(browser)) => {
                tunnel::open(browser, switched, self);
                AnswerBody { kind: Kind::Own(Bytes::new()), exchange: None }
            }
            (kind, _) => AnswerBody { kind, exchange: Some(self) },
        };
        Response::from_parts(head, body)
    }

    /// The worker that the exchange is on.
    pub(super) fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// The connection that it is on.
    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Counts bytes of the answer.
    pub(super) fn count(&mut self, bytes: u64) {
        self.sent += bytes;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let elapsed = self.stopwatch.elapsed();
        if let Some(why) = self.connection.revoked() {
            self.outcome = Outcome::Revoked;
            if let Some(line) = &mut self.line {
                line.add_cause(why.message());
            }
        }
        self.worker.counters.count(self.outcome, self.status, elapsed);
        if let Some(line) = self.line.take() {
            self.worker.lines.write(*line, self.status, self.sent, elapsed, self.outcome);
        }
        self.connection.answered();
        self.connection.watch().enter(Phase::Idle, self.worker.idle_timeout);
    }
}

/// Why an answer's body ended early; the browser sees an incomplete body, never a clean end.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The application's connection failed.
    #[error("the application's answer ended early: {0}")]
    Incomplete(hyper::Error),
    /// The application paused for longer than `read_timeout`.
    #[error("the application paused for longer than `read_timeout`")]
    Late,
}

/// Trailers come too late to be obeyed, and what is for the gateway alone goes no further.
fn cleaned(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        forwarding::clean_answer(trailers, false);
    }
    frame
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let Self { kind, exchange } = self.get_mut();
        let polled = match kind {
            Kind::Own(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Own(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Proxied { answer, patience } => {
                let polled = Pin::new(answer).poll_frame(context);
                if let Some(exchange) = exchange {
                    match polled {
                        Poll::Pending if exchange.connection.watch().take(Verdict::Late) => {
                            return Poll::Ready(Some(Err(AnswerError::Late)));
                        }
                        Poll::Pending => exchange.connection.watch().enter(Phase::Rest, *patience),
                        Poll::Ready(_) => exchange.connection.watch().work(),
                    }
                }
                polled.map(|frame| {
                    frame.map(|frame| frame.map(cleaned).map_err(AnswerError::Incomplete))
                })
            }
            Kind::Switched(_) => Poll::Ready(None),
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(exchange)) = (&polled, exchange)
            && let Some(data) = frame.data_ref()
        {
            exchange.count(u64::try_from(data.len()).unwrap_or(u64::MAX));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Own(bytes) => bytes.is_empty(),
            Kind::Proxied { answer, .. } => answer.is_end_stream(),
            Kind::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Own(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Kind::Proxied { answer, .. } => answer.size_hint(),
            Kind::Switched(_) => SizeHint::with_exact(0),
        }
    }
}
