//! The sessions on disk, as `/metrics` shows them.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// How the sessions on disk are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnDisk {
    /// Whether logins and logouts can be kept.
    pub is_durable: bool,
    /// Bytes in the journal since the last snapshot.
    pub journal_bytes: u64,
    /// How often the journal has waited for the disk.
    pub journal_syncs: u64,
    /// How many snapshots were written.
    pub snapshots: u64,
    /// How many snapshots could not be written.
    pub snapshot_failures: u64,
    /// How long the last snapshot took.
    pub snapshot_duration: Duration,
    /// How large the last snapshot is.
    pub snapshot_bytes: u64,
    /// How long ago the last snapshot was complete; nothing before the first.
    pub snapshot_age: Option<Duration>,
}

impl OnDisk {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in [
            (
                "sessions_journal_syncs",
                "How often the journal waited for the disk",
                self.journal_syncs,
            ),
            ("sessions_snapshots", "Snapshots of the sessions that were written", self.snapshots),
            (
                "sessions_snapshot_failures",
                "Snapshots of the sessions that could not be written",
                self.snapshot_failures,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let age = self.snapshot_age.map(|age| age.as_secs_f64());
        let gauges = [
            (
                "sessions_durable",
                "Whether logins and logouts can be written to disk",
                Some(f64::from(u8::from(self.is_durable))),
            ),
            (
                "sessions_journal_bytes",
                "Bytes in the journal since the last snapshot",
                Some(self.journal_bytes as f64),
            ),
            (
                "sessions_snapshot_bytes",
                "Size of the last snapshot",
                Some(self.snapshot_bytes as f64),
            ),
            (
                "sessions_snapshot_duration_seconds",
                "Time that the last snapshot took",
                Some(self.snapshot_duration.as_secs_f64()),
            ),
            ("sessions_snapshot_age_seconds", "Time since the last snapshot", age),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(metric)?;
            }
        }
        Ok(())
    }
}
