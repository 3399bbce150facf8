//! The pages that the gateway answers itself.
pub mod settings;
pub use settings::{Lockout, Settings};
