//! `registration …`, and what the registration page orders.

use std::time::Duration;

use super::super::command::{NewUser, Reply};
use super::super::database::Connection;
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::load;
use super::super::registration::{
    Decided, NewRegistration, Registered, RegistrationRecord, Waiting,
};
use super::super::shared::{Changing, Shared};
use super::{find_user, invitations, user_removal, users};
use crate::domain::{Timestamp, UserId};

/// How long an account waits for its owner to follow the link, as the link is good: Django's
/// `PASSWORD_RESET_TIMEOUT`. Afterwards the name is free again.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Creates the account that a visitor asks for.
pub(in super::super) async fn register(
    errand: &Errand<'_>,
    new: NewRegistration,
    now: Timestamp,
) -> Result<Reply, CommandError> {
    let NewRegistration { username, email, password, groups, address, waits_for, invitation } = new;
    let user = NewUser { username, email, password, groups, ..NewUser::default() };
    let mut checked = users::check(errand, user).await?;
    // Nobody else writes from here on, so what is asked first still holds when it is written.
    let mut change = errand.begin_change().await?;
    forget_unconfirmed(&mut change, now).await?;
    if is_taken(change.sql(), &checked.new.username).await? {
        return Ok(Reply::Registered(Registered::NameTaken));
    }
    if let Some(digest) = &invitation {
        let Some(invited) = invitations::find(change.sql(), digest, now).await? else {
            return Ok(Reply::Registered(Registered::NotInvited));
        };
        checked.new.groups.extend(invited.groups);
        checked.new.groups.sort();
        checked.new.groups.dedup();
    }
    // Nobody has proved that it is theirs: it must not become a second account's address, by which
    // applications could take the one for the other.
    let is_unproven = !waits_for.confirmation && !checked.new.email.is_empty();
    if is_unproven && owner_of(change.sql(), &checked.new.email).await?.is_some() {
        checked.new.email.clear();
    }
    let id = users::insert(&mut change, &checked, now).await?;
    if let Some(digest) = &invitation
        && !invitations::use_up(change.sql(), digest, id, now).await?
    {
        return Ok(Reply::Registered(Registered::NotInvited));
    }
    if !waits_for.is_over() {
        set_active(change.sql(), id, false).await?;
        sqlx::query(
            "INSERT INTO vestibule_registration
                 (user_id, waits_for_confirmation, waits_for_approval, registered, address)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id.0)
        .bind(waits_for.confirmation)
        .bind(waits_for.approval)
        .bind(load::seconds(now))
        .bind(&address)
        .execute(change.sql())
        .await?;
    }
    change.commit().await?;
    Ok(Reply::Registered(Registered::Created))
}

/// Whether somebody has the name, in whatever case it is written: as Django's `UserCreationForm`.
pub(in super::super) async fn is_taken(
    connection: &mut Connection,
    username: &str,
) -> Result<bool, sqlx::Error> {
    if username.is_ascii() {
        let taken: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM vestibule_user WHERE LOWER(username) = LOWER($1) LIMIT 1",
        )
        .bind(username)
        .fetch_optional(connection)
        .await?;
        return Ok(taken.is_some());
    }
    // What `LOWER` does with other letters differs from one database to the next.
    let length = i64::try_from(username.chars().count()).unwrap_or(i64::MAX);
    let alike: Vec<String> =
        sqlx::query_scalar("SELECT username FROM vestibule_user WHERE LENGTH(username) = $1")
            .bind(length)
            .fetch_all(connection)
            .await?;
    let wanted = username.to_lowercase();
    Ok(alike.iter().any(|name| name.to_lowercase() == wanted))
}

/// The user name of an account with this address that is in use: the case of its letters does not
/// matter.
pub(in super::super) async fn owner_of(
    connection: &mut Connection,
    email: &str,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT username FROM vestibule_user
         WHERE LOWER(email) = LOWER($1) AND is_active = TRUE ORDER BY id LIMIT 1",
    )
    .bind(email)
    .fetch_optional(connection)
    .await
}

/// Lists those that wait, the oldest first.
pub(in super::super) async fn list(shared: &Shared) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let rows: Vec<(i64, String, String, bool, bool, i64, String)> = sqlx::query_as(
        "SELECT user_id, username, email, waits_for_confirmation, waits_for_approval, registered, address
         FROM vestibule_registration
         JOIN vestibule_user ON vestibule_user.id = vestibule_registration.user_id
         WHERE is_active = FALSE ORDER BY registered, username",
    )
    .fetch_all(&mut *reading)
    .await?;
    reading.commit().await?;
    let record = |(id, username, email, confirmation, approval, registered, address)| {
        let waits_for = Waiting { confirmation, approval };
        let registered = users::date_time(registered);
        RegistrationRecord { id, username, email, waits_for, registered, address }
    };
    Ok(Reply::Registrations(rows.into_iter().map(record).collect()))
}

/// Lets a user in who waits for that.
pub(in super::super) async fn approve(
    errand: &Errand<'_>,
    username: &str,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let (id, name) = find_user(change.sql(), username).await?;
    let Some(waiting) = waiting(change.sql(), id).await?.filter(|waiting| waiting.approval) else {
        return Err(nothing_waits(&name));
    };
    change.concerns(id);
    let left = Waiting { approval: false, ..waiting };
    settle(&mut change, id, left).await?;
    let email = email_of(change.sql(), id).await?;
    change.commit().await?;
    if !left.is_over() {
        return Ok(Reply::Done(format!("`{name}` can log in after confirming the e-mail address")));
    }
    let done = format!("`{name}` can log in now");
    Ok(Reply::Decided(Decided { username: name, email, is_approved: true, done }))
}

/// Turns a user down who waits to be let in: the account is deleted.
pub(in super::super) async fn reject(
    errand: &Errand<'_>,
    username: &str,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let (id, name) = find_user(change.sql(), username).await?;
    let Some(waiting) = waiting(change.sql(), id).await? else {
        return Err(nothing_waits(&name));
    };
    change.concerns(id);
    let email = email_of(change.sql(), id).await?;
    user_removal::remove(change.sql(), id).await?;
    change.commit().await.map_err(|error| user_removal::still_needed(error, &name))?;
    // Whose address it is that nobody has confirmed is not known.
    let email = if waiting.confirmation { String::new() } else { email };
    let done = format!("rejected `{name}`, and deleted the account");
    Ok(Reply::Decided(Decided { username: name, email, is_approved: false, done }))
}

/// Notes that the owner of the account followed the link to the address.
pub(in super::super) async fn confirm(
    errand: &Errand<'_>,
    username: &str,
) -> Result<Reply, CommandError> {
    let mut change = errand.begin_change().await?;
    let (id, name) = find_user(change.sql(), username).await?;
    let waiting = waiting(change.sql(), id).await?.filter(|waiting| waiting.confirmation);
    let Some(waiting) = waiting else {
        return Err(nothing_waits(&name));
    };
    change.concerns(id);
    settle(&mut change, id, Waiting { confirmation: false, ..waiting }).await?;
    change.commit().await?;
    Ok(Reply::Done(format!("the address of `{name}` is confirmed")))
}

async fn email_of(connection: &mut Connection, UserId(id): UserId) -> Result<String, sqlx::Error> {
    sqlx::query_scalar("SELECT email FROM vestibule_user WHERE id = $1")
        .bind(id)
        .fetch_one(connection)
        .await
}

/// What the user waits for, if for anything.
pub(in super::super) async fn waiting(
    connection: &mut Connection,
    UserId(id): UserId,
) -> Result<Option<Waiting>, sqlx::Error> {
    let row: Option<(bool, bool)> = sqlx::query_as(
        "SELECT waits_for_confirmation, waits_for_approval FROM vestibule_registration
         JOIN vestibule_user ON vestibule_user.id = vestibule_registration.user_id
         WHERE user_id = $1 AND is_active = FALSE",
    )
    .bind(id)
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|(confirmation, approval)| Waiting { confirmation, approval }))
}

/// Forgets that the user waits for something: somebody decided otherwise.
pub(super) async fn forget(
    connection: &mut Connection,
    UserId(id): UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM vestibule_registration WHERE user_id = $1")
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Leaves a user with what is still to be waited for, or lets the user in.
async fn settle(change: &mut Changing<'_>, id: UserId, left: Waiting) -> Result<(), sqlx::Error> {
    if left.is_over() {
        set_active(change.sql(), id, true).await?;
        return forget(change.sql(), id).await;
    }
    sqlx::query(
        "UPDATE vestibule_registration
         SET waits_for_confirmation = $1, waits_for_approval = $2 WHERE user_id = $3",
    )
    .bind(left.confirmation)
    .bind(left.approval)
    .bind(id.0)
    .execute(change.sql())
    .await?;
    Ok(())
}

async fn set_active(
    connection: &mut Connection,
    UserId(id): UserId,
    is_active: bool,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE vestibule_user SET is_active = $1 WHERE id = $2")
        .bind(is_active)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Deletes accounts whose owners never followed the link, so that their names can be chosen again.
async fn forget_unconfirmed(change: &mut Changing<'_>, now: Timestamp) -> Result<(), sqlx::Error> {
    let since = load::seconds(now) - i64::try_from(CONFIRMED_WITHIN.as_secs()).unwrap_or(0);
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT user_id FROM vestibule_registration
         JOIN vestibule_user ON vestibule_user.id = vestibule_registration.user_id
         WHERE waits_for_confirmation = TRUE AND registered < $1
               AND is_active = FALSE AND last_login IS NULL",
    )
    .bind(since)
    .fetch_all(change.sql())
    .await?;
    for id in ids.into_iter().map(UserId) {
        change.concerns(id);
        user_removal::remove(change.sql(), id).await?;
    }
    Ok(())
}

fn nothing_waits(name: &str) -> CommandError {
    CommandError::NotFound(format!(
        "`{name}` does not wait for that\nhint: `vestibule registration list` shows who waits"
    ))
}
