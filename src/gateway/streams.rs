//! The streams that are open on a worker: whatever of an exchange lasts longer than a moment.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, Request};
use tokio::sync::Notify;

use super::connection::Connection;
use super::head::{Host, Origin};
use super::visitor::Caller;
use crate::domain::rule::Circumstances;
use crate::domain::{Session, SessionId, SessionKey, Timestamp, UserId, Visitor};
use crate::telemetry::{Counters, Revoked};

/// What a request was admitted on, as it came: its texts are parts of the buffer that the request
/// was read into.
pub(super) struct Admission {
    session: Option<SessionId>,
    /// The login that the session stands for, if it is not one of nobody.
    login: Option<Session>,
    method: Method,
    target: Option<PathAndQuery>,
    host: Host,
    is_secure: bool,
    address: IpAddr,
}

/// What a stream was admitted on, to be judged again: texts of its own, so that a stream that is
/// open for days does not keep a buffer.
pub(super) struct Admitted {
    /// The session that the request came by.
    pub(super) came_by: Option<CameBy>,
    pub(super) target: Box<str>,
    pub(super) host: Host,
    method: Method,
    is_secure: bool,
    address: IpAddr,
}

/// The session by which a stream was opened.
pub(super) struct CameBy {
    pub(super) key: SessionKey,
    /// The login that it stood for, if it was not one of nobody.
    pub(super) login: Option<Session>,
    /// When the session ends, as far as was known when it was last looked at.
    pub(super) ends: Cell<Timestamp>,
    /// Whether the user has changed, and nobody knows yet how.
    pub(super) is_doubtful: Cell<bool>,
}

/// The number of a stream, never given to another one of the same worker.
pub(super) type Number = u64;

/// A worker's streams, found by whatever may end them.
pub(super) struct Streams {
    open: RefCell<Open>,
    counters: Arc<Counters>,
    stirred: Notify,
    /// Connections with an exchange that may be young, too young to be found otherwise.
    young: RefCell<Vec<Rc<Connection>>>,
    /// How many have lost their right and do not know it yet, and how many times others are looked
    /// at just now.
    telling: Cell<usize>,
}

#[derive(Default)]
struct Open {
    by_number: HashMap<Number, Stream, foldhash::fast::RandomState>,
    by_session: BTreeSet<(SessionKey, Number)>,
    by_user: BTreeSet<(UserId, Number)>,
    by_look: BTreeSet<(Timestamp, Number)>,
    /// Those that have not been looked at since they are kept.
    new: Vec<Number>,
    next: Number,
}

struct Stream {
    admitted: Rc<Admitted>,
    connection: Weak<Connection>,
    /// When to look at it without any other reason.
    look: Option<Timestamp>,
    is_revoked: bool,
}

impl Admission {
    /// Of `request`, which `caller` sent from `origin`.
    pub(super) fn of<B>(caller: &Caller, origin: &Origin, request: &Request<B>) -> Self {
        let login = match &caller.visitor {
            Visitor::SignedIn(identity) => Some(*identity.session()),
            Visitor::Guest(_) | Visitor::Anonymous => None,
        };
        Self {
            session: caller.session_id.clone(),
            login,
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            host: origin.host.clone(),
            is_secure: origin.is_secure,
            address: origin.address,
        }
    }

    /// The session by which the request came.
    pub(super) fn session(&self) -> Option<SessionKey> {
        self.session.as_ref().map(SessionKey::of)
    }

    /// The user who sent the request.
    pub(super) fn user(&self) -> Option<UserId> {
        self.login.map(|session| session.user())
    }

    fn to_admitted(&self) -> Admitted {
        Admitted {
            came_by: self.session().map(|key| CameBy {
                key,
                login: self.login,
                ends: Cell::new(Timestamp::from_seconds(u64::MAX)),
                is_doubtful: Cell::new(false),
            }),
            // Without a target nothing was admitted, and the empty one never is.
            target: self.target.as_ref().map_or("", PathAndQuery::as_str).into(),
            host: self.host.to_owned_copy(),
            method: self.method.clone(),
            is_secure: self.is_secure,
            address: self.address,
        }
    }
}

impl Admitted {
    /// What rules may ask about the request.
    pub(super) fn circumstances(&self) -> Circumstances<'_> {
        Circumstances {
            method: self.method.as_str(),
            host: self.host.name(),
            is_secure: self.is_secure,
            address: self.address,
        }
    }
}

impl Streams {
    /// None yet; how many there are is shown by `counters`.
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self {
            open: RefCell::default(),
            counters,
            stirred: Notify::new(),
            young: RefCell::default(),
            telling: Cell::new(0),
        }
    }

    /// Lists a connection whose exchange is young.
    pub(super) fn list(&self, connection: &Rc<Connection>) {
        self.young.borrow_mut().push(Rc::clone(connection));
    }

    /// Keeps those young exchanges that something may concern, so that they can be found.
    fn keep_young(&self, may_concern: impl Fn(&Connection) -> bool) {
        for connection in self.young.borrow().iter().filter(|connection| may_concern(connection)) {
            connection.keep();
        }
    }

    /// Keeps what goes on on `connection`; it is looked at at once, because what happened since it
    /// was admitted was told when it could not be found here.
    pub(super) fn keep(&self, connection: &Rc<Connection>, admission: &Admission) -> Number {
        let admitted = Rc::new(admission.to_admitted());
        let open = &mut *self.open.borrow_mut();
        let number = open.next;
        open.next += 1;
        if let Some(came_by) = &admitted.came_by {
            open.by_session.insert((came_by.key, number));
            if let Some(login) = &came_by.login {
                open.by_user.insert((login.user(), number));
            }
        }
        let connection = Rc::downgrade(connection);
        open.by_number
            .insert(number, Stream { admitted, connection, look: None, is_revoked: false });
        open.new.push(number);
        self.counters.streams(open.by_number.len());
        self.stirred.notify_one();
        number
    }

    /// Forgets a stream that is over.
    pub(super) fn leave(&self, number: Number) {
        let open = &mut *self.open.borrow_mut();
        let Some(stream) = open.by_number.remove(&number) else { return };
        if let Some(came_by) = &stream.admitted.came_by {
            open.by_session.remove(&(came_by.key, number));
            if let Some(login) = &came_by.login {
                open.by_user.remove(&(login.user(), number));
            }
        }
        if let Some(look) = stream.look {
            open.by_look.remove(&(look, number));
        }
        if stream.is_revoked {
            self.telling.set(self.telling.get().saturating_sub(1));
        }
        self.counters.streams(open.by_number.len());
    }

    /// What a stream was admitted on.
    pub(super) fn admitted(&self, number: Number) -> Option<Rc<Admitted>> {
        self.open.borrow().by_number.get(&number).map(|stream| Rc::clone(&stream.admitted))
    }

    /// The streams that were opened by a session.
    pub(super) fn of_session(&self, key: SessionKey) -> Vec<Number> {
        self.keep_young(|connection| connection.is_admitted_by(key));
        let open = self.open.borrow();
        open.by_session.range((key, 0)..=(key, Number::MAX)).map(|&(_, number)| number).collect()
    }

    /// The streams that were opened by these users.
    pub(super) fn of_users(&self, users: &[UserId]) -> Vec<Number> {
        self.keep_young(|connection| connection.is_admitted_to(users));
        let open = self.open.borrow();
        let of = |&user| open.by_user.range((user, 0)..=(user, Number::MAX));
        users.iter().flat_map(of).map(|&(_, number)| number).collect()
    }

    /// The streams that were opened by anybody with a session.
    pub(super) fn of_anybody(&self) -> Vec<Number> {
        self.keep_young(|_| true);
        self.open.borrow().by_session.iter().map(|&(_, number)| number).collect()
    }

    /// All streams.
    pub(super) fn all(&self) -> Vec<Number> {
        self.keep_young(|_| true);
        self.open.borrow().by_number.keys().copied().collect()
    }

    /// Waits until a stream is to be looked at because it is new, or because of the time.
    pub(super) async fn stir(&self) {
        self.stirred.notified().await;
    }

    /// The streams that are to be looked at; nobody is told of them a second time before
    /// [`Self::look_again`] is called.
    pub(super) fn take_due(&self, now: Timestamp) -> Vec<Number> {
        let open = &mut *self.open.borrow_mut();
        let mut due = std::mem::take(&mut open.new);
        while let Some(&(look, number)) = open.by_look.first()
            && look <= now
        {
            open.by_look.pop_first();
            if let Some(stream) = open.by_number.get_mut(&number) {
                stream.look = None;
            }
            due.push(number);
        }
        due
    }

    /// Has a stream looked at again at `moment`, and not before unless something happens.
    pub(super) fn look_again(&self, number: Number, moment: Timestamp) {
        let open = &mut *self.open.borrow_mut();
        let Some(stream) = open.by_number.get_mut(&number) else { return };
        if let Some(before) = stream.look.replace(moment) {
            open.by_look.remove(&(before, number));
        }
        open.by_look.insert((moment, number));
    }

    /// Takes back the right to a stream.
    pub(super) fn revoke(&self, number: Number, why: Revoked) {
        let connection = match self.open.borrow_mut().by_number.get_mut(&number) {
            Some(stream) if !stream.is_revoked => {
                stream.is_revoked = true;
                stream.connection.upgrade()
            }
            Some(_) | None => return,
        };
        self.telling.set(self.telling.get() + 1);
        self.counters.revoked(why);
        if let Some(connection) = connection {
            connection.revoke(why);
        }
    }

    /// Says that streams are looked at until the value is dropped.
    pub(super) fn look_at(&self) -> Looking<'_> {
        self.telling.set(self.telling.get() + 1);
        Looking(self)
    }

    /// Whether there are streams that have to hear that their right has ended, or may have to.
    pub(super) fn is_telling(&self) -> bool {
        self.telling.get() > 0
    }

    /// Begins a tick: keeps what is not young any more, and says when it is time to look.
    pub(super) fn tick(&self, tick: u32, now: Timestamp) {
        self.young.borrow_mut().retain(|connection| connection.stays_young(tick));
        if self.open.borrow().by_look.first().is_some_and(|&(look, _)| look <= now) {
            self.stirred.notify_one();
        }
    }
}

/// Streams are looked at.
pub(super) struct Looking<'a>(&'a Streams);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.telling.set(self.0.telling.get().saturating_sub(1));
    }
}
