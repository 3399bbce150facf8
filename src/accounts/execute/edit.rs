//! What forms send: several changes at once, of what was shown, unless somebody else was quicker.

use super::super::command::{Change, GroupEdit, Outcome, Reply, ShutOut, UserEdit};
use super::super::errand::{Errand, Ordered};
use super::super::error::CommandError;
use super::super::fields;
use super::super::profiles;
use super::{conflict_or, find_group, find_permission, members};
use super::{groups, permissions, users};
use crate::domain::UserId;

/// Changes a user as a form says.
pub(in super::super) async fn user(
    errand: &Errand<'_>,
    edit: &UserEdit,
) -> Result<Outcome, CommandError> {
    let changes = profiles::checked(errand.profile.load().as_deref(), edit.changes.clone())?;
    let mut change = errand.begin_change().await?;
    let name = check_seen(&change, &edit.seen)?;
    let id = UserId(edit.id);
    change.concerns(id);
    let is_deactivated = edit.changes.contains(&Change::IsActive(false));
    for field in changes {
        if let Change::IsActive(_) = field {
            // Whoever decides that need not wait for anybody.
            super::registrations::forget(change.sql(), id).await?;
        }
        users::set_field(change.sql(), id, field, errand.username_rule).await?;
    }
    for group in &edit.join {
        let group = find_group(change.sql(), group).await?;
        groups::join(change.sql(), group, id).await?;
    }
    for group in &edit.leave {
        let group = find_group(change.sql(), group).await?;
        sqlx::query("DELETE FROM vestibule_user_groups WHERE group_id = $1 AND user_id = $2")
            .bind(group)
            .bind(id.0)
            .execute(change.sql())
            .await?;
    }
    for permission in &edit.grant {
        let permission = find_permission(change.sql(), permission).await?;
        permissions::give_user(change.sql(), permission, id).await?;
    }
    for permission in &edit.revoke {
        let permission = find_permission(change.sql(), permission).await?;
        sqlx::query(
            "DELETE FROM vestibule_user_permissions WHERE permission_id = $1 AND user_id = $2",
        )
        .bind(permission)
        .bind(id.0)
        .execute(change.sql())
        .await?;
    }
    change.commit().await?;
    let reply = Reply::Done(format!("changed the user `{name}`"));
    let shut_out = ShutOut { user: id, username: name, because: "the user was deactivated" };
    Ok(Outcome { reply, shut_out: is_deactivated.then_some(shut_out).into_iter().collect() })
}

/// Changes a group as a form says.
pub(in super::super) async fn group(
    errand: &Errand<'_>,
    edit: &GroupEdit,
) -> Result<Reply, CommandError> {
    fields::check_group_name(&edit.new_name)?;
    let mut change = errand.begin_change().await?;
    let name = check_seen(&change, &edit.seen)?;
    let group = find_group(change.sql(), &name).await?;
    for member in members(change.sql(), group).await? {
        change.concerns(member);
    }
    if edit.new_name != name {
        sqlx::query("UPDATE vestibule_group SET name = $1 WHERE id = $2")
            .bind(&edit.new_name)
            .bind(group)
            .execute(change.sql())
            .await
            .map_err(|error| {
                conflict_or(error, || format!("there is a group `{}` already", edit.new_name))
            })?;
    }
    for permission in &edit.grant {
        let permission = find_permission(change.sql(), permission).await?;
        permissions::give_group(change.sql(), permission, group).await?;
    }
    for permission in &edit.revoke {
        let permission = find_permission(change.sql(), permission).await?;
        sqlx::query(
            "DELETE FROM vestibule_group_permissions WHERE permission_id = $1 AND group_id = $2",
        )
        .bind(permission)
        .bind(group)
        .execute(change.sql())
        .await?;
    }
    change.commit().await?;
    Ok(Reply::Done(format!("changed the group `{}`", edit.new_name)))
}

/// The name of what is changed, if it still is as it was shown.
fn check_seen(change: &Ordered<'_>, seen: &str) -> Result<String, CommandError> {
    match change.before() {
        None => Err(CommandError::NotFound("it was deleted meanwhile".to_owned())),
        Some(state) if state.version() != seen => Err(CommandError::Conflict(format!(
            "`{}` was changed meanwhile\nhint: look at it again",
            state.name
        ))),
        Some(state) => Ok(state.name.clone()),
    }
}
