//! Metrics and logs.
pub mod settings;
pub use settings::{AccessLog, Settings};
