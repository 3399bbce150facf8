//! Looks for users, a page at a time.

use std::collections::HashMap;

use sqlx::{Any, AssertSqlSafe};

use super::super::command::Reply;
use super::super::database::Connection;
use super::super::error::CommandError;
use super::super::load::UserRow;
use super::super::shared::Shared;
use super::super::user_page::{UserPage, UserQuery};
use super::find_group;
use super::users::record;

/// Finds the users and shows a page of them.
pub(in super::super) async fn search(
    shared: &Shared,
    query: &UserQuery,
) -> Result<Reply, CommandError> {
    let mut reading = shared.database.read().await?;
    let found = Conditions::of(&mut reading, query).await?;
    let count = format!("SELECT COUNT(*) FROM vestibule_user {}", found.sql);
    let (total,): (i64,) = found.ask(count).fetch_one(&mut *reading).await?;

    let size = query.page_size();
    let total = u64::try_from(total).unwrap_or(0);
    let pages = total.div_ceil(size).max(1);
    let page = query.page_number().min(pages);
    let rows = format!(
        "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                is_superuser, last_login, date_joined
         FROM vestibule_user {} ORDER BY username LIMIT {size} OFFSET {}",
        found.sql,
        (page - 1).saturating_mul(size)
    );
    let rows: Vec<UserRow> = found.ask(rows).fetch_all(&mut *reading).await?;
    let mut groups = groups(&mut reading, &rows).await?;
    reading.commit().await?;
    let users = rows.into_iter().map(|row| {
        let groups = groups.remove(&row.id).unwrap_or_default();
        record(row, groups)
    });
    Ok(Reply::UserPage(UserPage { users: users.collect(), total, page, pages }))
}

/// A `WHERE`, and what is bound in it.
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
}

impl Conditions {
    async fn of(connection: &mut Connection, query: &UserQuery) -> Result<Self, CommandError> {
        let mut found = Self { sql: String::new(), values: Vec::new() };
        for word in query.search.split_whitespace() {
            let pattern = Value::Text(format!("%{}%", literal(&word.to_lowercase())));
            let column = |name| format!("lower({name}) LIKE $ ESCAPE '\\'");
            let columns = ["username", "first_name", "last_name", "email"].map(column);
            found.and(&format!("({})", columns.join(" OR ")), pattern);
        }
        let flags = [
            ("is_active = $", query.is_active),
            ("is_staff = $", query.is_staff),
            ("is_superuser = $", query.is_superuser),
        ];
        for (condition, flag) in flags {
            if let Some(flag) = flag {
                found.and(condition, Value::Flag(flag));
            }
        }
        if let Some(name) = &query.group {
            let group = find_group(connection, name).await?;
            let members = "id IN (SELECT user_id FROM vestibule_user_groups WHERE group_id = $)";
            found.and(members, Value::Number(group));
        }
        if let Some(name) = &query.after {
            found.and("username > $", Value::Text(name.clone()));
        }
        Ok(found)
    }

    /// Adds a condition, in which `$` stands for the value.
    fn and(&mut self, condition: &str, value: Value) {
        self.values.push(value);
        let condition = condition.replace('$', &format!("${}", self.values.len()));
        let word = if self.sql.is_empty() { "WHERE" } else { " AND" };
        self.sql += &format!("{word} {condition}");
    }

    /// A question with these values.
    fn ask<'q, T>(&self, sql: String) -> sqlx::query::QueryAs<'q, Any, T, sqlx::any::AnyArguments>
    where
        T: for<'r> sqlx::FromRow<'r, sqlx::any::AnyRow>,
    {
        // Only conditions of ours are in it; what was asked for is bound.
        self.values.iter().fold(sqlx::query_as(AssertSqlSafe(sql)), |query, value| match value {
            Value::Text(text) => query.bind(text.clone()),
            Value::Number(number) => query.bind(*number),
            Value::Flag(flag) => query.bind(*flag),
        })
    }
}

/// With what `LIKE` takes for more than itself marked as a letter.
fn literal(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// The names of the groups of each of these.
async fn groups(
    connection: &mut Connection,
    users: &[UserRow],
) -> Result<HashMap<i64, Vec<String>>, sqlx::Error> {
    let ids = serde_json::Value::from(users.iter().map(|user| user.id).collect::<Vec<_>>());
    let memberships: Vec<(i64, String)> = sqlx::query_as(
        "SELECT user_id, name FROM vestibule_user_groups
         JOIN vestibule_group ON vestibule_group.id = group_id
         WHERE user_id IN (SELECT value FROM json_each($1)) ORDER BY name",
    )
    .bind(ids.to_string())
    .fetch_all(connection)
    .await?;
    let mut groups: HashMap<i64, Vec<String>> = HashMap::new();
    for (user, group) in memberships {
        groups.entry(user).or_default().push(group);
    }
    Ok(groups)
}
