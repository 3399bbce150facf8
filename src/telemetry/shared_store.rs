//! A session store that gateways share, as `/metrics` shows it.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// How a shared store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SharedStore {
    /// Whether it can be asked.
    pub is_up: bool,
    /// How often it was asked for a session.
    pub questions: u64,
    /// How often it said that a session changed.
    pub changes: u64,
}

impl SharedStore {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in [
            ("store_questions", "Sessions asked for at the shared store", self.questions),
            ("store_changes", "Changes of sessions that the shared store told of", self.changes),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let help = "Whether the shared store answers";
        let metric = encoder.encode_descriptor("store_up", help, None, MetricType::Gauge)?;
        ConstGauge::new(u64::from(self.is_up)).encode(metric)
    }
}
