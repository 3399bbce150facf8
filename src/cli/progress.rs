//! A bar on a terminal for what takes longer than a second, and nothing elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::telemetry::Stopwatch;

/// How long something may take before a bar appears.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far something is.
pub(super) struct Progress {
    bar: ProgressBar,
    running: Stopwatch,
    is_shown: bool,
}

impl Progress {
    /// Begins something of `length` parts, which are called `things`.
    pub(super) fn start(length: u64, things: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::hidden());
        let template =
            format!("{{msg}} {{bar:40}} {{human_pos}} of {{human_len}} {things}, {{eta}} to go");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self { bar, running: Stopwatch::start(), is_shown: false }
    }

    /// Says what is done now.
    pub(super) fn says(&self, doing: &'static str) {
        self.bar.set_message(doing);
    }

    /// Notes that so many more parts are done.
    pub(super) fn advance(&mut self, parts: usize) {
        if !self.is_shown && self.running.elapsed() >= PATIENCE {
            self.is_shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(Duration::from_millis(100));
        }
        self.bar.inc(u64::try_from(parts).unwrap_or(u64::MAX));
    }

    /// Sets how many parts there are, where that is known only about.
    pub(super) fn set_length(&self, length: u64) {
        self.bar.set_length(length);
    }
}

impl Drop for Progress {
    /// Takes the bar away, however it ended.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
