//! `[users]`: where users are kept, and in whose tables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problem::Problem;
use super::reader::{At, Table};
use super::report::Report;
use crate::accounts::settings::{Database, DjangoTables, PostgresUrl, Schema, Settings};
use crate::domain::user::UsernameRule;

/// What the section says.
pub(super) struct Users {
    pub(super) database: Database,
    pub(super) schema: Schema,
    pub(super) refresh: Duration,
    pub(super) username_rule: UsernameRule,
}

pub(super) fn read(root: &Table<'_>, state_directory: &Path) -> Users {
    let report = root.report();
    let users = root.table("users");
    let database = users.text("database").and_then(|text| {
        if PostgresUrl::is_meant(&text.value) {
            return postgres(report, &text);
        }
        report.keep("bad-value", &text.span, sqlite(&text.value))
    });
    let refresh = users.duration("refresh", Duration::from_secs(1));
    let rules = [("django", UsernameRule::Django), ("book", UsernameRule::Book)];
    let rule = users.choice("username_rule", &rules).map(|at| at.value);
    let schema = schema(&users);
    users.finish(&[]);
    Users {
        database: database.unwrap_or_else(|| Database::Sqlite(state_directory.join("users.db"))),
        schema,
        refresh: refresh.map_or_else(|| Settings::default().refresh, |at| at.value),
        username_rule: rule.unwrap_or_default(),
    }
}

/// Whose tables users are in: `schema`, and what a Django project calls them.
fn schema(users: &Table<'_>) -> Schema {
    let is_django = users.choice("schema", &[("vestibule", false), ("django", true)]);
    let user_table = users.parsed("user_table", table_name);
    let profile_table = users.parsed("profile_table", table_name);
    let triggers = users.flag("triggers");
    if is_django.as_ref().is_some_and(|at| at.value) {
        return Schema::Django(DjangoTables {
            user_table: user_table.map_or_else(|| "auth_user".to_owned(), |at| at.value),
            profile_table: profile_table.map(|at| at.value),
            triggers: triggers.is_some_and(|at| at.value),
        });
    }
    // Whoever mistyped it is told that alone.
    if users.entry("schema").is_some() && is_django.is_none() {
        return Schema::Vestibule;
    }
    let spans = [user_table.map(|at| at.span), profile_table.map(|at| at.span)];
    for span in spans.into_iter().chain([triggers.map(|at| at.span)]).flatten() {
        let message = "this is about the tables of a Django project, and those here are our own";
        let problem = Problem::error("contradiction", span, message);
        users.report().add(problem.hint("write `schema = \"django\"` beside it, or leave it out"));
    }
    Schema::Vestibule
}

fn table_name(text: &str) -> Result<String, String> {
    let is_fit = |c: char| c.is_alphanumeric() || c == '_';
    if text.is_empty() || text.len() > 63 || !text.chars().all(is_fit) {
        return Err(format!(
            "`{text}` is not the name of a table\nhint: Django names it `APP_MODEL`, `myapp_user`"
        ));
    }
    Ok(text.to_owned())
}

/// The address of a server. It is not repeated: it stands in the source line, where its password
/// is masked.
fn postgres(report: &Report, text: &At<String>) -> Option<Database> {
    match PostgresUrl::parse(&text.value) {
        Ok(url) => Some(Database::Postgres(url)),
        Err(why) => {
            let message = format!("this is not the address of a database: {why}");
            let problem = Problem::error("bad-value", text.span.clone(), message);
            report.add(problem.hint(
                "write `postgres://HOST/DATABASE`, with `USER:PASSWORD` and an `@` before the host",
            ));
            None
        }
    }
}

fn sqlite(text: &str) -> Result<Database, String> {
    let malformed = |why: &str| {
        format!(
            "`{text}` is not a database: {why}\nhint: write `sqlite:PATH`, as in `sqlite:var/users.db`, or `postgres://HOST/DATABASE`"
        )
    };
    let path = text
        .strip_prefix("sqlite:")
        .ok_or_else(|| malformed("it does not begin with `sqlite:`"))?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() {
        return Err(malformed("it has no path"));
    }
    if path.contains(":memory:") {
        return Err(malformed("users must outlast the process"));
    }
    if path.contains('?') {
        return Err(malformed("it has options"));
    }
    Ok(Database::Sqlite(PathBuf::from(path)))
}
