//! What an operator can set about an application: `upstream`, `[upstreams.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

/// One application and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name of its table, or its URL where it has none; for logs and metrics.
    pub name: String,
    /// Where it listens, at least one; tried in turn.
    pub servers: Vec<Server>,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the answer.
    pub response_timeout: Duration,
    /// Between two reads of an answer's body.
    pub read_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections each worker keeps to each server.
    pub max_idle: usize,
    /// Whether names of headers are sent as `Content-Type` and not as `content-type`.
    pub title_case_headers: bool,
    /// Whether the answer headers `Vestibule-…` are obeyed; they are removed in any case.
    pub trust_responses: bool,
}

/// Where an application listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Server {
    /// A host name or address, and a port.
    Tcp {
        /// The name or address; IPv6 addresses without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Settings {
    /// An application with the defaults of the reference file.
    pub fn new(name: impl Into<String>, servers: Vec<Server>) -> Self {
        Self {
            name: name.into(),
            servers,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            read_timeout: Duration::from_secs(3600),
            idle_timeout: Duration::from_secs(60),
            max_idle: 64,
            title_case_headers: false,
            trust_responses: false,
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
