//! The names there are, for whoever wants to know whether one of them is meant.

use std::collections::BTreeSet;

use super::super::shared::Shared;

/// The names of all permissions and groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of permissions, `app.codename`.
    pub permissions: BTreeSet<String>,
    /// Of groups.
    pub groups: BTreeSet<String>,
}

/// Reads all names.
pub(in super::super) async fn names(shared: &Shared) -> Result<Names, sqlx::Error> {
    let mut reading = shared.database.read().await?;
    let permissions: Vec<String> =
        sqlx::query_scalar("SELECT app_label || '.' || codename AS name FROM vestibule_permission")
            .fetch_all(&mut *reading)
            .await?;
    let groups: Vec<String> =
        sqlx::query_scalar("SELECT name FROM vestibule_group").fetch_all(&mut *reading).await?;
    reading.commit().await?;
    Ok(Names {
        permissions: permissions.into_iter().collect(),
        groups: groups.into_iter().collect(),
    })
}
