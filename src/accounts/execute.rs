//! Carries out the commands of operators.

pub(super) mod browse;
pub(super) mod browse_holders;
mod declared_groups;
mod edit;
mod export;
mod groups;
mod import;
mod invitations;
mod messages;
mod names;
mod passwords;
mod permission_rows;
mod permission_upkeep;
mod permissions;
mod registrations;
mod user_removal;
mod user_search;
mod users;

use super::audit::Order;
use super::by::By;
use super::command::{Command, Outcome};
use super::database::Connection;
use super::errand::Errand;
use super::error::CommandError;
use super::fields;
use super::shared::Shared;
use crate::domain::user::normalize_username;
use crate::domain::{Timestamp, UserId};

pub(super) use declared_groups::declare_groups;
pub(super) use invitations::find as find_invitation;
pub use names::Names;
pub(super) use names::names;
pub(super) use permissions::declare;
pub(super) use registrations::{is_taken, owner_of};
pub(super) use users::{create_first_superuser, details, has_users};

/// Carries out one command, and writes down what came of it; when this returns, the users whom it
/// concerns are forgotten.
pub(super) async fn command(
    shared: &Shared,
    command: Command,
    by: &By,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    tracing::debug!(%by, ?command, "an order about accounts");
    let order = Order::of(shared, &command).await;
    let outcome = carry_out(shared, command, by, now).await;
    if let Some(order) = order {
        shared.note(&order.entry(shared, &outcome, by, now).await);
    }
    outcome
}

async fn carry_out(
    shared: &Shared,
    command: Command,
    by: &By,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    let ordered = command.clone();
    let errand = &Errand::new(shared, &ordered, by, now);
    errand.check().await?;
    let reply = match command {
        Command::UserCreate(new) => users::create(errand, new, now).await,
        Command::UserList {} => users::list(shared).await,
        Command::UserSearch(query) => user_search::search(shared, &query).await,
        Command::UserShow { username } => users::show(shared, &username).await,
        Command::UserSet { username, changes } => {
            return users::set(errand, &username, changes).await;
        }
        Command::UserSetPassword { username, password } => {
            return passwords::set_password(errand, &username, password).await;
        }
        Command::UserEdit(edit) => return edit::user(errand, &edit).await,
        Command::UserSetUnusablePassword { username } => {
            return passwords::set_unusable_password(errand, &username).await;
        }
        Command::UserDelete { username } => return user_removal::delete(errand, &username).await,
        Command::GroupCreate { name, permissions } => {
            groups::create(errand, &name, &permissions).await
        }
        Command::GroupList {} => groups::list(shared).await,
        Command::GroupShow { name } => groups::show(shared, &name).await,
        Command::GroupEdit(edit) => edit::group(errand, &edit).await,
        Command::GroupDelete { name } => groups::delete(errand, &name).await,
        Command::GroupRename { name, new_name } => groups::rename(errand, &name, &new_name).await,
        Command::GroupAdd { name, users } => groups::add(errand, &name, &users).await,
        Command::GroupRemove { name, users } => groups::remove(errand, &name, &users).await,
        Command::PermissionCreate { permission, description } => {
            permissions::create(errand, &permission, &description).await
        }
        Command::PermissionList {} => permissions::list(shared).await,
        Command::PermissionShow { permission } => {
            permission_upkeep::show(shared, &permission).await
        }
        Command::PermissionSet { permission, description } => {
            permission_upkeep::set(errand, &permission, &description).await
        }
        Command::PermissionDelete { permission } => {
            permission_upkeep::delete(errand, &permission).await
        }
        Command::PermissionGrant { permission, to } => {
            permissions::grant(errand, &permission, &to).await
        }
        Command::PermissionRevoke { permission, from } => {
            permissions::revoke(errand, &permission, &from).await
        }
        Command::Import(import) => return import::import(errand, import, by, now).await,
        Command::Export { after, passwords } => export::export(shared, after, passwords, by).await,
        Command::Register(new) => registrations::register(errand, new, now).await,
        Command::RegistrationConfirm { username } => {
            registrations::confirm(errand, &username).await
        }
        Command::RegistrationList {} => registrations::list(shared).await,
        Command::RegistrationApprove { username } => {
            registrations::approve(errand, &username).await
        }
        Command::RegistrationReject { username } => registrations::reject(errand, &username).await,
        Command::InvitationCreate(new) => invitations::create(errand, new, by, now).await,
        Command::InvitationList {} => invitations::list(shared, now).await,
        Command::InvitationRevoke { id } => invitations::revoke(errand, id).await,
        Command::MessageSend { to, text, level } => {
            messages::send(errand, &to, &text, &level, now).await
        }
        Command::MessageList { username } => messages::list(shared, &username).await,
    };
    reply.map(Outcome::from)
}

/// How many names are looked through for one that was mistyped.
const NAMES: i64 = 10_000;

/// The number of the user with this name, and the name as it is stored.
pub(super) async fn find_user(
    connection: &mut Connection,
    username: &str,
) -> Result<(UserId, String), CommandError> {
    if let Ok(name) = normalize_username(username) {
        let id: Option<i64> =
            sqlx::query_scalar("SELECT id FROM vestibule_user WHERE username = $1")
                .bind(&name)
                .fetch_optional(&mut *connection)
                .await?;
        if let Some(id) = id {
            return Ok((UserId(id), name));
        }
    }
    let names: Vec<String> =
        sqlx::query_scalar("SELECT username FROM vestibule_user ORDER BY username LIMIT $1")
            .bind(NAMES)
            .fetch_all(connection)
            .await?;
    Err(CommandError::missing("user", username, names, "`vestibule user list` shows all"))
}

/// The number of the group with this name.
async fn find_group(connection: &mut Connection, name: &str) -> Result<i64, CommandError> {
    let id: Option<i64> = sqlx::query_scalar("SELECT id FROM vestibule_group WHERE name = $1")
        .bind(name)
        .fetch_optional(&mut *connection)
        .await?;
    if let Some(id) = id {
        return Ok(id);
    }
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM vestibule_group ORDER BY name LIMIT $1")
            .bind(NAMES)
            .fetch_all(connection)
            .await?;
    let hint = "create it with `vestibule group create NAME`";
    Err(CommandError::missing("group", name, names, hint))
}

/// The number of the permission with this name.
async fn find_permission(connection: &mut Connection, name: &str) -> Result<i64, CommandError> {
    let permission = fields::permission(name)?;
    let id: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM vestibule_permission WHERE app_label = $1 AND codename = $2 ORDER BY id",
    )
    .bind(permission.app())
    .bind(permission.codename())
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(id) = id {
        return Ok(id);
    }
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT app_label || '.' || codename FROM vestibule_permission
         ORDER BY app_label, codename LIMIT $1",
    )
    .bind(NAMES)
    .fetch_all(connection)
    .await?;
    let hint = "create it with `vestibule permission create P DESCRIPTION`";
    Err(CommandError::missing("permission", name, names, hint))
}

/// The users who are members of the group with this number.
async fn members(connection: &mut Connection, group: i64) -> Result<Vec<UserId>, sqlx::Error> {
    let ids: Vec<i64> =
        sqlx::query_scalar("SELECT user_id FROM vestibule_user_groups WHERE group_id = $1")
            .bind(group)
            .fetch_all(connection)
            .await?;
    Ok(ids.into_iter().map(UserId).collect())
}

/// Makes of a violated uniqueness the conflict that it is.
fn conflict_or(error: sqlx::Error, message: impl FnOnce() -> String) -> CommandError {
    match error.as_database_error() {
        Some(cause) if cause.is_unique_violation() => CommandError::Conflict(message()),
        // Our own tables have no column that is not written.
        Some(cause) if cause.kind() == sqlx::error::ErrorKind::NotNullViolation => {
            CommandError::Conflict(format!(
                "the project's own table has a column that only the project can fill: {cause}\n\
                 hint: create the user there, or give the field a `db_default` in its model"
            ))
        }
        Some(_) | None => error.into(),
    }
}
