//! Users, groups and permissions in a database.

mod error;
mod hashing;
mod password;
pub mod settings;

pub use error::{AccountsError, CommandError};
pub use settings::Settings;
