//! `export`: what an import takes back, a part at a time.

use std::collections::{BTreeMap, HashMap};

use super::super::by::By;
use super::super::command::{Reply, Secret};
use super::super::database::Connection;
use super::super::error::CommandError;
use super::super::load::UserRow;
use super::super::shared::Shared;
use super::super::transfer::{Exported, GroupEntry, PermissionEntry, UserEntry};

/// How many users a part has.
const PART: i64 = 1000;

/// Gives the part behind the user with the number `after`. Each part is of one moment; together
/// they are of as many as there are.
pub(in super::super) async fn export(
    shared: &Shared,
    after: Option<i64>,
    with_passwords: bool,
    by: &By,
) -> Result<Reply, CommandError> {
    if let By::User(_) = by {
        return Err(CommandError::Invalid("only an operator can export".to_owned()));
    }
    let mut reading = shared.database.read().await?;
    let (mut permissions, mut groups) = (Vec::new(), Vec::new());
    if after.is_none() {
        permissions = all_permissions(&mut reading).await?;
        groups = all_groups(&mut reading).await?;
    }
    let users_in_all: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM vestibule_user").fetch_one(&mut *reading).await?;
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                is_superuser, last_login, date_joined
         FROM vestibule_user WHERE id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after.unwrap_or(i64::MIN))
    .bind(PART)
    .fetch_all(&mut *reading)
    .await?;
    let is_full = i64::try_from(rows.len()).is_ok_and(|rows| rows == PART);
    let next = rows.last().map(|row| row.id).filter(|_| is_full);
    let users = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => {
            let range = (first.id, last.id);
            entries(&mut reading, range, rows, with_passwords).await?
        }
        _ => Vec::new(),
    };
    reading.commit().await?;
    let users_in_all = u64::try_from(users_in_all).unwrap_or(0);
    Ok(Reply::Exported(Exported { permissions, groups, users, users_in_all, next }))
}

async fn all_permissions(connection: &mut Connection) -> Result<Vec<PermissionEntry>, sqlx::Error> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT app_label || '.' || codename AS full_name, name FROM vestibule_permission
         ORDER BY full_name",
    )
    .fetch_all(connection)
    .await?;
    let entry = |(name, description)| PermissionEntry { name, description };
    Ok(rows.into_iter().map(entry).collect())
}

async fn all_groups(connection: &mut Connection) -> Result<Vec<GroupEntry>, sqlx::Error> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM vestibule_group ORDER BY name")
            .fetch_all(&mut *connection)
            .await?;
    let given: Vec<(i64, String)> = sqlx::query_as(
        "SELECT group_id, app_label || '.' || codename AS name FROM vestibule_group_permissions
         JOIN vestibule_permission ON vestibule_permission.id = permission_id ORDER BY name",
    )
    .fetch_all(connection)
    .await?;
    let mut permissions = by_number(given);
    let entry = |(id, name): (i64, String)| GroupEntry {
        name,
        permissions: permissions.remove(&id).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// The users of `rows`, whose numbers are within `range`, with what other tables know of them.
async fn entries(
    connection: &mut Connection,
    range: (i64, i64),
    rows: Vec<UserRow>,
    with_passwords: bool,
) -> Result<Vec<UserEntry>, sqlx::Error> {
    let (first, last) = range;
    let memberships: Vec<(i64, String)> = sqlx::query_as(
        "SELECT user_id, name FROM vestibule_user_groups
         JOIN vestibule_group ON vestibule_group.id = group_id
         WHERE user_id >= $1 AND user_id <= $2 ORDER BY name",
    )
    .bind(first)
    .bind(last)
    .fetch_all(&mut *connection)
    .await?;
    let granted: Vec<(i64, String)> = sqlx::query_as(
        "SELECT user_id, app_label || '.' || codename AS name FROM vestibule_user_permissions
         JOIN vestibule_permission ON vestibule_permission.id = permission_id
         WHERE user_id >= $1 AND user_id <= $2 ORDER BY name",
    )
    .bind(first)
    .bind(last)
    .fetch_all(&mut *connection)
    .await?;
    let fields: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT user_id, field, value FROM vestibule_profile
         WHERE user_id >= $1 AND user_id <= $2",
    )
    .bind(first)
    .bind(last)
    .fetch_all(connection)
    .await?;
    let (mut groups, mut permissions) = (by_number(memberships), by_number(granted));
    let mut profiles: HashMap<i64, BTreeMap<String, String>> = HashMap::new();
    for (user, field, value) in fields {
        profiles.entry(user).or_default().insert(field, value);
    }
    let moment = |seconds: i64| jiff::Timestamp::from_second(seconds).ok();
    let entry = |row: UserRow| UserEntry {
        username: row.username,
        first_name: Some(row.first_name),
        last_name: Some(row.last_name),
        email: Some(row.email),
        password: None,
        password_hash: with_passwords.then(|| Secret::from(row.password)),
        is_active: Some(row.is_active),
        is_staff: Some(row.is_staff),
        is_superuser: Some(row.is_superuser),
        last_login: row.last_login.and_then(moment),
        date_joined: moment(row.date_joined),
        groups: Some(groups.remove(&row.id).unwrap_or_default()),
        permissions: Some(permissions.remove(&row.id).unwrap_or_default()),
        profile: profiles.remove(&row.id).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// Names by the number of what they belong to, in the order of the rows.
fn by_number(rows: Vec<(i64, String)>) -> HashMap<i64, Vec<String>> {
    let mut names: HashMap<i64, Vec<String>> = HashMap::new();
    for (id, name) in rows {
        names.entry(id).or_default().push(name);
    }
    names
}
