//! What operators see of a running gateway: counters and log lines.
//!
//! Here belong counting, timing and writing down. Everything that a request touches belongs to
//! its worker alone; a control thread reads, adds up and writes.

mod access_log;
mod audit;
mod logins;
mod metrics;
mod on_disk;
mod revoked;
pub mod settings;
mod shared_store;
mod stopwatch;

pub use access_log::{AccessLines, AccessLogWriter, Line};
pub use audit::AuditLog;
pub use logins::Logins;
pub use metrics::{Counters, Exposition, Gauges, Outcome, SessionChange};
pub use on_disk::OnDisk;
pub use revoked::Revoked;
pub use settings::{AccessLog, AuditTarget, Settings};
pub use shared_store::SharedStore;
pub use stopwatch::Stopwatch;
