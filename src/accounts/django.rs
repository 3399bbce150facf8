//! Reads users, groups and permissions out of the database of a Django project, for an import.
//! Nothing is written there, and Django may go on meanwhile.

use std::collections::HashMap;
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::command::Secret;
use super::transfer::{GroupEntry, PermissionEntry, Record, UserEntry};

/// Where a Django project keeps its users.
#[derive(Debug)]
pub struct DjangoDatabase(String);

/// The model of a project's users, `app.model`; by default `auth.user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserModel {
    app: String,
    model: String,
}

/// Why a Django project's users could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DjangoError {
    /// The model's name is none.
    #[error("`{0}` is not the name of a model\nhint: write `app.model`, as in `AUTH_USER_MODEL`")]
    Model(String),
    /// The database failed, or is not one of Django's.
    #[error(
        "the database of the Django project cannot be read: {0}\n\
         hint: it has to have the tables of `django.contrib.auth`; `--user-model` names another \
         model of users"
    )]
    Database(#[from] sqlx::Error),
}

impl UserModel {
    /// Reads `app.model`, in any case.
    pub fn parse(text: &str) -> Result<Self, DjangoError> {
        let is_name = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        match text.split_once('.') {
            Some((app, model)) if is_name(app) && is_name(model) => {
                Ok(Self { app: app.to_owned(), model: model.to_lowercase() })
            }
            Some(_) | None => Err(DjangoError::Model(text.escape_debug().to_string())),
        }
    }

    /// As `dumpdata` writes it: `app.model`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.app, self.model)
    }

    /// The table that Django makes for it. Only letters, digits and `_` are in it.
    fn table(&self) -> String {
        format!("{}_{}", self.app, self.model)
    }
}

impl Default for UserModel {
    fn default() -> Self {
        Self { app: "auth".to_owned(), model: "user".to_owned() }
    }
}

/// What stands for itself in a path of a URL.
const NOT_IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

impl DjangoDatabase {
    /// A file of SQLite's.
    pub fn file(path: &Path) -> Self {
        let path = path.to_string_lossy();
        Self(format!("sqlite://{}?mode=ro", utf8_percent_encode(&path, NOT_IN_PATH)))
    }

    /// A database at `postgres://…`.
    pub fn postgres(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// Reads everything, as of one moment: permissions, groups, users, each with the row that it
    /// stands in.
    pub async fn read(&self, users: &UserModel) -> Result<Vec<(String, Record)>, DjangoError> {
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&self.0).await?;
        let begin = match self.0.starts_with("sqlite:") {
            true => "BEGIN",
            false => "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        };
        let mut reading = connection.begin_with(begin).await?;
        let mut records = permissions(&mut reading).await?;
        records.extend(groups(&mut reading).await?);
        let seconds: fn(&str) -> String = match self.0.starts_with("sqlite:") {
            true => |column: &str| format!("CAST(strftime('%s', {column}) AS BIGINT)"),
            false => |column: &str| format!("CAST(EXTRACT(EPOCH FROM {column}) AS BIGINT)"),
        };
        records.extend(self::users(&mut reading, users, seconds).await?);
        reading.rollback().await?;
        connection.close().await?;
        Ok(records)
    }
}

type Records = Vec<(String, Record)>;

async fn permissions(connection: &mut AnyConnection) -> Result<Records, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT CAST(auth_permission.id AS TEXT), CAST(app_label AS TEXT),
                CAST(codename AS TEXT), CAST(auth_permission.name AS TEXT)
         FROM auth_permission
         JOIN django_content_type ON django_content_type.id = content_type_id
         ORDER BY app_label, codename",
    )
    .fetch_all(connection)
    .await?;
    let mut records: Records = Vec::new();
    for row in rows {
        let (id, app, codename) = (text(&row, 0)?, text(&row, 1)?, text(&row, 2)?);
        let entry =
            PermissionEntry { name: format!("{app}.{codename}"), description: text(&row, 3)? };
        // Two models of an application may each have a permission of one codename. Django's
        // `has_perm` does not tell them apart either.
        let is_same = |(_, other): &(String, Record)| other.name() == entry.name;
        if !records.last().is_some_and(is_same) {
            records.push((format!("auth_permission {id}"), Record::Permission(entry)));
        }
    }
    Ok(records)
}

async fn groups(connection: &mut AnyConnection) -> Result<Records, sqlx::Error> {
    let mut given = names_by_key(
        connection,
        "SELECT CAST(group_id AS TEXT), CAST(app_label || '.' || codename AS TEXT)
         FROM auth_group_permissions
         JOIN auth_permission ON auth_permission.id = permission_id
         JOIN django_content_type ON django_content_type.id = content_type_id
         ORDER BY app_label, codename"
            .to_owned(),
    )
    .await?;
    let rows =
        sqlx::query("SELECT CAST(id AS TEXT), CAST(name AS TEXT) FROM auth_group ORDER BY name")
            .fetch_all(connection)
            .await?;
    let record = |row: AnyRow| {
        let id = text(&row, 0)?;
        let permissions = given.remove(&id).unwrap_or_default();
        let entry = GroupEntry { name: text(&row, 1)?, permissions };
        Ok((format!("auth_group {id}"), Record::Group(entry)))
    };
    rows.into_iter().map(record).collect()
}

async fn users(
    connection: &mut AnyConnection,
    model: &UserModel,
    seconds: fn(&str) -> String,
) -> Result<Records, sqlx::Error> {
    let (table, column) = (model.table(), format!("{}_id", model.model));
    let mut memberships = names_by_key(
        connection,
        format!(
            "SELECT CAST(\"{column}\" AS TEXT), CAST(name AS TEXT) FROM \"{table}_groups\"
             JOIN auth_group ON auth_group.id = group_id ORDER BY name"
        ),
    )
    .await?;
    let mut granted = names_by_key(
        connection,
        format!(
            "SELECT CAST(\"{column}\" AS TEXT), CAST(app_label || '.' || codename AS TEXT)
             FROM \"{table}_user_permissions\"
             JOIN auth_permission ON auth_permission.id = permission_id
             JOIN django_content_type ON django_content_type.id = content_type_id
             ORDER BY app_label, codename"
        ),
    )
    .await?;
    let flag = |column: &str| format!("CAST(CASE WHEN {column} THEN 1 ELSE 0 END AS BIGINT)");
    let select = format!(
        "SELECT CAST(id AS TEXT), CAST(username AS TEXT), CAST(first_name AS TEXT),
                CAST(last_name AS TEXT), CAST(email AS TEXT), CAST(password AS TEXT),
                {}, {}, {}, {}, {}
         FROM \"{table}\" ORDER BY id",
        flag("is_active"),
        flag("is_staff"),
        flag("is_superuser"),
        seconds("last_login"),
        seconds("date_joined"),
    );
    // Only the name of the table is put in, which has no character in it that means anything.
    let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(connection).await?;
    let record = |row: AnyRow| {
        let id = text(&row, 0)?;
        let flag = |column: usize| row.try_get::<i64, _>(column).map(|flag| Some(flag != 0));
        let moment = |column: usize| {
            let seconds: Option<i64> = row.try_get(column)?;
            Ok::<_, sqlx::Error>(seconds.and_then(|it| jiff::Timestamp::from_second(it).ok()))
        };
        let entry = UserEntry {
            username: text(&row, 1)?,
            first_name: Some(text(&row, 2)?),
            last_name: Some(text(&row, 3)?),
            email: Some(text(&row, 4)?),
            password: None,
            password_hash: Some(Secret::from(text(&row, 5)?)),
            is_active: flag(6)?,
            is_staff: flag(7)?,
            is_superuser: flag(8)?,
            last_login: moment(9)?,
            date_joined: moment(10)?,
            groups: Some(memberships.remove(&id).unwrap_or_default()),
            permissions: Some(granted.remove(&id).unwrap_or_default()),
            ..UserEntry::default()
        };
        Ok((format!("{table} {id}"), Record::User(entry)))
    };
    rows.into_iter().map(record).collect()
}

/// The names in the second column by what is in the first, in the order of the rows.
async fn names_by_key(
    connection: &mut AnyConnection,
    select: String,
) -> Result<HashMap<String, Vec<String>>, sqlx::Error> {
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    for row in sqlx::query(AssertSqlSafe(select)).fetch_all(connection).await? {
        names.entry(text(&row, 0)?).or_default().push(text(&row, 1)?);
    }
    Ok(names.into_iter().map(|(key, names)| (key, without_repeated(names))).collect())
}

fn without_repeated(mut names: Vec<String>) -> Vec<String> {
    names.dedup();
    names
}

/// A column of text; empty where there is none.
fn text(row: &AnyRow, column: usize) -> Result<String, sqlx::Error> {
    row.try_get::<Option<String>, _>(column).map(Option::unwrap_or_default)
}
