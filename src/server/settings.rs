//! What an operator can set about sockets, limits and lifetime: `[server]` and `[admin]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[server]` and `[admin]`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where browsers connect; `listen`.
    pub listen: Vec<SocketAddr>,
    /// How many threads proxy; `workers`.
    pub workers: usize,
    /// Bounds on connections; all of `[server]`'s limits and timeouts but the body's size.
    pub limits: Limits,
    /// Where everything lives that outlasts the process; `state_directory`.
    pub state_directory: PathBuf,
    /// How long a stopping gateway waits for requests under way; `shutdown_timeout`.
    pub shutdown_timeout: Duration,
    /// Where metrics and health are served, if anywhere; `admin.listen`.
    pub admin_listen: Option<SocketAddr>,
    /// The Unix socket by which commands reach a running gateway; `admin.socket`.
    pub admin_socket: PathBuf,
}

/// What one connection may take, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's head; more is answered with 431.
    pub max_header_size: usize,
    /// Fields in a request's head; more is answered with 431.
    pub max_headers: usize,
    /// Connections at one time, over all workers; one more is closed at once.
    pub max_connections: usize,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// Between two requests on one connection.
    pub idle_timeout: Duration,
    /// Between two reads of a request's body.
    pub body_timeout: Duration,
    /// Between two writes to a browser that does not read.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_header_size: 64 * 1024,
            max_headers: 100,
            max_connections: 16_384,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
        }
    }
}
