//! The body of a request on its way to the application.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::forwarding::StrippedNames;
use super::watch::Watch;

/// A request's body: counted against its limit, and with its trailers cleaned.
#[derive(Debug)]
pub enum RequestBody {
    /// There is none.
    Empty,
    /// It comes from the browser as it is read. In a box, for most requests have none and all are
    /// handed on several times.
    Streaming(Box<Streaming>),
}

/// What is still to come from the browser.
#[derive(Debug)]
pub struct Streaming {
    incoming: Incoming,
    allowance: Option<u64>,
    stripped: Arc<StrippedNames>,
    watch: Arc<Watch>,
}

/// Why a body could not be sent on.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than its rule allows.
    #[error("the request's body is larger than `max_body_size`")]
    TooLarge,
    /// The browser did not send all of it, or not in the right form.
    #[error("the request's body ended early: {0}")]
    Incomplete(hyper::Error),
}

impl RequestBody {
    /// The body of a request whose trailers must not have the names in `stripped`.
    pub fn new(incoming: Incoming, stripped: &Arc<StrippedNames>, watch: &Arc<Watch>) -> Self {
        if incoming.is_end_stream() {
            return Self::Empty;
        }
        watch.want_body(true);
        Self::Streaming(Box::new(Streaming {
            incoming,
            allowance: None,
            stripped: Arc::clone(stripped),
            watch: Arc::clone(watch),
        }))
    }

    /// Bounds the body to `limit` bytes; one that says beforehand that it is longer fails at once.
    pub fn limit(&mut self, limit: Option<u64>) -> Result<(), BodyError> {
        if let (Some(limit), Self::Streaming(body)) = (limit, self) {
            if body.incoming.size_hint().lower() > limit {
                return Err(BodyError::TooLarge);
            }
            body.allowance = Some(limit);
        }
        Ok(())
    }

    /// Whether only the end of the body will tell how long it is.
    pub fn length_is_unknown(&self) -> bool {
        self.size_hint().exact().is_none()
    }

    /// Whether there is no body at all, so that the request could be sent twice.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

impl Streaming {
    fn admit(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        match frame.into_data() {
            Ok(data) => {
                if let Some(allowance) = &mut self.allowance {
                    let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    *allowance = allowance.checked_sub(length).ok_or(BodyError::TooLarge)?;
                }
                Ok(Frame::data(data))
            }
            Err(frame) => Ok(match frame.into_trailers() {
                Ok(mut trailers) => {
                    self.stripped.strip_all(&mut trailers);
                    Frame::trailers(trailers)
                }
                Err(other) => other,
            }),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self::Streaming(body) = self.get_mut() else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut body.incoming).poll_frame(context));
        if matches!(frame, Some(Ok(_))) {
            body.watch.hear();
        }
        if frame.is_none() || body.incoming.is_end_stream() {
            body.watch.want_body(false);
        }
        Poll::Ready(frame.map(|frame| body.admit(frame.map_err(BodyError::Incomplete)?)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Streaming(body) => body.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Streaming(body) => body.incoming.size_hint(),
        }
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.watch.want_body(false);
    }
}
