//! Sockets and lifetime: from settings to a running gateway, and to its end.
//!
//! Here belong threads, listeners, connections, signals and the state directory. A worker thread
//! proxies and does nothing slow; everything else happens on the control runtime.

mod admin;
mod clock;
mod connection;
mod listener;
pub mod lockout_commands;
mod monitoring;
mod reload;
pub mod session_commands;
mod session_data;
pub mod settings;
mod signals;
mod state;
mod upkeep;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use arc_swap::ArcSwap;
use tokio::sync::watch;

pub use clock::wall_clock;
pub use reload::{Reload, Reloadable, Reloading};
pub use settings::{Limits, Settings};
pub use state::StateDirectory;

use crate::accounts::{self, AccountsError, Directory};
use crate::domain::audit::Trail;
use crate::gateway::Gateway;
use crate::mail::{self, Outbox};
use crate::pages::{self, TemplateError};
use crate::sessions::{self, Sessions};
use crate::telemetry::{self, AccessLogWriter, AuditLog, Counters, Exposition};
use crate::upstream::Applications;
use listener::Listeners;
use reload::Reloader;
use signals::Signal;
use upkeep::Upkeep;

/// Everything that a gateway is started with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Sockets, limits and lifetime.
    pub server: Settings,
    /// Where users are kept.
    pub accounts: accounts::Settings,
    /// What is logged.
    pub telemetry: telemetry::Settings,
    /// What can be changed while it runs.
    pub reloadable: Reloadable,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}{hint}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        cause: io::Error,
        /// What to do about it, on a line of its own.
        hint: &'static str,
    },
    /// The state directory or something in it cannot be used.
    #[error("cannot use {path}: {cause}")]
    State {
        /// The directory or file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Another gateway works on the same state directory.
    #[error(
        "another gateway is running with the state directory {0}\nhint: stop it, or set another `server.state_directory`"
    )]
    AlreadyRunning(PathBuf),
    /// The sessions cannot be used.
    #[error(transparent)]
    Sessions(#[from] sessions::CannotOpen),
    /// What gateways on one store have in common cannot be had from there.
    #[error("cannot begin with the shared sessions: {0}")]
    Unavailable(#[from] sessions::Unavailable),
    /// The users' database cannot be used.
    #[error("cannot open the users' database: {0}")]
    Accounts(#[from] AccountsError),
    /// Mail cannot be sent as the settings say.
    #[error(transparent)]
    Mail(#[from] mail::Unusable),
    /// A template is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The access log cannot be written.
    #[error("cannot open the access log: {0}")]
    AccessLog(io::Error),
    /// The audit log cannot be written.
    #[error("cannot open the audit log: {0}\nhint: see `log.audit`")]
    AuditLog(io::Error),
    /// A thread or a runtime cannot be started.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// A thread that proxies has crashed.
    #[error("a worker ended unexpectedly")]
    WorkerLost,
}

/// Runs a gateway until it is told to stop. `reload` reads the file again when it is asked to.
///
/// Blocks the calling thread, which becomes part of the control runtime.
pub fn run(plan: Plan, reload: Reload) -> Result<(), ServeError> {
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()?;
    let outcome = control.block_on(serve(plan, reload, control.handle().clone()));
    control.shutdown_background();
    outcome
}

async fn serve(
    plan: Plan,
    reload: Reload,
    control: tokio::runtime::Handle,
) -> Result<(), ServeError> {
    let Plan { server, accounts, telemetry, reloadable } = plan;
    let mut signals = signals::listen()?;
    let state = StateDirectory::open(&server.state_directory)?;
    let listeners = Listeners::bind(&server.listen, server.workers)?;

    let audit_log = Arc::new(AuditLog::open(&telemetry.audit).map_err(ServeError::AuditLog)?);
    let directory = Arc::new(Directory::open(&accounts).await?);
    directory.keep_trail(Arc::clone(&audit_log) as Arc<dyn Trail>);
    let sessions =
        Arc::new(Sessions::open(&reloadable.sessions, &state.sessions(), wall_clock).await?);
    if !sessions.is_shared() {
        tracing::info!(sessions = sessions.len(), "the sessions were read");
    }
    let csrf_key = sessions.common_secret(state.csrf_key()?).await?;
    let spool = state.mail();
    let outbox = Outbox::open(spool.clone(), wall_clock)
        .map_err(|cause| ServeError::State { path: spool, cause })?;
    outbox.set_up(reloadable.mail.as_ref())?;
    let outbox = Arc::new(outbox);
    let sending = Arc::clone(&outbox);
    let sending = tokio::spawn(async move { sending.run().await });
    let page_state = Arc::new(pages::State::new(
        Arc::clone(&directory),
        Arc::clone(&sessions),
        csrf_key,
        Arc::clone(&outbox),
    ));
    let lockouts = state.lockouts();
    upkeep::take_up_lockouts(&lockouts, &page_state);
    let setup = page_state.offer_setup(state::random()?).await?;
    let applications = Applications::default();
    let public_url = reloadable.pages.public_url.clone();
    let policy = reloadable.compile(&page_state, &applications)?;
    let prefix = policy.pages.prefix().to_owned();
    let gateway = Arc::new(Gateway {
        policy: Arc::new(ArcSwap::from_pointee(policy)),
        sessions: Arc::clone(&sessions),
        directory: Arc::clone(&directory),
        control,
        reloads: watch::Sender::default(),
    });

    let access_log =
        Arc::new(AccessLogWriter::start(&telemetry.access).map_err(ServeError::AccessLog)?);
    let connections = Arc::new(AtomicUsize::new(0));
    let (stop, stopping) = watch::channel(false);
    let mut counters = Vec::new();
    let mut workers = Vec::new();
    let (addresses, shares) = listeners.into_shares();
    for (index, listeners) in shares.into_iter().enumerate() {
        let share = worker::Share {
            index,
            listeners,
            gateway: Arc::clone(&gateway),
            counters: Arc::new(Counters::default()),
            lines: access_log.lines(wall_clock),
            limits: server.limits,
            connections: Arc::clone(&connections),
            stopping: stopping.clone(),
            patience: server.shutdown_timeout,
        };
        counters.push(Arc::clone(&share.counters));
        workers.push(worker::start(share)?);
    }

    let reloader = Arc::new(Reloader::new(
        reload,
        Arc::clone(&gateway),
        Arc::clone(&page_state),
        applications,
        outbox,
    ));
    let stopping_now = Arc::new(AtomicBool::new(false));
    let exposition = Arc::new(Exposition::new(
        counters,
        Arc::new(monitoring::Observed {
            sessions: Arc::clone(&sessions),
            reloader: Arc::clone(&reloader),
            access_log: Arc::clone(&access_log),
            audit_log: Arc::clone(&audit_log),
        }),
    ));
    let socket =
        admin::serve_socket(&server.admin_socket, Arc::clone(&gateway), Arc::clone(&reloader))?;
    if let Some(address) = server.admin_listen {
        let sessions = Arc::clone(&sessions);
        let accounts = Arc::clone(&directory);
        let stopping = Arc::clone(&stopping_now);
        monitoring::serve(address, exposition, sessions, accounts, stopping).await?;
    }

    for address in &addresses {
        tracing::info!("listening on http://{address}");
    }
    if let (Some(token), Some(address)) = (setup, addresses.first()) {
        let site = public_url.unwrap_or_else(|| format!("http://{address}"));
        tracing::warn!("there is no user yet; create the first at {site}{prefix}{token}");
    }
    signals::ready();
    tracing::info!(workers = workers.len(), "ready");

    let upkeep = Upkeep::begin(Arc::clone(&gateway), Arc::clone(&reloader), lockouts);
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Signal::Stop => break,
                Signal::Reload => {
                    signals::reloading();
                    // Whoever sent the signal reads the log; the outcome is written there.
                    let _logged = reloader.reload().await;
                    signals::ready();
                }
                Signal::ReopenLogs => {
                    access_log.reopen();
                    audit_log.reopen();
                }
            },
            () = worker::any_ended(&workers) => return Err(ServeError::WorkerLost),
        }
    }

    tracing::info!("stopping: finishing the requests under way");
    signals::stopping();
    stopping_now.store(true, std::sync::atomic::Ordering::Relaxed);
    // The workers hold receivers of their own, so the send arrives while there is one to stop.
    let _all_gone_already = stop.send(true);
    worker::join(workers).await;
    // What is promised is written now; letters under way are sent again after the next start.
    page_state.letters_are_written().await;
    sending.abort();
    upkeep.end().await;
    directory.close().await;
    drop(socket);
    tracing::info!("stopped");
    Ok(())
}
