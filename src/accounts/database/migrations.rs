//! Our tables, brought up to date: one set of migrations for both databases.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, Migrator};

use super::dialect;
use crate::accounts::AccountsError;
use crate::accounts::settings::Schema;

// A build does not see a new file here by itself: touch this one.
static MIGRATIONS: Migrator = sqlx::migrate!("src/accounts/migrations");

/// The first one, which makes the tables that a Django project has already.
const ACCOUNTS: i64 = 1;

/// The one that puts users in order for those who look through them, which is not for us to do with
/// a table of somebody else.
const USER_ORDERS: i64 = 3;

/// What of the first one is still needed beside the tables of a Django project. It refers to none
/// of them, which would change what happens when Django deletes a user.
const BESIDE_DJANGO: &str = "CREATE TABLE vestibule_profile (
    user_id BIGINT NOT NULL,
    field VARCHAR(100) NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (user_id, field)
);";

/// Where it is written down what was applied: with a name of ours where somebody else may have
/// such a table. A file of our own had sqlx's from the beginning.
const APPLIED: &str = "vestibule_migrations";

/// Applies what is missing to a file, in a transaction that writes alone: sqlx's own lock is empty
/// for SQLite, and two processes may start on a new file at the same time.
pub(super) async fn of_sqlite(
    connection: &mut sqlx::SqliteConnection,
    schema: &Schema,
) -> Result<(), AccountsError> {
    // `run` does the same, but its future is not `Send` for a borrowed connection.
    match schema {
        Schema::Vestibule => MIGRATIONS.run_direct(None, connection, false).await?,
        Schema::Django(_) => {
            migrator(schema, |sql| sql).run_direct(None, connection, false).await?;
        }
    }
    Ok(())
}

/// The same on a server, where whoever writes is alone as well.
pub(super) async fn of_postgres(
    connection: &mut sqlx::PgConnection,
    schema: &Schema,
) -> Result<(), AccountsError> {
    let migrator = migrator(schema, |sql| dialect::migration_for_postgres(sql.as_str()));
    Ok(migrator.run_direct(None, connection, false).await?)
}

fn migrator(schema: &Schema, translate: fn(sqlx::SqlStr) -> sqlx::SqlStr) -> Migrator {
    let translated = MIGRATIONS.iter().filter_map(|migration| {
        let sql = match (schema, migration.version) {
            (Schema::Django(_), ACCOUNTS) => BESIDE_DJANGO.into_sql_str(),
            (Schema::Django(_), USER_ORDERS) => return None,
            (Schema::Vestibule | Schema::Django(_), _) => migration.sql.clone(),
        };
        // The checksum stays that of the file, so that a better translation is no other migration.
        Some(Migration { sql: translate(sql), ..migration.clone() })
    });
    let mut migrator = Migrator::with_migrations(translated.collect());
    migrator.dangerous_set_table_name(APPLIED);
    migrator.set_locking(false);
    migrator
}
