//! Noticing what others do to the database.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::database::{Heard, Listener, Watch};
use super::health::DatabaseHealth;
use super::shared::Shared;

/// How often it is looked whether another process has written to a file.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Forgets whoever is another because of somebody else, until the directory is dropped.
pub(super) async fn watch(shared: Weak<Shared>, from: Watch) {
    match from {
        Watch::File(version) => watch_file(shared, version).await,
        Watch::Server(listener) => listen(shared, listener).await,
    }
}

/// Forgets everybody when another process has written.
async fn watch_file(shared: Weak<Shared>, mut version: i64) {
    let mut pulse = tokio::time::interval(LOOK_EVERY);
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pulse.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        match shared.database.version().await {
            Ok(same) if same == version => {}
            Ok(other) => {
                version = other;
                shared.cache.forget_all();
                tracing::debug!("another process changed the user database");
            }
            Err(sqlx::Error::PoolClosed) => return,
            Err(error) => tracing::warn!(%error, "the user database cannot be watched"),
        }
    }
}

/// Forgets those of whom the server tells, and everybody when it may have told something that was
/// not heard.
async fn listen(shared: Weak<Shared>, mut listener: Box<Listener>) {
    let mut cut: Option<Instant> = None;
    loop {
        let heard = listener.next().await;
        let Some(shared) = shared.upgrade() else { return };
        if shared.database.is_closed() {
            return;
        }
        match heard {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Notice(notice)) => match notice.whom {
                Some(whom) if notice.is_quiet => shared.cache.forget_quietly(&whom),
                Some(whom) => shared.cache.forget(&whom),
                None => shared.cache.forget_all(),
            },
            Ok(Heard::Again) => {
                cut = None;
                shared.cache.forget_all();
                if shared.health.replace(DatabaseHealth::Fine) != DatabaseHealth::Fine {
                    tracing::info!("the user database can be reached again");
                }
            }
            Err(error) => {
                let is_lost =
                    cut.get_or_insert_with(Instant::now).elapsed() >= shared.cache.refresh();
                let health = if is_lost { DatabaseHealth::Lost } else { DatabaseHealth::Cut };
                if shared.health.replace(health) == DatabaseHealth::Fine {
                    tracing::error!(%error, "the user database is out of reach");
                }
            }
        }
    }
}
