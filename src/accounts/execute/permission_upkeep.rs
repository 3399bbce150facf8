//! `permission show`, `set` and `delete`.

use super::super::command::{PermissionRecord, Reply};
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::fields;
use super::super::shared::Shared;
use super::{find_permission, members, permissions};
use crate::domain::UserId;

/// Shows one permission with whom it was granted to.
pub(in super::super) async fn show(shared: &Shared, name: &str) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let id = find_permission(&mut reading, name).await?;
    let description = permissions::description_of(&mut reading, name).await?;
    let users: Vec<String> = sqlx::query_scalar(
        "SELECT username FROM vestibule_user
         WHERE id IN (SELECT user_id FROM vestibule_user_permissions WHERE permission_id = $1)
         ORDER BY username",
    )
    .bind(id)
    .fetch_all(&mut *reading)
    .await?;
    let groups: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM vestibule_group
         WHERE id IN (SELECT group_id FROM vestibule_group_permissions WHERE permission_id = $1)
         ORDER BY name",
    )
    .bind(id)
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    Ok(Reply::Permission(PermissionRecord {
        permission: name.to_owned(),
        description: description.unwrap_or_default(),
        users,
        groups,
    }))
}

/// Gives a permission another description.
pub(in super::super) async fn set(
    errand: &Errand<'_>,
    name: &str,
    description: &str,
) -> Result<Reply, CommandError> {
    fields::check_description(description)?;
    let mut change = errand.begin_change().await?;
    find_permission(change.sql(), name).await?;
    if change.sql().django().is_some() {
        let message = "a Django project's permissions are described by its models\n\
                       hint: set `verbose_name` or `permissions` there, and run `manage.py migrate`";
        return Err(CommandError::Invalid(message.to_owned()));
    }
    permissions::describe(change.sql(), name, description).await?;
    change.commit().await?;
    Ok(Reply::Done(format!("`{name}` is described as `{description}`")))
}

/// Deletes a permission; whoever had it has lost it.
pub(in super::super) async fn delete(
    errand: &Errand<'_>,
    name: &str,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let id = find_permission(change.sql(), name).await?;
    let holders: Vec<i64> = sqlx::query_scalar(
        "SELECT user_id FROM vestibule_user_permissions WHERE permission_id = $1",
    )
    .bind(id)
    .fetch_all(change.sql())
    .await?;
    for holder in holders {
        change.concerns(UserId(holder));
    }
    let groups: Vec<i64> = sqlx::query_scalar(
        "SELECT group_id FROM vestibule_group_permissions WHERE permission_id = $1",
    )
    .bind(id)
    .fetch_all(change.sql())
    .await?;
    for group in groups {
        for member in members(change.sql(), group).await? {
            change.concerns(member);
        }
    }
    // Not left to the database: the tables of another program need not cascade.
    for delete in [
        "DELETE FROM vestibule_user_permissions WHERE permission_id = $1",
        "DELETE FROM vestibule_group_permissions WHERE permission_id = $1",
        "DELETE FROM vestibule_permission WHERE id = $1",
    ] {
        sqlx::query(delete).bind(id).execute(change.sql()).await?;
    }
    change.commit().await?;
    Ok(Reply::Done(format!("deleted the permission `{name}`")))
}
