//! Writing an entry, and dropping those that are too old or too many.

use std::time::Duration;

use serde_json::Value;

use super::super::by::By;
use super::super::database::Connection;
use super::super::load;
use super::MOST_ENTRIES;
use super::state::Changes;
use crate::domain::Timestamp;

/// What is written down.
pub(in super::super) struct Written<'a> {
    pub(in super::super) by: &'a By,
    pub(in super::super) action: &'a str,
    pub(in super::super) kind: &'a str,
    pub(in super::super) object_id: Option<i64>,
    pub(in super::super) object: &'a str,
    pub(in super::super) changes: Changes,
}

/// The most bytes that the changes of one entry take; of a larger one the values are left out.
const MOST_BYTES: usize = 16 * 1024;

/// The most characters that a name takes.
const MOST_CHARACTERS: usize = 255;

/// Writes an entry, and drops what is older than `keep` or beyond the number that is kept.
pub(in super::super) async fn write(
    connection: &mut Connection,
    written: Written<'_>,
    now: Timestamp,
    keep: Duration,
) -> Result<(), sqlx::Error> {
    let (by_id, way) = match written.by {
        By::Operator(_) => (None, "command"),
        By::Visitor(_) => (None, "page"),
        By::User(user) => (Some(user.id.0), "page"),
    };
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO vestibule_log (moment, by_id, by_name, way, action, kind, object_id, object,
                                    changes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id",
    )
    .bind(load::seconds(now))
    .bind(by_id)
    .bind(short(&written.by.to_string()))
    .bind(way)
    .bind(written.action)
    .bind(written.kind)
    .bind(written.object_id)
    .bind(short(written.object))
    .bind(json(written.changes))
    .fetch_one(&mut *connection)
    .await?;
    let oldest = load::seconds(now).saturating_sub(i64::try_from(keep.as_secs()).unwrap_or(0));
    sqlx::query("DELETE FROM vestibule_log WHERE moment < $1")
        .bind(oldest)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM vestibule_log WHERE id <= $1")
        .bind(id - MOST_ENTRIES)
        .execute(connection)
        .await?;
    Ok(())
}

fn short(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}

fn json(changes: Changes) -> String {
    let written = serde_json::to_string(&changes).unwrap_or_default();
    if written.len() <= MOST_BYTES {
        return written;
    }
    let left_out = || Value::from("…");
    let names: Changes = changes.into_keys().map(|name| (name, [left_out(), left_out()])).collect();
    serde_json::to_string(&names).unwrap_or_default()
}
