//! Applications, and a worker's connections to them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Context;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;

use super::connection::{Connection, Lost};
use super::{ForwardError, Outgoing, Server, Settings, copy_of, is_repeatable, sort};
use crate::web::forwarding::Told;
use crate::web::watch::{Ticks, Watch};

/// An application as every worker knows it.
#[derive(Debug, Clone)]
pub struct Application {
    /// What the operator set.
    pub settings: Arc<Settings>,
    /// The number of each server, the same in every worker and after every reload.
    servers: Arc<[usize]>,
}

/// What connections have in common that may be used in place of each other.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kind {
    server: Server,
    title_case_headers: bool,
}

/// Gives every server a number for good, so that a reload keeps the connections to it.
#[derive(Debug, Default)]
pub struct Applications {
    numbers: Mutex<HashMap<Kind, usize>>,
}

impl Applications {
    /// The application that `settings` describes.
    pub fn number(&self, settings: Settings) -> Application {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = settings
            .servers
            .iter()
            .map(|server| {
                let next = numbers.len();
                let title_case_headers = settings.title_case_headers;
                let kind = Kind { server: server.clone(), title_case_headers };
                *numbers.entry(kind).or_insert(next)
            })
            .collect();
        Application { settings: Arc::new(settings), servers }
    }
}

/// A worker's connections, all of them made and used in its own thread.
pub struct Pool {
    idle: Rc<Idle>,
    turn: Cell<usize>,
}

struct Idle {
    by_server: RefCell<Vec<Vec<Resting>>>,
    clock: Ticks,
}

/// A connection between two requests.
struct Resting {
    connection: Connection,
    until: u32,
}

/// The right to a connection for one exchange; it goes back to the pool when that ends well.
pub(super) struct Lease {
    connection: Connection,
    server: usize,
    idle_timeout: Duration,
    max_idle: usize,
    /// Whether the request has a body, which may still be on its way when the answer has ended.
    is_sending: bool,
    idle: Rc<Idle>,
}

impl Pool {
    /// A pool without a connection, for the worker whose clock this is.
    #[must_use]
    pub fn new(clock: Ticks) -> Self {
        Self { idle: Rc::new(Idle { by_server: RefCell::default(), clock }), turn: Cell::new(0) }
    }

    /// Drops connections that rested for too long, or that the application closed.
    pub fn sweep(&self) {
        let now = self.idle.clock.now();
        for resting in self.idle.by_server.borrow_mut().iter_mut() {
            resting.retain_mut(|resting| resting.until > now && resting.connection.is_ready());
        }
    }

    /// Sends `request` over a resting connection or a new one, and waits for the answer's head.
    pub(super) async fn send(
        &self,
        application: &Application,
        mut request: Outgoing,
        told: &Told,
        watch: &Watch,
    ) -> Result<(Response<Incoming>, Lease), ForwardError> {
        loop {
            let resting = self.take_resting(application);
            let is_new = resting.is_none();
            let mut lease = match resting {
                Some(lease) => lease,
                None => Box::pin(self.connect(application)).await?,
            };
            // A connection that rested may turn out to be dead when the request is on its way.
            let copy = (!is_new && is_repeatable(&request, told)).then(|| copy_of(&request));
            told.write(request.headers_mut());
            lease.is_sending = !request.body().is_empty();
            match lease.connection.exchange(request, watch).await {
                Ok(response) => return Ok((response, lease)),
                Err(Lost::Late) => return Err(ForwardError::AnswerTimeout),
                Err(Lost::Unsent(_)) if is_new => {
                    return Err(ForwardError::Garbled(
                        "it closed the connection at once".to_owned(),
                    ));
                }
                Err(Lost::Unsent(unsent)) => request = unsent,
                Err(Lost::Sent(error)) => match copy {
                    Some(copy) if error.is_incomplete_message() || is_reset(&error) => {
                        request = copy;
                    }
                    Some(_) | None => return Err(sort(&error)),
                },
            }
        }
    }

    /// A resting connection to any server of the application, the youngest first.
    fn take_resting(&self, application: &Application) -> Option<Lease> {
        let now = self.idle.clock.now();
        let mut idle = self.idle.by_server.borrow_mut();
        let count = application.servers.len();
        let turn = self.next_turn(count);
        for offset in 0..count {
            let server = application.servers[(turn + offset) % count];
            let Some(resting) = idle.get_mut(server) else { continue };
            while let Some(Resting { mut connection, until }) = resting.pop() {
                if until > now && connection.is_ready() {
                    return Some(self.lease(application, server, connection));
                }
            }
        }
        None
    }

    /// A new connection to the server whose turn it is, or to the next that takes one.
    async fn connect(&self, application: &Application) -> Result<Lease, ForwardError> {
        let settings = &application.settings;
        let count = application.servers.len();
        let turn = self.next_turn(count);
        let mut failure = None;
        for offset in 0..count {
            let index = (turn + offset) % count;
            match Connection::open(&settings.servers[index], settings).await {
                Ok(connection) => {
                    return Ok(self.lease(application, application.servers[index], connection));
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| ForwardError::Garbled("it has no server".to_owned())))
    }

    fn next_turn(&self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        self.turn.set(self.turn.get().wrapping_add(1));
        self.turn.get() % count
    }

    fn lease(&self, application: &Application, server: usize, connection: Connection) -> Lease {
        Lease {
            connection,
            server,
            idle_timeout: application.settings.idle_timeout,
            max_idle: application.settings.max_idle,
            is_sending: false,
            idle: Rc::clone(&self.idle),
        }
    }
}

impl Lease {
    /// Moves on the connection's work.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        self.connection.poll(context);
    }

    /// The connection, for a change of protocol.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Gives the connection back after an exchange of which nothing is left to come. Whether it is
    /// good for another one is found out when somebody wants it.
    pub(super) fn give_back(mut self) {
        if !self.is_sending || self.connection.is_ready() {
            self.rest();
        } else if !self.connection.is_closed() {
            // The connection rests when the browser's body has gone out.
            tokio::task::spawn_local(async move {
                let patience = self.idle_timeout;
                if let Ok(Ok(())) = tokio::time::timeout(patience, self.connection.ready()).await {
                    self.rest();
                }
            });
        }
    }

    fn rest(self) {
        let mut by_server = self.idle.by_server.borrow_mut();
        if by_server.len() <= self.server {
            by_server.resize_with(self.server + 1, Vec::new);
        }
        let resting = &mut by_server[self.server];
        if resting.len() < self.max_idle {
            let until = self.idle.clock.in_future(self.idle_timeout);
            resting.push(Resting { connection: self.connection, until });
        }
    }
}

/// Whether the connection was reset, as a server does that has closed it already.
fn is_reset(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    matches!(cause.map(std::io::Error::kind), Some(ConnectionReset | BrokenPipe))
}
