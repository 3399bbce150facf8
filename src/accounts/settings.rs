//! What an operator can set about users: `[users]`, `[passwords]`, `[permissions]`, `[groups]`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use super::database::{NotAnAddress, PostgresUrl};
use super::password::Validators;
use crate::domain::user::UsernameRule;
use crate::domain::{Permission, ProfileFields};

/// `[users]`, `[passwords]`, `[permissions]` and `[groups]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where users are kept.
    pub database: Database,
    /// Whose tables they are in.
    pub schema: Schema,
    /// How soon a change is noticed that was made behind our back.
    pub refresh: Duration,
    /// What a new password hash costs.
    pub hashing: Hashing,
    /// Whether a login gives a password a new hash, when the old one is of another kind or cost.
    pub upgrade_hashes: bool,
    /// What a new password may not be.
    pub validators: Validators,
    /// What a new user may be called.
    pub username_rule: UsernameRule,
    /// Permissions declared in the file, with their descriptions; created at start.
    pub permissions: Vec<(Permission, String)>,
    /// Groups declared in the file, with declared permissions that they are given; created at start.
    pub groups: Vec<(String, Vec<Permission>)>,
    /// The fields of profiles, if the file declares any; without, any name will do.
    pub profile: Option<Arc<ProfileFields>>,
    /// How long the log of changes is kept; `admin.keep_log`.
    pub keep_log: Duration,
}

/// Where users are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file, made when it is not there; `sqlite:PATH`.
    Sqlite(PathBuf),
    /// A server; `postgres://…`.
    Postgres(PostgresUrl),
}

/// Whose tables users are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Schema {
    /// Our own.
    #[default]
    Vestibule,
    /// Those of an existing Django project.
    Django(DjangoTables),
}

/// What a Django project calls its tables, where it may choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DjangoTables {
    /// That of users; those of their groups and permissions are named after it.
    pub user_table: String,
    /// One with a row of more fields for each user, in the column `user_id` of which the user is.
    pub profile_table: Option<String>,
    /// Whether triggers may be put on the project's tables, so that its changes count at once.
    pub triggers: bool,
}

/// The cost of argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashing {
    /// Memory in KiB; at least 8 for each lane.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, parallelism: 1 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            database: Database::Sqlite(PathBuf::from("var/users.db")),
            schema: Schema::Vestibule,
            refresh: Duration::from_secs(30),
            hashing: Hashing::default(),
            upgrade_hashes: true,
            validators: Validators::default(),
            username_rule: UsernameRule::default(),
            permissions: Vec::new(),
            groups: Vec::new(),
            profile: None,
            keep_log: super::KEEP_LOG,
        }
    }
}
