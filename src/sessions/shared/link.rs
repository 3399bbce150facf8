//! The one connection to the store: questions go out, answers and invalidations come back on it, in
//! the order in which the store saw things.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, ScriptInvocation};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::sessions::Unavailable;

/// The store refuses something, and the log says so; how long it then says nothing more of it.
const QUIET: Duration = Duration::from_secs(60);

/// The connection, as long as there is one.
#[derive(Debug, Default)]
pub(super) struct Link {
    current: ArcSwapOption<Connected>,
    /// The number of the last connection that was found to be of no use any more.
    broken: AtomicU64,
    has_broken: Notify,
    is_up: watch::Sender<bool>,
    /// Whether the grace after a break is over, so that nothing is known of any session.
    is_out: AtomicBool,
    complained: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Connected {
    number: u64,
    connection: MultiplexedConnection,
}

impl Link {
    /// Puts a connection to use; its number is greater than those before.
    pub(super) fn connect(&self, number: u64, connection: MultiplexedConnection) {
        self.current.store(Some(Arc::new(Connected { number, connection })));
        self.is_out.store(false, SeqCst);
        self.is_up.send_replace(true);
    }

    /// Nothing can be asked any more.
    pub(super) fn disconnect(&self) {
        self.current.store(None);
        self.is_up.send_replace(false);
    }

    /// The grace is over.
    pub(super) fn give_up(&self) {
        self.is_out.store(true, SeqCst);
    }

    /// Whether there is a connection.
    pub(super) fn is_up(&self) -> bool {
        self.current.load().is_some()
    }

    /// Whether there has been none for longer than the grace.
    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(SeqCst)
    }

    /// Tells of every change of whether there is a connection.
    pub(super) fn is_up_from_now_on(&self) -> watch::Receiver<bool> {
        self.is_up.subscribe()
    }

    /// The connection with this number is of no use any more.
    pub(super) fn broke(&self, number: u64) {
        self.broken.fetch_max(number, SeqCst);
        self.has_broken.notify_one();
    }

    /// Returns when the connection with this number is of no use any more.
    pub(super) async fn has_broken(&self, number: u64) {
        while self.broken.load(SeqCst) < number {
            self.has_broken.notified().await;
        }
    }

    /// Carries out a command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unavailable> {
        let (number, mut connection) = self.connection()?;
        let answered = command.query_async(&mut connection).await;
        answered.map_err(|error| self.failed(number, &error))
    }

    /// Carries out several commands at once.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
    ) -> Result<T, Unavailable> {
        let (number, mut connection) = self.connection()?;
        let answered = commands.query_async(&mut connection).await;
        answered.map_err(|error| self.failed(number, &error))
    }

    /// Runs a script.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Unavailable> {
        let (number, mut connection) = self.connection()?;
        let answered = script.invoke_async(&mut connection).await;
        answered.map_err(|error| self.failed(number, &error))
    }

    fn connection(&self) -> Result<(u64, MultiplexedConnection), Unavailable> {
        let current = self.current.load();
        let connected = current.as_ref().ok_or(Unavailable::OutOfReach)?;
        Ok((connected.number, connected.connection.clone()))
    }

    fn failed(&self, number: u64, error: &RedisError) -> Unavailable {
        // After a failover the old server still answers, and takes no writes.
        let is_elsewhere = matches!(error.code(), Some("READONLY" | "LOADING" | "MASTERDOWN"));
        if error.is_unrecoverable_error() || is_elsewhere {
            self.broke(number);
            return Unavailable::OutOfReach;
        }
        if error.is_io_error() {
            // It took too long; whether the connection is of use is found out by its heartbeat.
            return Unavailable::OutOfReach;
        }
        self.complain(&error.to_string());
        Unavailable::Refused(error.to_string())
    }

    /// Says in the log that the store refuses something, and then nothing more for a while.
    pub(super) fn complain(&self, cause: &str) {
        let Ok(mut complained) = self.complained.lock() else { return };
        if complained.is_none_or(|moment| moment.elapsed() >= QUIET) {
            *complained = Some(Instant::now());
            tracing::error!(cause, "the session store refuses");
        }
    }
}

/// Counts questions.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn so_far(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
