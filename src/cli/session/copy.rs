//! `vestibule session copy`: moves to another store, and nobody has to log in again.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::counted;
use crate::cli::progress::Progress;
use crate::cli::{Failure, now, output};
use crate::config::{self, Configuration};
use crate::server::{ServeError, StateDirectory, wall_clock};
use crate::sessions::{
    Cursor, NotAnAddress, Sessions, Settings, SharedSettings, Store, StoreUrl, Unavailable,
};
use crate::telemetry::Stopwatch;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the sessions are: `redis://HOST:PORT/DATABASE`, the state directory of a gateway that
    /// does not run, or `memory` for the one of the configuration
    #[arg(long, value_name = "STORE")]
    from: String,

    /// Where they shall be as well [default: `sessions.store` of the configuration]
    #[arg(long, value_name = "STORE")]
    to: Option<String>,

    /// For programs
    #[arg(long)]
    json: bool,
}

/// A store as it is named.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Sessions on disk, in this state directory.
    Directory(PathBuf),
    Shared(SharedSettings),
}

/// A store that is in use.
struct Opened {
    sessions: Sessions,
    /// Keeps gateways away from sessions on disk.
    _locked: Option<StateDirectory>,
}

/// How many sessions are copied at once.
const BATCH: usize = 500;

/// What became of the sessions that were found.
#[derive(Debug, Default, Serialize)]
struct Tally {
    copied: usize,
    expired: usize,
    newer: usize,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let configuration = configuration(file)?;
    let from = Place::of(&arguments.from, &configuration)?;
    let to = match &arguments.to {
        Some(to) => Place::of(to, &configuration)?,
        None => Place::configured(&configuration),
    };
    if from.is(&to) {
        return Err(Failure::Usage(
            "both stores are the same\nhint: name the other one with `--to`".to_owned(),
        ));
    }
    if let Place::Directory(path) = &from
        && !path.is_dir()
    {
        let path = path.display();
        return Err(Failure::No(format!("there is no state directory `{path}` to copy from")));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    let settings = &configuration.sessions;
    let tally = runtime.block_on(async {
        let from = from.open(settings).await?;
        let to = to.open(settings).await?;
        let copied = copy(&from.sessions, &to.sessions, settings).await;
        let running = Stopwatch::start();
        to.sessions.close(now(), &|| running.elapsed());
        copied.map_err(|error| {
            Failure::No(format!(
                "{error}\nhint: run the command again; what was copied already is copied over"
            ))
        })
    })?;
    if arguments.json {
        return output::json(&tally);
    }
    output::say(&tally.sentence())
}

/// The configuration, or what is in force without a file; one that is named must be there.
fn configuration(file: Option<&Path>) -> Result<Configuration, Failure> {
    if file.is_none() && !config::is_there() {
        return config::for_upstream("http://127.0.0.1").map_err(Failure::Configuration);
    }
    crate::cli::load(file)
}

impl Place {
    /// The store that `text` stands for.
    fn of(text: &str, configuration: &Configuration) -> Result<Self, Failure> {
        let usage = |why: &str| {
            Failure::Usage(format!(
                "`--from` and `--to`: {why}\n\
                 hint: write `redis://HOST:PORT/DATABASE`, a state directory, or `memory`"
            ))
        };
        if text == "memory" {
            return Ok(Self::Directory(configuration.server.state_directory.clone()));
        }
        if StoreUrl::is_meant(text) {
            let url = StoreUrl::parse(text).map_err(|error| match error {
                NotAnAddress::Tls => usage(&error.to_string()),
                NotAnAddress::Malformed(why) => {
                    usage(&format!("that is not the address of a store: {why}"))
                }
            })?;
            // Two stores that are written alike are the same one, whatever else is set.
            let (prefix, grace) = match &configuration.sessions.store {
                Store::Shared(shared) => (shared.prefix.clone(), shared.grace),
                Store::Memory => (Store::PREFIX.to_owned(), Store::GRACE),
            };
            return Ok(Self::Shared(SharedSettings { url, prefix, grace }));
        }
        let path = PathBuf::from(text);
        if !path.is_dir() {
            return Err(usage(&format!("there is no state directory `{text}`")));
        }
        Ok(Self::Directory(path))
    }

    /// The store that a gateway with this configuration has.
    fn configured(configuration: &Configuration) -> Self {
        match &configuration.sessions.store {
            Store::Memory => Self::Directory(configuration.server.state_directory.clone()),
            Store::Shared(shared) => Self::Shared(shared.clone()),
        }
    }

    /// Whether it is the other one too, by another name perhaps.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => {
                one == other
                    || matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
            }
            (Self::Shared(one), Self::Shared(other)) => one == other,
            (Self::Directory(_), Self::Shared(_)) | (Self::Shared(_), Self::Directory(_)) => false,
        }
    }

    async fn open(self, settings: &Settings) -> Result<Opened, Failure> {
        let (store, directory, locked) = match self {
            Self::Shared(shared) => (Store::Shared(shared), PathBuf::new(), None),
            Self::Directory(path) => {
                let state = StateDirectory::open(&path).map_err(|error| not_locked(&error))?;
                (Store::Memory, state.sessions(), Some(state))
            }
        };
        let settings = Settings { store, ..settings.clone() };
        let opened = Sessions::open(&settings, &directory, wall_clock).await;
        let sessions = opened.map_err(|error| Failure::No(error.to_string()))?;
        Ok(Opened { sessions, _locked: locked })
    }
}

fn not_locked(error: &ServeError) -> Failure {
    let ServeError::AlreadyRunning(path) = error else { return Failure::No(error.to_string()) };
    Failure::No(format!(
        "a gateway is running with the state directory {}, and has its sessions for itself\n\
         hint: stop it first; those in Redis can be copied while gateways run",
        path.display()
    ))
}

async fn copy(from: &Sessions, to: &Sessions, settings: &Settings) -> Result<Tally, Unavailable> {
    // How many there are is known only about.
    let mut progress = Progress::start(from.count().await?, "sessions");
    progress.says("copying");
    let (mut tally, mut cursor) = (Tally::default(), Some(Cursor::default()));
    while let Some(at) = cursor {
        let part = from.part(at).await?;
        let found = part.sessions.len();
        let mut sessions = part.sessions;
        let now = now();
        sessions.retain(|(_, record)| record.is_live(now, &settings.lifetime));
        tally.expired += found - sessions.len();
        for some in sessions.chunks(BATCH) {
            let copied = to.import(some).await?;
            tally.copied += copied;
            tally.newer += some.len() - copied;
        }
        progress.advance(found);
        cursor = part.next;
    }
    Ok(tally)
}

impl Tally {
    fn sentence(&self) -> String {
        let mut sentence = format!("copied {}", counted(self.copied));
        for (count, why) in [(self.expired, "over"), (self.newer, "newer there")] {
            if count > 0 {
                let verb = if count == 1 { "was" } else { "were" };
                sentence.push_str(&format!("; {count} {verb} {why}"));
            }
        }
        sentence
    }
}
