//! SQLite: a file of ours.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Sqlite as File;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::migrations;
use crate::accounts::AccountsError;
use crate::accounts::settings::Schema;

/// SQLite; a file of our own is in WAL mode, where readers never wait for the writer.
///
/// With one writing connection, writers of this process queue here instead of in SQLite's busy
/// handler, which is not fair; other processes are waited for there.
pub(in super::super) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a connection of ours.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl Sqlite {
    /// Opens the file, makes it if it is ours and not there, and brings our tables up to date.
    pub(super) async fn open(path: &Path, schema: &Schema) -> Result<Self, AccountsError> {
        let file_error = |error| AccountsError::File { path: path.to_owned(), error };
        // Absolute, so that SQLite never takes it for a `file:` URI.
        let path = std::path::absolute(path).map_err(file_error)?;
        match schema {
            Schema::Vestibule => make_private_file(&path)?,
            Schema::Django(_) if path.exists() => {}
            Schema::Django(_) => {
                return Err(AccountsError::Schema(format!(
                    "there is no database `{}`\nhint: `python manage.py migrate` makes it",
                    path.display()
                )));
            }
        }

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        // A right that was taken away must not come back with the power.
        let mut writing = options.clone().synchronous(SqliteSynchronous::Full);
        // How a project keeps its file is the project's own affair.
        if *schema == Schema::Vestibule {
            writing = writing.journal_mode(SqliteJournalMode::Wal);
        }
        let writer = connect_patiently(writing).await?;
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        migrations::of_sqlite(&mut transaction, schema).await?;
        transaction.commit().await?;
        // Not before the tables are there: a reader would keep its view of none.
        let readers = pool(4).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { writer, readers })
    }

    pub(super) async fn read(&self) -> Result<sqlx::Transaction<'static, File>, sqlx::Error> {
        self.readers.begin().await
    }

    pub(super) async fn write(&self) -> Result<sqlx::Transaction<'static, File>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// A number that changes when another process has written. It must be asked for on the
    /// connection that writes, for which our own writes do not count.
    pub(super) async fn version(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&self.writer).await
    }

    pub(super) fn is_closed(&self) -> bool {
        self.writer.is_closed()
    }

    /// Closes the file; what was written is in it alone then, and nothing is left beside it.
    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A pool whose connections last: the writer's `data_version` means something only on the same
/// connection.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Connects, and tries again while another process holds the file: SQLite's busy handler does not
/// wait where the journal mode is changed.
async fn connect_patiently(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    const PAUSE: Duration = Duration::from_millis(25);
    let mut attempts = BUSY_TIMEOUT.as_millis() / PAUSE.as_millis();
    loop {
        match pool(1).connect_with(options.clone()).await {
            Err(error) if attempts > 0 && is_busy(&error) => {
                attempts -= 1;
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Whether this is one of the codes of `SQLITE_BUSY` (5).
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}

/// Makes the file, readable and writable by its owner only; SQLite gives the same mode to the
/// files that it puts beside it.
fn make_private_file(path: &Path) -> Result<(), AccountsError> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

    let failed = |path: &Path, error| AccountsError::File { path: PathBuf::from(path), error };
    if let Some(directory) = path.parent() {
        let mut builder = std::fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(|error| failed(directory, error))?;
    }
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}
