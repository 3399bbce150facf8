//! Looking through the log, the newest entries first.

use sqlx::AssertSqlSafe;

use super::super::database::Connection;
use super::super::load;
use super::LogEntry;

/// How many entries a page has.
const PAGE: i64 = 50;

/// Which entries are wanted; all of them by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Of what this user did.
    pub by: Option<i64>,
    /// Of what was done to this kind of thing.
    pub kind: Option<String>,
    /// Of what was done to the one with this number.
    pub object_id: Option<i64>,
    /// Only those before this entry.
    pub before: Option<i64>,
}

/// Some entries, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// The entries.
    pub entries: Vec<LogEntry>,
    /// From where the older ones are asked for, if there are any.
    pub older: Option<i64>,
}

/// The row of an entry.
#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    moment: i64,
    by_id: Option<i64>,
    by_name: String,
    way: String,
    action: String,
    kind: String,
    object_id: Option<i64>,
    object: String,
    changes: String,
}

/// The entries that `query` asks for.
pub(in super::super) async fn page(
    connection: &mut Connection,
    query: &LogQuery,
) -> Result<LogPage, sqlx::Error> {
    let (sql, kind, numbers) = statement(query);
    let mut asked = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
    if let Some(kind) = kind {
        asked = asked.bind(kind);
    }
    for number in numbers {
        asked = asked.bind(number);
    }
    let rows: Vec<Row> = asked.fetch_all(connection).await?;
    let mut entries: Vec<LogEntry> = rows.into_iter().map(Row::into_entry).collect();
    let has_more = entries.len() > usize::try_from(PAGE).unwrap_or(usize::MAX);
    if has_more {
        entries.pop();
    }
    let older = if has_more { entries.last().map(|entry| entry.id) } else { None };
    Ok(LogPage { entries, older })
}

/// The statement, and what it is asked with: nothing of it comes from `query`'s texts.
fn statement(query: &LogQuery) -> (String, Option<String>, Vec<i64>) {
    let mut conditions = Vec::new();
    let mut numbers = Vec::new();
    let kind = query.kind.clone();
    let first = usize::from(kind.is_some());
    if kind.is_some() {
        conditions.push("kind = $1".to_owned());
    }
    for (column, number) in
        [("object_id =", query.object_id), ("by_id =", query.by), ("id <", query.before)]
    {
        if let Some(number) = number {
            numbers.push(number);
            conditions.push(format!("{column} ${}", first + numbers.len()));
        }
    }
    numbers.push(PAGE + 1);
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {} ", conditions.join(" AND ")),
    };
    let sql = format!(
        "SELECT id, moment, by_id, by_name, way, action, kind, object_id, object, changes
         FROM vestibule_log {conditions}ORDER BY id DESC LIMIT ${}",
        first + numbers.len()
    );
    (sql, kind, numbers)
}

impl Row {
    fn into_entry(self) -> LogEntry {
        LogEntry {
            id: self.id,
            moment: load::moment(self.moment),
            by: self.by_name,
            by_id: self.by_id,
            way: self.way,
            action: self.action,
            kind: self.kind,
            object_id: self.object_id,
            object: self.object,
            // What somebody else wrote there is shown as no change.
            changes: serde_json::from_str(&self.changes).unwrap_or_default(),
        }
    }
}
