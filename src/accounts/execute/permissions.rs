//! `permission …`: create, list, grant, revoke; and the permissions that the file declares.

use std::collections::HashMap;

use super::super::command::{Holder, PermissionRecord, Reply};
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::{AccountsError, CommandError};
use super::super::fields;
use super::super::shared::Shared;
use super::{find_group, find_permission, find_user, members, permission_rows};
use crate::domain::{Permission, UserId};

/// Creates the permissions that the file declares, and describes them as it does.
pub(in super::super) async fn declare(
    shared: &Shared,
    declared: &[(Permission, String)],
) -> Result<(), AccountsError> {
    let mut reading = shared.database.read().await?;
    let there: Vec<(String, String)> =
        sqlx::query_as("SELECT app_label || '.' || codename, name FROM vestibule_permission")
            .fetch_all(&mut *reading)
            .await?;
    reading.commit().await?;
    let there: HashMap<String, String> = there.into_iter().collect();
    let is_new = |(permission, description): &&(Permission, String)| {
        there.get(permission.as_str()) != Some(description)
    };
    let mut missing = declared.iter().filter(is_new).peekable();
    // Usually there is nothing to do, and then nobody is to be kept from writing.
    if missing.peek().is_none() {
        return Ok(());
    }
    let mut change = shared.begin_change_of_ours().await?;
    for (permission, description) in missing {
        if permission_rows::exists(change.sql(), permission).await? {
            permission_rows::describe(change.sql(), permission, description).await?;
        } else {
            permission_rows::insert(change.sql(), permission, description).await?;
        }
    }
    Ok(change.commit().await?)
}

/// Creates a permission.
pub(in super::super) async fn create(
    errand: &Errand<'_>,
    permission: &str,
    description: &str,
) -> Result<Reply, CommandError> {
    let permission = fields::permission(permission)?;
    fields::check_description(description)?;
    let mut change = errand.begin_change().await?;
    if permission_rows::exists(change.sql(), &permission).await? {
        let message = format!("there is a permission `{permission}` already");
        return Err(CommandError::Conflict(message));
    }
    permission_rows::insert(change.sql(), &permission, description).await?;
    change.commit().await?;
    Ok(Reply::Done(format!("created the permission `{permission}`")))
}

/// Lists all permissions by name.
pub(in super::super) async fn list(shared: &Shared) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT id, app_label || '.' || codename AS full_name, name FROM vestibule_permission
         ORDER BY full_name",
    )
    .fetch_all(&mut *reading)
    .await?;
    let to_users: Vec<(i64, String)> = sqlx::query_as(
        "SELECT permission_id, username FROM vestibule_user_permissions
         JOIN vestibule_user ON vestibule_user.id = user_id ORDER BY username",
    )
    .fetch_all(&mut *reading)
    .await?;
    let to_groups: Vec<(i64, String)> = sqlx::query_as(
        "SELECT permission_id, name FROM vestibule_group_permissions
         JOIN vestibule_group ON vestibule_group.id = group_id ORDER BY name",
    )
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    let (mut users, mut groups) = (by_permission(to_users), by_permission(to_groups));
    let record = |(id, permission, description): (i64, String, String)| PermissionRecord {
        permission,
        description,
        users: users.remove(&id).unwrap_or_default(),
        groups: groups.remove(&id).unwrap_or_default(),
    };
    Ok(Reply::Permissions(rows.into_iter().map(record).collect()))
}

fn by_permission(rows: Vec<(i64, String)>) -> HashMap<i64, Vec<String>> {
    let mut holders: HashMap<i64, Vec<String>> = HashMap::new();
    for (permission, holder) in rows {
        holders.entry(permission).or_default().push(holder);
    }
    holders
}

/// Gives a permission to a user or a group.
pub(in super::super) async fn grant(
    errand: &Errand<'_>,
    permission: &str,
    to: &Holder,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let id = find_permission(change.sql(), permission).await?;
    let given = match to {
        Holder::User(username) => {
            let (user, _) = find_user(change.sql(), username).await?;
            change.concerns(user);
            give_user(change.sql(), id, user).await?
        }
        Holder::Group(name) => {
            let group = find_group(change.sql(), name).await?;
            for member in members(change.sql(), group).await? {
                change.concerns(member);
            }
            give_group(change.sql(), id, group).await?
        }
    };
    change.commit().await?;
    let already = if given == 0 { " already" } else { "" };
    Ok(Reply::Done(format!("{} has `{permission}`{already}", named(to))))
}

/// Takes a permission from a user or a group.
pub(in super::super) async fn revoke(
    errand: &Errand<'_>,
    permission: &str,
    from: &Holder,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    find_permission(change.sql(), permission).await?;
    // By name: in a Django project two models may have permissions that are called the same.
    let named_so = fields::permission(permission)?;
    let query = match from {
        Holder::User(username) => {
            let (user, _) = find_user(change.sql(), username).await?;
            change.concerns(user);
            sqlx::query(
                "DELETE FROM vestibule_user_permissions WHERE permission_id IN (
                     SELECT id FROM vestibule_permission WHERE app_label = $1 AND codename = $2)
                 AND user_id = $3",
            )
            .bind(named_so.app())
            .bind(named_so.codename())
            .bind(user.0)
        }
        Holder::Group(name) => {
            let group = find_group(change.sql(), name).await?;
            for member in members(change.sql(), group).await? {
                change.concerns(member);
            }
            sqlx::query(
                "DELETE FROM vestibule_group_permissions WHERE permission_id IN (
                     SELECT id FROM vestibule_permission WHERE app_label = $1 AND codename = $2)
                 AND group_id = $3",
            )
            .bind(named_so.app())
            .bind(named_so.codename())
            .bind(group)
        }
    };
    if query.execute(change.sql()).await?.rows_affected() == 0 {
        // The operator believes that a right is gone now: it may still come from elsewhere.
        return Err(CommandError::NotFound(format!(
            "`{permission}` was never granted to {}\n\
             hint: `vestibule permission list` shows who has it",
            named(from)
        )));
    }
    change.commit().await?;
    Ok(Reply::Done(format!("took `{permission}` from {}", named(from))))
}

fn named(holder: &Holder) -> String {
    match holder {
        Holder::User(name) => format!("the user `{name}`"),
        Holder::Group(name) => format!("the group `{name}`"),
    }
}

/// Gives a user a permission; says how many grants are new.
pub(super) async fn give_user(
    connection: &mut Connection,
    permission: i64,
    user: UserId,
) -> Result<u64, sqlx::Error> {
    let insert = "INSERT INTO vestibule_user_permissions (user_id, permission_id)
                  VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let outcome = sqlx::query(insert).bind(user.0).bind(permission).execute(connection).await?;
    Ok(outcome.rows_affected())
}

/// Gives a group a permission; says how many grants are new.
pub(super) async fn give_group(
    connection: &mut Connection,
    permission: i64,
    group: i64,
) -> Result<u64, sqlx::Error> {
    let insert = "INSERT INTO vestibule_group_permissions (group_id, permission_id)
                  VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let outcome = sqlx::query(insert).bind(group).bind(permission).execute(connection).await?;
    Ok(outcome.rows_affected())
}

/// Takes a permission from a user; says how many grants there were.
pub(super) async fn take_from_user(
    connection: &mut Connection,
    permission: i64,
    user: UserId,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM vestibule_user_permissions WHERE permission_id = $1 AND user_id = $2";
    let outcome = sqlx::query(delete).bind(permission).bind(user.0).execute(connection).await?;
    Ok(outcome.rows_affected())
}

/// Takes a permission from a group; says how many grants there were.
pub(super) async fn take_from_group(
    connection: &mut Connection,
    permission: i64,
    group: i64,
) -> Result<u64, sqlx::Error> {
    let delete =
        "DELETE FROM vestibule_group_permissions WHERE permission_id = $1 AND group_id = $2";
    let outcome = sqlx::query(delete).bind(permission).bind(group).execute(connection).await?;
    Ok(outcome.rows_affected())
}

/// What was granted to the user with this number, and not by a group, sorted.
pub(super) async fn held_by_user(
    connection: &mut Connection,
    user: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT app_label || '.' || codename AS name FROM vestibule_permission
         WHERE id IN (SELECT permission_id FROM vestibule_user_permissions WHERE user_id = $1)
         ORDER BY name",
    )
    .bind(user)
    .fetch_all(connection)
    .await
}

/// Adds a permission that is not there yet.
pub(super) async fn insert(
    connection: &mut Connection,
    name: &str,
    description: &str,
) -> Result<(), CommandError> {
    let permission = fields::permission(name)?;
    Ok(permission_rows::insert(connection, &permission, description).await?)
}

/// Gives a permission another description; says nothing when there is none of that name.
pub(super) async fn describe(
    connection: &mut Connection,
    name: &str,
    description: &str,
) -> Result<(), CommandError> {
    let permission = fields::permission(name)?;
    Ok(permission_rows::describe(connection, &permission, description).await?)
}

/// The description of a permission, if there is one of that name.
pub(super) async fn description_of(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<String>, CommandError> {
    let permission = fields::permission(name)?;
    let select = "SELECT name FROM vestibule_permission WHERE app_label = $1 AND codename = $2";
    let select = sqlx::query_scalar(select).bind(permission.app()).bind(permission.codename());
    Ok(select.fetch_optional(connection).await?)
}
