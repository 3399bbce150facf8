//! Does a request cost more when there are many rules?
//!
//! Two gateways side by side, one with 10 rules and one with 10,000, each under requests that meet all of its
//! rules in turn. The rule of a path is found in a tree built once, so their number should hardly show.
//!
//! Worrying: CPU time per request with 10,000 rules of more than 1.05 × that with 10.

#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::process::ExitCode;

use clap::Parser;

use support::load::Load;
use support::options::Options;
use support::report::{Target, heading, table, verdict};
use support::rounds::{Contestant, alternate, median, ratio, spread};
use support::sign_in::begin_sessions;
use support::vestibule::{Passwords, Plan, Vestibule, path};
use support::workspace::Workspace;
use support::{Result, nginx, run, setting};

#[derive(Parser)]
#[command(about = "Does a request cost more when there are many rules?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// The number of rules that is called few.
    #[arg(long, default_value_t = setting("FEW", 10))]
    few: usize,
    /// The number of rules that is called many.
    #[arg(long, default_value_t = setting("MANY", 10_000))]
    many: usize,
}

/// Enough to be no single hot cache line, few enough that the sessions are not what is measured.
const SESSIONS: usize = 1000;

fn main() -> ExitCode {
    run(compare)
}

fn compare() -> Result<bool> {
    let arguments = Arguments::parse();
    let options = &arguments.common;
    Load::check_installed()?;
    let workspace = Workspace::new()?;
    let (_upstream, upstream) = nginx::start_upstream(&workspace, "upstream", &options.cores().1)?;

    let counts = [arguments.few, arguments.many];
    let gateways: Vec<(Vestibule, Load)> = counts
        .into_iter()
        .map(|rules| start(&workspace, options, upstream, rules, arguments.many))
        .collect::<Result<_>>()?;
    let contestants: Vec<_> = gateways
        .iter()
        .zip(["few rules", "many rules"])
        .map(|((gateway, load), name)| {
            (Contestant { name, process: gateway.id(), address: gateway.address() }, load)
        })
        .collect();
    let turns = alternate(&contestants, options.rounds, options.turn())?;

    heading("CPU time per request and the number of rules", options.format());
    let rows: Vec<Vec<String>> = counts
        .iter()
        .zip(&turns)
        .map(|(rules, turns)| {
            vec![
                rules.to_string(),
                format!("{:.2}", median(turns, |sample| sample.cpu)),
                format!("{:.0} %", spread(turns, |sample| sample.cpu) * 100.0),
                format!("{:.0}", median(turns, |sample| sample.requests_per_second)),
            ]
        })
        .collect();
    table(&["rules", "CPU µs/request", "spread", "requests/s"], &rows, options.format());
    let [few, many] = turns.as_slice() else {
        return Err("two gateways have two results".into());
    };
    let target = Target {
        name: format!("CPU per request, {} rules / {} rules", arguments.many, arguments.few),
        value: Some(ratio(many, few, |sample| sample.cpu)),
        at_most: 1.05,
        unit: " ×",
    };
    Ok(options.outcome(verdict(&[target], options.format())))
}

/// A gateway with its load: as many different requests for each, whatever the number of rules.
fn start(
    workspace: &Workspace,
    options: &Options,
    upstream: std::net::SocketAddr,
    rules: usize,
    requests: usize,
) -> Result<(Vestibule, Load)> {
    let (own, others) = options.cores();
    let name = format!("rules-{rules}");
    let plan = Plan {
        name: &name,
        upstream,
        workers: 1,
        rules,
        passwords: Passwords::Cheap,
        sessions: "",
        cores: &own,
    };
    let gateway = Vestibule::start(workspace, &plan)?;
    let users = gateway.create_users(10)?;
    let cookies = begin_sessions(gateway.address(), &users, SESSIONS, 16)?;
    let requests = cookies
        .iter()
        .cycle()
        .enumerate()
        .map(|(number, cookie)| (path(number, rules), &**cookie))
        .take(requests);
    let load = Load::new(workspace, &name, requests, options.connections, &others)?;
    Ok((gateway, load))
}
