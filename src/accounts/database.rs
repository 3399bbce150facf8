//! The database: one connection that writes, a few that read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, SqliteConnection};

use super::AccountsError;
use super::settings;

/// What queries are asked on.
pub(super) type Connection = SqliteConnection;

/// Several queries that see one moment, or take effect together.
pub(super) type Transaction = sqlx::Transaction<'static, Sqlite>;

/// SQLite in WAL mode, where readers never wait for the writer.
///
/// With one writing connection, writers of this process queue here instead of in SQLite's busy
/// handler, which is not fair; other processes are waited for there.
pub(super) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// How long to wait for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for a connection of ours.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

impl Database {
    /// Opens the database, makes it if it is not there, and brings its tables up to date.
    pub(super) async fn open(database: &settings::Database) -> Result<Self, AccountsError> {
        let settings::Database::Sqlite(path) = database;
        let file_error = |error| AccountsError::File { path: path.clone(), error };
        // Absolute, so that SQLite never takes it for a `file:` URI.
        let path = std::path::absolute(path).map_err(file_error)?;
        make_private_file(&path)?;

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            // A right that was taken away must not come back with the power.
            .synchronous(SqliteSynchronous::Full);
        let writer = connect_patiently(writing).await?;
        migrate(&writer).await?;
        // Not before the tables are there: a reader would keep its view of none.
        let readers = pool(4).connect_with(options.pragma("query_only", "ON")).await?;
        Ok(Self { writer, readers })
    }

    /// Begins to read: a consistent view of one moment, which includes every finished write.
    pub(super) async fn read(&self) -> Result<Transaction, sqlx::Error> {
        self.readers.begin().await
    }

    /// Begins to write, alone.
    pub(super) async fn write(&self) -> Result<Transaction, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    /// A number that changes when another process has written. It must be asked for on the
    /// connection that writes, for which our own writes do not count.
    pub(super) async fn version(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("PRAGMA data_version").fetch_one(&self.writer).await
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

/// Applies what is missing, in one transaction: sqlx's own lock is empty for SQLite, and two
/// processes may start on a new file at the same time.
async fn migrate(writer: &SqlitePool) -> Result<(), AccountsError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let connection: &mut Connection = &mut transaction;
    // A build does not see a new file here by itself: touch this one.
    // `run` does the same, but its future is not `Send` for a borrowed connection.
    sqlx::migrate!("src/accounts/migrations").run_direct(None, connection, false).await?;
    Ok(transaction.commit().await?)
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn at(path: &Path) -> settings::Database {
        settings::Database::Sqlite(path.to_owned())
    }

    #[tokio::test]
    async fn the_file_and_its_companions_belong_to_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&at(&directory.path().join("new/users.db"))).await.unwrap();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(directory.path().join("new")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{entry:?}");
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["users.db", "users.db-shm", "users.db-wal"]);
        database.close().await;
        assert_eq!(std::fs::read_dir(directory.path().join("new")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn readers_cannot_write_and_references_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&at(&directory.path().join("users.db"))).await.unwrap();
        let insert = "INSERT INTO vestibule_group (name) VALUES ('x')";
        let mut reading = database.read().await.unwrap();
        assert!(sqlx::query(insert).execute(&mut *reading).await.is_err());
        let mut writing = database.write().await.unwrap();
        sqlx::query(insert).execute(&mut *writing).await.unwrap();
        let dangling = "INSERT INTO vestibule_user_groups (user_id, group_id) VALUES (7, 1)";
        assert!(sqlx::query(dangling).execute(&mut *writing).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_can_open_a_new_file_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.db");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let path = path.clone();
            tasks.spawn(async move { Database::open(&at(&path)).await.map(drop) });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn the_version_changes_with_the_writes_of_others_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.db");
        let ours = Database::open(&at(&path)).await.unwrap();
        let theirs = Database::open(&at(&path)).await.unwrap();
        let before = ours.version().await.unwrap();

        let mut writing = ours.write().await.unwrap();
        sqlx::query("INSERT INTO vestibule_group (name) VALUES ('a')")
            .execute(&mut *writing)
            .await
            .unwrap();
        writing.commit().await.unwrap();
        assert_eq!(ours.version().await.unwrap(), before);

        let mut writing = theirs.write().await.unwrap();
        sqlx::query("INSERT INTO vestibule_group (name) VALUES ('b')")
            .execute(&mut *writing)
            .await
            .unwrap();
        writing.commit().await.unwrap();
        assert_ne!(ours.version().await.unwrap(), before);
    }

    #[tokio::test]
    async fn a_place_where_no_file_can_be_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::File::create(directory.path().join("file")).unwrap();
        let outcome = Database::open(&at(&directory.path().join("file/users.db"))).await;
        assert!(matches!(outcome.map(drop), Err(AccountsError::File { .. })));
    }
}
