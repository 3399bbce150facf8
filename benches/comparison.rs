//! What does a request cost, beside other proxies?
//!
//! The same load (wrk, one thread, 64 keep-alive connections, 100,000 different session cookies) on the same
//! upstream (nginx, one worker, an answer of 1 KiB), through a bare TCP forwarder, nginx without any
//! authentication, nginx with `auth_request`, HAProxy with a table of 100,000 cookies, and Vestibule with
//! 100,000 live sessions, 100 rules, metrics and identity headers; one worker each. What counts is the CPU time
//! of the proxy's process tree per request.
//!
//! Worrying: more than 1.00 × bare nginx, 0.95 × HAProxy, 0.65 × nginx with `auth_request` or 1.35 × the
//! forwarder; and with two workers, less throughput than nginx with two.
//!
//! `cargo bench --bench comparison`; with `-- --markdown` it prints the table of the README, and `-- --help`
//! says what else it can do. It installs nothing and leaves out what is not there.

#[path = "comparison/report.rs"]
mod outcome;
#[path = "comparison/proxies.rs"]
mod proxies;
#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::process::ExitCode;

use clap::Parser;

use outcome::{print_one_worker, print_two_workers};
use proxies::{Line, Settings};
use support::options::Options;
use support::report::note;
use support::rounds::{Contestant, alternate};
use support::workspace::Workspace;
use support::{Result, process, run, setting};

#[derive(Parser)]
#[command(about = "What does a request cost, beside other proxies?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// Live sessions, each made by a login.
    #[arg(long, default_value_t = setting("SESSIONS", 100_000))]
    sessions: usize,
    /// Rules in Vestibule's configuration.
    #[arg(long, default_value_t = setting("RULES", 100))]
    rules: usize,
    /// Users to whom the sessions belong.
    #[arg(long, default_value_t = setting("USERS", 100))]
    users: usize,
    /// Leave Vestibule out and compare the others only.
    #[arg(long)]
    without_vestibule: bool,
}

fn main() -> ExitCode {
    run(compare)
}

fn compare() -> Result<bool> {
    let arguments = Arguments::parse();
    let options = &arguments.common;
    support::load::Load::check_installed()?;
    process::raise_open_files()?;
    let workspace = Workspace::new()?;

    let one = Line::start(&workspace, &settings(&arguments, "one", 1, arguments.sessions))?;
    let turns = measure(&one, options)?;
    let mut all_met = print_one_worker(&one, &turns, options.format());
    drop(one);

    // Throughput of two workers on two cores does not depend on how many sessions there are.
    let two =
        Line::start(&workspace, &settings(&arguments, "two", 2, arguments.sessions.div_ceil(10)))?;
    let turns = measure(&two, options)?;
    all_met &= print_two_workers(&two, &turns, options.format());
    Ok(options.outcome(all_met))
}

fn settings(
    arguments: &Arguments,
    name: &'static str,
    workers: usize,
    sessions: usize,
) -> Settings {
    let cores = if workers == 1 { arguments.common.cores() } else { (None, None) };
    Settings {
        name,
        workers,
        sessions,
        users: arguments.users,
        rules: arguments.rules,
        connections: arguments.common.connections,
        vestibule: !arguments.without_vestibule,
        proxy_cores: cores.0,
        other_cores: cores.1,
    }
}

fn measure(line: &Line, options: &Options) -> Result<Vec<support::rounds::Turns>> {
    for missing in &line.left_out {
        note(&format!("left out: {missing}"));
    }
    let contestants: Vec<_> = line
        .proxies
        .iter()
        .map(|proxy| {
            (
                Contestant {
                    name: proxy.kind.name(),
                    process: proxy.process(),
                    address: proxy.address,
                },
                &line.load,
            )
        })
        .collect();
    alternate(&contestants, options.rounds, options.turn())
}
