//! Hears on a PostgreSQL server what others do to users.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Acquire as _, Connection as _};

use super::notice::{CHANNEL, Notice};

/// A connection that is told of changes, and made again when it breaks.
pub(in super::super) struct Listener {
    options: PgConnectOptions,
    /// The gateway itself, whose own notices it need not hear.
    writer: String,
    line: Option<PgListener>,
}

/// What there was to hear.
#[derive(Debug)]
pub(in super::super) enum Heard {
    /// Somebody else changed users.
    Notice(Notice),
    /// All is quiet.
    Nothing,
    /// The connection is a new one: nobody knows what happened before.
    Again,
}

/// How long nothing may be heard before it is asked whether the server is still there.
const PULSE: Duration = Duration::from_secs(5);

/// How long the server may take to answer that.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_millis(500);

impl Listener {
    /// Begins to listen.
    pub(super) async fn start(
        options: PgConnectOptions,
        writer: String,
    ) -> Result<Self, sqlx::Error> {
        let line = Some(connect(options.clone()).await?);
        Ok(Self { options, writer, line })
    }

    /// Waits for something to hear, some seconds at most.
    ///
    /// # Errors
    ///
    /// When there is no connection, after a short pause; the next call tries to make one.
    pub(in super::super) async fn next(&mut self) -> Result<Heard, sqlx::Error> {
        let Some(line) = &mut self.line else {
            let connected = patiently(connect(self.options.clone())).await;
            if connected.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
            self.line = Some(connected?);
            return Ok(Heard::Again);
        };
        let heard = match tokio::time::timeout(PULSE, line.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                let notice = Notice::from(notification.payload());
                let is_ours = notice.writer == self.writer;
                return Ok(if is_ours { Heard::Nothing } else { Heard::Notice(notice) });
            }
            Ok(Ok(None)) => Err(sqlx::Error::Protocol("the connection was lost".to_owned())),
            Ok(Err(error)) => Err(error),
            // A machine that is gone says nothing either.
            Err(_) => patiently(async { (&mut *line).acquire().await?.ping().await }).await,
        };
        if heard.is_err() {
            self.line = None;
        }
        heard.map(|()| Heard::Nothing)
    }
}

async fn patiently<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Protocol("the server does not answer".to_owned())))
}

async fn connect(options: PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // A pool for each connection: the last one may be stuck in its own for a long time.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options)
        .await?;
    let mut line = PgListener::connect_with(&pool).await?;
    line.eager_reconnect(false);
    line.listen(CHANNEL).await?;
    Ok(line)
}
