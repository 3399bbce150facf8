//! Sessions.
pub mod settings;
pub use settings::{CookieSettings, SameSite, Settings};
