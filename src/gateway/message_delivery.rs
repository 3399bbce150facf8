//! Messages that an application shows: told in a header where one of its rule's templates says
//! `messages`, once, and told again when its answer shows no page.

use std::rc::Rc;

use http::{Method, Response};

use super::exchange::Kind;
use super::settings::Route;
use super::visitor::Caller;
use super::{Policy, Worker};
use crate::domain::SessionKey;
use crate::pages::Audience;
use crate::pages::messages::{Handed, MessageQueue, Moment};
use crate::web::caching;
use crate::web::glance::{Glance, Seen};
use crate::web::identity_headers::Rendered;
use crate::web::messages::{self, MOST_IN_HEADER};
use crate::web::refusal::Refusal;

/// Whether messages are to be taken out for this request: where a header asks for them, some wait, and
/// a browser asks for a page that it will show. An image, a script or a `HEAD` would show them to
/// nobody.
pub(super) fn is_due(route: &Route, caller: &Caller, method: &Method, glance: Glance) -> bool {
    route.identity.uses_messages()
        && messages::wait_for(&caller.visitor)
        && *method == Method::GET
        && !glance.saw(Seen::Upgrade)
        && Audience::of(glance) == Audience::Person
}

/// Takes them out, as many as a header has room for.
pub(super) async fn take(worker: &Worker, policy: &Policy, caller: &Caller) -> Box<Handed> {
    let gateway = &worker.gateway;
    let (directory, sessions) = (gateway.directory.clone(), gateway.sessions.clone());
    let queue = MessageQueue::new(directory, sessions);
    let visitor = caller.visitor.clone();
    let session = caller.session_id.as_ref().map(SessionKey::of);
    let at = Moment { now: caller.now, lifetime: policy.sessions.lifetime };
    // When the browser goes away meanwhile, what was taken out is dropped with the task, and goes back.
    let taking = async move { queue.take(&visitor, session, MOST_IN_HEADER, at).await };
    Box::new(gateway.control.spawn(taking).await.unwrap_or_else(|error| {
        tracing::error!(%error, "messages cannot be taken out");
        Handed::nothing()
    }))
}

/// What the application is told besides, and the messages.
pub(super) fn with_messages(
    identity: &Rc<Rendered>,
    route: &Route,
    caller: &Caller,
    handed: &Handed,
) -> Result<Rc<Rendered>, Refusal> {
    let messages = handed.messages();
    if messages.is_empty() {
        return Ok(Rc::clone(identity));
    }
    let key = caller.session_id.as_ref().map(SessionKey::of);
    let told = route.identity.render_messages(&caller.visitor, key, &messages);
    let told = told.map_err(|error| Refusal::Broken(error.to_string()))?;
    Ok(Rc::new(identity.iter().chain(&told).cloned().collect()))
}

/// Settles what becomes of them. A redirect, a `304` and an answer that says that the application
/// failed show the visitor no page with them in it; whatever else answers does. They are back before
/// the answer goes on, for the page that the browser asks for next.
pub(super) async fn settle(handed: Handed, response: &mut Response<Kind>) {
    let status = response.status();
    if status.is_redirection() || status.is_server_error() {
        handed.returned().await;
    } else if !handed.messages().is_empty() {
        caching::forbid_sharing(response.headers_mut());
        handed.delivered();
    }
}
