//! `user set-password`: another password, or none that could match.

use super::super::command::{Outcome, Reply, Secret, ShutOut};
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::load::{self, Who};
use super::super::password::{Attributes, unusable};
use super::find_user;
use crate::domain::UserId;

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
    store_hash(change.sql(), id, hash).await?;
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
