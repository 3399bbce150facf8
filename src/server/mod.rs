//! Sockets and lifetime.
pub mod settings;
pub use settings::Settings;
