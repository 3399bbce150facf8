//! What the operating system tells the gateway, and what it tells systemd.

use std::io;

use sd_notify::NotifyState;
use tokio::signal::unix::{self, SignalKind};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM, SIGINT: finish and end.
    Stop,
    /// SIGHUP: read the file again.
    Reload,
    /// SIGUSR1: open the log files again.
    ReopenLogs,
}

/// The signals that come from now on.
pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hang_up: unix::Signal,
    user1: unix::Signal,
}

/// Begins to listen for signals.
pub(super) fn listen() -> io::Result<Signals> {
    Ok(Signals {
        terminate: unix::signal(SignalKind::terminate())?,
        interrupt: unix::signal(SignalKind::interrupt())?,
        hang_up: unix::signal(SignalKind::hangup())?,
        user1: unix::signal(SignalKind::user_defined1())?,
    })
}

impl Signals {
    /// The next signal.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hang_up.recv() => Signal::Reload,
            _ = self.user1.recv() => Signal::ReopenLogs,
        }
    }
}

/// Tells systemd that requests are answered.
pub(super) fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("answering requests")]);
}

/// Tells systemd that the file is being read again.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
}

/// Tells systemd that the end has begun.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}
