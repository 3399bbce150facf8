//! The database: SQLite in a file, or PostgreSQL; with tables of our own, or those of a Django
//! project. All are asked in the same SQL.
//!
//! Statements are written for our own tables, and take `$1, $2, …` in rising order. What is bound
//! and read is `i64`, `bool`, `String`, `Vec<u8>`, `f64`, or an `Option` of these; a `bool` is read
//! of columns only, because SQLite calculates with numbers. A list of numbers is bound as one JSON
//! text, `IN (SELECT value FROM json_each($1))`; a moment is written to the table of users as
//! `vestibule_moment($1)`, and read from everywhere in seconds.

mod address;
mod connection;
mod dialect;
mod django;
mod listener;
mod migrations;
mod notice;
mod postgres;
mod row;
mod sqlite;
mod statement;
mod triggers;

use std::sync::Arc;
use std::time::Duration;

pub use address::{NotAnAddress, PostgresUrl};
pub(super) use connection::{Connection, Transaction};
pub(super) use django::Django;
pub(super) use listener::{Heard, Listener};

use super::AccountsError;
use super::settings::{self, Schema};
use connection::Native;
use dialect::Dialect;

/// Where users are kept, open.
pub(super) struct Database {
    place: Place,
    dialect: Arc<Dialect>,
}

enum Place {
    /// A file.
    Sqlite(sqlite::Sqlite),
    /// A server.
    Postgres(postgres::Postgres),
}

/// How changes of others are noticed.
pub(super) enum Watch {
    /// By this number, which is another after them.
    File(i64),
    /// By being told.
    Server(Box<Listener>),
}

impl Database {
    /// Opens the database, makes it if it is a file of ours that is not there, and brings our
    /// tables up to date.
    pub(super) async fn open(
        database: &settings::Database,
        schema: &Schema,
    ) -> Result<Self, AccountsError> {
        match database {
            settings::Database::Sqlite(path) => {
                let sqlite = sqlite::Sqlite::open(path, schema).await?;
                let native = Native::Sqlite(sqlite.read().await?);
                let dialect = dialect(native, false, schema).await?;
                Ok(Self { place: Place::Sqlite(sqlite), dialect })
            }
            settings::Database::Postgres(url) => {
                let postgres = postgres::Postgres::open(url, schema).await?;
                let native = Native::Postgres(postgres.read().await?);
                let dialect = dialect(native, true, schema).await?;
                if let (Some(django), Schema::Django(tables)) = (&dialect.django, schema)
                    && tables.triggers
                {
                    postgres.put_triggers(&django.watched()).await?;
                }
                Ok(Self { place: Place::Postgres(postgres), dialect })
            }
        }
    }

    /// Begins to read: a consistent view of one moment, which includes every finished write.
    pub(super) async fn read(&self) -> Result<Transaction, sqlx::Error> {
        let native = match &self.place {
            Place::Sqlite(sqlite) => Native::Sqlite(sqlite.read().await?),
            Place::Postgres(postgres) => Native::Postgres(postgres.read().await?),
        };
        Ok(Transaction::new(native, Arc::clone(&self.dialect)))
    }

    /// Begins to write, alone.
    pub(super) async fn write(&self) -> Result<Transaction, sqlx::Error> {
        let native = match &self.place {
            Place::Sqlite(sqlite) => Native::Sqlite(sqlite.write().await?),
            Place::Postgres(postgres) => Native::Postgres(postgres.write().await?),
        };
        Ok(Transaction::new(native, Arc::clone(&self.dialect)))
    }

    /// A number that changes when another process has written to the file; a server tells that.
    pub(super) async fn version(&self) -> Result<i64, sqlx::Error> {
        match &self.place {
            Place::Sqlite(sqlite) => sqlite.version().await,
            Place::Postgres(_) => Ok(0),
        }
    }

    /// Begins to look for changes of others.
    pub(super) async fn watch(&self) -> Result<Watch, sqlx::Error> {
        Ok(match &self.place {
            Place::Sqlite(sqlite) => Watch::File(sqlite.version().await?),
            Place::Postgres(postgres) => Watch::Server(Box::new(postgres.listen().await?)),
        })
    }

    /// Whether it was closed on purpose.
    pub(super) fn is_closed(&self) -> bool {
        match &self.place {
            Place::Sqlite(sqlite) => sqlite.is_closed(),
            Place::Postgres(postgres) => postgres.is_closed(),
        }
    }

    /// Closes the database, for a process that ends.
    pub(super) async fn close(&self) {
        match &self.place {
            Place::Sqlite(sqlite) => sqlite.close().await,
            Place::Postgres(postgres) => postgres.close().await,
        }
    }
}

/// How long whoever asks for a user waits for the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for an answer, and not for ever: a server whose machine is gone from the network breaks no
/// connection.
pub(super) async fn patiently<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// How statements are said here; looks for the tables, if they are not our own.
async fn dialect(
    native: Native,
    is_postgres: bool,
    schema: &Schema,
) -> Result<Arc<Dialect>, AccountsError> {
    let plain = Dialect { is_postgres, django: None };
    let Schema::Django(tables) = schema else { return Ok(Arc::new(plain)) };
    let mut reading = Transaction::new(native, Arc::new(plain));
    let django = Some(Django::find(&mut reading, tables).await?);
    reading.commit().await?;
    Ok(Arc::new(Dialect { is_postgres, django }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    async fn open(database: &settings::Database) -> Result<Database, AccountsError> {
        Database::open(database, &Schema::Vestibule).await
    }

    fn at(path: &Path) -> settings::Database {
        settings::Database::Sqlite(path.to_owned())
    }

    #[tokio::test]
    async fn the_file_and_its_companions_belong_to_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let database = open(&at(&directory.path().join("new/users.db"))).await.unwrap();
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
        let database = open(&at(&directory.path().join("users.db"))).await.unwrap();
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
            tasks.spawn(async move { open(&at(&path)).await.map(drop) });
        }
        while let Some(outcome) = tasks.join_next().await {
            outcome.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn the_version_changes_with_the_writes_of_others_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.db");
        let ours = open(&at(&path)).await.unwrap();
        let theirs = open(&at(&path)).await.unwrap();
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
        let outcome = open(&at(&directory.path().join("file/users.db"))).await;
        assert!(matches!(outcome.map(drop), Err(AccountsError::File { .. })));
    }
}
