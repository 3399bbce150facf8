//! What an operator can set about logs: `[log]`.

use std::path::PathBuf;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the line for each request goes.
    pub access: AccessLog,
    /// Which messages of our own are shown: a `tracing` filter, `info` or `vestibule=debug`.
    pub level: String,
}

/// Where the line for each request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLog {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// The end of a file, opened again on SIGUSR1.
    File(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self { access: AccessLog::Stdout, level: "info".to_owned() }
    }
}
