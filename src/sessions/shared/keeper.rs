//! Keeps the connection to the store: makes it, listens whether it is alive, and makes another.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Client, PushInfo, PushKind, RedisError, Value, cmd};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::cache::Cache;
use super::layout::Names;
use super::link::Link;
use super::{CannotReach, StoreUrl};

/// How long an answer may take before the question has failed.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often a connection that says nothing is asked whether it is alive. Without invalidations
/// that come through, what is known goes stale, so a connection that hangs must be noticed.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Between two attempts to connect: the first pause, which doubles, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How many commands may wait to be written.
const QUEUE: usize = 1024;

/// Whoever keeps the connection of a store.
pub(super) struct Keeper {
    url: StoreUrl,
    client: Client,
    names: Arc<Names>,
    link: Arc<Link>,
    cache: Arc<Cache>,
    grace: Duration,
    number: u64,
}

impl Keeper {
    /// Connects for the first time.
    pub(super) async fn start(
        url: StoreUrl,
        names: Arc<Names>,
        link: Arc<Link>,
        cache: Arc<Cache>,
        grace: Duration,
    ) -> Result<(Self, MultiplexedConnection), CannotReach> {
        let failed = |error: RedisError| CannotReach { url: url.clone(), cause: error.to_string() };
        let client = url.connection_info().and_then(Client::open).map_err(failed)?;
        let keeper = Self { url: url.clone(), client, names, link, cache, grace, number: 1 };
        match keeper.connect(keeper.number).await {
            Ok(connection) => {
                keeper.link.connect(keeper.number, connection.clone());
                Ok((keeper, connection))
            }
            Err(cause) => Err(CannotReach { url, cause }),
        }
    }

    /// Keeps the connection for as long as the store is open.
    pub(super) async fn keep(mut self, mut connection: MultiplexedConnection) {
        loop {
            let (heard, cause) = self.listen(&mut connection).await;
            self.link.disconnect();
            drop(connection);
            tracing::error!(
                store = %self.url,
                cause,
                "the session store is out of reach: who is known is served for `store_grace`, \
                 logins are refused"
            );
            connection = self.connect_again(heard).await;
            // Into use first, then the old out of memory: in between, nobody is told that the
            // store is out of reach.
            self.link.connect(self.number, connection.clone());
            self.cache.doubt_everything();
            let seconds = heard.elapsed().as_secs();
            tracing::info!(store = %self.url, seconds, "the session store is back");
        }
    }

    /// Returns when the connection is of no use any more: when it last was, and why it is not.
    async fn listen(&self, connection: &mut MultiplexedConnection) -> (Instant, String) {
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = self.link.has_broken(self.number) => {
                    return (heard, "the connection ended".to_owned());
                }
                () = sleep(HEARTBEAT) => {}
            }
            match timeout(PATIENCE, cmd("PING").query_async::<()>(connection)).await {
                Ok(Ok(())) => heard = Instant::now(),
                Ok(Err(error)) => return (heard, error.to_string()),
                Err(_) => return (heard, "it does not answer".to_owned()),
            }
        }
    }

    /// Connects, however long it takes. When the grace is over, what is known is forgotten.
    async fn connect_again(&mut self, heard: Instant) -> MultiplexedConnection {
        let grace = sleep_until(heard + self.grace);
        tokio::pin!(grace);
        let mut has_grace = true;
        let (mut pause, longest) = PAUSES;
        loop {
            self.number += 1;
            let attempt = self.attempt(pause);
            tokio::pin!(attempt);
            let connected = loop {
                tokio::select! {
                    connected = &mut attempt => break connected,
                    () = &mut grace, if has_grace => {
                        has_grace = false;
                        self.link.give_up();
                        self.cache.forget_everything();
                        tracing::error!("`store_grace` is over: nobody who is signed in is served");
                    }
                }
            };
            if let Some(connection) = connected {
                return connection;
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Connects, or pauses when that fails.
    async fn attempt(&self, pause: Duration) -> Option<MultiplexedConnection> {
        match self.connect(self.number).await {
            Ok(connection) => Some(connection),
            Err(cause) => {
                tracing::debug!(cause, "the session store cannot be reached");
                sleep(pause).await;
                None
            }
        }
    }

    /// Makes a connection on which invalidations come from its first moment on, to a server that
    /// takes writes.
    async fn connect(&self, number: u64) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(self.listener(number));
        let connecting = async {
            let mut connection =
                self.client.get_multiplexed_async_connection_with_config(&config).await?;
            // In BCAST mode the server remembers nothing for us: what we know may be anything.
            cmd("CLIENT")
                .arg(&["TRACKING", "ON", "BCAST", "PREFIX", &self.names.sessions])
                .query_async::<()>(&mut connection)
                .await?;
            let probe = self.names.single("probe");
            match cmd("DEL").arg(probe).query_async::<()>(&mut connection).await {
                // A server that cannot write to its disk still knows who is logged in.
                Err(error) if error.code() != Some("MISCONF") => Err(error),
                Ok(()) | Err(_) => Ok(connection),
            }
        };
        match timeout(2 * PATIENCE, connecting).await {
            Ok(connected) => connected.map_err(|error: RedisError| error.to_string()),
            Err(_) => Err("it does not answer".to_owned()),
        }
    }

    /// What is done with what the server says unasked. The connection calls it before it hands out
    /// any answer that came later.
    fn listener(&self, number: u64) -> impl Fn(PushInfo) -> Result<(), SendError> + use<> {
        let (names, cache) = (Arc::clone(&self.names), Arc::downgrade(&self.cache));
        let link = Arc::downgrade(&self.link);
        move |push| {
            if push.kind == PushKind::Invalidate {
                invalidate(&*cache.upgrade().ok_or(SendError)?, &names, push.data);
            } else if push.kind == PushKind::Disconnection {
                link.upgrade().ok_or(SendError)?.broke(number);
            }
            Ok(())
        }
    }
}

/// The keys in `data` changed or went; no list of keys stands for all of them, after `FLUSHALL`.
fn invalidate(cache: &Cache, names: &Names, data: Vec<Value>) {
    for keys in data {
        let Value::Array(keys) = keys else {
            cache.doubt_everything();
            continue;
        };
        for key in keys {
            if let Value::BulkString(name) = key
                && let Some(key) = std::str::from_utf8(&name).ok().and_then(|name| names.key(name))
            {
                cache.doubt(key);
            }
        }
    }
}
