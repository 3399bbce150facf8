//! Accounts by name, for the questions that `check`, `explain` and `serve` ask of the rules.

use std::sync::Arc;

use super::Failure;
use crate::accounts::settings::{Database, Settings};
use crate::accounts::{CommandError, Directory};
use crate::config::{Configuration, KnownNames, Problems};
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
        let (permissions, groups) = (Vec::new(), Vec::new());
        let settings = Settings { permissions, groups, ..settings.clone() };
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

impl Lookup {
    /// The names that the database knows; `None` while there is none.
    pub(super) fn known_names(&self) -> Result<Option<KnownNames>, Failure> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let names = self.runtime.block_on(directory.names());
        let names = names.map_err(|error| Failure::No(error.to_string()))?;
        Ok(Some(KnownNames { permissions: names.permissions, groups: names.groups }))
    }

    /// What is wrong with the name of a user: that there is none, and which name is near.
    pub(super) fn complaint(&self, name: &str) -> Option<String> {
        let directory = self.directory.as_ref()?;
        match self.runtime.block_on(directory.find(name)) {
            Err(error @ CommandError::NotFound(_)) => Some(error.to_string()),
            // A database that fails says nothing about a name.
            Ok(_) | Err(_) => None,
        }
    }

    /// The warnings of the file, with those about names that nobody knows.
    pub(super) fn warnings(&self, configuration: &Configuration) -> Result<Problems, Failure> {
        let known = self.known_names()?;
        let unknown = configuration.unknown_names(known.as_ref(), |name| self.complaint(name));
        Ok(configuration.warnings.clone().and(unknown))
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            self.runtime.block_on(directory.close());
        }
    }
}
