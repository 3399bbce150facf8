//! What every bench can be asked on its command line, or by the environment (`VESTIBULE_BENCH_ROUNDS=3`).

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::process::Cores;
use super::report::Format;
use super::setting;

/// The options all benches share.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; in each, every contestant has its turn, and the table shows medians over the rounds.
    #[arg(long, default_value_t = setting("ROUNDS", 5))]
    pub(crate) rounds: usize,
    /// Seconds of one contestant's turn.
    #[arg(long, default_value_t = setting("SECONDS", 4))]
    seconds: u64,
    /// Keep-alive connections of the load.
    #[arg(long, default_value_t = setting("CONNECTIONS", 64))]
    pub(crate) connections: usize,
    /// Whether the proxy has core 0 for itself and all else the other cores.
    #[arg(long, value_enum, default_value_t = pinning())]
    pin: Pin,
    /// Print the tables as Markdown, with the date and the machine.
    #[arg(long, default_value_t = setting("MARKDOWN", false))]
    markdown: bool,
    /// Exit with 1 when a target is missed.
    #[arg(long, default_value_t = setting("CHECK", false))]
    check: bool,
    /// `cargo bench` says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pin {
    /// On a machine with two cores only, where the kernel would push the proxy around.
    Auto,
    Yes,
    No,
}

impl Options {
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn format(&self) -> Format {
        if self.markdown { Format::Markdown } else { Format::Terminal }
    }

    /// What the bench's exit code says: a missed target counts only when asked for.
    pub(crate) fn outcome(&self, all_met: bool) -> bool {
        all_met || !self.check
    }

    /// The cores of the proxy, and those of the upstream and the load.
    pub(crate) fn cores(&self) -> (Cores, Cores) {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let pinned = match self.pin {
            Pin::Auto => count == 2,
            Pin::Yes => count > 1,
            Pin::No => false,
        };
        if pinned { (Some(vec![0]), Some((1..count).collect())) } else { (None, None) }
    }
}

fn pinning() -> Pin {
    std::env::var("VESTIBULE_BENCH_PIN")
        .ok()
        .and_then(|text| Pin::from_str(&text, true).ok())
        .unwrap_or(Pin::Auto)
}
