//! Logins and lockouts, as `/metrics` shows them.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::domain::audit::Outcome;

/// How often credentials were checked, and who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logins {
    /// They were right.
    pub succeeded: u64,
    /// They were wrong.
    pub failed: u64,
    /// Nobody looked at them, after too many failures.
    pub throttled: u64,
    /// They could not be checked.
    pub unavailable: u64,
    /// How often somebody was locked out.
    pub lockouts: u64,
    /// How many lockouts there are now.
    pub locked_out: u64,
    /// Entries of the audit log that could not be written.
    pub lost_entries: u64,
}

impl Logins {
    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Checks of a name and a password, by what came of them";
        let mut logins = encoder.encode_descriptor("logins", help, None, MetricType::Counter)?;
        for (outcome, count) in [
            (Outcome::Ok, self.succeeded),
            (Outcome::Failed, self.failed),
            (Outcome::Throttled, self.throttled),
            (Outcome::Unavailable, self.unavailable),
        ] {
            let labels = [("outcome", outcome.name())];
            ConstCounter::new(count).encode(logins.encode_family(&labels)?)?;
        }
        for (name, help, value) in [
            ("lockouts", "How often an account or an address was locked out", self.lockouts),
            ("lost_audit_entries", "Entries that could not be written", self.lost_entries),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let help = "Accounts and addresses that are locked out now";
        let metric = encoder.encode_descriptor("locked_out", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.locked_out).encode(metric)
    }
}
