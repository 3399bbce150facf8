//! `vestibule session copy`: moves to another store, and nobody has to log in again.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Failure, now, output};
use crate::config::{self, Configuration};
use crate::sessions::{
    NotAnAddress, Sessions, Settings, SharedSettings, Store, StoreUrl, Unavailable,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the sessions are, as in `redis://127.0.0.1:6379`
    #[arg(long, value_name = "STORE")]
    from: String,

    /// Where they shall be as well [default: `sessions.store` of the configuration]
    #[arg(long, value_name = "STORE")]
    to: Option<String>,
}

/// What became of the sessions that were found.
#[derive(Debug, Default)]
struct Tally {
    copied: usize,
    expired: usize,
    newer: usize,
}

pub(super) fn run(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let settings = match configuration(file)? {
        Some(configuration) => configuration.sessions,
        None => Settings::default(),
    };
    let from = place(&arguments.from, &settings)?;
    let to = match &arguments.to {
        Some(to) => place(to, &settings)?,
        None => settings.store.clone(),
    };
    if to == Store::Memory {
        return Err(Failure::Usage(
            "there is nowhere to copy to: the configuration keeps sessions in memory\n\
             hint: name a store with `--to`, or set `sessions.store`"
                .to_owned(),
        ));
    }
    if from == to {
        return Err(Failure::Usage("both stores are the same".to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::No(format!("no runtime: {error}")))?;
    let Tally { copied, expired, newer } = runtime.block_on(async {
        let from = open(&settings, from).await?;
        let to = open(&settings, to).await?;
        copy(&from, &to, &settings).await.map_err(|error| {
            Failure::No(format!(
                "{error}\nhint: run the command again; what was copied already is copied over"
            ))
        })
    })?;
    let mut sentence = format!("copied {copied} session{}", if copied == 1 { "" } else { "s" });
    for (count, why) in [(expired, "over"), (newer, "newer there")] {
        if count > 0 {
            let verb = if count == 1 { "was" } else { "were" };
            sentence.push_str(&format!("; {count} {verb} {why}"));
        }
    }
    output::say(&sentence)
}

/// The configuration, if there is one; a file that is named must be there.
fn configuration(file: Option<&Path>) -> Result<Option<Configuration>, Failure> {
    if file.is_none() && !config::is_there() {
        return Ok(None);
    }
    crate::cli::load(file).map(Some)
}

/// The store that `text` stands for.
fn place(text: &str, settings: &Settings) -> Result<Store, Failure> {
    let usage = |why: &str| {
        Failure::Usage(format!(
            "`--from` and `--to`: {why}\nhint: write `redis://HOST:PORT/DATABASE`"
        ))
    };
    if text == "memory" {
        return Err(usage("the sessions in a gateway's memory are out of reach for a command"));
    }
    if !StoreUrl::is_meant(text) {
        return Err(usage("that is no store that sessions can be copied from or to"));
    }
    let url = StoreUrl::parse(text).map_err(|error| match error {
        NotAnAddress::Tls => usage(&error.to_string()),
        NotAnAddress::Malformed(why) => {
            usage(&format!("that is not the address of a store: {why}"))
        }
    })?;
    // Two stores that are written alike are the same one, whatever else is set.
    let (prefix, grace) = match &settings.store {
        Store::Shared(shared) => (shared.prefix.clone(), shared.grace),
        Store::Memory => (Store::PREFIX.to_owned(), Store::GRACE),
    };
    Ok(Store::Shared(SharedSettings { url, prefix, grace }))
}

async fn open(settings: &Settings, store: Store) -> Result<Sessions, Failure> {
    let settings = Settings { store, ..settings.clone() };
    let opened = Sessions::open(&settings, crate::server::wall_clock).await;
    opened.map_err(|error| Failure::No(error.to_string()))
}

async fn copy(from: &Sessions, to: &Sessions, settings: &Settings) -> Result<Tally, Unavailable> {
    let progress = progress(from.count().await?);
    let mut tally = Tally::default();
    let mut walk = from.walk();
    while let Some(mut sessions) = walk.next().await? {
        let found = sessions.len();
        let now = now();
        sessions.retain(|(_, record)| record.is_live(now, &settings.lifetime));
        let live = sessions.len();
        let copied = to.import(sessions).await?;
        tally.copied += copied;
        tally.newer += live - copied;
        tally.expired += found - live;
        progress.inc(u64::try_from(found).unwrap_or(u64::MAX));
    }
    progress.finish_and_clear();
    Ok(tally)
}

/// A bar on a terminal, and nothing elsewhere. How many there are is known only about.
fn progress(about: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:40} {human_pos} of about {human_len} sessions, {eta} to go",
    );
    let progress = ProgressBar::new(about);
    if let Ok(style) = style {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    progress
}
