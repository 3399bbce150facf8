//! One connection of a browser as the gateway sees it, and what goes on on it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::streams::{Admission, Number, Streams};
use super::{Peer, Worker};
use crate::domain::{SessionKey, Timestamp, UserId};
use crate::telemetry::Revoked;
use crate::web::watch::Watch;

/// A connection of a browser, from its first byte to its last, changed protocols included.
///
/// What a request was admitted on is written down here, in place: nothing is allocated and nothing
/// is looked up for an exchange that is over before the clock has come by a second time, and before
/// anything happens that concerns it. What lasts is kept among the worker's streams.
pub struct Connection {
    peer: Peer,
    watch: Arc<Watch>,
    streams: Rc<Streams>,
    ongoing: RefCell<Ongoing>,
    /// Whether the answer has gone out; the rest of the request's body may still be on its way.
    is_answered: Cell<bool>,
    revoked: Cell<Option<Revoked>>,
    heard: Cell<Timestamp>,
    /// Whether the connection is listed as one whose exchange may be young.
    is_young: Cell<bool>,
}

/// The exchange under way.
#[expect(clippy::large_enum_variant, reason = "in place, so that nothing is allocated")]
enum Ongoing {
    /// There is none, or the application has no part in it.
    Nothing,
    /// It was admitted in this tick; whether it will last is not known yet.
    Admitted(Admission, u32),
    /// It is kept among the streams.
    Kept(Number),
}

impl Worker {
    /// Takes a connection of a browser, whose head has to arrive within `header_timeout`.
    pub fn connect(&self, peer: Peer, header_timeout: Duration) -> Rc<Connection> {
        let watch = Arc::new(Watch::new(self.clock.clone(), header_timeout));
        Rc::new(Connection::new(peer, watch, &self.streams))
    }
}

impl Connection {
    fn new(peer: Peer, watch: Arc<Watch>, streams: &Rc<Streams>) -> Self {
        Self {
            peer,
            watch,
            streams: Rc::clone(streams),
            ongoing: RefCell::new(Ongoing::Nothing),
            is_answered: Cell::new(false),
            revoked: Cell::new(None),
            heard: Cell::new(Timestamp::from_seconds(0)),
            is_young: Cell::new(false),
        }
    }

    /// What the connection waits for.
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Begins a request, of which nobody knows yet whether it may pass.
    pub(super) fn begin(&self) {
        self.watch.work();
        self.end();
        self.revoked.set(None);
    }

    /// Writes down on what the request was admitted.
    pub(super) fn admit(self: &Rc<Self>, admission: Admission, tick: u32) {
        *self.ongoing.borrow_mut() = Ongoing::Admitted(admission, tick);
        if !self.is_young.replace(true) {
            self.streams.list(self);
        }
    }

    /// Says whether the exchange is still young in this tick; keeps it if it lasts.
    pub(super) fn stays_young(self: &Rc<Self>, tick: u32) -> bool {
        let since = match &*self.ongoing.borrow() {
            Ongoing::Admitted(_, since) => Some(*since),
            Ongoing::Nothing | Ongoing::Kept(_) => None,
        };
        let stays = since.is_some_and(|since| tick.saturating_sub(since) < 2);
        if !stays {
            self.keep();
            self.is_young.set(false);
        }
        stays
    }

    /// Whether a young exchange was admitted by this session.
    pub(super) fn is_admitted_by(&self, session: SessionKey) -> bool {
        match &*self.ongoing.borrow() {
            Ongoing::Admitted(admission, _) => admission.session() == Some(session),
            Ongoing::Nothing | Ongoing::Kept(_) => false,
        }
    }

    /// Whether a young exchange was admitted to one of these users.
    pub(super) fn is_admitted_to(&self, users: &[UserId]) -> bool {
        match &*self.ongoing.borrow() {
            Ongoing::Admitted(admission, _) => {
                admission.user().is_some_and(|user| users.contains(&user))
            }
            Ongoing::Nothing | Ongoing::Kept(_) => false,
        }
    }

    /// Looks at what is kept: it is over when the answer is, and the request's body as well.
    pub(super) fn look(&self) {
        if self.is_answered.get() && !self.watch.wants_body() {
            self.end();
        }
    }

    /// Keeps what goes on, if it was admitted, among the worker's streams.
    pub(super) fn keep(self: &Rc<Self>) {
        let mut ongoing = self.ongoing.borrow_mut();
        if let Ongoing::Admitted(admission, _) = &*ongoing {
            let number = self.streams.keep(self, admission);
            *ongoing = Ongoing::Kept(number);
            self.watch.attend(true);
        }
    }

    /// The stream that goes on here, if it is kept.
    pub(super) fn stream(&self) -> Option<Number> {
        match &*self.ongoing.borrow() {
            Ongoing::Kept(number) => Some(*number),
            Ongoing::Nothing | Ongoing::Admitted(..) => None,
        }
    }

    /// Whether this is the first that is heard of the browser at `now`.
    pub(super) fn hear(&self, now: Timestamp) -> bool {
        self.heard.replace(now) != now
    }

    /// Takes back the right to what goes on.
    pub(super) fn revoke(&self, why: Revoked) {
        if self.revoked.get().is_none() {
            self.revoked.set(Some(why));
            self.watch.revoke();
        }
    }

    /// Why the right to what goes on, or went on last, was taken back.
    pub(super) fn revoked(&self) -> Option<Revoked> {
        self.revoked.get()
    }

    /// Why the right was taken back; whoever asks tells the browser, which is not cut off then.
    pub(super) fn take_revocation(&self) -> Option<Revoked> {
        if !self.watch.is_revoked() {
            return None;
        }
        self.watch.pardon();
        self.revoked.get()
    }

    /// Lets the rest of the answer go on whatever happens to the session: the application ends it,
    /// and says so in this very answer.
    pub(super) fn release(&self) {
        self.end();
    }

    /// Notes that the answer is over. The rest of a body that the application takes afterwards is
    /// part of what it was admitted to.
    pub(super) fn answered(&self) {
        if self.watch.wants_body() {
            self.is_answered.set(true);
        } else {
            self.end();
        }
    }

    fn end(&self) {
        self.is_answered.set(false);
        if let Ongoing::Kept(number) = self.ongoing.replace(Ongoing::Nothing) {
            self.streams.leave(number);
            self.watch.attend(false);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end();
    }
}
