//! Counters of each worker, and all of them in Prometheus' text format.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{Logins, OnDisk, Revoked, SharedStore};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was allowed and answered by the application.
    Allowed,
    /// Its visitor was asked to log in.
    LogIn,
    /// Its visitor may not.
    Denied,
    /// It was allowed, and ended before its end because its visitor may not any more.
    Revoked,
    /// One of the gateway's own pages answered.
    OwnPage,
    /// It was malformed or too large.
    Refused,
    /// The application gave no answer.
    UpstreamFailed,
    /// We could not answer.
    GatewayFailed,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Allowed,
        Self::LogIn,
        Self::Denied,
        Self::Revoked,
        Self::OwnPage,
        Self::Refused,
        Self::UpstreamFailed,
        Self::GatewayFailed,
    ];

    /// The word for it in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allow",
            Self::LogIn => "login",
            Self::Denied => "deny",
            Self::Revoked => "revoked",
            Self::OwnPage => "page",
            Self::Refused => "refuse",
            Self::UpstreamFailed => "upstream_failed",
            Self::GatewayFailed => "gateway_failed",
        }
    }
}

/// What became of the changes that an answer of an application makes to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionChange {
    /// They were made.
    Kept,
    /// They cannot be, and the application has to be mended.
    Ignored,
    /// The session had ended meanwhile.
    TooLate,
    /// The store could not keep them.
    Failed,
}

impl SessionChange {
    const ALL: [Self; 4] = [Self::Kept, Self::Ignored, Self::TooLate, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Ignored => "ignored",
            Self::TooLate => "too_late",
            Self::Failed => "failed",
        }
    }
}

/// The upper bounds of the buckets for durations, in microseconds.
const BOUNDS: [u64; 11] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000];

/// What one worker counts. Only its own thread writes, so a load and a store are enough; an
/// atomic addition would lock the cache line for nobody.
#[derive(Debug, Default)]
pub struct Counters {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    statuses: [AtomicU64; 5],
    durations: [AtomicU64; BOUNDS.len() + 1],
    duration_sum: AtomicU64,
    session_changes: [AtomicU64; SessionChange::ALL.len()],
    connections: AtomicU64,
    open_connections: AtomicU64,
    open_streams: AtomicU64,
    revoked: [AtomicU64; Revoked::ALL.len()],
}

fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

impl Counters {
    /// Counts a finished exchange.
    pub fn count(&self, outcome: Outcome, status: u16, elapsed: Duration) {
        add(&self.outcomes[outcome as usize], 1);
        if let Some(class) = self.statuses.get(usize::from(status / 100).wrapping_sub(1)) {
            add(class, 1);
        }
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.iter().position(|&bound| micros <= bound).unwrap_or(BOUNDS.len());
        add(&self.durations[bucket], 1);
        add(&self.duration_sum, micros);
    }

    /// Counts an answer that changes a session, or would.
    pub fn count_session_change(&self, change: SessionChange) {
        add(&self.session_changes[change as usize], 1);
    }

    /// Counts a connection that was taken.
    pub fn connected(&self) {
        add(&self.connections, 1);
        add(&self.open_connections, 1);
    }

    /// Counts one that ended.
    pub fn disconnected(&self) {
        self.open_connections.store(self.open_connections.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// Notes how many streams are open.
    pub fn streams(&self, open: usize) {
        self.open_streams.store(u64::try_from(open).unwrap_or(u64::MAX), Relaxed);
    }

    /// Counts a stream that was ended because its visitor may not pass any more.
    pub fn revoked(&self, why: Revoked) {
        add(&self.revoked[why as usize], 1);
    }
}

/// What is measured elsewhere, asked for when somebody looks.
pub trait Gauges: Send + Sync {
    /// How many sessions are live.
    fn sessions(&self) -> u64;
    /// Whether the last reload was taken.
    fn reload_succeeded(&self) -> bool;
    /// How many log lines were lost because the disk was too slow.
    fn lost_lines(&self) -> u64;
    /// How often credentials were checked, and who is locked out.
    fn logins(&self) -> Logins;
    /// How the sessions on disk are, if any are there.
    fn sessions_on_disk(&self) -> Option<OnDisk>;
    /// How the store of the sessions is, if gateways share it.
    fn shared_store(&self) -> Option<SharedStore>;
}

/// Everything that `/metrics` shows.
pub struct Exposition {
    registry: Registry,
}

struct Everything {
    workers: Vec<Arc<Counters>>,
    gauges: Arc<dyn Gauges>,
}

impl Exposition {
    /// The counters of all workers, added up when they are asked for.
    pub fn new(workers: Vec<Arc<Counters>>, gauges: Arc<dyn Gauges>) -> Self {
        let mut registry = Registry::with_prefix("vestibule");
        registry.register_collector(Box::new(Everything { workers, gauges }));
        Self { registry }
    }

    /// The text in the OpenMetrics format, which Prometheus reads.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Everything {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Everything({} workers)", self.workers.len())
    }
}

impl Everything {
    fn sum(&self, of: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        self.workers.iter().map(|worker| of(worker).load(Relaxed)).sum()
    }
}

impl Collector for Everything {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut requests = encoder.encode_descriptor(
            "requests",
            "Requests by outcome",
            None,
            MetricType::Counter,
        )?;
        for outcome in Outcome::ALL {
            let count = self.sum(|worker| &worker.outcomes[outcome as usize]);
            let labels = [("outcome", outcome.name())];
            ConstCounter::new(count).encode(requests.encode_family(&labels)?)?;
        }
        let mut answers = encoder.encode_descriptor(
            "answers",
            "Answers by status class",
            None,
            MetricType::Counter,
        )?;
        for (index, class) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
            let count = self.sum(|worker| &worker.statuses[index]);
            ConstCounter::new(count).encode(answers.encode_family(&[("status", class)])?)?;
        }
        let mut changes = encoder.encode_descriptor(
            "session_changes",
            "Answers of applications that change a session, by what became of it",
            None,
            MetricType::Counter,
        )?;
        for change in SessionChange::ALL {
            let count = self.sum(|worker| &worker.session_changes[change as usize]);
            let labels = [("outcome", change.name())];
            ConstCounter::new(count).encode(changes.encode_family(&labels)?)?;
        }
        let mut durations = encoder.encode_descriptor(
            "request_duration_seconds",
            "Time from a request's head to the end of its answer",
            None,
            MetricType::Histogram,
        )?;
        let buckets: Vec<(f64, u64)> = (0..=BOUNDS.len())
            .map(|index| {
                let bound = BOUNDS.get(index).map_or(f64::INFINITY, |&micros| micros as f64 / 1e6);
                (bound, self.sum(|worker| &worker.durations[index]))
            })
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = self.sum(|worker| &worker.duration_sum) as f64 / 1e6;
        type NoLabels = [(&'static str, &'static str); 0];
        durations.encode_histogram::<NoLabels>(seconds, count, &buckets, None)?;

        let mut revoked = encoder.encode_descriptor(
            "revoked_streams",
            "Streams that were ended because their visitor may not pass any more",
            None,
            MetricType::Counter,
        )?;
        for why in Revoked::ALL {
            let count = self.sum(|worker| &worker.revoked[why as usize]);
            ConstCounter::new(count).encode(revoked.encode_family(&[("reason", why.name())])?)?;
        }

        let counters = [
            ("connections", "Connections taken", self.sum(|worker| &worker.connections)),
            ("lost_log_lines", "Access log lines that were dropped", self.gauges.lost_lines()),
        ];
        for (name, help, value) in counters {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            ConstCounter::new(value).encode(metric)?;
        }
        let open = self.sum(|worker| &worker.open_connections);
        let streams = self.sum(|worker| &worker.open_streams);
        let reload_succeeded = u64::from(self.gauges.reload_succeeded());
        let gauges = [
            ("open_connections", "Connections open now", open),
            ("open_streams", "Streams open now", streams),
            ("sessions", "Live sessions", self.gauges.sessions()),
            ("reload_success", "Whether the last reload was taken", reload_succeeded),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        self.gauges.logins().encode(&mut encoder)?;
        if let Some(on_disk) = self.gauges.sessions_on_disk() {
            on_disk.encode(&mut encoder)?;
        }
        if let Some(store) = self.gauges.shared_store() {
            store.encode(&mut encoder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Gauges for Nothing {
        fn sessions(&self) -> u64 {
            0
        }

        fn reload_succeeded(&self) -> bool {
            true
        }

        fn lost_lines(&self) -> u64 {
            0
        }

        fn logins(&self) -> Logins {
            Logins::default()
        }

        fn sessions_on_disk(&self) -> Option<OnDisk> {
            Some(OnDisk::default())
        }

        fn shared_store(&self) -> Option<SharedStore> {
            Some(SharedStore::default())
        }
    }

    #[test]
    fn the_last_bucket_is_without_a_bound() {
        let counters = Arc::new(Counters::default());
        let text = Exposition::new(vec![counters], Arc::new(Nothing)).text().unwrap();
        assert!(
            text.contains("vestibule_request_duration_seconds_bucket{le=\"+Inf\"} 0"),
            "{text}"
        );
    }
}
