//! Who has a permission.

use super::super::browsing::Named;
use super::super::database::Connection;

/// How many holders are shown of each kind.
const MOST: i64 = 100;

/// Who has a permission, the first of each kind by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holders {
    /// Its name.
    pub permission: String,
    /// What it allows.
    pub description: String,
    /// To whom it was granted.
    pub users: Vec<Named>,
    /// The groups that give it.
    pub groups: Vec<Named>,
}

/// The holders of a permission; `None` when there is none of that name.
pub(in super::super) async fn holders(
    connection: &mut Connection,
    permission: &str,
) -> Result<Option<Holders>, sqlx::Error> {
    let (app, codename) = permission.split_once('.').unwrap_or_default();
    let found: Option<(i64, String)> = sqlx::query_as(
        "SELECT id, name FROM vestibule_permission WHERE app_label = $1 AND codename = $2",
    )
    .bind(app)
    .bind(codename)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, description)) = found else { return Ok(None) };
    let users: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, username FROM vestibule_user
         WHERE id IN (SELECT user_id FROM vestibule_user_permissions WHERE permission_id = $1)
         ORDER BY username LIMIT $2",
    )
    .bind(id)
    .bind(MOST)
    .fetch_all(&mut *connection)
    .await?;
    let groups: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, name FROM vestibule_group
         WHERE id IN (SELECT group_id FROM vestibule_group_permissions WHERE permission_id = $1)
         ORDER BY name LIMIT $2",
    )
    .bind(id)
    .bind(MOST)
    .fetch_all(connection)
    .await?;
    let named = |rows: Vec<(i64, String)>| {
        rows.into_iter().map(|(id, name)| Named { id, name }).collect::<Vec<_>>()
    };
    let permission = permission.to_owned();
    Ok(Some(Holders { permission, description, users: named(users), groups: named(groups) }))
}
