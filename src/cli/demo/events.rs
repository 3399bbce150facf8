//! The stream of server-sent events: the time, once a second, for as long as somebody listens.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream;
use http::{Response, header};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use tokio::time::{MissedTickBehavior, interval};

use super::application::{Answer, Body};

/// Answers with events that never end.
pub(super) fn stream() -> Answer {
    let mut clock = interval(Duration::from_secs(1));
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let events = stream::unfold((clock, 1_u64), |(mut clock, number)| async move {
        clock.tick().await;
        let event = format!("id: {number}\nevent: tick\ndata: {}\n\n", time_of_day());
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(event))), (clock, number + 1)))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "text/event-stream")
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::new(StreamBody::new(events)))
}

/// What a clock on the wall in Greenwich shows.
pub(super) fn time_of_day() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%S UTC").to_string()
}
