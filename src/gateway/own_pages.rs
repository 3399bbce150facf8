//! A request for one of the gateway's own pages: from the worker to the control runtime and back.

use std::sync::Arc;

use http::Response;
use http_body_util::BodyExt as _;

use super::exchange::Kind;
use super::head::Origin;
use super::visitor::Caller;
use super::{Gateway, Policy};
use crate::domain::RequestPath;
use crate::pages::{PageRequest, Pages};
use crate::upstream::Outgoing;
use crate::web::body::BodyError;
use crate::web::messages::MessagesScope;
use crate::web::refusal::Refusal;

/// A request for a page below the prefix.
pub(super) struct Asked {
    pub(super) page: String,
    pub(super) path: RequestPath,
    pub(super) origin: Origin,
    pub(super) caller: Caller,
    pub(super) request: Outgoing,
}

/// Answers a request for one of the pages. Forms are small; a larger body is refused before it is
/// read.
pub(super) async fn answer(
    gateway: &Gateway,
    policy: &Arc<Policy>,
    asked: Asked,
) -> Result<Response<Kind>, Refusal> {
    let Asked { page, path, origin, caller, request } = asked;
    let (head, mut body) = request.into_parts();
    let refusal = |error: BodyError| match error {
        BodyError::TooLarge => Refusal::BodyTooLarge,
        BodyError::Incomplete(_) => Refusal::MalformedRequest("the body ended early"),
    };
    body.limit(Some(Pages::MAX_FORM as u64)).map_err(refusal)?;
    let body = body.collect().await.map_err(refusal)?.to_bytes();
    let request = PageRequest {
        method: head.method,
        page,
        target: path.into_target(),
        host: origin.host.as_sent().to_owned(),
        is_secure: origin.is_secure,
        headers: head.headers,
        body,
        address: origin.address,
        visitor: caller.visitor,
        session_id: caller.session_id,
        now: caller.now,
        messages: MessagesScope::default(),
    };
    let policy = Arc::clone(policy);
    let answering = gateway.control.spawn(async move { policy.pages.answer(request).await });
    match answering.await {
        Ok(response) => Ok(response.map(Kind::Own)),
        Err(crashed) => Err(Refusal::Broken(crashed.to_string())),
    }
}
