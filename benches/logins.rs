//! Does a storm of logins delay the requests of those who are signed in?
//!
//! The p99 of proxied requests in quiet, and while 200 clients log in again and again with passwords that cost
//! what they cost by default; in alternating turns. Once with a load that keeps the proxy busy all the time, and
//! once with one that leaves it room, where a delay can hide behind nothing.
//!
//! Worrying: a p99 in the storm of more than 2 × that in quiet.

#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Parser;

use support::load::Load;
use support::options::Options;
use support::report::{Target, heading, note, say, table, verdict};
use support::rounds::{Contestant, Sample, Turns, median, ratio, take};
use support::sign_in::{Credentials, Storm, begin_sessions};
use support::vestibule::{Passwords, Plan, Vestibule, path};
use support::workspace::Workspace;
use support::{Result, nginx, process, run, setting};

#[derive(Parser)]
#[command(about = "Does a storm of logins delay the requests of those who are signed in?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// Logins at any moment of the storm.
    #[arg(long, default_value_t = setting("LOGINS", 200))]
    logins: usize,
}

const USERS: usize = 20;
const RULES: usize = 100;
/// With 64 connections about 6,000 requests a second.
const REST: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    run(compare)
}

fn compare() -> Result<bool> {
    let arguments = Arguments::parse();
    let options = &arguments.common;
    Load::check_installed()?;
    process::raise_open_files()?;
    let workspace = Workspace::new()?;
    let (_upstream, upstream) = nginx::start_upstream(&workspace, "upstream", &None)?;
    // Bound to one core, hashing and proxying would fight for it: not how anybody runs the gateway.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan {
        name: "vestibule",
        upstream,
        workers,
        rules: RULES,
        passwords: Passwords::Default,
        sessions: "",
        cores: &None,
    };
    let gateway = Vestibule::start(&workspace, &plan)?;
    let users: Arc<[Credentials]> = gateway.create_users(USERS)?.into();
    let cookies = begin_sessions(gateway.address(), &users, USERS, 4)?;
    let load = |name: &str| {
        let requests = (0..RULES)
            .zip(cookies.iter().cycle())
            .map(|(number, cookie)| (path(number, RULES), &**cookie));
        Load::new(&workspace, name, requests, options.connections, &None)
    };
    let loads = [("busy", load("busy")?), ("with room", load("room")?.with_pause(REST))];

    let mut measured = Vec::new();
    for (name, load) in &loads {
        let contestant =
            Contestant { name: "Vestibule", process: gateway.id(), address: gateway.address() };
        take(&contestant, load, Duration::from_secs(1))?;
        measured.push((*name, Weather::watch(&contestant, load, &users, &arguments)?));
    }
    Ok(options.outcome(print(&arguments, &measured)))
}

/// The same load in quiet and in a storm.
#[derive(Default)]
struct Weather {
    quiet: Turns,
    storm: Turns,
    logged_in: u64,
    put_off: u64,
}

impl Weather {
    fn watch(
        contestant: &Contestant,
        load: &Load,
        users: &Arc<[Credentials]>,
        arguments: &Arguments,
    ) -> Result<Weather> {
        let mut weather = Weather::default();
        let turn = arguments.common.turn();
        for round in 1..=arguments.common.rounds.max(1) {
            let quiet = take(contestant, load, turn)?;
            let storm = Storm::begin(contestant.address, users, arguments.logins)?;
            let shaken = take(contestant, load, turn);
            let tally = storm.end()?;
            let shaken = shaken?;
            note(&format!(
                "round {round}: p99 {:?} in quiet, {:?} in the storm",
                quiet.p99, shaken.p99
            ));
            weather.quiet.push(quiet);
            weather.storm.push(shaken);
            weather.logged_in += tally.succeeded.load(Ordering::Relaxed);
            weather.put_off += tally.put_off.load(Ordering::Relaxed);
        }
        Ok(weather)
    }
}

fn print(arguments: &Arguments, measured: &[(&str, Weather)]) -> bool {
    let format = arguments.common.format();
    heading(&format!("Proxied requests during {} concurrent logins", arguments.logins), format);
    let rows: Vec<Vec<String>> = measured
        .iter()
        .flat_map(|(load, weather)| {
            [(load, "quiet", &weather.quiet), (load, "storm", &weather.storm)]
        })
        .map(|(load, weather, turns)| {
            let milliseconds = |number: fn(&Sample) -> Duration| {
                format!("{:.2}", median(turns, |sample| number(sample).as_secs_f64() * 1e3))
            };
            vec![
                format!("{load}, {weather}"),
                format!("{:.0}", median(turns, |sample| sample.requests_per_second)),
                milliseconds(|sample| sample.p50),
                milliseconds(|sample| sample.p99),
            ]
        })
        .collect();
    table(&["load", "requests/s", "p50 ms", "p99 ms"], &rows, format);
    let targets: Vec<Target> = measured
        .iter()
        .map(|(load, weather)| Target {
            name: format!("p99 {load}, storm / quiet"),
            value: Some(ratio(&weather.storm, &weather.quiet, |sample| sample.p99.as_secs_f64())),
            at_most: 2.00,
            unit: " ×",
        })
        .collect();
    let all_met = verdict(&targets, format);
    for (load, weather) in measured {
        say(&format!(
            "Logins ({load}): {} succeeded, {} were asked to wait.",
            weather.logged_in, weather.put_off
        ));
    }
    all_met
}
