//! A worker: one thread with its own runtime, its own sockets and its own connections upstream.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::watch;

use super::clock::wall_clock;
use super::connection;
use super::settings::Limits;
use crate::gateway::{Connection, Gateway, Peer, Worker};
use crate::telemetry::{AccessLines, Counters, Stopwatch};
use crate::web::socket;
use crate::web::watch::{Bounds, TICK, Ticks, Verdict};

/// How long to wait when the process has no descriptor left for one more connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// How many ticks pass between two sweeps.
const SWEEP_EVERY: u32 = 20;

/// What hyper takes by default, without an allocation for each request; see `max_headers`.
const DEFAULT_MAX_HEADERS: usize = 100;

/// What a worker is started with.
pub(super) struct Share {
    pub(super) index: usize,
    pub(super) listeners: Vec<TcpListener>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) counters: Arc<Counters>,
    pub(super) lines: AccessLines,
    pub(super) limits: Limits,
    pub(super) connections: Arc<AtomicUsize>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) patience: Duration,
}

/// Starts the thread of a worker.
pub(super) fn start(share: Share) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("worker-{}", share.index)).spawn(move || {
        let runtime =
            Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        match runtime {
            Ok(runtime) => runtime.block_on(work(share)),
            Err(error) => tracing::error!(%error, "a worker cannot start"),
        }
    })
}

/// Returns when any of the workers has ended.
pub(super) async fn any_ended(workers: &[JoinHandle<()>]) {
    let mut look = tokio::time::interval(Duration::from_secs(1));
    while !workers.iter().any(JoinHandle::is_finished) {
        look.tick().await;
    }
}

/// Waits until all workers have ended.
pub(super) async fn join(workers: Vec<JoinHandle<()>>) {
    let joined = tokio::task::spawn_blocking(move || {
        workers.into_iter().filter_map(|worker| worker.join().err()).count()
    });
    if !matches!(joined.await, Ok(0)) {
        tracing::error!("a worker crashed");
    }
}

/// A worker's open connections.
struct Connections {
    open: RefCell<HashMap<u64, Rc<Connection>, foldhash::fast::RandomState>>,
    next: Cell<u64>,
    /// Over all workers.
    total: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

async fn work(share: Share) {
    let Share {
        listeners,
        gateway,
        counters,
        lines,
        limits,
        connections,
        mut stopping,
        patience,
        ..
    } = share;
    let clock = Ticks::start();
    let worker = Rc::new(Worker::new(
        gateway,
        clock,
        Arc::clone(&counters),
        lines,
        limits.idle_timeout,
        wall_clock(),
    ));
    let connections = Rc::new(Connections {
        open: RefCell::default(),
        next: Cell::new(0),
        total: connections,
        counters,
    });
    tokio::task::spawn_local(Rc::clone(&worker).watch_over_streams());
    tokio::task::spawn_local(tick(Rc::clone(&worker), Rc::clone(&connections), limits));
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let accepting = accept(listener, Rc::clone(&worker), Rc::clone(&connections), limits);
            tokio::task::spawn_local(accepting)
        })
        .collect();

    // An error means that whoever could say "stop" is gone, which is a reason to stop as well.
    let _stop = stopping.wait_for(|&stop| stop).await;
    for task in accepting {
        task.abort();
    }
    let drained = tokio::time::timeout(patience, drain(&worker, &connections)).await;
    if drained.is_err() {
        let open = connections.open.borrow().len() + worker.open_tunnels();
        tracing::warn!(open, "connections were cut because `shutdown_timeout` passed");
    }
    worker.sweep();
}

async fn drain(worker: &Worker, connections: &Connections) {
    loop {
        for connection in connections.open.borrow().values() {
            connection.watch().decide(Verdict::Drain);
        }
        if connections.open.borrow().is_empty() && worker.open_tunnels() == 0 {
            return;
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Moves the worker's clock, and has every connection looked at.
async fn tick(worker: Rc<Worker>, connections: Rc<Connections>, limits: Limits) {
    let bounds = Bounds { body: limits.body_timeout, write: limits.write_timeout };
    let started = Stopwatch::start();
    let mut interval = tokio::time::interval(TICK);
    let mut until_sweep = SWEEP_EVERY;
    loop {
        interval.tick().await;
        worker.tick(started.elapsed(), wall_clock());
        for connection in connections.open.borrow().values() {
            connection.watch().check(&bounds);
            if connection.watch().is_attended() {
                worker.look_at(connection);
            }
        }
        until_sweep -= 1;
        if until_sweep == 0 {
            until_sweep = SWEEP_EVERY;
            worker.sweep();
        }
    }
}

async fn accept(
    listener: TcpListener,
    worker: Rc<Worker>,
    connections: Rc<Connections>,
    limits: Limits,
) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listening socket cannot be used"),
    };
    let http = Rc::new(http(&limits));
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(EXHAUSTED).await;
                continue;
            }
        };
        let peer = Peer::new(from.ip(), port, false);
        let browser = worker.connect(peer, limits.header_timeout);
        let Some(place) = Connections::enter(&connections, &browser, limits.max_connections) else {
            tracing::warn!(peer = %from, "`max_connections` are open; one more was closed");
            continue;
        };
        if let Err(error) = socket::tune(&stream) {
            tracing::debug!(peer = %from, %error, "the connection ended at once");
            continue;
        }
        let (worker, http) = (Rc::clone(&worker), Rc::clone(&http));
        tokio::task::spawn_local(async move {
            let _place = place;
            connection::serve(stream, from, &http, &worker, &limits, browser).await;
        });
    }
}

/// How HTTP/1.1 is spoken to browsers; its timeouts are the watch's business.
fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.header_read_timeout(None)
        // A message goes out in one piece: a vector costs the kernel more than the copy costs us.
        .writev(false)
        .max_buf_size(limits.max_header_size.max(8192))
        .max_header_size(limits.max_header_size);
    if limits.max_headers != DEFAULT_MAX_HEADERS {
        http.max_headers(limits.max_headers);
    }
    http
}

/// A connection's place among those that are open; dropping it gives it up.
struct Place {
    number: u64,
    connections: Rc<Connections>,
}

impl Connections {
    fn enter(connections: &Rc<Self>, browser: &Rc<Connection>, limit: usize) -> Option<Place> {
        if connections.total.fetch_add(1, Relaxed) >= limit {
            connections.total.fetch_sub(1, Relaxed);
            return None;
        }
        let number = connections.next.get();
        connections.next.set(number + 1);
        connections.open.borrow_mut().insert(number, Rc::clone(browser));
        connections.counters.connected();
        Some(Place { number, connections: Rc::clone(connections) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open.borrow_mut().remove(&self.number);
        self.connections.total.fetch_sub(1, Relaxed);
        self.connections.counters.disconnected();
    }
}
