//! What do a million sessions cost, in memory, on disk and at a start, and do requests feel a snapshot?
//!
//! The gateway itself is started with a million login sessions on disk: how much memory each takes, how long it takes
//! until it is ready, how long a snapshot takes, and the p99 of proxied requests while one snapshot follows another, in
//! alternating turns with a gateway that writes none. The store by itself is asked what a look-up costs, with one
//! thread and with two. Beside it, Debian's Redis with as many sessions of 120 bytes.
//!
//! Worrying: more than 200 bytes a session; a snapshot slower than Redis' SAVE; a start slower than 0.6 × that of Redis;
//! a look-up of more than 300 ns, or two threads that do less than 1.8 × what one does; a p99 of more than 2 ×.

#[path = "sessions/redis.rs"]
mod redis;
#[path = "sessions/store.rs"]
mod store;
#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;

use redis::Redis;
use support::load::Load;
use support::options::Options;
use support::report::{Target, heading, note, table, verdict};
use support::rounds::{Contestant, Sample, Turns, median, ratio, take};
use support::sign_in::{Credentials, begin_sessions};
use support::vestibule::{Passwords, Plan, Vestibule, path};
use support::workspace::Workspace;
use support::{Result, nginx, now, process, run, setting, usage};

#[derive(Parser)]
#[command(about = "What do a million sessions cost, and do requests feel a snapshot?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// Sessions.
    #[arg(long, default_value_t = setting("SESSIONS", 1_000_000))]
    sessions: usize,
    /// Leave Redis out.
    #[arg(long)]
    without_redis: bool,
    /// Leave the requests during snapshots out.
    #[arg(long)]
    without_load: bool,
}

const RULES: usize = 100;
/// A login in between, without which there would be nothing to write.
const LOGIN_EVERY: Duration = Duration::from_millis(100);
const NEVER: &str = "snapshot_interval = \"1d\"";
const ALWAYS: &str = "snapshot_interval = \"1s\"";
/// With 64 connections about 6,000 requests a second.
const REST: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    run(measure)
}

fn measure() -> Result<bool> {
    let arguments = Arguments::parse();
    let (options, count) = (&arguments.common, arguments.sessions);
    let workspace = Workspace::new()?;
    let (_upstream, upstream) = nginx::start_upstream(&workspace, "upstream", &None)?;

    note(&format!("beginning {count} sessions"));
    let directory = workspace.directory("sessions")?;
    let look_ups = fill_and_look_up(&directory, count)?;
    let gateway = measure_gateway(&workspace, upstream, &directory, count)?;
    let redis = if arguments.without_redis { None } else { redis::measure(&workspace, count)? };
    let loaded = if arguments.without_load {
        None
    } else {
        Some(Snapshots::watch(&workspace, upstream, &directory, options)?)
    };

    heading(&format!("{count} sessions"), options.format());
    let mut rows = vec![gateway.row()];
    rows.extend(redis.as_ref().map(|redis| {
        vec![
            "Redis, values of 120 bytes".to_owned(),
            format!("{:.0}", redis.resident),
            format!("{:.2}", redis.save_seconds),
            format!("{:.0}", redis.file_bytes as f64 / 1e6),
            format!("{:.2}", redis.start_seconds),
        ]
    }));
    table(
        &["", "bytes resident each", "snapshot s", "on disk MB", "start s"],
        &rows,
        options.format(),
    );
    look_ups.print(options);
    if let Some(loaded) = &loaded {
        loaded.print(options);
    }
    let targets = targets(&gateway, &look_ups, redis.as_ref(), loaded.as_ref());
    Ok(options.outcome(verdict(&targets, options.format())))
}

fn targets(
    gateway: &Gateway,
    look_ups: &LookUps,
    redis: Option<&Redis>,
    loaded: Option<&Snapshots>,
) -> Vec<Target> {
    let target =
        |name: &str, value, at_most, unit| Target { name: name.to_owned(), value, at_most, unit };
    let p99 = |sample: &Sample| sample.p99.as_secs_f64();
    vec![
        target("resident for each session", Some(gateway.resident), 200.0, " bytes"),
        target(
            "snapshot / Redis' SAVE",
            redis.map(|redis| gateway.snapshot_seconds / redis.save_seconds),
            1.0,
            " ×",
        ),
        target(
            "start / Redis' start",
            redis.map(|redis| gateway.start_seconds / redis.start_seconds),
            0.6,
            " ×",
        ),
        target("look-up, one thread", Some(look_ups.alone), 300.0, " ns"),
        target(
            "time of two threads' look-ups / one's, each as many",
            Some(look_ups.together / look_ups.alone),
            2.0 / 1.8,
            " ×",
        ),
        target(
            "p99 with snapshots / without",
            loaded.map(|loaded| ratio(&loaded.with, &loaded.without, p99)),
            2.0,
            " ×",
        ),
    ]
}

/// Nanoseconds of a look-up.
struct LookUps {
    alone: f64,
    together: f64,
}

impl LookUps {
    fn print(&self, options: &Options) {
        let row = |threads: &str, each: f64, threads_count: f64| {
            vec![
                threads.to_owned(),
                format!("{each:.0}"),
                format!("{:.1}", threads_count * 1e3 / each),
            ]
        };
        table(
            &["look-ups", "ns each", "million/s"],
            &[row("one thread", self.alone, 1.0), row("two threads", self.together, 2.0)],
            options.format(),
        );
    }
}

/// Fills the store on disk as well, where the gateways find it.
fn fill_and_look_up(directory: &std::path::Path, count: usize) -> Result<LookUps> {
    let sessions = store::open(directory)?;
    // Enough ids to go round without the caches knowing them, and not so many that they fill the memory.
    let step = count.div_ceil(1_000_000);
    let ids = store::fill(&sessions, count, step)?;
    let mut rounds = Vec::new();
    for _ in 0..5 {
        rounds.push((store::look_up(&sessions, &ids, 1)?, store::look_up(&sessions, &ids, 2)?));
    }
    let middle =
        |of: fn(&(f64, f64)) -> f64| support::rounds::middle(rounds.iter().map(of).collect());
    let running = now();
    sessions.close(vestibule::server::wall_clock(), &|| running.elapsed());
    Ok(LookUps { alone: middle(|round| round.0), together: middle(|round| round.1) })
}

/// What was measured of a gateway with all sessions.
struct Gateway {
    resident: f64,
    snapshot_seconds: f64,
    snapshot_bytes: f64,
    start_seconds: f64,
}

impl Gateway {
    fn row(&self) -> Vec<String> {
        vec![
            "Vestibule".to_owned(),
            format!("{:.0}", self.resident),
            format!("{:.2}", self.snapshot_seconds),
            format!("{:.0}", self.snapshot_bytes / 1e6),
            format!("{:.2}", self.start_seconds),
        ]
    }
}

fn plan<'a>(name: &'a str, upstream: SocketAddr, sessions: &'a str) -> Plan<'a> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let passwords = Passwords::Cheap;
    Plan { name, upstream, workers, rules: RULES, passwords, sessions, cores: &None }
}

fn measure_gateway(
    workspace: &Workspace,
    upstream: SocketAddr,
    directory: &std::path::Path,
    count: usize,
) -> Result<Gateway> {
    let empty = Vestibule::start(workspace, &plan("empty", upstream, NEVER))?;
    std::thread::sleep(Duration::from_secs(1));
    let without = usage::resident(empty.id())?;
    empty.stop();

    provide(workspace, "full", directory)?;
    let begun = now();
    let gateway = Vestibule::start(workspace, &plan("full", upstream, ALWAYS))?;
    let start_seconds = begun.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(1));
    let resident = (usage::resident(gateway.id())? - without) as f64 / count as f64;
    let found = gateway.metric("vestibule_sessions")?;
    if found < count as f64 {
        return Err(format!("the gateway has {found} of {count} sessions").into());
    }
    let users = gateway.create_users(1)?;
    let mut snapshots = Vec::new();
    while snapshots.len() < 5 {
        let before = gateway.metric("vestibule_sessions_snapshots_total")?;
        begin_sessions(gateway.address(), &users, 1, 1)?;
        while gateway.metric("vestibule_sessions_snapshots_total")? <= before {
            std::thread::sleep(Duration::from_millis(20));
        }
        snapshots.push(gateway.metric("vestibule_sessions_snapshot_duration_seconds")?);
    }
    let snapshot_bytes = gateway.metric("vestibule_sessions_snapshot_bytes")?;
    let snapshot_seconds = support::rounds::middle(snapshots);
    gateway.stop();
    Ok(Gateway { resident, snapshot_seconds, snapshot_bytes, start_seconds })
}

/// Gives the gateway of this name the sessions that were begun.
fn provide(workspace: &Workspace, name: &str, directory: &std::path::Path) -> Result<()> {
    let target = workspace.directory(&format!("{name}/state/sessions"))?;
    for entry in directory.read_dir()? {
        let path = entry?.path();
        std::fs::copy(&path, target.join(path.file_name().ok_or("no name")?))?;
    }
    Ok(())
}

/// The same load on two gateways, of which one writes snapshots.
struct Snapshots {
    with: Turns,
    without: Turns,
    /// How much of the time a snapshot was being written.
    share: f64,
}

impl Snapshots {
    fn watch(
        workspace: &Workspace,
        upstream: SocketAddr,
        directory: &std::path::Path,
        options: &Options,
    ) -> Result<Snapshots> {
        Load::check_installed()?;
        process::raise_open_files()?;
        let start = |name, settings| -> Result<(Vestibule, Arc<[Credentials]>, Load)> {
            provide(workspace, name, directory)?;
            let gateway = Vestibule::start(workspace, &plan(name, upstream, settings))?;
            let users: Arc<[Credentials]> = gateway.create_users(20)?.into();
            let cookies = begin_sessions(gateway.address(), &users, 20, 4)?;
            let requests = (0..RULES)
                .zip(cookies.iter().cycle())
                .map(|(number, cookie)| (path(number, RULES), &**cookie));
            let load = Load::new(workspace, name, requests, options.connections, &None)?;
            Ok((gateway, users, load.with_pause(REST)))
        };
        let gateways = [start("with-snapshots", ALWAYS)?, start("without-snapshots", NEVER)?];
        let mut turns = [Turns::new(), Turns::new()];
        let (mut snapshots, mut seconds) = (0.0, 0.0);
        for (gateway, _, load) in &gateways {
            let (process, address) = (gateway.id(), gateway.address());
            take(&Contestant { name: "", process, address }, load, Duration::from_secs(1))?;
        }
        for round in 1..=options.rounds.max(1) {
            for ((gateway, users, load), turns) in gateways.iter().zip(&mut turns) {
                let contestant =
                    Contestant { name: "", process: gateway.id(), address: gateway.address() };
                let before = gateway.metric("vestibule_sessions_snapshots_total")?;
                let trickle = Trickle::begin(gateway.address(), users);
                let begun = now();
                let sample = take(&contestant, load, options.turn())?;
                let written = gateway.metric("vestibule_sessions_snapshots_total")? - before;
                if written > 0.0 {
                    let each = gateway.metric("vestibule_sessions_snapshot_duration_seconds")?;
                    snapshots += written * each;
                    seconds += begun.elapsed().as_secs_f64();
                }
                trickle.end()?;
                note(&format!("round {round}: p99 {:?}, {written} snapshots", sample.p99));
                turns.push(sample);
            }
        }
        let [with, without] = turns;
        Ok(Snapshots { with, without, share: snapshots / seconds })
    }

    fn print(&self, options: &Options) {
        let row = |name: String, turns: &Turns| {
            let milliseconds = |number: fn(&Sample) -> Duration| {
                format!("{:.2}", median(turns, |sample| number(sample).as_secs_f64() * 1e3))
            };
            vec![
                name,
                format!("{:.0}", median(turns, |sample| sample.requests_per_second)),
                milliseconds(|sample| sample.p50),
                milliseconds(|sample| sample.p99),
            ]
        };
        table(
            &["proxied requests", "requests/s", "p50 ms", "p99 ms"],
            &[
                row("no snapshot".to_owned(), &self.without),
                row(format!("a snapshot, {:.0} % of the time", self.share * 100.0), &self.with),
            ],
            options.format(),
        );
    }
}

/// A login now and then.
struct Trickle {
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Result<()>>,
}

impl Trickle {
    fn begin(address: SocketAddr, users: &Arc<[Credentials]>) -> Trickle {
        let over = Arc::new(AtomicBool::new(false));
        let (ends, users) = (Arc::clone(&over), Arc::clone(users));
        let thread = std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                begin_sessions(address, &users, 1, 1)?;
                std::thread::sleep(LOGIN_EVERY);
            }
            Ok(())
        });
        Trickle { over, thread }
    }

    fn end(self) -> Result<()> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "a thread panicked")?
    }
}
