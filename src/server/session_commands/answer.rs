//! The answers to `POST /v1/sessions`: JSON, and for a list a line of it for each session.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{Either, Full};
use serde::Serialize;
use tokio::sync::mpsc;

use super::command::{Line, SessionCommand};
use super::desk::{Desk, Moment, Reply, SessionError};
use super::listing::Listing;
use crate::accounts::{AccountsError, By, CommandError, ErrorKind};

/// A whole answer, or the lines of a list as they come.
pub type Body = Either<Full<Bytes>, Lines>;

/// The lines of a list.
#[derive(Debug)]
pub struct Lines(mpsc::Receiver<Bytes>);

/// Carries out the command in `body`, to its end even if whoever ordered it goes away.
pub async fn answer(desk: Desk, body: Bytes, by: By, at: Moment) -> Response<Body> {
    let work = tokio::spawn(async move {
        let command = serde_json::from_slice::<SessionCommand>(&body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let wrong = format!("the body is not a command: line {line}, column {column}");
            SessionError::from(CommandError::Invalid(wrong))
        })?;
        desk.carry_out(command, &by, at).await
    });
    let outcome = work.await.unwrap_or_else(|_| Err(AccountsError::Stopping.into()));
    match outcome {
        Ok(Reply::List(listing)) => {
            let lines = "application/x-ndjson";
            response(StatusCode::OK, lines, Either::Right(Lines::of(listing)))
        }
        Ok(Reply::Session(details)) => whole(StatusCode::OK, &details),
        Ok(Reply::Revoked(revoked)) => whole(StatusCode::OK, &revoked),
        Ok(Reply::Cleared(cleared)) => whole(StatusCode::OK, &cleared),
        Err(error) => {
            let complaint = error.complaint();
            if complaint.kind == ErrorKind::Failed {
                tracing::error!(%error, "a command failed");
            }
            let status = StatusCode::from_u16(complaint.kind.status());
            whole(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &complaint)
        }
    }
}

impl Lines {
    /// The lines are made one batch ahead of the reader, and no more when the reader is gone.
    fn of(mut listing: Listing) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let (text, is_last) = match listing.next().await {
                    Ok(None) => return,
                    Ok(Some(sessions)) => (text(sessions.into_iter().map(Line::Session)), false),
                    Err(error) => {
                        tracing::error!(%error, "a list of sessions broke off");
                        (text([Line::Complaint(error.complaint())]), true)
                    }
                };
                if sender.send(text).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self(receiver)
    }
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}

fn text(lines: impl IntoIterator<Item = Line>) -> Bytes {
    let mut text = Vec::new();
    for line in lines {
        text.extend(json(&line));
        text.push(b'\n');
    }
    text.into()
}

fn whole(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    response(status, "application/json", Either::Left(Full::new(json(value).into())))
}

fn response(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is told has string keys only, so that writing it cannot fail.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
