//! From the file to settings, or every problem in it at once.
//!
//! Only the command line imports this layer: each layer's settings type lives in that layer and
//! is filled here.

use std::fmt;
use std::path::Path;

use crate::{accounts, gateway, pages, server, sessions, telemetry};

/// The file, resolved: one settings value for each layer.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// `[server]`, `[admin]`.
    pub server: server::Settings,
    /// Sites, rules and upstreams.
    pub gateway: gateway::Settings,
    /// `[sessions]`.
    pub sessions: sessions::Settings,
    /// `[users]`, `[passwords]`, `[permissions]`.
    pub accounts: accounts::Settings,
    /// `[accounts]`, `[lockout]`.
    pub pages: pages::Settings,
    /// `[log]`.
    pub telemetry: telemetry::Settings,
    /// `[[test]]`.
    pub tests: Vec<PolicyTest>,
    /// What is valid and still worth a word.
    pub warnings: Problems,
}

/// One `[[test]]`.
#[derive(Debug, Clone)]
pub struct PolicyTest {}

/// Everything that is wrong with a file.
#[derive(Debug, Clone)]
pub struct Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

/// Reads `file`, or the first of the default files that exists.
pub fn load(_file: Option<&Path>) -> Result<Configuration, Problems> {
    Err(Problems {})
}
