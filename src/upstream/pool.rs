//! Applications, and a worker's connections to them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use http::{Request, Response};
use hyper::body::Incoming;

use super::connection::{self, Sender};
use super::{ForwardError, Server, Settings, copy_of, is_repeatable, sort};
use crate::web::body::RequestBody;
use crate::web::watch::{Ticks, Verdict, Watch};

/// An application as every worker knows it.
#[derive(Debug, Clone)]
pub struct Application {
    /// What the operator set.
    pub settings: Arc<Settings>,
    /// The number of each server, the same in every worker and after every reload.
    servers: Arc<[usize]>,
}

/// Gives every server a number for good, so that a reload keeps the connections to it.
#[derive(Debug, Default)]
pub struct Applications {
    numbers: Mutex<HashMap<Server, usize>>,
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
                *numbers.entry(server.clone()).or_insert(next)
            })
            .collect();
        Application { settings: Arc::new(settings), servers }
    }
}

/// A worker's connections, all of them made and used in its own thread.
#[derive(Debug)]
pub struct Pool {
    idle: Rc<Idle>,
    turn: Cell<usize>,
    clock: Ticks,
}

#[derive(Debug, Default)]
struct Idle {
    by_server: RefCell<Vec<Vec<Resting>>>,
}

/// A connection between two requests.
#[derive(Debug)]
struct Resting {
    sender: Sender,
    until: u32,
}

/// The right to a connection for one exchange; it goes back to the pool when that ends well.
#[derive(Debug)]
pub(super) struct Lease {
    sender: Option<Sender>,
    server: usize,
    application: Application,
    idle: Rc<Idle>,
    clock: Ticks,
}

impl Pool {
    /// A pool without a connection, for the worker whose clock this is.
    #[must_use]
    pub fn new(clock: Ticks) -> Self {
        Self { idle: Rc::default(), turn: Cell::new(0), clock }
    }

    /// Drops connections that rested for too long, or that the application closed.
    pub fn sweep(&self) {
        let now = self.clock.now();
        for resting in self.idle.by_server.borrow_mut().iter_mut() {
            resting.retain(|connection| connection.until > now && !connection.sender.is_closed());
        }
    }

    /// Sends `request` over a resting connection or a new one, and waits for the answer's head.
    pub(super) async fn send(
        &self,
        application: &Application,
        mut request: Request<RequestBody>,
        watch: &Watch,
    ) -> Result<(Response<Incoming>, Lease), ForwardError> {
        loop {
            let Some((server, mut sender)) = self.take_resting(application) else { break };
            let copy = is_repeatable(&request).then(|| copy_of(&request));
            match exchange(&mut sender, request, watch).await {
                Ok(response) => return Ok((response, self.lease(application, server, sender))),
                Err(Lost::Unsent(unsent)) => request = *unsent,
                Err(Lost::Sent(error)) => match copy {
                    Some(copy) if error.is_incomplete_message() || is_reset(&error) => {
                        request = copy
                    }
                    Some(_) | None => return Err(sort(&error)),
                },
                Err(Lost::Late) => return Err(ForwardError::AnswerTimeout),
            }
        }
        let (server, mut sender) = self.connect(application).await?;
        match exchange(&mut sender, request, watch).await {
            Ok(response) => Ok((response, self.lease(application, server, sender))),
            Err(Lost::Unsent(_)) => {
                Err(ForwardError::Garbled("the connection was closed at once".to_owned()))
            }
            Err(Lost::Sent(error)) => Err(sort(&error)),
            Err(Lost::Late) => Err(ForwardError::AnswerTimeout),
        }
    }

    /// A resting connection to any server of the application, the youngest first.
    fn take_resting(&self, application: &Application) -> Option<(usize, Sender)> {
        let now = self.clock.now();
        let mut idle = self.idle.by_server.borrow_mut();
        let count = application.servers.len();
        let turn = self.next_turn(count);
        for offset in 0..count {
            let server = application.servers[(turn + offset) % count];
            let Some(resting) = idle.get_mut(server) else { continue };
            while let Some(connection) = resting.pop() {
                if connection.until > now && connection.sender.is_ready() {
                    return Some((server, connection.sender));
                }
            }
        }
        None
    }

    /// A new connection to the server whose turn it is, or to the next that takes one.
    async fn connect(&self, application: &Application) -> Result<(usize, Sender), ForwardError> {
        let settings = &application.settings;
        let count = application.servers.len();
        let turn = self.next_turn(count);
        let mut failure = None;
        for offset in 0..count {
            let index = (turn + offset) % count;
            match connection::connect(&settings.servers[index], settings.connect_timeout).await {
                Ok(sender) => return Ok((application.servers[index], sender)),
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

    fn lease(&self, application: &Application, server: usize, sender: Sender) -> Lease {
        Lease {
            sender: Some(sender),
            server,
            application: application.clone(),
            idle: Rc::clone(&self.idle),
            clock: self.clock.clone(),
        }
    }
}

impl Lease {
    /// Gives the connection back after an exchange of which nothing is left to come.
    pub(super) fn give_back(&mut self) {
        let Some(mut sender) = self.sender.take() else { return };
        if sender.is_ready() {
            self.idle.rest(&self.application, self.server, sender, &self.clock);
        } else if !sender.is_closed() {
            // The browser's body may still be on its way; the connection rests when that is done.
            let (idle, application, server, clock) =
                (Rc::clone(&self.idle), self.application.clone(), self.server, self.clock.clone());
            tokio::task::spawn_local(async move {
                let patience = application.settings.idle_timeout;
                if let Ok(Ok(())) = tokio::time::timeout(patience, sender.ready()).await {
                    idle.rest(&application, server, sender, &clock);
                }
            });
        }
    }
}

impl Idle {
    fn rest(&self, application: &Application, server: usize, sender: Sender, clock: &Ticks) {
        let mut by_server = self.by_server.borrow_mut();
        if by_server.len() <= server {
            by_server.resize_with(server + 1, Vec::new);
        }
        let resting = &mut by_server[server];
        if resting.len() < application.settings.max_idle {
            resting.push(Resting {
                sender,
                until: clock.in_future(application.settings.idle_timeout),
            });
        }
    }
}

/// How an exchange failed.
enum Lost {
    /// The connection was dead already; the request is as it was.
    Unsent(Box<Request<RequestBody>>),
    /// The request may have arrived.
    Sent(hyper::Error),
    /// The answer did not begin in time.
    Late,
}

async fn exchange(
    sender: &mut Sender,
    request: Request<RequestBody>,
    watch: &Watch,
) -> Result<Response<Incoming>, Lost> {
    let mut answer = std::pin::pin!(sender.try_send_request(request));
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
            Some(unsent) => Lost::Unsent(Box::new(unsent)),
            None => Lost::Sent(error.into_error()),
        })),
        Poll::Pending if watch.take(Verdict::Late) => Poll::Ready(Err(Lost::Late)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// Whether the connection was reset, as a server does that has closed it already.
fn is_reset(error: &hyper::Error) -> bool {
    use std::error::Error as _;
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    let kind = error
        .source()
        .and_then(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    matches!(kind, Some(ConnectionReset | BrokenPipe))
}
