//! Many users at once, in as many queries as one takes: when a group loses a permission, all its
//! members who have something open are looked at again.

use std::collections::HashMap;

use super::database::Connection;
use super::load::{UserRow, permission};
use crate::domain::{User, UserId};

/// Loads those of `ids` who exist, with groups, permissions and profile.
pub(super) async fn users(
    connection: &mut Connection,
    ids: &[UserId],
) -> Result<HashMap<UserId, User>, sqlx::Error> {
    // One parameter, however many there are.
    let ids = serde_json::Value::from(ids.iter().map(|id| id.0).collect::<Vec<_>>()).to_string();
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                is_superuser, last_login, date_joined
         FROM vestibule_user WHERE id IN (SELECT value FROM json_each($1))",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    let mut users: HashMap<UserId, User> =
        rows.into_iter().map(|row| (UserId(row.id), row.into_user())).collect();

    let groups: Vec<(i64, String)> = sqlx::query_as(
        "SELECT user_id, name FROM vestibule_user_groups
         JOIN vestibule_group ON vestibule_group.id = group_id
         WHERE user_id IN (SELECT value FROM json_each($1)) ORDER BY name",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for (id, name) in groups {
        if let Some(user) = users.get_mut(&UserId(id)) {
            user.groups.push(name);
        }
    }

    let own: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT user_id, app_label, codename FROM vestibule_permission
         JOIN vestibule_user_permissions ON permission_id = vestibule_permission.id
         WHERE user_id IN (SELECT value FROM json_each($1))",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for (id, app, codename) in own {
        if let (Some(user), Some(permission)) =
            (users.get_mut(&UserId(id)), permission(&(app, codename)))
        {
            user.permissions.insert(permission);
        }
    }

    // A superuser has all there are, as in Django's `ModelBackend`.
    let of_groups: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT user_id, app_label, codename FROM vestibule_permission
         JOIN vestibule_group_permissions ON permission_id = vestibule_permission.id
         JOIN vestibule_user_groups
              ON vestibule_user_groups.group_id = vestibule_group_permissions.group_id
         WHERE user_id IN (SELECT value FROM json_each($1))
         UNION
         SELECT vestibule_user.id, app_label, codename
         FROM vestibule_user CROSS JOIN vestibule_permission
         WHERE is_superuser AND vestibule_user.id IN (SELECT value FROM json_each($2))",
    )
    .bind(&ids)
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for (id, app, codename) in of_groups {
        if let (Some(user), Some(permission)) =
            (users.get_mut(&UserId(id)), permission(&(app, codename)))
        {
            user.permissions.insert(permission.clone());
            user.group_permissions.insert(permission);
        }
    }

    let with_messages: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT user_id FROM vestibule_message
         WHERE user_id IN (SELECT value FROM json_each($1))",
    )
    .bind(&ids)
    .fetch_all(&mut *connection)
    .await?;
    for id in with_messages {
        if let Some(user) = users.get_mut(&UserId(id)) {
            user.has_messages = true;
        }
    }

    let profiles: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT user_id, field, value FROM vestibule_profile
         WHERE user_id IN (SELECT value FROM json_each($1))",
    )
    .bind(&ids)
    .fetch_all(connection)
    .await?;
    for (id, field, value) in profiles {
        if let Some(user) = users.get_mut(&UserId(id)) {
            user.profile.insert(field, value);
        }
    }
    Ok(users)
}
