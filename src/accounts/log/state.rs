//! What a command is about, as it is before and after: for the log, for what staff may do, and to
//! notice that somebody else was quicker.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::command::{Command, Holder};
use super::super::database::Connection;
use super::super::load::{self, Who};
use crate::domain::user::normalize_username;
use crate::domain::{Permission, User, UserId};

/// What a command is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Subject {
    /// A user, by name.
    User(String),
    /// A user, by number.
    UserNumber(i64),
    /// A group, and which of its members are of interest.
    Group { name: String, members: Vec<String> },
    /// A permission.
    Permission(String),
    /// A part of an import, with how much is in it: each of the things has too many states.
    Import { users: usize, groups: usize, permissions: usize },
    /// Nothing that would change.
    Nothing,
}

/// Something as it is at one moment.
#[derive(Debug, Clone)]
pub(in super::super) struct State {
    pub(in super::super) id: i64,
    pub(in super::super) kind: &'static str,
    pub(in super::super) name: String,
    /// What is shown and written down of it.
    pub(in super::super) fields: BTreeMap<String, Value>,
    /// The user that it is, if it is one.
    pub(in super::super) user: Option<User>,
    /// The permissions that it gives, if it is a group.
    pub(in super::super) gives: BTreeSet<Permission>,
}

/// Fields with their values before and after.
pub(in super::super) type Changes = BTreeMap<String, [Value; 2]>;

/// What stands in the log in place of a password.
const HIDDEN: &str = "********";

impl Subject {
    /// What `command` is about.
    pub(in super::super) fn of(command: &Command) -> Self {
        let group = |name: &str| Self::Group { name: name.to_owned(), members: Vec::new() };
        match command {
            Command::UserCreate(new) => Self::User(new.username.clone()),
            Command::Register(new) => Self::User(new.username.clone()),
            Command::UserSet { username, .. }
            | Command::UserSetPassword { username, .. }
            | Command::UserSetUnusablePassword { username }
            | Command::UserDelete { username }
            | Command::RegistrationConfirm { username }
            | Command::RegistrationApprove { username }
            | Command::RegistrationReject { username } => Self::User(username.clone()),
            Command::UserEdit(edit) => Self::UserNumber(edit.id),
            Command::GroupCreate { name, .. }
            | Command::GroupRename { name, .. }
            | Command::GroupDelete { name } => group(name),
            Command::GroupEdit(edit) => group(&edit.name),
            Command::GroupAdd { name, users } | Command::GroupRemove { name, users } => {
                Self::Group { name: name.clone(), members: users.clone() }
            }
            Command::PermissionCreate { permission, .. }
            | Command::PermissionSet { permission, .. }
            | Command::PermissionDelete { permission } => Self::Permission(permission.clone()),
            Command::Import(import) if import.dry_run => Self::Nothing,
            Command::Import(import) => Self::Import {
                users: import.users.len(),
                groups: import.groups.len(),
                permissions: import.permissions.len(),
            },
            Command::PermissionGrant { to: holder, .. }
            | Command::PermissionRevoke { from: holder, .. } => match holder {
                Holder::User(name) => Self::User(name.clone()),
                Holder::Group(name) => group(name),
            },
            Command::UserList {}
            | Command::UserSearch(_)
            | Command::RegistrationList {}
            | Command::InvitationCreate(_)
            | Command::InvitationList {}
            | Command::InvitationRevoke { .. }
            | Command::MessageSend { .. }
            | Command::MessageList { .. }
            | Command::UserShow { .. }
            | Command::GroupList {}
            | Command::GroupShow { .. }
            | Command::PermissionList {}
            | Command::PermissionShow { .. }
            | Command::Export { .. } => Self::Nothing,
        }
    }
}

impl State {
    /// A word that changes whenever a field does: whoever saves what was shown says which state
    /// that was.
    pub(in super::super) fn version(&self) -> String {
        let written = serde_json::to_vec(&self.fields).unwrap_or_default();
        Sha256::digest(written)[..12].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How `subject` is now; `id` finds again what may have got another name.
pub(in super::super) async fn find(
    connection: &mut Connection,
    subject: &Subject,
    id: Option<i64>,
) -> Result<Option<State>, sqlx::Error> {
    match (subject, id) {
        (Subject::Nothing | Subject::Import { .. }, _) => Ok(None),
        (Subject::User(_) | Subject::UserNumber(_), Some(id)) => user(connection, id).await,
        (Subject::UserNumber(id), None) => user(connection, *id).await,
        (Subject::User(name), None) => {
            let name = normalize_username(name).unwrap_or_default();
            match load::row(connection, Who::Username(&name)).await? {
                Some(row) => user(connection, row.id).await,
                None => Ok(None),
            }
        }
        (Subject::Group { name, members }, id) => group(connection, name, id, members).await,
        (Subject::Permission(name), _) => permission(connection, name).await,
    }
}

async fn user(connection: &mut Connection, id: i64) -> Result<Option<State>, sqlx::Error> {
    let Some(user) = load::user(connection, Who::Id(UserId(id))).await? else { return Ok(None) };
    let own: Vec<String> = sqlx::query_scalar(
        "SELECT app_label || '.' || codename AS name FROM vestibule_permission
         WHERE id IN (SELECT permission_id FROM vestibule_user_permissions WHERE user_id = $1)
         ORDER BY name",
    )
    .bind(id)
    .fetch_all(connection)
    .await?;
    let text = |text: &str| Value::from(text);
    let mut fields = BTreeMap::from([
        ("username".to_owned(), text(&user.username)),
        ("first_name".to_owned(), text(&user.first_name)),
        ("last_name".to_owned(), text(&user.last_name)),
        ("email".to_owned(), text(&user.email)),
        ("is_active".to_owned(), Value::from(user.is_active)),
        ("is_staff".to_owned(), Value::from(user.is_staff)),
        ("is_superuser".to_owned(), Value::from(user.is_superuser)),
        ("groups".to_owned(), Value::from(user.groups.clone())),
        ("permissions".to_owned(), Value::from(own)),
    ]);
    for (field, value) in &user.profile {
        fields.insert(format!("profile.{field}"), text(value));
    }
    let (kind, name, gives) = ("user", user.username.clone(), BTreeSet::new());
    Ok(Some(State { id, kind, name, fields, user: Some(user), gives }))
}

async fn group(
    connection: &mut Connection,
    name: &str,
    id: Option<i64>,
    members: &[String],
) -> Result<Option<State>, sqlx::Error> {
    let found: Option<(i64, String)> = match id {
        Some(id) => {
            sqlx::query_as("SELECT id, name FROM vestibule_group WHERE id = $1")
                .bind(id)
                .fetch_optional(&mut *connection)
                .await?
        }
        None => {
            sqlx::query_as("SELECT id, name FROM vestibule_group WHERE name = $1")
                .bind(name)
                .fetch_optional(&mut *connection)
                .await?
        }
    };
    let Some((id, name)) = found else { return Ok(None) };
    let given: Vec<(String, String)> = sqlx::query_as(
        "SELECT app_label, codename FROM vestibule_permission
         WHERE id IN (SELECT permission_id FROM vestibule_group_permissions WHERE group_id = $1)
         ORDER BY app_label, codename",
    )
    .bind(id)
    .fetch_all(&mut *connection)
    .await?;
    let mut inside = Vec::new();
    for member in members {
        let member = normalize_username(member).unwrap_or_default();
        let found: Option<String> = sqlx::query_scalar(
            "SELECT username FROM vestibule_user JOIN vestibule_user_groups
             ON user_id = vestibule_user.id WHERE group_id = $1 AND username = $2",
        )
        .bind(id)
        .bind(member)
        .fetch_optional(&mut *connection)
        .await?;
        inside.extend(found);
    }
    let names: Vec<String> = given.iter().map(|(app, code)| format!("{app}.{code}")).collect();
    let mut fields = BTreeMap::from([
        ("name".to_owned(), Value::from(&*name)),
        ("permissions".to_owned(), Value::from(names)),
    ]);
    if !members.is_empty() {
        fields.insert("members".to_owned(), Value::from(inside));
    }
    let gives = given.iter().filter_map(load::permission).collect();
    Ok(Some(State { id, kind: "group", name, fields, user: None, gives }))
}

async fn permission(connection: &mut Connection, name: &str) -> Result<Option<State>, sqlx::Error> {
    let (app, codename) = name.split_once('.').unwrap_or_default();
    let found: Option<(i64, String)> = sqlx::query_as(
        "SELECT id, name FROM vestibule_permission WHERE app_label = $1 AND codename = $2",
    )
    .bind(app)
    .bind(codename)
    .fetch_optional(connection)
    .await?;
    Ok(found.map(|(id, description)| State {
        id,
        kind: "permission",
        name: name.to_owned(),
        fields: BTreeMap::from([("description".to_owned(), Value::from(description))]),
        user: None,
        gives: BTreeSet::new(),
    }))
}

/// What differs between the two, if anything does: what happened, and the fields.
pub(in super::super) fn differences(
    before: Option<&State>,
    after: Option<&State>,
) -> Option<(&'static str, Changes)> {
    let action = match (before, after) {
        (None, None) => return None,
        (None, Some(_)) => "add",
        (Some(_), Some(_)) => "change",
        (Some(_), None) => "delete",
    };
    let names: BTreeSet<&String> =
        [before, after].into_iter().flatten().flat_map(|state| state.fields.keys()).collect();
    let value = |state: Option<&State>, name: &str| {
        state.and_then(|state| state.fields.get(name)).cloned().unwrap_or_default()
    };
    let mut changes: Changes = names
        .into_iter()
        .map(|name| (name.clone(), [value(before, name), value(after, name)]))
        .filter(|(_, [old, new])| old != new && !(is_nothing(old) && is_nothing(new)))
        .collect();
    let user = |state: Option<&State>| state.and_then(|state| state.user.clone());
    if let (Some(old), Some(new)) = (user(before), user(after))
        && old.password != new.password
    {
        changes.insert("password".to_owned(), [Value::from(HIDDEN), Value::from(HIDDEN)]);
    }
    (action != "change" || !changes.is_empty()).then_some((action, changes))
}

/// Whether a field is as good as not there.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => false,
    }
}
