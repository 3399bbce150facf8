//! PostgreSQL: a server that several gateways may share.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Executor as _, Postgres as Server};

use super::address::PostgresUrl;
use super::listener::Listener;
use super::migrations;
use super::triggers;
use crate::accounts::AccountsError;
use crate::accounts::settings::Schema;

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

/// Where a change may make somebody another, with the column of the user if a row concerns but one.
const OURS: [(&str, Option<&str>); 7] = [
    ("vestibule_user", Some("id")),
    ("vestibule_user_groups", Some("user_id")),
    ("vestibule_user_permissions", Some("user_id")),
    ("vestibule_profile", Some("user_id")),
    ("vestibule_group", None),
    ("vestibule_group_permissions", None),
    ("vestibule_permission", None),
];

/// What is ours of these beside the tables of a Django project.
const BESIDE: [(&str, Option<&str>); 1] = [("vestibule_profile", Some("user_id"))];

/// A name that no other process has.
fn name() -> Result<String, AccountsError> {
    let random = getrandom::u64().map_err(|error| AccountsError::Hashing(error.to_string()))?;
    Ok(format!("{random:016x}"))
}

impl Postgres {
    /// Connects, and brings the tables up to date.
    pub(super) async fn open(url: &PostgresUrl, schema: &Schema) -> Result<Self, AccountsError> {
        let unreachable = |error| AccountsError::Server { url: url.clone(), error };
        let options: PgConnectOptions = url.options().map_err(unreachable)?;
        let writer =
            pool(1, WRITING_TIMEOUT).connect_with(options.clone()).await.map_err(unreachable)?;
        let readers =
            pool(READERS, READING_TIMEOUT).connect_with(options).await.map_err(unreachable)?;
        let database = Self { writer, readers, name: name()? };
        let mut transaction = database.write().await?;
        migrations::of_postgres(&mut transaction, schema).await?;
        let watched = match schema {
            Schema::Vestibule => &OURS[..],
            Schema::Django(_) => &BESIDE[..],
        };
        triggers::install(&mut transaction, watched).await?;
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

    /// Has the server tell what others do to these tables.
    pub(super) async fn put_triggers(
        &self,
        tables: &[(String, Option<String>)],
    ) -> Result<(), sqlx::Error> {
        let tables: Vec<_> =
            tables.iter().map(|(table, user)| (table.as_str(), user.as_deref())).collect();
        let mut transaction = self.write().await?;
        triggers::install(&mut transaction, &tables).await?;
        transaction.commit().await
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
