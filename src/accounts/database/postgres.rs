//! PostgreSQL: a server that several gateways may share.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor as _, Postgres as Server};

use super::address::PostgresUrl;
use super::listener::Listener;
use super::migrations;
use super::triggers::{self, Watched};
use crate::accounts::AccountsError;

/// Connections to a server.
///
/// Writers of this process queue for the one connection that writes, as for a file. Whoever writes
/// holds a lock of its own, so that of all gateways one writes at a time: what was asked before
/// still holds when it is written. Others who write to the same tables do not wait for it.
pub(in super::super) struct Postgres {
    writer: PgPool,
    readers: PgPool,
    /// By what the other gateways know this one: a new name in each process.
    name: String,
}

/// The number of the lock that writers hold: `vestibul` in ASCII.
const WRITERS: i64 = 0x7665_7374_6962_756c;

/// Most connections that read. With the one that writes and the one that listens, a gateway has
/// two more.
const READERS: u32 = 6;

/// How long to wait for a connection to read on. Whoever asks for a page waits as long when the
/// server is down.
const READING_TIMEOUT: Duration = Duration::from_secs(3);

/// How long to wait for other writers.
const WRITING_TIMEOUT: Duration = Duration::from_secs(10);

/// A gateway that is lost with its network must not keep all others from writing.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '30s';
                       SET statement_timeout = '60s';
                       SET lock_timeout = '10s'";

/// Where a change may make somebody another.
const WATCHED: [Watched<'_>; 7] = [
    Watched { table: "vestibule_user", user: Some("id") },
    Watched { table: "vestibule_user_groups", user: Some("user_id") },
    Watched { table: "vestibule_user_permissions", user: Some("user_id") },
    Watched { table: "vestibule_profile", user: Some("user_id") },
    Watched { table: "vestibule_group", user: None },
    Watched { table: "vestibule_group_permissions", user: None },
    Watched { table: "vestibule_permission", user: None },
];

/// A name that no other process has.
fn name() -> Result<String, AccountsError> {
    let random = getrandom::u64().map_err(|error| AccountsError::Hashing(error.to_string()))?;
    Ok(format!("{random:016x}"))
}

impl Postgres {
    /// Connects, and brings the tables up to date.
    pub(super) async fn open(url: &PostgresUrl) -> Result<Self, AccountsError> {
        let unreachable = |error| AccountsError::Server { url: url.clone(), error };
        let options: PgConnectOptions = url.options().map_err(unreachable)?;
        let writer =
            pool(1, WRITING_TIMEOUT).connect_with(options.clone()).await.map_err(unreachable)?;
        let readers =
            pool(READERS, READING_TIMEOUT).connect_with(options).await.map_err(unreachable)?;
        let database = Self { writer, readers, name: name()? };
        let mut transaction = database.write().await?;
        migrations::of_postgres(&mut transaction).await?;
        triggers::install(&mut transaction, &WATCHED).await?;
        transaction.commit().await?;
        Ok(database)
    }

    pub(super) async fn read(&self) -> Result<sqlx::Transaction<'static, Server>, sqlx::Error> {
        self.readers.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await
    }

    pub(super) async fn write(&self) -> Result<sqlx::Transaction<'static, Server>, sqlx::Error> {
        // Each statement sees what others wrote before it, so also what they wrote before the lock.
        let mut transaction =
            self.writer.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1), set_config('vestibule.writer', $2, true)")
            .bind(WRITERS)
            .bind(&self.name)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// Begins to hear what others do to users.
    pub(super) async fn listen(&self) -> Result<Listener, sqlx::Error> {
        let options = PgConnectOptions::clone(&self.writer.connect_options());
        Listener::start(options, self.name.clone()).await
    }

    pub(super) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn pool(connections: u32, patience: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(patience)
        // A connection that broke is found here, and not by a query.
        .test_before_acquire(true)
        .after_connect(|connection, _| {
            Box::pin(async move { connection.execute(SESSION).await.map(drop) })
        })
}
