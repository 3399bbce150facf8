//! `message …`: send, list.

use super::super::command::{Holder, Reply};
use super::super::errand::Errand;
use super::super::error::CommandError;
use super::super::messages::{self, MessageRecord, To};
use super::super::shared::Shared;
use super::users::date_time;
use super::{find_group, find_user, members};
use crate::domain::message::{Level, Message, MessageText};
use crate::domain::{Timestamp, UserId};

/// Sends a message to a user or to the members of a group.
pub(in super::super) async fn send(
    errand: &Errand<'_>,
    to: &Holder,
    text: &str,
    level: &str,
    now: Timestamp,
) -> Result<Reply, CommandError> {
    let invalid = |error: &dyn std::fmt::Display| CommandError::Invalid(error.to_string());
    let level = level.parse::<Level>().map_err(|error| invalid(&error))?;
    let text = MessageText::parse(text).map_err(|error| invalid(&error))?;
    let message = Message { level, text, created: now };
    let mut change = errand.begin_change().await?;
    // Whoever is told something keeps every right.
    change.keeps_quiet();
    let done = match to {
        Holder::User(username) => {
            let (user, name) = find_user(change.sql(), username).await?;
            change.concerns(user);
            messages::insert(change.sql(), To::User(user), &message).await?;
            format!("sent a message to the user `{name}`")
        }
        Holder::Group(group) => {
            let id = find_group(change.sql(), group).await?;
            let members: Vec<UserId> = members(change.sql(), id).await?;
            for member in &members {
                change.concerns(*member);
            }
            messages::insert(change.sql(), To::Members(id), &message).await?;
            let people = super::groups::people(u64::try_from(members.len()).unwrap_or(u64::MAX));
            format!("sent a message to the {people} in the group `{group}`")
        }
    };
    change.commit().await?;
    Ok(Reply::Done(done))
}

/// Lists what waits for a user, who is shown it all the same.
pub(in super::super) async fn list(shared: &Shared, username: &str) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let (user, _) = find_user(&mut reading, username).await?;
    let waiting = messages::of(&mut reading, user).await?;
    reading.commit().await?;
    let record = |queued: messages::Queued| MessageRecord {
        id: queued.id,
        level: queued.message.level.name().to_owned(),
        text: queued.message.text.to_string(),
        created: date_time(super::super::load::seconds(queued.message.created)),
    };
    Ok(Reply::Messages(waiting.into_iter().map(record).collect()))
}
