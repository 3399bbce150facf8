//! `user delete`, and whatever else takes a user out of the database.

use sqlx::AssertSqlSafe;

use super::super::command::{Outcome, Reply, ShutOut};
use super::super::database::{Connection, Django};
use super::super::errand::Errand;
use super::super::error::{AccountsError, CommandError};
use super::super::messages;
use super::find_user;
use crate::domain::UserId;

/// A user, and what our tables know of one; those of a Django project do not cascade.
const DELETE: [&str; 5] = [
    "DELETE FROM vestibule_registration WHERE user_id = $1",
    "DELETE FROM vestibule_profile WHERE user_id = $1",
    "DELETE FROM vestibule_user_groups WHERE user_id = $1",
    "DELETE FROM vestibule_user_permissions WHERE user_id = $1",
    "DELETE FROM vestibule_user WHERE id = $1",
];

/// Deletes a user.
pub(in super::super) async fn delete(
    errand: &Errand<'_>,
    username: &str,
) -> Result<Outcome, CommandError> {
    let mut change = errand.begin_change().await?;
    let (id, name) = find_user(change.sql(), username).await?;
    change.concerns(id);
    remove(change.sql(), id).await?;
    change.commit().await.map_err(|error| still_needed(error, &name))?;
    let reply = Reply::Done(format!("deleted the user `{name}`"));
    let shut_out = ShutOut { user: id, username: name, because: "the user was deleted" };
    Ok(Outcome { reply, shut_out: vec![shut_out] })
}

/// Makes of a reference that would lead nowhere the conflict that it is: only Django knows what
/// else of its tables goes with a user.
pub(super) fn still_needed(error: CommandError, username: &str) -> CommandError {
    let CommandError::Accounts(AccountsError::Database(cause)) = &error else { return error };
    match cause.as_database_error() {
        Some(cause) if cause.is_foreign_key_violation() => CommandError::Conflict(format!(
            "other tables of the application refer to the user `{username}`\n\
             hint: delete the user there, or `vestibule user set {username} is_active=false`"
        )),
        Some(_) | None => error,
    }
}

/// Takes a user out of the database.
pub(super) async fn remove(connection: &mut Connection, id: UserId) -> Result<(), sqlx::Error> {
    messages::delete_all(connection, id).await?;
    let by_django = connection.django().map_or_else(Vec::new, Django::before_delete);
    for statement in by_django {
        sqlx::query(AssertSqlSafe(statement)).bind(id.0).execute(&mut *connection).await?;
    }
    for statement in DELETE {
        sqlx::query(statement).bind(id.0).execute(&mut *connection).await?;
    }
    Ok(())
}
