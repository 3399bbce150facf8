//! What an operator can set about logs: `[log]`.

use std::path::PathBuf;

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the line for each request goes.
    pub access: AccessLog,
    /// Where the line for each login, logout and change of accounts goes.
    pub audit: AuditTarget,
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

/// Where the audit log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    /// Nowhere.
    Off,
    /// Standard error, among the messages, where the journal takes it up.
    Stderr,
    /// Standard output.
    Stdout,
    /// The end of a file, opened again on SIGUSR1.
    File(PathBuf),
}

impl Default for Settings {
    fn default() -> Self {
        Self { access: AccessLog::Stdout, audit: AuditTarget::Stderr, level: "info".to_owned() }
    }
}
