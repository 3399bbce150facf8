//! The body of an application's answer on its way to the browser.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Lease;

/// An answer's body, and the connection that it comes by.
///
/// When the body has ended well, the connection rests and serves the next request. When it is
/// dropped before, or ends in an error, the connection is closed with it: nobody must read what
/// was left of somebody else's answer.
pub struct Answer {
    incoming: Incoming,
    lease: Option<Lease>,
}

impl Answer {
    pub(super) fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut answer = Self { incoming, lease: Some(lease) };
        answer.rest_if_ended();
        answer
    }

    fn rest_if_ended(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { incoming, lease } = &mut *self;
        let mut polled = Pin::new(&mut *incoming).poll_frame(context);
        if polled.is_pending()
            && let Some(lease) = lease
        {
            // Nothing moves on the connection unless somebody moves it.
            lease.poll(context);
            polled = Pin::new(incoming).poll_frame(context);
        }
        let frame = ready!(polled);
        match &frame {
            None => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
            Some(Ok(_)) => self.rest_if_ended(),
            Some(Err(_)) => self.lease = None,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
