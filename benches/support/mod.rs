//! What the benches share: starting programs in a temporary directory, the load they are put under, the
//! CPU and memory they use, and the table at the end.
//!
//! Here belongs what two benches need. The question of one bench, its configuration and its verdict stay
//! in its own file.

pub(crate) mod connection;
pub(crate) mod forwarder;
pub(crate) mod haproxy;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod nginx;
pub(crate) mod options;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod rounds;
pub(crate) mod sign_in;
pub(crate) mod socket_server;
pub(crate) mod stream_server;
pub(crate) mod usage;
pub(crate) mod vestibule;
pub(crate) mod workspace;

use std::process::ExitCode;
use std::time::Instant;

/// A bench has nothing to recover from: what goes wrong ends it with one readable sentence.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Runs a bench, or the part of a child process when this executable was started as one (see `process`).
pub(crate) fn run(bench: impl FnOnce() -> Result<bool>) -> ExitCode {
    let outcome = match process::own_role() {
        Some(role) => process::play(&role).map(|()| true),
        None => bench(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(problem) => {
            report::note(&format!("error: {problem}"));
            ExitCode::from(2)
        }
    }
}

/// Reads the clock.
#[expect(clippy::disallowed_methods, reason = "measuring time is what a bench is for")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A default that the environment may change: `VESTIBULE_BENCH_ROUNDS=3` stands for `--rounds 3`.
pub(crate) fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(format!("VESTIBULE_BENCH_{name}"))
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
