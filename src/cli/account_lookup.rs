//! Accounts by name, for the questions that `check`, `explain` and `serve` ask of the rules.

use std::sync::Arc;

use super::Failure;
use crate::accounts::Directory;
use crate::accounts::settings::{Database, Settings};
use crate::domain::User;

/// The database of accounts, opened for a look.
pub(super) struct Lookup {
    runtime: tokio::runtime::Runtime,
    directory: Option<Directory>,
}

/// Whether there is a database already; a look must not make one.
pub(super) fn database_exists(settings: &Settings) -> bool {
    match &settings.database {
        Database::Sqlite(path) => path.exists(),
        Database::Postgres(_) => true,
    }
}

/// Opens the database when there is one.
pub(super) fn open(settings: &Settings) -> Result<Lookup, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::No(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let directory = if database_exists(settings) {
        // Nothing is declared: a look changes nothing.
        let settings = Settings { permissions: Vec::new(), ..settings.clone() };
        let opened = runtime.block_on(Directory::open(&settings));
        Some(opened.map_err(|error| failed(&error))?)
    } else {
        None
    };
    Ok(Lookup { runtime, directory })
}

impl Lookup {
    /// The account called `name`, as it is now; one that cannot be read is said to be missing.
    pub(super) fn user(&self, name: &str) -> Option<Arc<User>> {
        let directory = self.directory.as_ref()?;
        self.runtime.block_on(directory.user_by_name(name, super::now())).ok().flatten()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            self.runtime.block_on(directory.close());
        }
    }
}
