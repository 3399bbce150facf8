//! From rows to a [`User`].

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::database::Connection;
use crate::domain::{PasswordHash, Permission, Timestamp, User, UserId};

/// The row of one user, without what other tables know.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct UserRow {
    pub(super) id: i64,
    pub(super) username: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) email: String,
    pub(super) password: String,
    pub(super) is_staff: bool,
    pub(super) is_active: bool,
    pub(super) is_superuser: bool,
    pub(super) last_login: Option<i64>,
    pub(super) date_joined: i64,
}

/// How a user is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who<'a> {
    Id(UserId),
    /// In its normal form.
    Username(&'a str),
}

/// Loads a user with groups, permissions and profile.
///
/// The same queries are made whether there is one or not, so that the time does not tell.
pub(super) async fn user(
    connection: &mut Connection,
    who: Who<'_>,
) -> Result<Option<User>, sqlx::Error> {
    let row = row(connection, who).await?;
    let id = row.as_ref().map_or(0, |row| row.id);
    let groups = groups_of(connection, id).await?;
    let own: Vec<(String, String)> = sqlx::query_as(
        "SELECT app_label, codename FROM vestibule_permission WHERE id IN (
             SELECT permission_id FROM vestibule_user_permissions WHERE user_id = $1)",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    // A superuser has all there are, as in Django's `ModelBackend`.
    let of_groups: Vec<(String, String)> = sqlx::query_as(
        "SELECT app_label, codename FROM vestibule_permission WHERE id IN (
             SELECT permission_id FROM vestibule_group_permissions
             WHERE group_id IN (SELECT group_id FROM vestibule_user_groups WHERE user_id = $1))
         OR $2 = 1",
    )
    .bind(id)
    .bind(i64::from(row.as_ref().is_some_and(|row| row.is_superuser)))
    .fetch_all(&mut *connection)
    .await?;
    let messages = super::messages::waiting(connection, id).await?;
    let profile = profile_of(connection, id).await?;
    let group_permissions: BTreeSet<_> = of_groups.iter().filter_map(permission).collect();
    let mut permissions = group_permissions.clone();
    permissions.extend(own.iter().filter_map(permission));
    Ok(row.map(|row| User {
        groups,
        permissions,
        group_permissions,
        profile: profile.into_iter().collect(),
        has_messages: messages > 0,
        ..row.into_user()
    }))
}

impl UserRow {
    /// The user, without groups, permissions and profile.
    pub(super) fn into_user(self) -> User {
        User {
            id: UserId(self.id),
            username: self.username,
            first_name: self.first_name,
            last_name: self.last_name,
            email: self.email,
            password: PasswordHash::from_encoded(self.password),
            is_staff: self.is_staff,
            is_active: self.is_active,
            is_superuser: self.is_superuser,
            last_login: self.last_login.map(moment),
            date_joined: moment(self.date_joined),
            groups: Vec::new(),
            permissions: BTreeSet::new(),
            group_permissions: BTreeSet::new(),
            profile: BTreeMap::new(),
            has_messages: false,
        }
    }
}

pub(super) async fn row(
    connection: &mut Connection,
    who: Who<'_>,
) -> Result<Option<UserRow>, sqlx::Error> {
    match who {
        Who::Id(UserId(id)) => {
            sqlx::query_as(
                "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                        is_superuser, last_login, date_joined
                 FROM vestibule_user WHERE id = $1",
            )
            .bind(id)
            .fetch_optional(connection)
            .await
        }
        Who::Username(username) => {
            sqlx::query_as(
                "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                        is_superuser, last_login, date_joined
                 FROM vestibule_user WHERE username = $1",
            )
            .bind(username)
            .fetch_optional(connection)
            .await
        }
    }
}

/// The names of these users, of those who are there.
pub(super) async fn usernames(
    connection: &mut Connection,
    ids: impl IntoIterator<Item = UserId>,
) -> Result<HashMap<UserId, String>, sqlx::Error> {
    // As one value: a statement takes only so many, and would be prepared anew for each number.
    let ids: Vec<String> = ids.into_iter().map(|UserId(id)| id.to_string()).collect();
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, username FROM vestibule_user WHERE id IN (SELECT value FROM json_each($1))",
    )
    .bind(format!("[{}]", ids.join(",")))
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| (UserId(id), name)).collect())
}

pub(super) async fn groups_of(
    connection: &mut Connection,
    user: i64,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT name FROM vestibule_group
         WHERE id IN (SELECT group_id FROM vestibule_user_groups WHERE user_id = $1)
         ORDER BY name",
    )
    .bind(user)
    .fetch_all(connection)
    .await
}

pub(super) async fn profile_of(
    connection: &mut Connection,
    user: i64,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as("SELECT field, value FROM vestibule_profile WHERE user_id = $1 ORDER BY field")
        .bind(user)
        .fetch_all(connection)
        .await
}

/// The permission with this name. What is none was put there by somebody else, and no rule can ask
/// for it.
pub(super) fn permission((app, codename): &(String, String)) -> Option<Permission> {
    format!("{app}.{codename}").parse().ok()
}

/// The moment that is stored as these seconds; 1970 for one before it.
pub(super) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(u64::try_from(seconds).unwrap_or(0))
}

/// The seconds as which a moment is stored.
pub(super) fn seconds(moment: Timestamp) -> i64 {
    i64::try_from(moment.seconds()).unwrap_or(i64::MAX)
}
