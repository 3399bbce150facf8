//! The life of one request.
pub mod settings;
pub use settings::Settings;
