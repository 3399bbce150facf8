//! What has to be done every now and then: sessions are swept, and kept on disk or in a shared store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::reload::Reloader;
use super::wall_clock;
use crate::gateway::Gateway;
use crate::sessions::Sessions;
use crate::telemetry::Stopwatch;

const TICK: Duration = Duration::from_secs(1);

/// How many ticks there are from one sweep to the next.
const SWEEP: u64 = 60;

/// The upkeep of a running gateway.
pub(super) struct Upkeep {
    sessions: Arc<Sessions>,
    running: Stopwatch,
    ticking: JoinHandle<()>,
}

impl Upkeep {
    /// Begins it, on the control runtime.
    pub(super) fn begin(gateway: Arc<Gateway>, reloader: Arc<Reloader>) -> Self {
        let (sessions, running) = (Arc::clone(&gateway.sessions), Stopwatch::start());
        let ticking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            // After a snapshot that took longer than a tick there is nothing to catch up with.
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            for tick in 0_u64.. {
                ticks.tick().await;
                let now = wall_clock();
                if tick % SWEEP == 0 {
                    gateway.sessions.sweep(now, &gateway.policy.load().sessions.lifetime);
                    reloader.sweep(now);
                }
                let sessions = Arc::clone(&gateway.sessions);
                let tending =
                    tokio::task::spawn_blocking(move || sessions.tend(now, &|| running.elapsed()));
                if let Err(error) = tending.await {
                    tracing::error!(%error, "the sessions on disk are not seen to");
                }
            }
        });
        Self { sessions, running, ticking }
    }

    /// Ends it, and writes the sessions for the last time.
    pub(super) async fn end(self) {
        self.ticking.abort();
        self.sessions.flush().await;
        let (sessions, running) = (self.sessions, self.running);
        let closing = move || sessions.close(wall_clock(), &|| running.elapsed());
        if let Err(error) = tokio::task::spawn_blocking(closing).await {
            tracing::error!(%error, "the sessions were not written for the last time");
        }
    }
}
