//! Users, groups and permissions in a database.
pub mod settings;
pub use settings::Settings;
