//! The queue of messages that wait for each user: Django's `message_set`, of which
//! `get_and_delete_messages` takes each message out once.
//!
//! That there is something in it is known of every user in memory (`User::has_messages`), so that
//! nobody is asked for messages of those who have none.

use serde::{Deserialize, Serialize};

use super::database::Connection;
use super::directory::Directory;
use super::error::AccountsError;
use super::load::{moment, seconds};
use crate::domain::UserId;
use crate::domain::message::{Level, Message, MessageText};

/// A message in a user's queue, or taken out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its number: the place in the queue to which it can come back.
    pub(super) id: i64,
    /// The message.
    pub message: Message,
}

/// A message in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Its number.
    pub id: i64,
    /// `debug`, `info`, `success`, `warning` or `error`.
    pub level: String,
    /// What it says.
    pub text: String,
    /// When it was sent, as in RFC 3339, in UTC.
    pub created: String,
}

/// The level of a message that is sent without one.
pub(super) fn info() -> String {
    Level::Info.name().to_owned()
}

impl Directory {
    /// Puts messages at the end of a user's queue, the first of them first.
    pub async fn add_messages(
        &self,
        user: UserId,
        messages: Vec<Message>,
    ) -> Result<(), AccountsError> {
        let shared = std::sync::Arc::clone(&self.shared);
        self.order(async move {
            let mut change = shared.begin_change_of_ours().await?;
            for message in &messages {
                insert(change.sql(), To::User(user), message).await?;
            }
            change.concerns(user);
            change.keeps_quiet();
            Ok(change.commit().await?)
        })
        .await
    }

    /// Takes messages out of a user's queue, the oldest first, until one does not fit. Of two who
    /// do it at once, at whatever gateway, each gets what the other does not.
    pub async fn take_messages(
        &self,
        user: UserId,
        mut fits: impl FnMut(&Message) -> bool + Send + 'static,
    ) -> Result<Vec<Queued>, AccountsError> {
        let shared = std::sync::Arc::clone(&self.shared);
        self.order(async move {
            let mut change = shared.begin_change_of_ours().await?;
            let waiting = of(change.sql(), user).await?;
            let fitting = waiting.iter().take_while(|queued| fits(&queued.message));
            let Some(last) = fitting.last() else { return Ok(Vec::new()) };
            // What this very statement deletes is ours, and nobody else's.
            let rows: Vec<Row> = sqlx::query_as(
                "DELETE FROM vestibule_message WHERE user_id = $1 AND id <= $2
                 RETURNING id, level, text, created",
            )
            .bind(user.0)
            .bind(last.id)
            .fetch_all(change.sql())
            .await?;
            change.concerns(user);
            change.keeps_quiet();
            change.commit().await?;
            Ok(queued(rows))
        })
        .await
    }

    /// Puts messages back that were taken out and not shown, each where it was.
    pub async fn return_messages(
        &self,
        user: UserId,
        messages: Vec<Queued>,
    ) -> Result<(), AccountsError> {
        let shared = std::sync::Arc::clone(&self.shared);
        self.order(async move {
            let mut change = shared.begin_change_of_ours().await?;
            for Queued { id, message } in &messages {
                sqlx::query(
                    "INSERT INTO vestibule_message (id, user_id, level, text, created)
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                )
                .bind(id)
                .bind(user.0)
                .bind(message.level.name())
                .bind(message.text.as_str())
                .bind(seconds(message.created))
                .execute(change.sql())
                .await?;
            }
            drop_oldest(change.sql(), To::User(user)).await?;
            change.concerns(user);
            change.keeps_quiet();
            Ok(change.commit().await?)
        })
        .await
    }
}

/// Whose queue it is.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    User(UserId),
    /// Of every member of the group with this number.
    Members(i64),
}

/// Puts a message at the end of a queue, and drops the oldest of too many.
pub(super) async fn insert(
    connection: &mut Connection,
    to: To,
    message: &Message,
) -> Result<(), sqlx::Error> {
    const TO_USER: &str = "INSERT INTO vestibule_message (level, text, created, user_id)
                           VALUES ($1, $2, $3, $4)";
    const TO_MEMBERS: &str = "INSERT INTO vestibule_message (level, text, created, user_id)
                              SELECT CAST($1 AS VARCHAR(10)), CAST($2 AS TEXT),
                                     CAST($3 AS BIGINT), user_id
                              FROM vestibule_user_groups WHERE group_id = $4 ORDER BY user_id";
    let (insert, whose) = match to {
        To::User(user) => (TO_USER, user.0),
        To::Members(group) => (TO_MEMBERS, group),
    };
    sqlx::query(insert)
        .bind(message.level.name())
        .bind(message.text.as_str())
        .bind(seconds(message.created))
        .bind(whose)
        .execute(&mut *connection)
        .await?;
    drop_oldest(connection, to).await
}

async fn drop_oldest(connection: &mut Connection, to: To) -> Result<(), sqlx::Error> {
    const OF_USER: &str = "DELETE FROM vestibule_message WHERE id IN (
        SELECT id FROM vestibule_message WHERE user_id = $1
        ORDER BY id DESC LIMIT 1000000 OFFSET $2)";
    const OF_MEMBERS: &str = "DELETE FROM vestibule_message WHERE id IN (
        SELECT id FROM (
            SELECT id, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id DESC) AS place
            FROM vestibule_message
            WHERE user_id IN (SELECT user_id FROM vestibule_user_groups WHERE group_id = $1)
        ) AS placed WHERE place > $2)";
    let (delete, whose) = match to {
        To::User(user) => (OF_USER, user.0),
        To::Members(group) => (OF_MEMBERS, group),
    };
    let most = i64::try_from(Message::MOST).unwrap_or(i64::MAX);
    sqlx::query(delete).bind(whose).bind(most).execute(connection).await?;
    Ok(())
}

type Row = (i64, String, String, i64);

/// What waits for a user, the oldest first.
pub(super) async fn of(
    connection: &mut Connection,
    user: UserId,
) -> Result<Vec<Queued>, sqlx::Error> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, level, text, created FROM vestibule_message WHERE user_id = $1 ORDER BY id",
    )
    .bind(user.0)
    .fetch_all(connection)
    .await?;
    Ok(queued(rows))
}

/// How many messages wait for a user.
pub(super) async fn waiting(connection: &mut Connection, user: i64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM vestibule_message WHERE user_id = $1")
        .bind(user)
        .fetch_one(connection)
        .await
}

/// Drops the queue of a user who goes.
pub(super) async fn delete_all(
    connection: &mut Connection,
    user: UserId,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM vestibule_message WHERE user_id = $1")
        .bind(user.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Messages in their order. One that somebody else wrote, with an unknown level or a text that no
/// message can have, is shown to nobody.
fn queued(mut rows: Vec<Row>) -> Vec<Queued> {
    rows.sort_unstable_by_key(|row| row.0);
    let read = |(id, level, text, created): Row| {
        let level = level.parse::<Level>().ok()?;
        let text = MessageText::parse(&text).ok()?;
        Some(Queued { id, message: Message { level, text, created: moment(created) } })
    };
    rows.into_iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests;
