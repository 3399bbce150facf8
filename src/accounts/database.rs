//! The database: SQLite in a file, or PostgreSQL. Both are asked in the same SQL.
//!
//! Statements take `$1, $2, …` in rising order. What is bound and read is `i64`, `bool`, `String`,
//! `Vec<u8>`, `f64`, or an `Option` of these; a `bool` is read of columns only, because SQLite
//! calculates with numbers. A list of numbers is bound as one JSON text:
//! `IN (SELECT value FROM json_each($1))`.

mod address;
mod connection;
mod dialect;
mod listener;
mod migrations;
mod notice;
mod postgres;
mod row;
mod sqlite;
mod triggers;

pub use address::{NotAnAddress, PostgresUrl};
pub(super) use connection::{Connection, Transaction};
pub(super) use listener::{Heard, Listener};

use super::AccountsError;
use super::settings;

/// Where users are kept, open.
pub(super) enum Database {
    /// A file of ours.
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
    /// Opens the database, makes it if it is a file that is not there, and brings its tables up to
    /// date.
    pub(super) async fn open(database: &settings::Database) -> Result<Self, AccountsError> {
        Ok(match database {
            settings::Database::Sqlite(path) => Self::Sqlite(sqlite::Sqlite::open(path).await?),
            settings::Database::Postgres(url) => {
                Self::Postgres(postgres::Postgres::open(url).await?)
            }
        })
    }

    /// Begins to read: a consistent view of one moment, which includes every finished write.
    pub(super) async fn read(&self) -> Result<Transaction, sqlx::Error> {
        Ok(Transaction::new(match self {
            Self::Sqlite(sqlite) => Connection::Sqlite(sqlite.read().await?),
            Self::Postgres(postgres) => Connection::Postgres(postgres.read().await?),
        }))
    }

    /// Begins to write, alone.
    pub(super) async fn write(&self) -> Result<Transaction, sqlx::Error> {
        Ok(Transaction::new(match self {
            Self::Sqlite(sqlite) => Connection::Sqlite(sqlite.write().await?),
            Self::Postgres(postgres) => Connection::Postgres(postgres.write().await?),
        }))
    }

    /// A number that changes when another process has written to the file; a server tells that.
    pub(super) async fn version(&self) -> Result<i64, sqlx::Error> {
        match self {
            Self::Sqlite(sqlite) => sqlite.version().await,
            Self::Postgres(_) => Ok(0),
        }
    }

    /// Begins to look for changes of others.
    pub(super) async fn watch(&self) -> Result<Watch, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(sqlite) => Watch::File(sqlite.version().await?),
            Self::Postgres(postgres) => Watch::Server(Box::new(postgres.listen().await?)),
        })
    }

    /// Whether it was closed on purpose.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite(sqlite) => sqlite.is_closed(),
            Self::Postgres(postgres) => postgres.is_closed(),
        }
    }

    /// Closes the database, for a process that ends.
    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(sqlite) => sqlite.close().await,
            Self::Postgres(postgres) => postgres.close().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

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
