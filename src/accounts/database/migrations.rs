//! The tables, brought up to date: one set of migrations for both databases.

use sqlx::migrate::{Migration, Migrator};

use super::dialect;
use crate::accounts::AccountsError;

// A build does not see a new file here by itself: touch this one.
static MIGRATIONS: Migrator = sqlx::migrate!("src/accounts/migrations");

/// Applies what is missing to a file, in a transaction that writes alone: sqlx's own lock is
/// empty for SQLite, and two processes may start on a new file at the same time.
pub(super) async fn of_sqlite(
    connection: &mut sqlx::SqliteConnection,
) -> Result<(), AccountsError> {
    // `run` does the same, but its future is not `Send` for a borrowed connection.
    Ok(MIGRATIONS.run_direct(None, connection, false).await?)
}

/// The same on a server, where whoever writes is alone as well.
pub(super) async fn of_postgres(connection: &mut sqlx::PgConnection) -> Result<(), AccountsError> {
    let translated = MIGRATIONS.iter().map(|migration| Migration {
        sql: dialect::migration_for_postgres(migration.sql.as_str()),
        // The checksum stays that of the file, so that a better translation is no other migration.
        ..migration.clone()
    });
    let mut migrations = Migrator::with_migrations(translated.collect());
    // Beside the tables of an application, which may have migrations of sqlx itself.
    migrations.dangerous_set_table_name("vestibule_migrations");
    migrations.set_locking(false);
    Ok(migrations.run_direct(None, connection, false).await?)
}
