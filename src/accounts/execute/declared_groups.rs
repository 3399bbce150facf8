//! The groups that the file declares.

use std::collections::HashSet;

use super::super::error::AccountsError;
use super::super::shared::Shared;
use super::{groups, members, permissions};
use crate::domain::Permission;

/// Creates the groups that the file declares, and gives them what it says. What they have besides
/// stays: it was granted by somebody who may have meant it.
pub(in super::super) async fn declare_groups(
    shared: &Shared,
    declared: &[(String, Vec<Permission>)],
) -> Result<(), AccountsError> {
    if declared.is_empty() {
        return Ok(());
    }
    let mut reading = shared.database.read().await?;
    let there: Vec<String> =
        sqlx::query_scalar("SELECT name FROM vestibule_group").fetch_all(&mut *reading).await?;
    let given: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT vestibule_group.name, app_label, codename FROM vestibule_group_permissions
         JOIN vestibule_group ON vestibule_group.id = group_id
         JOIN vestibule_permission ON vestibule_permission.id = permission_id",
    )
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    let there: HashSet<String> = there.into_iter().collect();
    let given: HashSet<(String, String)> = given
        .into_iter()
        .map(|(group, app, codename)| (group, format!("{app}.{codename}")))
        .collect();
    let lacks = |group: &str, permission: &Permission| {
        !given.contains(&(group.to_owned(), permission.as_str().to_owned()))
    };
    let is_missing = |(group, wanted): &&(String, Vec<Permission>)| {
        !there.contains(group) || wanted.iter().any(|permission| lacks(group, permission))
    };
    let mut missing = declared.iter().filter(is_missing).peekable();
    // Usually there is nothing to do, and then nobody is to be kept from writing.
    if missing.peek().is_none() {
        return Ok(());
    }
    let mut change = shared.begin_change_of_ours().await?;
    for (name, wanted) in missing {
        let group = match groups::find(change.sql(), name).await? {
            Some(group) => group,
            None => groups::insert(change.sql(), name).await?,
        };
        for member in members(change.sql(), group).await? {
            change.concerns(member);
        }
        for permission in wanted {
            let id: Option<i64> = sqlx::query_scalar(
                "SELECT id FROM vestibule_permission WHERE app_label = $1 AND codename = $2",
            )
            .bind(permission.app())
            .bind(permission.codename())
            .fetch_optional(change.sql())
            .await?;
            // It was declared a moment ago; who deletes it meanwhile means it.
            if let Some(id) = id {
                permissions::give_group(change.sql(), id, group).await?;
            }
        }
    }
    Ok(change.commit().await?)
}
