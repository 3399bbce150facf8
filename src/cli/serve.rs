//! `vestibule serve`: runs the gateway.

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use super::{Failure, account_lookup, check};
use crate::accounts::Directory;
use crate::config::{self, Configuration, TestUser};
use crate::server::{self, Plan, Reload, Reloadable, wall_clock};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Run without a file, in front of the application at URL; everything needs a login
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let configuration = match (&arguments.upstream, file) {
        (Some(_), Some(_)) => {
            return Err(Failure::Usage(
                "`--upstream` runs without a file, and `--config` names one\nhint: put `upstream = \"…\"` into the file".to_owned(),
            ));
        }
        (Some(url), None) => config::for_upstream(url).map_err(Failure::Configuration)?,
        (None, file) => super::load(file)?,
    };
    warn_and_refuse_failing_tests(&configuration)?;
    let source = configuration.path.clone();
    let upstream = arguments.upstream.clone();
    let read: Reload = Arc::new(move |directory| {
        let (source, upstream) = (source.clone(), upstream.clone());
        Box::pin(async move {
            let configuration = match (&source, &upstream) {
                (None, Some(url)) => config::for_upstream(url),
                (file, _) => config::load(file.as_deref()),
            };
            let configuration = configuration.map_err(|problems| problems.to_string())?;
            test(&configuration, &directory).await?;
            // New rules may ask for what is new among the declared.
            let declared = directory.declare(&configuration.accounts).await;
            declared.map_err(|error| error.to_string())?;
            Ok(reloadable(&configuration))
        })
    });
    start(configuration, read)
}

/// Runs the gateway that `configuration` describes until it is told to stop.
pub(super) fn start(configuration: Configuration, read: Reload) -> Result<(), Failure> {
    log_to_stderr(&configuration.telemetry.level)?;
    let plan = Plan {
        reloadable: reloadable(&configuration),
        server: configuration.server,
        accounts: configuration.accounts,
        telemetry: configuration.telemetry,
    };
    server::run(plan, read).map_err(|error| Failure::No(error.to_string()))
}

/// Shows what is worth a word, and runs the file's tests before anything is opened; those that name an account wait for the first
/// reload while there is no database yet.
fn warn_and_refuse_failing_tests(configuration: &Configuration) -> Result<(), Failure> {
    let mut configuration = configuration.clone();
    check::without_database(&mut configuration);
    let lookup = account_lookup::open(&configuration.accounts)?;
    let warnings = lookup.warnings(&configuration)?;
    if !warnings.is_empty() {
        super::warn(&warnings);
    }
    let tested = config::run_tests(&configuration, |name| lookup.user(name));
    tested.map(|_passed| ()).map_err(Failure::Configuration)
}

fn reloadable(configuration: &Configuration) -> Reloadable {
    Reloadable {
        gateway: configuration.gateway.clone(),
        sessions: configuration.sessions.clone(),
        pages: configuration.pages.clone(),
        mail: configuration.mail.clone(),
    }
}

/// Runs the file's tests against the accounts of the running gateway.
async fn test(configuration: &Configuration, directory: &Directory) -> Result<(), String> {
    let mut known = Vec::new();
    for test in &configuration.tests {
        if let TestUser::Account(name) = &test.user {
            let found = directory.user_by_name(name, wall_clock()).await;
            known.extend(found.map_err(|error| error.to_string())?);
        }
    }
    let by_name = |name: &str| known.iter().find(|user| user.username == name).map(Arc::clone);
    config::run_tests(configuration, by_name).map(|_| ()).map_err(|problems| problems.to_string())
}

/// Sends the gateway's messages to standard error, where a terminal or the journal shows them.
fn log_to_stderr(level: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| Failure::Usage(format!("`log.level`: {error}")))?;
    let subscriber = tracing_subscriber::fmt()
        .compact()
        .with_target(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    // The journal writes the time itself.
    let installed = if std::env::var_os("JOURNAL_STREAM").is_some() {
        subscriber.without_time().try_init()
    } else {
        subscriber.try_init()
    };
    installed.map_err(|error| Failure::No(format!("messages cannot be shown: {error}")))
}
