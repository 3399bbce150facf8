//! `invitation …`, and the using up of one.

use super::super::by::By;
use super::super::command::Reply;
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::fields;
use super::super::load;
use super::super::registration::{
    InvitationDigest, InvitationRecord, Invited, NewInvitation, random_token,
};
use super::super::shared::Shared;
use super::{find_group, users};
use crate::domain::{Timestamp, UserId};

/// The longest that an invitation can be good, in seconds: a year.
const LONGEST: u64 = 366 * 24 * 60 * 60;

/// An invitation that is good now.
pub(in super::super) struct Found {
    pub(in super::super) email: String,
    pub(super) groups: Vec<String>,
}

/// Makes an invitation.
pub(in super::super) async fn create(
    errand: &Errand<'_>,
    new: NewInvitation,
    by: &By,
    now: Timestamp,
) -> Result<Reply, CommandError> {
    let email = fields::email(&new.email)?;
    if new.expires_in == 0 || new.expires_in > LONGEST {
        let message = "an invitation is good for a second to a year\nhint: `--expires 7d`";
        return Err(CommandError::Invalid(message.to_owned()));
    }
    let token = random_token()?;
    let created = load::seconds(now);
    let expires = created.saturating_add(i64::try_from(new.expires_in).unwrap_or(i64::MAX));
    let by: String = by.to_string().chars().take(150).collect();
    let mut change = errand.begin_change().await?;
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO vestibule_invitation (digest, email, created, created_by, expires)
         VALUES ($1, $2, $3, $4, $5) RETURNING id",
    )
    .bind(InvitationDigest::of(&token).as_str())
    .bind(&email)
    .bind(created)
    .bind(by)
    .bind(expires)
    .fetch_one(change.sql())
    .await?;
    for name in &new.groups {
        let group = find_group(change.sql(), name).await?;
        sqlx::query(
            "INSERT INTO vestibule_invitation_groups (invitation_id, group_id) VALUES ($1, $2)
             ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(group)
        .execute(change.sql())
        .await?;
    }
    change.commit().await?;
    Ok(Reply::Invited(Invited { id, token, email, expires: users::date_time(expires) }))
}

/// Lists all that were not revoked, the newest first.
pub(in super::super) async fn list(shared: &Shared, now: Timestamp) -> Result<Reply, CommandError> {
    /// Number, address, maker, when it was made and is over, when and by whom it was used.
    type Row = (i64, String, String, i64, i64, Option<i64>, Option<i64>, Option<String>);

    let mut reading = shared.database.read().await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT vestibule_invitation.id, vestibule_invitation.email, created_by, created, expires,
                used, used_by, username
         FROM vestibule_invitation LEFT JOIN vestibule_user ON vestibule_user.id = used_by
         ORDER BY vestibule_invitation.id DESC",
    )
    .fetch_all(&mut *reading)
    .await?;
    let mut records = Vec::with_capacity(rows.len());
    for (id, email, created_by, created, expires, used, used_by, username) in rows {
        let gone = || used_by.map(|id| id.to_string()).unwrap_or_default();
        records.push(InvitationRecord {
            id,
            email,
            groups: groups_of(&mut reading, id).await?,
            created_by,
            created: users::date_time(created),
            expires: users::date_time(expires),
            is_expired: used.is_none() && expires <= load::seconds(now),
            used_by: used.map(|_| username.unwrap_or_else(gone)),
        });
    }
    reading.commit().await?;
    Ok(Reply::Invitations(records))
}

/// Takes back an invitation that nobody has used.
pub(in super::super) async fn revoke(errand: &Errand<'_>, id: i64) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let taken_back = sqlx::query("DELETE FROM vestibule_invitation WHERE id = $1 AND used IS NULL")
        .bind(id)
        .execute(change.sql())
        .await?
        .rows_affected();
    if taken_back == 0 {
        return Err(CommandError::NotFound(format!(
            "there is no unused invitation {id}\nhint: `vestibule invitation list` shows all"
        )));
    }
    sqlx::query("DELETE FROM vestibule_invitation_groups WHERE invitation_id = $1")
        .bind(id)
        .execute(change.sql())
        .await?;
    change.commit().await?;
    Ok(Reply::Done(format!("revoked the invitation {id}")))
}

/// The invitation with this digest, if it is good now.
pub(in super::super) async fn find(
    connection: &mut Connection,
    digest: &InvitationDigest,
    now: Timestamp,
) -> Result<Option<Found>, sqlx::Error> {
    let row: Option<(i64, String)> = sqlx::query_as(
        "SELECT id, email FROM vestibule_invitation
         WHERE digest = $1 AND used IS NULL AND expires > $2",
    )
    .bind(digest.as_str())
    .bind(load::seconds(now))
    .fetch_optional(&mut *connection)
    .await?;
    let Some((id, email)) = row else { return Ok(None) };
    Ok(Some(Found { email, groups: groups_of(connection, id).await? }))
}

/// Uses an invitation up for this user; false when somebody else was quicker.
pub(super) async fn use_up(
    connection: &mut Connection,
    digest: &InvitationDigest,
    UserId(user): UserId,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let used = sqlx::query(
        "UPDATE vestibule_invitation SET used = $1, used_by = $2
         WHERE digest = $3 AND used IS NULL AND expires > $4",
    )
    .bind(load::seconds(now))
    .bind(user)
    .bind(digest.as_str())
    .bind(load::seconds(now))
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}

/// The names of the groups that an invitation carries, of those that are still there.
async fn groups_of(connection: &mut Connection, id: i64) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT name FROM vestibule_group
         JOIN vestibule_invitation_groups ON vestibule_invitation_groups.group_id = vestibule_group.id
         WHERE invitation_id = $1 ORDER BY name",
    )
    .bind(id)
    .fetch_all(connection)
    .await
}
