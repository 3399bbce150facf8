//! `group …`: create, list, show, delete, members.

use std::collections::HashMap;

use super::super::command::{GroupDetails, GroupRecord, Reply};
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::fields;
use super::super::shared::Shared;
use super::{conflict_or, find_group, find_permission, find_user, members};
use crate::domain::UserId;

/// Creates a group.
pub(in super::super) async fn create(
    errand: &Errand<'_>,
    name: &str,
    permissions: &[String],
) -> Result<Reply, CommandError> {
    fields::check_group_name(name)?;
    let mut change = errand.begin_change().await?;
    let id: i64 = sqlx::query_scalar("INSERT INTO vestibule_group (name) VALUES ($1) RETURNING id")
        .bind(name)
        .fetch_one(change.sql())
        .await
        .map_err(|error| conflict_or(error, || format!("there is a group `{name}` already")))?;
    for permission in permissions {
        let permission = find_permission(change.sql(), permission).await?;
        super::permissions::give_group(change.sql(), permission, id).await?;
    }
    change.commit().await?;
    Ok(Reply::Done(format!("created the group `{name}`")))
}

/// Lists all groups by name.
pub(in super::super) async fn list(shared: &Shared) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT id, name,
                (SELECT COUNT(*) FROM vestibule_user_groups WHERE group_id = vestibule_group.id)
         FROM vestibule_group ORDER BY name",
    )
    .fetch_all(&mut *reading)
    .await?;
    let given: Vec<(i64, String)> = sqlx::query_as(
        "SELECT group_id, app_label || '.' || codename AS name FROM vestibule_group_permissions
         JOIN vestibule_permission ON vestibule_permission.id = permission_id ORDER BY name",
    )
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    let mut permissions: HashMap<i64, Vec<String>> = HashMap::new();
    for (group, permission) in given {
        permissions.entry(group).or_default().push(permission);
    }
    let record = |(id, name, members): (i64, String, i64)| GroupRecord {
        name,
        members: u64::try_from(members).unwrap_or(0),
        permissions: permissions.remove(&id).unwrap_or_default(),
    };
    Ok(Reply::Groups(rows.into_iter().map(record).collect()))
}

/// Shows one group.
pub(in super::super) async fn show(shared: &Shared, name: &str) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let id = find_group(&mut reading, name).await?;
    let permissions = permissions_of(&mut reading, id).await?;
    let members: Vec<String> = sqlx::query_scalar(
        "SELECT username FROM vestibule_user
         WHERE id IN (SELECT user_id FROM vestibule_user_groups WHERE group_id = $1)
         ORDER BY username",
    )
    .bind(id)
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    Ok(Reply::Group(GroupDetails { name: name.to_owned(), permissions, members }))
}

/// A group, and what refers to it; the tables of a Django project do not cascade.
const DELETE: [&str; 3] = [
    "DELETE FROM vestibule_user_groups WHERE group_id = $1",
    "DELETE FROM vestibule_group_permissions WHERE group_id = $1",
    "DELETE FROM vestibule_group WHERE id = $1",
];

/// Deletes a group.
pub(in super::super) async fn delete(
    errand: &Errand<'_>,
    name: &str,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let id = find_group(change.sql(), name).await?;
    for member in members(change.sql(), id).await? {
        change.concerns(member);
    }
    for statement in DELETE {
        sqlx::query(statement).bind(id).execute(change.sql()).await?;
    }
    change.commit().await?;
    Ok(Reply::Done(format!("deleted the group `{name}`")))
}

/// Makes users members.
pub(in super::super) async fn add(
    errand: &Errand<'_>,
    name: &str,
    users: &[String],
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let group = find_group(change.sql(), name).await?;
    let mut count = 0;
    for username in users {
        let (user, _) = find_user(change.sql(), username).await?;
        change.concerns(user);
        count += join(change.sql(), group, user).await?;
    }
    change.commit().await?;
    Ok(Reply::Done(format!("added {} to the group `{name}`", people(count))))
}

/// Ends memberships.
pub(in super::super) async fn remove(
    errand: &Errand<'_>,
    name: &str,
    users: &[String],
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let group = find_group(change.sql(), name).await?;
    let mut count = 0;
    for username in users {
        let (user, _) = find_user(change.sql(), username).await?;
        change.concerns(user);
        let delete = "DELETE FROM vestibule_user_groups WHERE group_id = $1 AND user_id = $2";
        let delete = sqlx::query(delete).bind(group).bind(user.0);
        count += delete.execute(change.sql()).await?.rows_affected();
    }
    change.commit().await?;
    Ok(Reply::Done(format!("removed {} from the group `{name}`", people(count))))
}

pub(super) fn people(count: u64) -> String {
    if count == 1 { "1 user".to_owned() } else { format!("{count} users") }
}

/// Makes a user a member; says how many memberships are new.
pub(super) async fn join(
    connection: &mut Connection,
    group: i64,
    user: UserId,
) -> Result<u64, sqlx::Error> {
    let insert = "INSERT INTO vestibule_user_groups (user_id, group_id) VALUES ($1, $2)
                  ON CONFLICT DO NOTHING";
    let outcome = sqlx::query(insert).bind(user.0).bind(group).execute(connection).await?;
    Ok(outcome.rows_affected())
}

/// Ends a membership; says how many there were.
pub(super) async fn part(
    connection: &mut Connection,
    group: i64,
    user: UserId,
) -> Result<u64, sqlx::Error> {
    let delete = "DELETE FROM vestibule_user_groups WHERE group_id = $1 AND user_id = $2";
    let outcome = sqlx::query(delete).bind(group).bind(user.0).execute(connection).await?;
    Ok(outcome.rows_affected())
}

/// Adds a group that is not there yet, and gives its number.
pub(super) async fn insert(connection: &mut Connection, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("INSERT INTO vestibule_group (name) VALUES ($1) RETURNING id")
        .bind(name)
        .fetch_one(connection)
        .await
}

/// The number of the group with this name, if there is one.
pub(super) async fn find(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM vestibule_group WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await
}

/// What the members of the group with this number may do, sorted.
pub(super) async fn permissions_of(
    connection: &mut Connection,
    group: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT app_label || '.' || codename AS name FROM vestibule_permission
         WHERE id IN (SELECT permission_id FROM vestibule_group_permissions WHERE group_id = $1)
         ORDER BY name",
    )
    .bind(group)
    .fetch_all(connection)
    .await
}

/// Gives a group another name; its members and what they may do stay.
pub(in super::super) async fn rename(
    errand: &Errand<'_>,
    name: &str,
    new_name: &str,
) -> Result<Reply, CommandError> {
    fields::check_group_name(new_name)?;
    let mut change = errand.begin_change().await?;
    let id = find_group(change.sql(), name).await?;
    // Rules ask for the name.
    for member in members(change.sql(), id).await? {
        change.concerns(member);
    }
    sqlx::query("UPDATE vestibule_group SET name = $1 WHERE id = $2")
        .bind(new_name)
        .bind(id)
        .execute(change.sql())
        .await
        .map_err(|error| conflict_or(error, || format!("there is a group `{new_name}` already")))?;
    change.commit().await?;
    Ok(Reply::Done(format!("the group `{name}` is called `{new_name}` now")))
}
