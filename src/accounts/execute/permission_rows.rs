//! The row of a new permission: in our own table, or in those of a Django project, where each
//! permission belongs to the content type of a model.

use super::super::database::Connection;
use crate::domain::Permission;

/// Whether there is a permission of this name.
pub(super) async fn exists(
    connection: &mut Connection,
    permission: &Permission,
) -> Result<bool, sqlx::Error> {
    let any: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM vestibule_permission WHERE app_label = $1 AND codename = $2",
    )
    .bind(permission.app())
    .bind(permission.codename())
    .fetch_optional(connection)
    .await?;
    Ok(any.is_some())
}

/// Makes it.
pub(super) async fn insert(
    connection: &mut Connection,
    permission: &Permission,
    description: &str,
) -> Result<(), sqlx::Error> {
    let query = if connection.django().is_some() {
        let content_type = content_type(connection, permission).await?;
        let insert = "INSERT INTO auth_permission (content_type_id, codename, name)
                      VALUES ($1, $2, $3)";
        sqlx::query(insert).bind(content_type)
    } else {
        let insert = "INSERT INTO vestibule_permission (app_label, codename, name)
                      VALUES ($1, $2, $3)";
        sqlx::query(insert).bind(permission.app())
    };
    query.bind(permission.codename()).bind(description).execute(connection).await?;
    Ok(())
}

/// Describes it in other words. What a Django project has is described by its models.
pub(super) async fn describe(
    connection: &mut Connection,
    permission: &Permission,
    description: &str,
) -> Result<(), sqlx::Error> {
    if connection.django().is_none() {
        let update =
            "UPDATE vestibule_permission SET name = $1 WHERE app_label = $2 AND codename = $3";
        sqlx::query(update)
            .bind(description)
            .bind(permission.app())
            .bind(permission.codename())
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// What Django's `create_permissions` begins the names of a model's permissions with.
const VERBS: [&str; 4] = ["add_", "change_", "delete_", "view_"];

/// The content type that Django would give it: of the model that the name ends with, or else of
/// some model of the application. It is made when there is none.
async fn content_type(
    connection: &mut Connection,
    permission: &Permission,
) -> Result<i64, sqlx::Error> {
    let codename = permission.codename();
    let model = VERBS.iter().find_map(|verb| codename.strip_prefix(verb));
    let found: Option<i64> = match model {
        Some(model) => {
            sqlx::query_scalar(
                "SELECT id FROM django_content_type WHERE app_label = $1 AND model = $2",
            )
            .bind(permission.app())
            .bind(model)
            .fetch_optional(&mut *connection)
            .await?
        }
        None => {
            sqlx::query_scalar(
                "SELECT id FROM django_content_type WHERE app_label = $1 ORDER BY id LIMIT 1",
            )
            .bind(permission.app())
            .fetch_optional(&mut *connection)
            .await?
        }
    };
    if let Some(id) = found {
        return Ok(id);
    }
    sqlx::query_scalar(
        "INSERT INTO django_content_type (app_label, model) VALUES ($1, $2) RETURNING id",
    )
    .bind(permission.app())
    .bind(model.unwrap_or_else(|| permission.app()))
    .fetch_one(connection)
    .await
}
