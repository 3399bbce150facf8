//! Accounts by name, for the questions that `check` and `explain` ask of the rules.

use std::sync::Arc;

use super::Failure;
use crate::accounts::settings::{Database, Settings};
use crate::domain::User;

/// The database of accounts, opened for reading.
#[derive(Debug)]
pub(super) struct Lookup {}

/// Whether there is a database already; a look must not make one.
pub(super) fn database_exists(settings: &Settings) -> bool {
    let Database::Sqlite(path) = &settings.database;
    path.exists()
}

/// Opens the database when there is one.
pub(super) fn open(_settings: &Settings) -> Result<Lookup, Failure> {
    Ok(Lookup {})
}

impl Lookup {
    /// The account called `name`, as it is now.
    pub(super) fn user(&self, _name: &str) -> Option<Arc<User>> {
        None
    }
}
