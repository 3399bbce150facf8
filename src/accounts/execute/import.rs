//! `import …`: users, groups and permissions, a part at a time, and all of a part or nothing.

mod plan;
mod update;

use std::collections::HashMap;

use self::plan::{Plan, Step, UserStep};
use self::update::Update;
use super::super::by::By;
use super::super::command::{Outcome, Reply, Secret, ShutOut};
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::load;
use super::super::password::{Attributes, unusable};
use super::super::shared::{Changing, Shared};
use super::super::transfer::{Existing, GroupEntry, Import, PermissionEntry, UserEntry};
use super::{find_group, find_permission, groups, members, passwords, permissions, users};
use crate::domain::user::UsernameRule;
use crate::domain::{Timestamp, UserId};

/// How many passwords of a part are hashed at once: logins must find a place between them.
const HASHED_AT_ONCE: usize = 4;

/// Imports a part, or says what would come of it.
pub(in super::super) async fn import(
    errand: &Errand<'_>,
    import: Import,
    by: &By,
    now: Timestamp,
) -> Result<Outcome, CommandError> {
    if let By::User(_) = by {
        // It gives any right to anybody, which no page may do at once.
        return Err(CommandError::Invalid("only an operator can import".to_owned()));
    }
    if import.dry_run {
        let mut reading = errand.database.read().await?;
        let plan = plan::make(&mut reading, &import, errand).await?;
        reading.commit().await?;
        return Ok(Reply::Imported(plan.imported).into());
    }
    let mut hashes = HashMap::new();
    if import.users.iter().any(|user| user.password.is_some()) {
        // Before the database is locked, and only for those who will have it.
        let mut reading = errand.database.read().await?;
        let plan = plan::make(&mut reading, &import, errand).await?;
        reading.commit().await?;
        if !plan.imported.problems.is_empty() {
            return Ok(Reply::Imported(plan.imported).into());
        }
        hashes = hash(errand, &import, &plan).await?;
    }
    let mut change = errand.begin_change().await?;
    let plan = plan::make(change.sql(), &import, errand).await?;
    if !plan.imported.problems.is_empty() {
        return Ok(Reply::Imported(plan.imported).into());
    }
    let Plan { permissions: new_permissions, groups: new_groups, users: steps, imported } = plan;
    for (entry, step) in import.permissions.iter().zip(&new_permissions) {
        write_permission(change.sql(), entry, *step).await?;
    }
    for (entry, step) in import.groups.iter().zip(&new_groups) {
        write_group(&mut change, entry, *step).await?;
    }
    let mut shut_out = Vec::new();
    for (index, (entry, step)) in import.users.iter().zip(steps).enumerate() {
        let hashed = hashes.remove(&index);
        match step {
            UserStep::Create(new) => {
                let hash = stored_hash(entry, hashed)?;
                let hash = hash.map_or_else(unusable, Ok)?;
                let checked = users::Checked { new: *new, hash };
                let id = users::insert(&mut change, &checked, now).await?;
                complete(change.sql(), id, entry, now).await?;
            }
            UserStep::Update(update) => {
                let hash = if update.has_password { stored_hash(entry, hashed)? } else { None };
                shut_out.extend(update.shuts_out());
                write_update(&mut change, *update, hash, errand.username_rule).await?;
            }
            UserStep::Leave => {}
        }
    }
    change.commit().await?;
    Ok(Outcome { reply: Reply::Imported(imported), shut_out })
}

/// The hashes of the passwords that the part has in plain text, by the number of their user.
async fn hash(
    shared: &Shared,
    import: &Import,
    plan: &Plan,
) -> Result<HashMap<usize, String>, CommandError> {
    let mut wanted =
        import.users.iter().zip(&plan.users).enumerate().filter_map(|(index, (user, step))| {
            match step {
                UserStep::Update(update) if !update.has_password => None,
                UserStep::Create(_) | UserStep::Update(_) => {
                    Some((index, user.password.clone()?, user.attributes()))
                }
                UserStep::Leave => None,
            }
        });
    let mut hashes = HashMap::new();
    loop {
        let some: Vec<(usize, Secret, Attributes)> = wanted.by_ref().take(HASHED_AT_ONCE).collect();
        if some.is_empty() {
            return Ok(hashes);
        }
        let work = some.into_iter().map(|(index, password, about)| async move {
            shared.hash_new(password, &about).await.map(|hash| (index, hash))
        });
        hashes.extend(futures_util::future::try_join_all(work).await?);
    }
}

/// What is stored of the password in the record; `None` when it has none.
fn stored_hash(entry: &UserEntry, hashed: Option<String>) -> Result<Option<String>, CommandError> {
    match (&entry.password_hash, &entry.password, hashed) {
        (Some(hash), _, _) => Ok(Some(hash.reveal().to_owned())),
        (None, Some(_), Some(hashed)) => Ok(Some(hashed)),
        // The user came or went between the hashing and the writing.
        (None, Some(_), None) => Err(CommandError::Conflict(format!(
            "somebody else changed `{}` at the same time\nhint: run the command again",
            entry.username
        ))),
        (None, None, _) => Ok(None),
    }
}

async fn write_permission(
    connection: &mut Connection,
    entry: &PermissionEntry,
    step: Step,
) -> Result<(), CommandError> {
    match step {
        Step::Leave => Ok(()),
        Step::Create => permissions::insert(connection, &entry.name, &entry.description).await,
        Step::Update => permissions::describe(connection, &entry.name, &entry.description).await,
    }
}

async fn write_group(
    change: &mut Changing<'_>,
    entry: &GroupEntry,
    step: Step,
) -> Result<(), CommandError> {
    let group = match step {
        Step::Leave => return Ok(()),
        Step::Create => groups::insert(change.sql(), &entry.name).await?,
        Step::Update => {
            let group = find_group(change.sql(), &entry.name).await?;
            for member in members(change.sql(), group).await? {
                change.concerns(member);
            }
            for name in groups::permissions_of(change.sql(), group).await? {
                if !entry.permissions.contains(&name) {
                    let permission = find_permission(change.sql(), &name).await?;
                    permissions::take_from_group(change.sql(), permission, group).await?;
                }
            }
            group
        }
    };
    for name in &entry.permissions {
        let permission = find_permission(change.sql(), name).await?;
        permissions::give_group(change.sql(), permission, group).await?;
    }
    Ok(())
}

/// Writes what a new user has beyond what everybody is created with.
async fn complete(
    connection: &mut Connection,
    id: UserId,
    entry: &UserEntry,
    now: Timestamp,
) -> Result<(), CommandError> {
    if entry.is_active == Some(false) || entry.last_login.is_some() || entry.date_joined.is_some() {
        sqlx::query(
            "UPDATE vestibule_user SET is_active = $1, last_login = vestibule_moment($2),
                    date_joined = vestibule_moment($3)
             WHERE id = $4",
        )
        .bind(entry.is_active.unwrap_or(true))
        .bind(entry.last_login.map(jiff::Timestamp::as_second))
        .bind(entry.date_joined.map_or(load::seconds(now), jiff::Timestamp::as_second))
        .bind(id.0)
        .execute(&mut *connection)
        .await?;
    }
    for (field, value) in &entry.profile {
        users::set_profile(connection, id.0, field.clone(), value.clone()).await?;
    }
    Ok(())
}

async fn write_update(
    change: &mut Changing<'_>,
    update: Update,
    hash: Option<String>,
    rule: UsernameRule,
) -> Result<(), CommandError> {
    let id = update.id;
    change.concerns(id);
    for field in update.changes {
        users::set_field(change.sql(), id, field, rule).await?;
    }
    if let Some(hash) = hash {
        passwords::store_hash(change.sql(), id, &hash).await?;
    }
    if let Some((last_login, date_joined)) = update.moments {
        sqlx::query(
            "UPDATE vestibule_user SET last_login = vestibule_moment($1),
                    date_joined = vestibule_moment($2) WHERE id = $3",
        )
        .bind(last_login)
        .bind(date_joined)
        .bind(id.0)
        .execute(change.sql())
        .await?;
    }
    for name in update.groups.added {
        let group = find_group(change.sql(), &name).await?;
        groups::join(change.sql(), group, id).await?;
    }
    for name in update.groups.removed {
        let group = find_group(change.sql(), &name).await?;
        groups::part(change.sql(), group, id).await?;
    }
    for name in update.permissions.added {
        let permission = find_permission(change.sql(), &name).await?;
        permissions::give_user(change.sql(), permission, id).await?;
    }
    for name in update.permissions.removed {
        let permission = find_permission(change.sql(), &name).await?;
        permissions::take_from_user(change.sql(), permission, id).await?;
    }
    Ok(())
}

impl Update {
    /// The sessions that end with this change, if it leaves any worthless.
    fn shuts_out(&self) -> Option<ShutOut> {
        let because = match (self.is_deactivated, self.has_password) {
            (true, _) => "the user was deactivated by an import",
            (false, true) => "the password was changed by an import",
            (false, false) => return None,
        };
        Some(ShutOut { user: self.id, username: self.username.clone(), because })
    }
}

impl Existing {
    /// Whether what is there already may become another.
    fn may_change(self) -> bool {
        match self {
            Self::Update => true,
            Self::Refuse | Self::Skip => false,
        }
    }
}
