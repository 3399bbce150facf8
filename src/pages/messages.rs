//! Messages to visitors: put into a queue, taken out of it, and put back when nobody was shown them.
//!
//! A user's wait in the database, a guest's in the session, and stay there when the guest logs in.
//! Whoever shows messages takes them out first, so that of two pages that are made at once only one
//! has them. They come back when that page never reaches its visitor: what goes wrong there may be
//! shown again, and nothing is shown twice. A gateway that is killed in between loses them.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::accounts::{AccountsError, Directory, Queued};
use crate::domain::message::Message;
use crate::domain::session::Lifetime;
use crate::domain::session_data::{DataChange, DataError};
use crate::domain::{SessionData, SessionKey, Timestamp, UserId, Visitor};
use crate::sessions::{Sessions, Unavailable};
use crate::web::messages;

/// The queues of all visitors.
#[derive(Debug, Clone)]
pub struct MessageQueue {
    directory: Arc<Directory>,
    sessions: Arc<Sessions>,
}

/// When something happens to a session, and how long it lives.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// When.
    pub now: Timestamp,
    /// How long sessions live.
    pub lifetime: Lifetime,
}

/// How often a session that others change is tried again.
const TRIES: usize = 5;

impl MessageQueue {
    /// The queues in this directory and these sessions.
    pub fn new(directory: Arc<Directory>, sessions: Arc<Sessions>) -> Self {
        Self { directory, sessions }
    }

    /// Puts messages into a user's queue.
    pub async fn add(&self, user: UserId, messages: Vec<Message>) -> Result<(), AccountsError> {
        self.directory.add_messages(user, messages).await
    }

    /// Puts messages into a session; false when it has ended.
    pub async fn add_to_session(
        &self,
        key: SessionKey,
        messages: &[Message],
        at: Moment,
    ) -> Result<bool, Unavailable> {
        let add = |mut kept: Vec<Message>| {
            kept.extend_from_slice(messages);
            kept
        };
        self.change(key, at, add).await
    }

    /// Takes out what waits for this visitor, the session's first, as long as `room` bytes of a header
    /// have place for it; one message always has.
    ///
    /// To be called on the control runtime. What cannot be asked for waits on, with a word in the log.
    pub async fn take(
        &self,
        visitor: &Visitor,
        session: Option<SessionKey>,
        room: usize,
        at: Moment,
    ) -> Handed {
        let mut room = Room { left: room, is_untouched: true };
        let mut handed = Handed::nothing();
        if let (Some(key), Some(data)) = (session, visitor.data())
            && data.own(messages::KEY).is_some()
        {
            let taken = self.take_from_session(key, data, &mut room, at).await;
            let taken = taken.unwrap_or_else(|error| {
                tracing::warn!(%error, "messages in a session cannot be taken out");
                Vec::new()
            });
            handed.of_session = Some((key, taken));
        }
        if let Some(user) = visitor.user().filter(|user| user.has_messages) {
            let taken = self.directory.take_messages(user.id, move |one| room.fits(one)).await;
            let taken = taken.unwrap_or_else(|error| {
                tracing::warn!(%error, user = user.username, "messages cannot be taken out");
                Vec::new()
            });
            handed.of_user = Some((user.id, taken));
        }
        handed.back = Some((self.clone(), at, Handle::current()));
        handed
    }

    async fn take_from_session(
        &self,
        key: SessionKey,
        known: &SessionData,
        room: &mut Room,
        at: Moment,
    ) -> Result<Vec<Message>, Unavailable> {
        let mut data = Some(Arc::new(known.clone()));
        for _ in 0..TRIES {
            let mut taken = messages::in_session(data.as_deref());
            let mut room_left = *room;
            let fitting = taken.iter().take_while(|message| room_left.fits(message)).count();
            let left = taken.split_off(fitting);
            let swap = swap(data.as_deref(), &left);
            let changed = self.sessions.change_data(key, &[swap], at.now, &at.lifetime).await?;
            match changed {
                Some(Ok(_)) => {
                    *room = room_left;
                    return Ok(taken);
                }
                Some(Err(DataError::Changed)) => {
                    // Somebody took some out, or put some in.
                    let found = self.sessions.find(key, at.now, &at.lifetime).await?;
                    data = found.and_then(|record| record.data);
                    if data.as_ref().is_none_or(|data| data.own(messages::KEY).is_none()) {
                        return Ok(Vec::new());
                    }
                }
                Some(Err(DataError::Key | DataError::Reserved | DataError::TooLarge)) | None => {
                    return Ok(Vec::new());
                }
            }
        }
        Ok(Vec::new())
    }

    /// Makes other messages of those in a session, whoever else does that; false when it has ended,
    /// or has no room for them.
    async fn change(
        &self,
        key: SessionKey,
        at: Moment,
        change: impl Fn(Vec<Message>) -> Vec<Message>,
    ) -> Result<bool, Unavailable> {
        for _ in 0..TRIES {
            let found = self.sessions.find(key, at.now, &at.lifetime).await?;
            let Some(record) = found else { return Ok(false) };
            let data = record.data.as_deref();
            let swap = swap(data, &change(messages::in_session(data)));
            match self.sessions.change_data(key, &[swap], at.now, &at.lifetime).await? {
                Some(Ok(_)) => return Ok(true),
                Some(Err(DataError::Changed)) => {}
                Some(Err(error)) => {
                    tracing::warn!(%error, session = %key, "a message was dropped");
                    return Ok(false);
                }
                None => return Ok(false),
            }
        }
        tracing::warn!(session = %key, "a message was dropped: the session changes all the time");
        Ok(false)
    }
}

fn swap(data: Option<&SessionData>, messages: &[Message]) -> DataChange {
    let from = data.and_then(|data| data.own(messages::KEY)).map(Into::into);
    DataChange::Swap { key: messages::KEY, from, to: messages::for_session(messages) }
}

/// How much may still be taken out.
#[derive(Debug, Clone, Copy)]
struct Room {
    left: usize,
    is_untouched: bool,
}

impl Room {
    fn fits(&mut self, message: &Message) -> bool {
        let size = messages::size_in_header(message);
        let fits = self.is_untouched || size <= self.left;
        self.is_untouched = false;
        self.left = self.left.saturating_sub(size);
        fits
    }
}

/// Messages that were taken out to be shown. They go back when this value is dropped, unless they
/// were [delivered](Self::delivered).
#[must_use = "messages that nobody is shown go back"]
pub struct Handed {
    of_session: Option<(SessionKey, Vec<Message>)>,
    of_user: Option<(UserId, Vec<Queued>)>,
    back: Option<(MessageQueue, Moment, Handle)>,
}

/// Messages on their way back, and where to.
struct Back {
    queue: MessageQueue,
    at: Moment,
    of_session: Option<(SessionKey, Vec<Message>)>,
    of_user: Option<(UserId, Vec<Queued>)>,
}

impl Handed {
    /// Nothing was taken out.
    pub fn nothing() -> Self {
        Self { of_session: None, of_user: None, back: None }
    }

    /// The messages, those of the session first.
    pub fn messages(&self) -> Vec<Message> {
        let of_session = self.of_session.iter().flat_map(|(_, messages)| messages);
        let of_user = self.of_user.iter().flat_map(|(_, queued)| queued).map(|it| &it.message);
        of_session.chain(of_user).cloned().collect()
    }

    /// They are on their way to the visitor, and never come back.
    pub fn delivered(mut self) {
        self.back = None;
    }

    /// They were not shown. Waits until they are back, so that the next page has them.
    pub async fn returned(mut self) {
        if let Some((back, control)) = self.take_back()
            && let Err(error) = control.spawn(back.go()).await
        {
            tracing::error!(%error, "messages that were not shown are lost");
        }
    }

    fn take_back(&mut self) -> Option<(Back, Handle)> {
        let (queue, at, control) = self.back.take()?;
        let of_session = self.of_session.take().filter(|(_, messages)| !messages.is_empty());
        let of_user = self.of_user.take().filter(|(_, messages)| !messages.is_empty());
        let is_nothing = of_session.is_none() && of_user.is_none();
        (!is_nothing).then_some((Back { queue, at, of_session, of_user }, control))
    }
}

impl Back {
    async fn go(self) {
        let Self { queue, at, of_session, of_user } = self;
        if let Some((key, taken)) = of_session {
            let front = |kept: Vec<Message>| [taken.clone(), kept].concat();
            if let Err(error) = queue.change(key, at, front).await {
                tracing::warn!(%error, "messages that were not shown are lost");
            }
        }
        if let Some((user, taken)) = of_user
            && let Err(error) = queue.directory.return_messages(user, taken).await
        {
            tracing::warn!(%error, "messages that were not shown are lost");
        }
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        if let Some((back, control)) = self.take_back() {
            drop(control.spawn(back.go()));
        }
    }
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Handed").field(&self.messages()).finish()
    }
}
