//! The tables of an existing Django project, in place of our own.
//!
//! Every statement of this program is written for our own tables. On a Django project's it gets
//! what it reads of them as named queries in front of it, `WITH vestibule_user AS (SELECT … FROM
//! auth_user)`, and what it writes to is named as there. So nothing has to be put into the
//! database, where views of ours would be in the way of Django's migrations.

use std::fmt::Write as _;

use super::connection::Connection;
use super::statement::{Piece, pieces};
use crate::accounts::AccountsError;
use crate::accounts::settings::DjangoTables;

/// How a Django project calls what we read and write.
#[derive(Debug)]
pub(in super::super) struct Django {
    /// Our tables: the name, the query that reads it, the table that is written.
    tables: Vec<Table>,
    /// The column of the user in the tables of groups and permissions; `user_id`, unless the
    /// project has a model of its own.
    user_column: String,
    /// The project's own table of profiles, and those of its columns that are fields.
    profile: Option<(String, Vec<String>)>,
    /// What has to go before a user can.
    before_delete: Vec<String>,
}

#[derive(Debug)]
struct Table {
    ours: &'static str,
    query: String,
    theirs: String,
}

/// What a table of users must have; Django's `AbstractUser`.
const USER_COLUMNS: [&str; 11] = [
    "id",
    "username",
    "first_name",
    "last_name",
    "email",
    "password",
    "is_staff",
    "is_active",
    "is_superuser",
    "last_login",
    "date_joined",
];

/// A column and its type in lower case.
type Column = (String, String);

impl Django {
    /// Finds the tables.
    ///
    /// # Errors
    ///
    /// When one is not there, or lacks a column.
    pub(super) async fn find(
        connection: &mut Connection,
        names: &DjangoTables,
    ) -> Result<Self, AccountsError> {
        let user = &names.user_table;
        let columns = existing(connection, user, "`user_table` names the table of users").await?;
        let lacks = |name: &&str| !columns.iter().any(|(column, _)| column == name);
        if let Some(missing) = USER_COLUMNS.iter().find(|name| lacks(name)) {
            return Err(AccountsError::Schema(format!(
                "the table `{user}` has no column `{missing}`\n\
                 hint: a model of users has to be an `AbstractUser`"
            )));
        }
        let user_groups = format!("{user}_groups");
        let user_permissions = format!("{user}_user_permissions");
        let hint = "a model of users has to have the `PermissionsMixin`";
        let memberships = existing(connection, &user_groups, hint).await?;
        let user_column = memberships
            .into_iter()
            .map(|(name, _)| name)
            .find(|name| name != "id" && name != "group_id")
            .unwrap_or_else(|| "user_id".to_owned());
        for table in ["auth_group", "auth_permission", "django_content_type"] {
            existing(connection, table, "`django.contrib.auth` makes it").await?;
        }
        existing(connection, &user_permissions, hint).await?;

        let dates = Dates::of(connection);
        let user_query = format!(
            "SELECT id, username, first_name, last_name, email, password, is_staff, is_active,
                    is_superuser, {} AS last_login, {} AS date_joined FROM {}",
            dates.read("last_login"),
            dates.read("date_joined"),
            quoted(user)
        );
        let table =
            |ours, query: String, theirs: &str| Table { ours, query, theirs: quoted(theirs) };
        let of_user = |column: &str, theirs: &str| {
            format!("SELECT {} AS user_id, {column} FROM {}", quoted(&user_column), quoted(theirs))
        };
        let permission_query = "SELECT auth_permission.id AS id, app_label, codename, name
             FROM auth_permission
             JOIN django_content_type ON django_content_type.id = content_type_id";
        let group_permissions_query = "SELECT group_id, permission_id FROM auth_group_permissions";
        let mut tables = vec![
            table("vestibule_user", user_query, user),
            table("vestibule_group", "SELECT id, name FROM auth_group".to_owned(), "auth_group"),
            table("vestibule_permission", permission_query.to_owned(), "auth_permission"),
            table("vestibule_user_groups", of_user("group_id", &user_groups), &user_groups),
            table(
                "vestibule_user_permissions",
                of_user("permission_id", &user_permissions),
                &user_permissions,
            ),
            table(
                "vestibule_group_permissions",
                group_permissions_query.to_owned(),
                "auth_group_permissions",
            ),
        ];
        let mut fields = None;
        if let Some(profile) = &names.profile_table {
            let hint = "`profile_table` names the table of profiles";
            let mut columns = existing(connection, profile, hint).await?;
            if !columns.iter().any(|(name, _)| name == "user_id") {
                return Err(AccountsError::Schema(format!(
                    "the table `{profile}` has no column `user_id`\n\
                     hint: a profile refers to its user by `user = OneToOneField(User)`"
                )));
            }
            columns.retain(|(name, _)| name != "id" && name != "user_id");
            let query = profile_query(connection, profile, &columns);
            tables.push(table("vestibule_profile", query, "vestibule_profile"));
            let names = columns.into_iter().map(|(name, _)| name).collect();
            fields = Some((profile.clone(), names));
        }
        // What Django's admin did for a user is deleted with the user, as Django does itself.
        let log = columns_of(connection, "django_admin_log").await?;
        let before_delete = if log.is_empty() {
            Vec::new()
        } else {
            vec!["DELETE FROM django_admin_log WHERE user_id = $1".to_owned()]
        };
        Ok(Self { tables, user_column, profile: fields, before_delete })
    }

    /// The statement for these tables.
    pub(super) fn statement(&self, sql: &str) -> String {
        let written = written(sql).and_then(|name| self.tables.iter().find(|t| t.ours == name));
        let is_of_user = written.is_some_and(|table| table.ours.starts_with("vestibule_user_"));
        let mut text = String::with_capacity(2 * sql.len());
        let mut read: Vec<&Table> = Vec::new();
        for piece in pieces(sql) {
            let word = match piece {
                Piece::Word(word) => word,
                Piece::Other(other) => {
                    text += other;
                    continue;
                }
            };
            if let Some(table) = written.filter(|table| table.ours == word) {
                text += &table.theirs;
            } else if is_of_user && word == "user_id" {
                text += &quoted(&self.user_column);
            } else {
                if let Some(table) = self.tables.iter().find(|table| table.ours == word)
                    && !read.iter().any(|known| known.ours == table.ours)
                {
                    read.push(table);
                }
                text += word;
            }
        }
        if read.is_empty() {
            return text;
        }
        let queries: Vec<_> = read
            .iter()
            .map(|table| format!("{} AS NOT MATERIALIZED ({})", table.ours, table.query))
            .collect();
        let queries = queries.join(", ");
        match text.trim_start().split_at_checked(5) {
            Some((with, rest)) if with.eq_ignore_ascii_case("WITH ") => {
                format!("WITH {queries}, {rest}")
            }
            _ => format!("WITH {queries} {text}"),
        }
    }

    /// The project's own table of which this field of profiles is a column.
    pub(in super::super) fn table_of_field(&self, field: &str) -> Option<&str> {
        let (table, fields) = self.profile.as_ref()?;
        fields.iter().any(|known| known == field).then_some(table.as_str())
    }

    /// What has to be done before a user is deleted, each with the number as `$1`.
    pub(in super::super) fn before_delete(&self) -> Vec<String> {
        self.before_delete.clone()
    }

    /// The tables in which a change may make somebody another, with the column of the user.
    pub(super) fn watched(&self) -> Vec<(String, Option<String>)> {
        let user = |ours: &str| match ours {
            "vestibule_user" => Some("id".to_owned()),
            "vestibule_user_groups" | "vestibule_user_permissions" => {
                Some(self.user_column.clone())
            }
            "vestibule_profile" => Some("user_id".to_owned()),
            _ => None,
        };
        self.tables.iter().map(|table| (table.theirs.clone(), user(table.ours))).collect()
    }
}

/// The table that a statement writes to.
fn written(sql: &str) -> Option<&str> {
    let mut words = pieces(sql).filter_map(|piece| match piece {
        Piece::Word(word) => Some(word),
        Piece::Other(_) => None,
    });
    match (words.next()?, words.next()?) {
        ("INSERT", "INTO") | ("DELETE", "FROM") => words.next(),
        ("UPDATE", table) => Some(table),
        _ => None,
    }
}

/// How moments are written where Django reads them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dates {
    /// Text in UTC, as SQLite has no type for them.
    Text,
    /// `timestamptz`.
    Timestamps,
}

impl Dates {
    fn of(connection: &Connection) -> Self {
        if connection.is_postgres() { Self::Timestamps } else { Self::Text }
    }

    /// Whole seconds since 1970 of a column.
    fn read(self, column: &str) -> String {
        match self {
            Self::Text => format!("CAST(strftime('%s', {column}) AS INTEGER)"),
            Self::Timestamps => format!("CAST(floor(extract(epoch FROM {column})) AS BIGINT)"),
        }
    }

    /// What is stored for whole seconds since 1970.
    pub(super) fn write(self, seconds: &str) -> String {
        match self {
            Self::Text => format!("strftime('%Y-%m-%d %H:%M:%S', {seconds}, 'unixepoch')"),
            Self::Timestamps => format!("to_timestamp({seconds})"),
        }
    }
}

/// Reads the columns of a table of profiles as fields, and our own fields beside them.
fn profile_query(connection: &Connection, table: &str, columns: &[Column]) -> String {
    let mut query = String::new();
    for (column, kind) in columns {
        let name = quoted(column);
        let value = if kind.starts_with("bool") {
            format!("CASE WHEN {name} THEN 'true' ELSE 'false' END")
        } else {
            format!("CAST({name} AS TEXT)")
        };
        let literal = column.replace('\'', "''");
        // Writing to a `String` cannot fail.
        let _ = write!(
            query,
            "SELECT user_id, '{literal}' AS field, {value} AS value FROM {} WHERE {name} IS NOT NULL
             UNION ALL ",
            quoted(table)
        );
    }
    // Named in full: in SQLite a named query may not read what has its own name.
    let ours =
        if connection.is_postgres() { "vestibule_profile" } else { "main.vestibule_profile" };
    query + &format!("SELECT user_id, field, value FROM {ours}")
}

/// The columns of a table that has to be there.
async fn existing(
    connection: &mut Connection,
    table: &str,
    hint: &str,
) -> Result<Vec<Column>, AccountsError> {
    let columns = columns_of(connection, table).await?;
    if columns.is_empty() {
        return Err(AccountsError::Schema(format!(
            "there is no table `{table}`\nhint: {hint}; `python manage.py migrate` makes all"
        )));
    }
    Ok(columns)
}

async fn columns_of(connection: &mut Connection, table: &str) -> Result<Vec<Column>, sqlx::Error> {
    let (query, name) = if connection.is_postgres() {
        let query = "SELECT CAST(attname AS TEXT), CAST(format_type(atttypid, NULL) AS TEXT)
                     FROM pg_attribute
                     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
                     ORDER BY attnum";
        (query, quoted(table))
    } else {
        let query = "SELECT name, lower(type) FROM pragma_table_info($1) ORDER BY cid";
        (query, table.to_owned())
    };
    sqlx::query_as(query).bind(name).fetch_all(connection).await
}

/// A name of something in the database, which may be a word of SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> Django {
        let table = |ours, query: &str, theirs: &str| Table {
            ours,
            query: query.to_owned(),
            theirs: quoted(theirs),
        };
        Django {
            tables: vec![
                table("vestibule_user", "SELECT id FROM members_member", "members_member"),
                table(
                    "vestibule_user_groups",
                    "SELECT member_id AS user_id, group_id FROM members_member_groups",
                    "members_member_groups",
                ),
                table("vestibule_group", "SELECT id, name FROM auth_group", "auth_group"),
            ],
            user_column: "member_id".to_owned(),
            profile: Some(("profiles".to_owned(), vec!["band".to_owned()])),
            before_delete: Vec::new(),
        }
    }

    #[test]
    fn what_is_read_stands_before_the_statement_once() {
        let said = project().statement(
            "SELECT name FROM vestibule_group WHERE id IN (
                 SELECT group_id FROM vestibule_user_groups WHERE user_id = $1)
             OR 'vestibule_user' IN (SELECT name FROM vestibule_group)",
        );
        let queries = "WITH vestibule_group AS NOT MATERIALIZED (SELECT id, name FROM auth_group), \
                       vestibule_user_groups AS NOT MATERIALIZED \
                       (SELECT member_id AS user_id, group_id FROM members_member_groups) SELECT";
        assert!(said.starts_with(queries), "{said}");
        assert!(said.contains("WHERE user_id = $1"), "{said}");
        let ours = "SELECT secret FROM vestibule_stand_in";
        assert_eq!(project().statement(ours), ours);
    }

    #[test]
    fn what_is_written_is_named_as_there() {
        let said = |sql| project().statement(sql);
        assert_eq!(
            said("UPDATE vestibule_user SET email = $1 WHERE vestibule_user.id = $2"),
            "UPDATE \"members_member\" SET email = $1 WHERE \"members_member\".id = $2"
        );
        assert_eq!(
            said("INSERT INTO vestibule_user_groups (user_id, group_id) VALUES ($1, $2)"),
            "INSERT INTO \"members_member_groups\" (\"member_id\", group_id) VALUES ($1, $2)"
        );
        let delete =
            said("DELETE FROM vestibule_user WHERE id IN (SELECT id FROM vestibule_group)");
        assert!(delete.starts_with("WITH vestibule_group AS"), "{delete}");
        assert!(delete.contains(") DELETE FROM \"members_member\" WHERE"), "{delete}");
    }

    #[test]
    fn a_statement_with_named_queries_of_its_own_keeps_them() {
        let said = project().statement("WITH x AS (SELECT 1) SELECT id FROM vestibule_group, x");
        assert!(said.starts_with("WITH vestibule_group AS"), "{said}");
        assert!(said.contains("auth_group), x AS (SELECT 1) SELECT id"), "{said}");
    }

    #[test]
    fn fields_of_the_projects_profiles_are_known() {
        assert_eq!(project().table_of_field("band"), Some("profiles"));
        assert_eq!(project().table_of_field("motto"), None);
    }
}
