//! Messages on the gateway's own pages, and as JSON at `messages/` for scripts of an application.

use http::{HeaderValue, Method, Response, StatusCode, header};

use bytes::Bytes;

use super::messages::{Handed, Moment};
use super::refusal::Notice;
use super::{Answer, Page, PageRequest, Pages, csrf};
use crate::domain::SessionKey;
use crate::domain::message::{Level, Message, MessageText};
use crate::web::messages::{self, MessagesScope};

impl Pages {
    /// Takes out what a page can show. A form that is posted shows nothing: what comes of it is a
    /// redirect to a page that does, and it may begin another session.
    pub(super) async fn messages_for(
        &self,
        page: Option<&Page<'_>>,
        request: &mut PageRequest,
    ) -> Option<Handed> {
        let shows = match page {
            Some(Page::Stylesheet | Page::Unfinished | Page::Home | Page::Messages) | None => false,
            Some(_) => request.method == Method::GET,
        };
        if !shows || !messages::wait_for(&request.visitor) {
            return None;
        }
        let handed = self.take_messages(request).await;
        request.messages = MessagesScope::new(&handed.messages());
        Some(handed)
    }

    /// Settles what becomes of them: shown is what a template looked at, in a page that was made.
    pub(super) async fn settle(
        request: &PageRequest,
        handed: Option<Handed>,
        answer: &Response<Bytes>,
    ) {
        let Some(handed) = handed else { return };
        if request.messages.were_shown() && !answer.status().is_server_error() {
            handed.delivered();
        } else {
            handed.returned().await;
        }
    }

    async fn take_messages(&self, request: &PageRequest) -> Handed {
        let session = request.session_id.as_ref().map(SessionKey::of);
        let queue = self.state.message_queue();
        queue.take(&request.visitor, session, usize::MAX, self.moment(request)).await
    }

    fn moment(&self, request: &PageRequest) -> Moment {
        Moment { now: request.now, lifetime: self.sessions.lifetime }
    }

    /// GET of `messages/`: what waits for the visitor, as JSON, once. For scripts of the same origin
    /// alone: another site could have them shown to nobody.
    pub(super) async fn messages_as_json(&self, request: &PageRequest) -> Answer {
        let public_url = self.settings.public_url.as_deref();
        let (host, is_secure) = (&request.host, request.is_secure);
        csrf::check_origin(&request.headers, host, is_secure, public_url).map_err(|cause| {
            tracing::debug!(%cause, "refused to tell messages");
            Notice::FORGED
        })?;
        let handed = match request.method {
            // Whoever asks for the head alone is not shown what would be in the body.
            Method::HEAD => Handed::nothing(),
            _ if !messages::wait_for(&request.visitor) => Handed::nothing(),
            _ => self.take_messages(request).await,
        };
        let body = format!("{{\"messages\":{}}}", messages::to_ascii_json(&handed.messages()));
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::OK;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        handed.delivered();
        Ok(response)
    }

    /// Has a message shown to the visitor on the next page: what a form of ours did, before the
    /// redirect to another page. A message that cannot be kept is lost, for what it tells of was done.
    pub(super) async fn tell(&self, request: &PageRequest, level: Level, text: &str) {
        let Ok(text) = MessageText::parse(text) else { return };
        let message = Message { level, text, created: request.now };
        let queue = self.state.message_queue();
        let failure = match (request.visitor.user(), request.session_id.as_ref()) {
            (Some(user), _) => queue.add(user.id, vec![message]).await.err().map(|e| e.to_string()),
            (None, Some(id)) if request.visitor.span().is_some() => {
                let (key, at) = (SessionKey::of(id), self.moment(request));
                queue.add_to_session(key, &[message], at).await.err().map(|e| e.to_string())
            }
            (None, _) => None,
        };
        if let Some(error) = failure {
            tracing::warn!(error, "a message could not be kept");
        }
    }
}
