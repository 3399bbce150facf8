//! The life of one request, in order: `Worker::pass`.
//!
//! Here belongs the order of the steps and what joins them. Each step is a file of its own: what
//! the head says, who is asking, what the application is told, the exchange with its log line.
//! What is decided, and how, stands in [`domain`](crate::domain).

mod connection;
mod exchange;
mod head;
mod message_delivery;
mod own_pages;
mod policy;
mod revocation;
mod said;
pub mod settings;
mod stop;
mod streams;
mod told;
mod tunnel;
mod visitor;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use http::header::{CONNECTION, REFERER, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

pub use connection::Connection;
pub use exchange::AnswerBody;
pub use head::Peer;
pub use policy::Policy;
pub use settings::Settings;

use crate::accounts::Directory;
use crate::domain::{Decision, Permitted, RequestPath, Timestamp, authorize};
use crate::pages::Audience;
use crate::pages::messages::Handed;
use crate::sessions::Sessions;
use crate::telemetry::{AccessLines, Counters};
use crate::upstream::{self, Application, ForwardError, Forwarded, Outgoing, Pool};
use crate::web::body::RequestBody;
use crate::web::caching;
use crate::web::forwarding::{self, Told};
use crate::web::glance::{Glance, Seen};
use crate::web::instructions::Instructions;
use crate::web::refusal::Refusal;
use crate::web::watch::Ticks;

use exchange::{Exchange, Kind, Switched};
use head::{Head, Origin};
use said::Subject;
use settings::Route;
use stop::{Stop, refusal_for};
use streams::{Admission, Streams};
use visitor::Caller;

/// What all workers share.
pub struct Gateway {
    /// What a reload swaps: sites, rules, upstreams, pages.
    pub policy: Arc<ArcSwap<Policy>>,
    /// Who is logged in.
    pub sessions: Arc<Sessions>,
    /// Who exists.
    pub directory: Arc<Directory>,
    /// Where everything slow runs: pages, passwords, the database.
    pub control: tokio::runtime::Handle,
    /// Tells whenever another policy is in force.
    pub reloads: tokio::sync::watch::Sender<()>,
}

impl Gateway {
    /// Puts another policy in force, for every request that begins from now on and for what is
    /// still open of those before.
    pub fn enforce(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
        self.reloads.send_replace(());
    }
}

/// One worker's share of the gateway; it never leaves its thread.
pub struct Worker {
    gateway: Arc<Gateway>,
    policy: RefCell<CurrentPolicy>,
    pool: Pool,
    told: RefCell<told::Cache>,
    counters: Arc<Counters>,
    lines: AccessLines,
    clock: Ticks,
    now: Cell<Timestamp>,
    idle_timeout: Duration,
    open_tunnels: Cell<usize>,
    streams: Rc<Streams>,
    tunnel_buffer: RefCell<Vec<u8>>,
}

/// A worker's own handle on the policy: a request takes it without touching a count that other
/// workers write to as well.
struct CurrentPolicy {
    latest: Cache<Arc<ArcSwap<Policy>>, Arc<Policy>>,
    kept: Rc<HeldPolicy>,
}

/// The policy as one worker holds it.
struct HeldPolicy(Arc<Policy>);

impl Worker {
    /// The share of a worker whose clock, counters and log lines these are.
    pub fn new(
        gateway: Arc<Gateway>,
        clock: Ticks,
        counters: Arc<Counters>,
        lines: AccessLines,
        idle_timeout: Duration,
        now: Timestamp,
    ) -> Self {
        let mut latest = Cache::new(Arc::clone(&gateway.policy));
        let kept = Rc::new(HeldPolicy(Arc::clone(latest.load())));
        Self {
            gateway,
            policy: RefCell::new(CurrentPolicy { latest, kept }),
            pool: Pool::new(clock.clone()),
            told: RefCell::default(),
            streams: Rc::new(Streams::new(Arc::clone(&counters))),
            counters,
            lines,
            clock,
            now: Cell::new(now),
            idle_timeout,
            open_tunnels: Cell::new(0),
            tunnel_buffer: RefCell::default(),
        }
    }

    /// The clock that this worker's connections are watched by.
    pub fn clock(&self) -> &Ticks {
        &self.clock
    }

    /// Moves the worker's clocks: `elapsed` since it was started, and the time of day.
    pub fn tick(&self, elapsed: Duration, now: Timestamp) {
        self.clock.set(elapsed);
        self.now.set(now);
        self.streams.tick(self.clock.now(), now);
    }

    /// How many changed protocols are still spoken through this worker.
    pub fn open_tunnels(&self) -> usize {
        self.open_tunnels.get()
    }

    /// The policy as of now; a request keeps the one that it began with.
    fn policy(&self) -> Rc<HeldPolicy> {
        let mut policy = self.policy.borrow_mut();
        let CurrentPolicy { latest, kept } = &mut *policy;
        if !Arc::ptr_eq(latest.load(), &kept.0) {
            *kept = Rc::new(HeldPolicy(Arc::clone(latest.load())));
        }
        Rc::clone(kept)
    }

    /// Drops what nobody needs any more and hands over log lines; called now and then.
    pub fn sweep(&self) {
        self.pool.sweep();
        self.lines.flush();
    }

    /// Answers one request, whatever it is.
    ///
    /// The future is moved into its box before it is first polled: it is kept small by doing in
    /// functions what waits for nothing, and by boxing what is rare.
    pub fn answer(
        self: Rc<Self>,
        connection: Rc<Connection>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<AnswerBody>, Infallible>> {
        connection.begin();
        let held = self.policy();
        let (method, glance) = (request.method().clone(), Glance::over(request.headers()));
        let mut exchange = Exchange::begin(&self, &connection, &request);
        let watch = connection.watch();
        let request = Box::new(request.map(|body| RequestBody::new(body, &held.0.stripped, watch)));
        async move {
            let passing = self.pass(&held.0, &connection, glance, request, &mut exchange);
            let response = match passing.await {
                Ok(response) => response,
                Err(stop) => refuse(&held.0, &stop, &method, Audience::of(glance), &mut exchange),
            };
            Ok(exchange.answer(response))
        }
    }

    /// The life of a request that nothing stops: every `?` is a refusal.
    async fn pass(
        self: &Rc<Self>,
        policy: &Arc<Policy>,
        connection: &Rc<Connection>,
        glance: Glance,
        mut request: Outgoing,
        exchange: &mut Exchange,
    ) -> Result<Response<Kind>, Box<Stop>> {
        // The path is read once; this value is what is judged and what is sent.
        let Head { path, origin } = Head::read(&request, glance, connection.peer(), policy)?;
        exchange.expect_upgrade(glance, &mut request);

        // Who is asking.
        let asking = visitor::identify(&self.gateway, policy, &request, &origin, &self.now);
        let mut caller = asking.await?;
        exchange.identify(&caller.visitor);

        // The gateway's own pages.
        if let Some(page) = path.below(policy.pages.prefix()) {
            let page = page.to_owned();
            exchange.own_page();
            let asked = own_pages::Asked { page, path, origin, caller, request };
            return Ok(Box::pin(own_pages::answer(&self.gateway, policy, asked)).await?);
        }

        // Which rule, and whether it lets this visitor pass.
        let (route, mut permitted) = judge(policy, path, &origin, &caller, request)?;
        exchange.allow(&route.rule);
        let admission = Admission::of(&caller, &origin, permitted.request_mut());
        connection.admit(admission, self.clock.now());

        // What the application is told, and what it answers.
        let application = &policy.applications[route.application];
        let subject = application
            .settings
            .trust_responses
            .then(|| Subject::of(&caller, &origin, permitted.request_mut().headers()));
        let method = permitted.request_mut().method();
        let handed = match message_delivery::is_due(route, &caller, method, glance) {
            true => Some(Box::pin(message_delivery::take(self, policy, &caller)).await),
            false => None,
        };
        let told = self.tell(policy, route, origin, &caller, handed.as_deref(), &mut permitted)?;
        let mut cookie = caller.renewed_cookie.take();
        drop(caller);
        let watch = connection.watch();
        let mut forward = pin!(upstream::forward(&self.pool, application, permitted, told, watch));
        let forwarded = poll_fn(|context| match connection.take_revocation() {
            Some(why) => Poll::Ready(Err(why)),
            None => forward.as_mut().poll(context).map(Ok),
        });
        let forwarded = forwarded.await.map_err(|why| self.stop(connection, why, route))?;
        let (mut response, said) = receive(policy, application, forwarded)?;
        if let Some(handed) = handed {
            Box::pin(message_delivery::settle(*handed, &mut response)).await;
        }

        // What it says of the visitor's session.
        if let (Some(said), Some(subject)) = (said, subject) {
            if said.is_logout() {
                connection.release();
            }
            let obeying = said::obey(self, policy, application, said, subject, response);
            let (answer, changed) = Box::pin(obeying).await?;
            (response, cookie) = (answer, changed.or(cookie));
        }
        if let Some(cookie) = cookie {
            response.headers_mut().append(SET_COOKIE, cookie);
            caching::forbid_sharing(response.headers_mut());
        }
        Ok(response)
    }

    /// Removes from the request's head what only the gateway may say, and finds what it has to say.
    fn tell(
        &self,
        policy: &Policy,
        route: &Route,
        origin: Origin,
        caller: &Caller,
        handed: Option<&Handed>,
        permitted: &mut Permitted<Outgoing>,
    ) -> Result<Told, Refusal> {
        let request = permitted.request_mut();
        request.body_mut().limit(route.max_body_size).map_err(|_| Refusal::BodyTooLarge)?;
        let length_is_unknown = request.body().length_is_unknown();
        let glance = origin.glance;
        let asked = || forwarding::upgrade_of(request.headers());
        let upgrade = glance.saw(Seen::Upgrade).then(asked).flatten();
        let asks_upgrade = upgrade.is_some();

        let headers = request.headers_mut();
        forwarding::clean_request(headers, glance, &policy.stripped, length_is_unknown);
        if glance.saw(Seen::Cookie) {
            policy.cookies.hide(headers);
        }
        if let Some(protocol) = upgrade {
            forwarding::set_upgrade(headers, protocol);
        }
        let mut identity = self.told.borrow_mut().headers(&route.identity, caller)?;
        if let Some(handed) = handed {
            identity = message_delivery::with_messages(&identity, route, caller, handed)?;
        }
        Ok(Told { forwarded: origin.into_forwarded(), identity, asks_upgrade })
    }
}

/// An answer to go to the browser, and what the application says to us if it is trusted.
type Received = (Response<Kind>, Option<Box<Instructions>>);

/// Cleans what came back through the single door.
fn receive(
    policy: &Policy,
    application: &Application,
    forwarded: Result<Forwarded, ForwardError>,
) -> Result<Received, Refusal> {
    let is_trusted = application.settings.trust_responses;
    match forwarded {
        Ok(Forwarded::Answered(mut response)) => {
            let said = forwarding::clean_answer(response.headers_mut(), is_trusted);
            policy.cookies.rename(response.headers_mut());
            let patience = application.settings.read_timeout;
            Ok((response.map(|answer| Kind::Proxied { answer, patience }), said))
        }
        Ok(Forwarded::Switched(mut response, tunnel)) => {
            let protocol = forwarding::upgrade_of(response.headers());
            let said = forwarding::clean_answer(response.headers_mut(), is_trusted);
            policy.cookies.rename(response.headers_mut());
            if let Some(protocol) = &protocol {
                forwarding::set_upgrade(response.headers_mut(), protocol.clone());
            }
            let is_websocket = protocol
                .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
            let switched = Switched { application: tunnel, is_websocket };
            Ok((response.map(|()| Kind::Switched(switched)), said))
        }
        Err(error) => Err(refusal_for(error, &application.settings.name)),
    }
}

/// Finds the rule that decides on the request, and says where it leads if it lets the visitor pass.
fn judge<'p>(
    policy: &'p Policy,
    path: RequestPath,
    origin: &Origin,
    caller: &Caller,
    request: Outgoing,
) -> Result<(&'p Route, Permitted<Outgoing>), Box<Stop>> {
    let referer = || request.headers().get(REFERER).cloned();
    let referer = origin.glance.saw(Seen::Referer).then(referer).flatten();
    let site = policy.site(origin.host.name())?;
    let method = request.method().clone();
    let circumstances = origin.circumstances(&method);
    let host = || origin.host.as_sent().to_owned();
    Err(Box::new(match authorize(&site.rules, &caller.visitor, path, &circumstances, request) {
        Decision::Allow(permitted) => {
            return Ok((&site.routes[permitted.route().0], permitted));
        }
        Decision::LogIn(refused) => Stop {
            login_url: Some(site.routes[refused.route.0].login_url.clone()),
            target: refused.path.into_target(),
            host: host(),
            referer,
            ..Stop::from(Refusal::LogIn)
        },
        Decision::Deny(refused) => Stop {
            visitor: caller.visitor.clone(),
            target: refused.path.into_target(),
            host: host(),
            ..Stop::from(Refusal::Denied)
        },
        Decision::OddPath(oddity) => Refusal::OddPath(oddity).into(),
        Decision::Ambiguous => Refusal::AmbiguousPath.into(),
        Decision::Broken(test) => Refusal::Broken(test.to_string()).into(),
    }))
}

/// The answer to a request that was stopped.
fn refuse(
    policy: &Policy,
    stop: &Stop,
    method: &Method,
    audience: Audience,
    exchange: &mut Exchange,
) -> Response<Kind> {
    exchange.refuse(&stop.refusal, stop.rule.as_deref());
    let asked = stop.asked(method, audience);
    let mut response = policy.pages.refuse(&stop.refusal, &asked).map(Kind::Own);
    if stop.ends_the_connection() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
