//! `user …`: create, list, show, change, delete.

use std::collections::{BTreeMap, HashMap};

use super::super::by::By;
use super::super::command::{
    Change, Command, NewUser, Outcome, Reply, Secret, ShutOut, UserDetails, UserRecord,
};
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::fields;
use super::super::load::{self, UserRow, Who};
use super::super::password::{Attributes, unusable};
use super::super::profiles;
use super::super::shared::{Changing, Shared};
use super::{conflict_or, find_group, find_permission, find_user};
use crate::domain::user::UsernameRule;
use crate::domain::{Timestamp, UserId};

/// Creates a user.
pub(in super::super) async fn create(
    errand: &Errand<'_>,
    new: NewUser,
    now: Timestamp,
) -> Result<Reply, CommandError> {
    let checked = check(errand, new).await?;
    let mut change = errand.begin_change().await?;
    insert(&mut change, &checked, now).await?;
    change.commit().await?;
    let kind = if checked.new.is_superuser { "superuser" } else { "user" };
    Ok(Reply::Done(format!("created the {kind} `{}`", checked.new.username)))
}

/// Who orders the first superuser, for the log.
const SETUP: &str = "the setup page";

/// Creates a superuser, who may enter the administration too, if there is no user yet.
pub(in super::super) async fn create_first_superuser(
    shared: &Shared,
    new: NewUser,
    now: Timestamp,
) -> Result<UserId, CommandError> {
    let new = NewUser { is_superuser: true, is_staff: true, ..new };
    let checked = check(shared, new).await?;
    let (command, by) = (Command::UserCreate(checked.new.clone()), By::Operator(SETUP.to_owned()));
    let errand = Errand::new(shared, &command, &by, now);
    // Nobody else writes from here on, so what is asked first still holds when it is written.
    let mut change = errand.begin_change().await?;
    if has_users(change.sql()).await? {
        return Err(CommandError::Conflict("there are users already".to_owned()));
    }
    let id = insert(&mut change, &checked, now).await?;
    change.commit().await?;
    Ok(id)
}

/// Whether there is any user.
pub(in super::super) async fn has_users(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    let any: Option<i64> = sqlx::query_scalar("SELECT id FROM vestibule_user LIMIT 1")
        .fetch_optional(connection)
        .await?;
    Ok(any.is_some())
}

/// A new user whose fields are as they will be stored, and the password's hash.
pub(super) struct Checked {
    pub(super) new: NewUser,
    pub(super) hash: String,
}

pub(super) async fn check(shared: &Shared, mut new: NewUser) -> Result<Checked, CommandError> {
    new.username = fields::username(&new.username, shared.username_rule)?;
    new.email = fields::email(&new.email)?;
    fields::check_name("first name", &new.first_name)?;
    fields::check_name("last name", &new.last_name)?;
    new.profile = profiles::cleaned(shared.profile.load().as_deref(), new.profile)?;
    let about = Attributes {
        username: new.username.clone(),
        first_name: new.first_name.clone(),
        last_name: new.last_name.clone(),
        email: new.email.clone(),
    };
    let hash = match new.unusable_password {
        true => unusable()?,
        false => shared.hash_new(std::mem::take(&mut new.password), &about).await?,
    };
    Ok(Checked { new, hash })
}

/// Adds a user with groups and permissions.
pub(super) async fn insert(
    change: &mut Changing<'_>,
    Checked { new, hash }: &Checked,
    now: Timestamp,
) -> Result<UserId, CommandError> {
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO vestibule_user (username, first_name, last_name, email, password,
                                     is_staff, is_active, is_superuser, date_joined)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, vestibule_moment($9)) RETURNING id",
    )
    .bind(&new.username)
    .bind(&new.first_name)
    .bind(&new.last_name)
    .bind(&new.email)
    .bind(hash)
    .bind(new.is_staff)
    .bind(true)
    .bind(new.is_superuser)
    .bind(load::seconds(now))
    .fetch_one(change.sql())
    .await
    .map_err(|error| conflict_or(error, || taken(&new.username)))?;
    change.concerns(UserId(id));
    for name in &new.groups {
        let group = find_group(change.sql(), name).await?;
        super::groups::join(change.sql(), group, UserId(id)).await?;
    }
    for name in &new.permissions {
        let permission = find_permission(change.sql(), name).await?;
        super::permissions::give_user(change.sql(), permission, UserId(id)).await?;
    }
    for (field, value) in &new.profile {
        set_profile(change.sql(), id, field.clone(), value.clone()).await?;
    }
    Ok(UserId(id))
}

fn taken(username: &str) -> String {
    format!("there is a user `{username}` already")
}

/// Lists all users by name.
pub(in super::super) async fn list(shared: &Shared) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let rows: Vec<UserRow> = sqlx::query_as(
        "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                is_superuser, last_login, date_joined
         FROM vestibule_user ORDER BY username",
    )
    .fetch_all(&mut *reading)
    .await?;
    let memberships: Vec<(i64, String)> = sqlx::query_as(
        "SELECT user_id, name FROM vestibule_user_groups
         JOIN vestibule_group ON vestibule_group.id = group_id ORDER BY name",
    )
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    let mut groups: HashMap<i64, Vec<String>> = HashMap::new();
    for (user, group) in memberships {
        groups.entry(user).or_default().push(group);
    }
    let record = |row: UserRow| {
        let groups = groups.remove(&row.id).unwrap_or_default();
        record(row, groups)
    };
    Ok(Reply::Users(rows.into_iter().map(record).collect()))
}

/// Shows one user.
pub(in super::super) async fn show(shared: &Shared, username: &str) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let (id, name) = find_user(&mut reading, username).await?;
    let details = details(&mut reading, id, &name).await?;
    reading.commit().await?;
    Ok(Reply::User(details))
}

/// Everything about a user but the password.
pub(in super::super) async fn details(
    connection: &mut Connection,
    id: UserId,
    name: &str,
) -> Result<UserDetails, CommandError> {
    let row = load::row(connection, Who::Id(id)).await?;
    let row = row.ok_or_else(|| CommandError::NotFound(format!("`{name}` is gone")))?;
    let groups = load::groups_of(connection, id.0).await?;
    let permissions: Vec<String> = sqlx::query_scalar(
        "SELECT app_label || '.' || codename AS name FROM vestibule_permission
         WHERE id IN (SELECT permission_id FROM vestibule_user_permissions WHERE user_id = $1)
         ORDER BY name",
    )
    .bind(id.0)
    .fetch_all(&mut *connection)
    .await?;
    let given: Vec<(String, String)> = sqlx::query_as(
        "SELECT app_label || '.' || codename, vestibule_group.name
         FROM vestibule_user_groups
         JOIN vestibule_group ON vestibule_group.id = vestibule_user_groups.group_id
         JOIN vestibule_group_permissions
              ON vestibule_group_permissions.group_id = vestibule_user_groups.group_id
         JOIN vestibule_permission ON vestibule_permission.id = permission_id
         WHERE user_id = $1 ORDER BY vestibule_group.name",
    )
    .bind(id.0)
    .fetch_all(&mut *connection)
    .await?;
    let profile = load::profile_of(connection, id.0).await?;
    let mut group_permissions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (permission, group) in given {
        group_permissions.entry(permission).or_default().push(group);
    }
    Ok(UserDetails {
        user: record(row, groups),
        permissions,
        group_permissions,
        profile: profile.into_iter().collect(),
    })
}

pub(super) fn record(row: UserRow, groups: Vec<String>) -> UserRecord {
    UserRecord {
        id: row.id,
        username: row.username,
        first_name: row.first_name,
        last_name: row.last_name,
        email: row.email,
        is_staff: row.is_staff,
        is_active: row.is_active,
        is_superuser: row.is_superuser,
        last_login: row.last_login.map(date_time),
        date_joined: date_time(row.date_joined),
        groups,
    }
}

/// RFC 3339 in UTC; the bare number for a moment that has no date.
pub(super) fn date_time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| seconds.to_string(), |moment| moment.to_string())
}

/// Changes fields of a user, all or none.
pub(in super::super) async fn set(
    errand: &Errand<'_>,
    username: &str,
    changes: Vec<Change>,
) -> Result<Outcome, CommandError> {
    let changes = profiles::checked(errand.profile.load().as_deref(), changes)?;
    let mut change = errand.begin_change().await?;
    let (id, name) = find_user(change.sql(), username).await?;
    change.concerns(id);
    let mut is_deactivated = false;
    for field in changes {
        if let Change::IsActive(is_active) = field {
            is_deactivated = !is_active;
            // Whoever decides that need not wait for anybody.
            super::registrations::forget(change.sql(), id).await?;
        }
        set_field(change.sql(), id, field, errand.username_rule).await?;
    }
    change.commit().await?;
    let reply = Reply::Done(format!("changed the user `{name}`"));
    let shut_out = ShutOut { user: id, username: name, because: "the user was deactivated" };
    Ok(Outcome { reply, shut_out: is_deactivated.then_some(shut_out).into_iter().collect() })
}

/// Changes one field of a user.
pub(super) async fn set_field(
    connection: &mut Connection,
    UserId(id): UserId,
    change: Change,
    rule: UsernameRule,
) -> Result<(), CommandError> {
    const USERNAME: &str = "UPDATE vestibule_user SET username = $1 WHERE id = $2";
    const FIRST_NAME: &str = "UPDATE vestibule_user SET first_name = $1 WHERE id = $2";
    const LAST_NAME: &str = "UPDATE vestibule_user SET last_name = $1 WHERE id = $2";
    const EMAIL: &str = "UPDATE vestibule_user SET email = $1 WHERE id = $2";
    const IS_ACTIVE: &str = "UPDATE vestibule_user SET is_active = $1 WHERE id = $2";
    const IS_STAFF: &str = "UPDATE vestibule_user SET is_staff = $1 WHERE id = $2";
    const IS_SUPERUSER: &str = "UPDATE vestibule_user SET is_superuser = $1 WHERE id = $2";

    let update = match change {
        Change::Username(name) => {
            let name = fields::username(&name, rule)?;
            let update = sqlx::query(USERNAME).bind(name.clone()).bind(id);
            let outcome = update.execute(connection).await;
            outcome.map_err(|error| conflict_or(error, || taken(&name)))?;
            return Ok(());
        }
        Change::Profile { field, value } => return set_profile(connection, id, field, value).await,
        Change::FirstName(name) => {
            fields::check_name("first name", &name)?;
            sqlx::query(FIRST_NAME).bind(name)
        }
        Change::LastName(name) => {
            fields::check_name("last name", &name)?;
            sqlx::query(LAST_NAME).bind(name)
        }
        Change::Email(address) => sqlx::query(EMAIL).bind(fields::email(&address)?),
        Change::IsActive(flag) => sqlx::query(IS_ACTIVE).bind(flag),
        Change::IsStaff(flag) => sqlx::query(IS_STAFF).bind(flag),
        Change::IsSuperuser(flag) => sqlx::query(IS_SUPERUSER).bind(flag),
    };
    update.bind(id).execute(connection).await?;
    Ok(())
}

/// Changes or removes one field of a user's profile.
pub(super) async fn set_profile(
    connection: &mut Connection,
    user: i64,
    field: String,
    value: String,
) -> Result<(), CommandError> {
    if let Some(table) = connection.django().and_then(|django| django.table_of_field(&field)) {
        return Err(CommandError::Invalid(format!(
            "`{field}` is a column of the project's own table `{table}`\n\
             hint: change it in the application"
        )));
    }
    let query = if value.is_empty() {
        sqlx::query("DELETE FROM vestibule_profile WHERE user_id = $1 AND field = $2")
            .bind(user)
            .bind(field)
    } else {
        sqlx::query(
            "INSERT INTO vestibule_profile (user_id, field, value) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, field) DO UPDATE SET value = excluded.value",
        )
        .bind(user)
        .bind(field)
        .bind(value)
    };
    query.execute(connection).await?;
    Ok(())
}

/// Gives a user another password.
pub(in super::super) async fn set_password(
    errand: &Errand<'_>,
    username: &str,
    password: Secret,
) -> Result<Outcome, CommandError> {
    let mut reading = errand.database.read().await?;
    // Without a user there is nothing to hash for.
    let (id, name) = find_user(&mut reading, username).await?;
    let row = load::row(&mut reading, Who::Id(id)).await?;
    let row = row.ok_or_else(|| CommandError::NotFound(format!("`{name}` is gone")))?;
    reading.commit().await?;
    let hash = errand.hash_new(password, &Attributes::from(&row.into_user())).await?;
    let (id, name) = store_password(errand, username, &hash).await?;
    let reply = Reply::Done(format!("changed the password of `{name}`"));
    let shut_out = ShutOut { user: id, username: name, because: "the password was changed" };
    Ok(Outcome { reply, shut_out: vec![shut_out] })
}

/// Leaves a user without a password that could match.
pub(in super::super) async fn set_unusable_password(
    errand: &Errand<'_>,
    username: &str,
) -> Result<Outcome, CommandError> {
    let (id, name) = store_password(errand, username, &unusable()?).await?;
    let reply = Reply::Done(format!("`{name}` has no usable password any more"));
    let shut_out = ShutOut { user: id, username: name, because: "the password was made unusable" };
    Ok(Outcome { reply, shut_out: vec![shut_out] })
}

async fn store_password(
    errand: &Errand<'_>,
    username: &str,
    hash: &str,
) -> Result<(UserId, String), CommandError> {
    let mut change = errand.begin_change().await?;
    let (id, name) = find_user(change.sql(), username).await?;
    change.concerns(id);
    sqlx::query("UPDATE vestibule_user SET password = $1 WHERE id = $2")
        .bind(hash)
        .bind(id.0)
        .execute(change.sql())
        .await?;
    change.commit().await?;
    Ok((id, name))
}

/// Stores the hash of another password.
pub(super) async fn store_hash(
    connection: &mut Connection,
    UserId(id): UserId,
    hash: &str,
) -> Result<(), sqlx::Error> {
    let update = "UPDATE vestibule_user SET password = $1 WHERE id = $2";
    sqlx::query(update).bind(hash).bind(id).execute(connection).await?;
    Ok(())
}
