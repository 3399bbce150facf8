//! What has to be done every now and then: sessions are swept, and kept on disk or in a shared store.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::reload::Reloader;
use super::state::LockoutsFile;
use super::wall_clock;
use crate::gateway::Gateway;
use crate::pages;
use crate::sessions::Sessions;
use crate::telemetry::Stopwatch;

const TICK: Duration = Duration::from_secs(1);

/// How many ticks there are from one sweep to the next.
const SWEEP: u64 = 60;

/// The upkeep of a running gateway.
pub(super) struct Upkeep {
    sessions: Arc<Sessions>,
    pages: Arc<pages::State>,
    lockouts: LockoutsFile,
    running: Stopwatch,
    ticking: JoinHandle<()>,
}

impl Upkeep {
    /// Begins it, on the control runtime.
    pub(super) fn begin(
        gateway: Arc<Gateway>,
        reloader: Arc<Reloader>,
        lockouts: LockoutsFile,
    ) -> Self {
        let (pages, file) = (Arc::clone(reloader.pages()), lockouts.clone());
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
                keep_lockouts(&file, reloader.pages()).await;
                let sessions = Arc::clone(&gateway.sessions);
                let tending =
                    tokio::task::spawn_blocking(move || sessions.tend(now, &|| running.elapsed()));
                if let Err(error) = tending.await {
                    tracing::error!(%error, "the sessions on disk are not seen to");
                }
            }
        });
        Self { sessions, pages, lockouts, running, ticking }
    }

    /// Ends it, and writes the sessions for the last time.
    pub(super) async fn end(self) {
        self.ticking.abort();
        keep_lockouts(&self.lockouts, &self.pages).await;
        self.sessions.flush().await;
        let (sessions, running) = (self.sessions, self.running);
        let closing = move || sessions.close(wall_clock(), &|| running.elapsed());
        if let Err(error) = tokio::task::spawn_blocking(closing).await {
            tracing::error!(%error, "the sessions were not written for the last time");
        }
    }
}

/// Reads who was locked out before the gateway was started. Without that it starts all the same:
/// attempts are counted anew.
pub(super) fn take_up_lockouts(file: &LockoutsFile, pages: &pages::State) {
    match file.read() {
        Ok(text) => match pages.take_up_lockouts(&text, wall_clock()) {
            0 => {}
            unreadable => tracing::warn!(unreadable, "some lockouts of before cannot be read"),
        },
        Err(error) => tracing::warn!(%error, "the lockouts of before cannot be read"),
    }
}

/// Writes who is locked out, if that has changed.
async fn keep_lockouts(file: &LockoutsFile, pages: &pages::State) {
    let Some(text) = pages.lockouts_to_keep(wall_clock()) else { return };
    let file = file.clone();
    match tokio::task::spawn_blocking(move || file.write(&text)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "who is locked out cannot be kept"),
        Err(error) => tracing::error!(%error, "who is locked out is not kept"),
    }
}
