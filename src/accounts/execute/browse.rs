//! Looking through users as staff does: a page at a time, searched, filtered and sorted, quick
//! with hundreds of thousands of them.
//!
//! A page begins after (or ends before) a user, not after so many: the database walks along an
//! index from there. What is sought is compared on the way, and the walk ends with the page.

use std::collections::{BTreeSet, HashMap};

use sqlx::AssertSqlSafe;

use super::super::browsing::{Count, GroupSummary, Named, UserSearch, UserSort, UsersFound};
use super::super::command::UserRecord;
use super::super::database::Connection;
use super::super::load::{self, UserRow};
use super::users::record;
use crate::domain::Permission;

/// How many users a page has.
const PAGE: usize = 50;

/// How far users are counted.
const COUNTED: i64 = 1000;

/// How many words are sought.
const WORDS: usize = 5;

/// What a statement is asked with.
#[derive(Debug, Clone, PartialEq)]
enum Bound {
    Text(String),
    Number(i64),
    Flag(bool),
}

/// Conditions in the making. Their text is ours; whatever a visitor typed is bound.
#[derive(Debug, Default)]
struct Conditions {
    texts: Vec<String>,
    bound: Vec<Bound>,
}

impl Conditions {
    fn of(query: &UserSearch) -> Self {
        let mut conditions = Self::default();
        for (column, wanted) in [
            ("is_active", query.is_active),
            ("is_staff", query.is_staff),
            ("is_superuser", query.is_superuser),
        ] {
            if let Some(wanted) = wanted {
                let flag = conditions.bind(Bound::Flag(wanted));
                conditions.texts.push(format!("{column} = {flag}"));
            }
        }
        if let Some(group) = &query.group {
            let name = conditions.bind(Bound::Text(group.clone()));
            conditions.texts.push(format!(
                "id IN (SELECT user_id FROM vestibule_user_groups WHERE group_id =
                    (SELECT id FROM vestibule_group WHERE name = {name}))"
            ));
        }
        for word in query.search.split_whitespace().take(WORDS) {
            conditions.seek(word);
        }
        conditions
    }

    /// A word that is somewhere in the name, the address or the first and last name. Databases
    /// differ in what they take for a small letter, so it is sought as it was typed as well.
    fn seek(&mut self, word: &str) {
        let small = self.bind(Bound::Text(containing(&word.to_lowercase())));
        let typed = self.bind(Bound::Text(containing(word)));
        let columns = ["username", "email", "first_name", "last_name"].map(|column| {
            format!("LOWER({column}) LIKE {small} ESCAPE '\\' OR {column} LIKE {typed} ESCAPE '\\'")
        });
        self.texts.push(format!("({})", columns.join(" OR ")));
    }

    fn bind(&mut self, bound: Bound) -> String {
        self.bound.push(bound);
        format!("${}", self.bound.len())
    }

    fn written(&self) -> String {
        match self.texts.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.texts.join(" AND ")),
        }
    }
}

/// The pattern of what contains `word`, whatever is in that.
fn containing(word: &str) -> String {
    let mut pattern = String::from("%");
    for letter in word.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// What users are sorted by, as there is an index for it.
fn column(sort: UserSort) -> &'static str {
    match sort {
        UserSort::Username => "username",
        UserSort::Email => "email",
        UserSort::Joined => "date_joined",
        UserSort::LastLogin => "COALESCE(last_login, 0)",
    }
}

/// The statement for a page, and what it is asked with; one more than the page is asked for.
fn statement(query: &UserSearch) -> (String, Vec<Bound>) {
    let mut conditions = Conditions::of(query);
    let column = column(query.sort);
    let is_backward = query.before.is_some();
    let is_falling = query.is_descending != is_backward;
    if let Some(mark) = query.before.or(query.after) {
        let id = conditions.bind(Bound::Number(mark));
        let sign = if is_falling { "<" } else { ">" };
        conditions.texts.push(format!(
            "({column}, id) {sign} (SELECT {column}, id FROM vestibule_user WHERE id = {id})"
        ));
    }
    let limit = conditions.bind(Bound::Number(i64::try_from(PAGE + 1).unwrap_or(i64::MAX)));
    let direction = if is_falling { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                is_superuser, last_login, date_joined
         FROM vestibule_user {} ORDER BY {column} {direction}, id {direction} LIMIT {limit}",
        conditions.written()
    );
    (sql, conditions.bound)
}

/// One page of users.
pub(in super::super) async fn users(
    connection: &mut Connection,
    query: &UserSearch,
) -> Result<UsersFound, sqlx::Error> {
    let (sql, bound) = statement(query);
    let mut asked = sqlx::query_as::<_, UserRow>(AssertSqlSafe(sql));
    for bound in bound {
        asked = match bound {
            Bound::Text(text) => asked.bind(text),
            Bound::Number(number) => asked.bind(number),
            Bound::Flag(flag) => asked.bind(flag),
        };
    }
    let mut rows: Vec<UserRow> = asked.fetch_all(&mut *connection).await?;
    let has_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let is_backward = query.before.is_some();
    if is_backward {
        rows.reverse();
    }
    let first = rows.first().map(|row| row.id);
    let last = rows.last().map(|row| row.id);
    let (has_previous, has_next) = match is_backward {
        true => (has_more, true),
        false => (query.after.is_some(), has_more),
    };
    let users: Vec<UserRecord> = rows.into_iter().map(|row| record(row, Vec::new())).collect();
    let count = count(connection, query).await?;
    Ok(UsersFound {
        users,
        count,
        previous: first.filter(|_| has_previous),
        next: last.filter(|_| has_next),
    })
}

/// How many there are, as far as that is worth the time.
async fn count(connection: &mut Connection, query: &UserSearch) -> Result<Count, sqlx::Error> {
    let mut conditions = Conditions::of(query);
    let limit = conditions.bind(Bound::Number(COUNTED + 1));
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT id FROM vestibule_user {} LIMIT {limit}) AS counted",
        conditions.written()
    );
    let mut asked = sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql));
    for bound in conditions.bound {
        asked = match bound {
            Bound::Text(text) => asked.bind(text),
            Bound::Number(number) => asked.bind(number),
            Bound::Flag(flag) => asked.bind(flag),
        };
    }
    let counted = asked.fetch_one(connection).await?;
    Ok(match counted > COUNTED {
        true => Count::MoreThan(u64::try_from(COUNTED).unwrap_or(0)),
        false => Count::Exactly(u64::try_from(counted).unwrap_or(0)),
    })
}

/// The first groups by name, with how many members they have and what they give.
pub(in super::super) async fn groups(
    connection: &mut Connection,
) -> Result<Vec<GroupSummary>, sqlx::Error> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT id, name,
                (SELECT COUNT(*) FROM vestibule_user_groups WHERE group_id = vestibule_group.id)
         FROM vestibule_group ORDER BY name LIMIT 1000",
    )
    .fetch_all(&mut *connection)
    .await?;
    let given: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT group_id, app_label, codename FROM vestibule_group_permissions
         JOIN vestibule_permission ON vestibule_permission.id = permission_id",
    )
    .fetch_all(connection)
    .await?;
    let mut gives: HashMap<i64, BTreeSet<Permission>> = HashMap::new();
    for (group, app, codename) in given {
        gives.entry(group).or_default().extend(load::permission(&(app, codename)));
    }
    let summary = |(id, name, members): (i64, String, i64)| GroupSummary {
        id,
        name,
        members: u64::try_from(members).unwrap_or(0),
        gives: gives.remove(&id).unwrap_or_default(),
    };
    Ok(rows.into_iter().map(summary).collect())
}

/// The first members of a group by name.
pub(in super::super) async fn members(
    connection: &mut Connection,
    group: i64,
    most: i64,
) -> Result<Vec<Named>, sqlx::Error> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, username FROM vestibule_user
         WHERE id IN (SELECT user_id FROM vestibule_user_groups WHERE group_id = $1)
         ORDER BY username LIMIT $2",
    )
    .bind(group)
    .bind(most)
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|(id, name)| Named { id, name }).collect())
}

/// Every permission there is, with what it allows.
pub(in super::super) async fn permissions(
    connection: &mut Connection,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT app_label || '.' || codename AS full_name, name FROM vestibule_permission
         ORDER BY full_name LIMIT 5000",
    )
    .fetch_all(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_bound_and_its_wildcards_mean_themselves() {
        assert_eq!(containing("50%_a\\"), "%50\\%\\_a\\\\%");
        let query = UserSearch { search: "x' OR 1=1 --".to_owned(), ..UserSearch::default() };
        let (sql, bound) = statement(&query);
        assert!(!sql.contains("1=1"), "{sql}");
        assert!(bound.contains(&Bound::Text("%1=1%".to_owned())));
    }

    /// A hundred thousand users, made by one statement.
    async fn crowd(connection: &mut Connection) {
        sqlx::query(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number
                                           WHERE n < 100000)
             INSERT INTO vestibule_user (username, email, password, date_joined, last_login)
             SELECT 'user' || n, 'user' || n || '@example.org', '!', n, NULL FROM number",
        )
        .execute(connection)
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_page_of_a_hundred_thousand_users_is_read_along_an_index() {
        use super::super::super::database::Database;
        use super::super::super::settings;
        let place = tempfile::tempdir().unwrap();
        let database = settings::Database::Sqlite(place.path().join("users.db"));
        let database = Database::open(&database, &settings::Schema::Vestibule).await.unwrap();
        let mut writing = database.write().await.unwrap();
        crowd(&mut writing).await;
        for sort in [UserSort::Username, UserSort::Email, UserSort::Joined, UserSort::LastLogin] {
            for query in [
                UserSearch { sort, ..UserSearch::default() },
                UserSearch {
                    sort,
                    is_descending: true,
                    after: Some(70_000),
                    ..UserSearch::default()
                },
                UserSearch { sort, before: Some(70_000), ..UserSearch::default() },
            ] {
                let (sql, bound) = statement(&query);
                let sql = format!("EXPLAIN QUERY PLAN {sql}");
                let mut asked = sqlx::query_as::<_, (i64, i64, i64, String)>(AssertSqlSafe(sql));
                for bound in bound {
                    asked = match bound {
                        Bound::Text(text) => asked.bind(text),
                        Bound::Number(number) => asked.bind(number),
                        Bound::Flag(flag) => asked.bind(flag),
                    };
                }
                let plan: Vec<String> = asked
                    .fetch_all(&mut *writing)
                    .await
                    .unwrap()
                    .into_iter()
                    .map(|(_, _, _, detail)| detail)
                    .collect();
                let plan = plan.join("; ");
                assert!(plan.contains("USING INDEX"), "{sort:?}: {plan}");
                assert!(!plan.contains("TEMP B-TREE"), "{sort:?}: {plan}");
            }
        }
        // Every user is on exactly one page, in both directions.
        let mut query = UserSearch { search: "user999".to_owned(), ..UserSearch::default() };
        let first = users(&mut writing, &query).await.unwrap();
        assert_eq!((first.users.len(), &first.count), (50, &Count::Exactly(111)));
        query.after = first.next;
        let second = users(&mut writing, &query).await.unwrap();
        query.after = second.next;
        let third = users(&mut writing, &query).await.unwrap();
        assert_eq!((second.users.len(), third.users.len(), third.next), (50, 11, None));
        query.after = None;
        query.before = third.previous;
        assert_eq!(users(&mut writing, &query).await.unwrap().users, second.users);
        let all = users(&mut writing, &UserSearch::default()).await.unwrap();
        assert_eq!(all.count, Count::MoreThan(1000));
    }
}
