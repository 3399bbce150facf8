//! The single door to applications.
pub mod settings;
pub use settings::{Server, Settings};
