//! The comparison's tables.

use crate::proxies::{Kind, Line};
use crate::support::report::{Format, Target, heading, say, table, verdict};
use crate::support::rounds::{Sample, Turns, median, ratio, spread};

/// What is promised about CPU time per request.
const LIMITS: [(Kind, f64); 4] = [
    (Kind::Nginx, 1.00),
    (Kind::Haproxy, 0.95),
    (Kind::NginxWithAuthRequest, 0.65),
    (Kind::Forwarder, 1.35),
];

/// Prints what one worker costs, and says whether every target was met.
pub(crate) fn print_one_worker(line: &Line, turns: &[Turns], format: Format) -> bool {
    heading("One worker each: CPU time per request", format);
    print_rows(line, turns, format);
    let targets: Vec<Target> = LIMITS
        .iter()
        .map(|&(other, at_most)| Target {
            name: format!("CPU per request, Vestibule / {}", other.name()),
            value: compare(line, turns, Kind::Vestibule, other, |sample| sample.cpu),
            at_most,
            unit: " ×",
        })
        .collect();
    let all_met = verdict(&targets, format);
    for missing in &line.left_out {
        say(&format!("Left out: {missing}."));
    }
    all_met
}

/// Prints the throughput of two workers, and says whether Vestibule keeps up.
pub(crate) fn print_two_workers(line: &Line, turns: &[Turns], format: Format) -> bool {
    heading("Two workers each: throughput", format);
    print_rows(line, turns, format);
    let target = Target {
        name: "requests per second, nginx / Vestibule".to_owned(),
        value: compare(line, turns, Kind::Nginx, Kind::Vestibule, |sample| {
            sample.requests_per_second
        }),
        at_most: 1.00,
        unit: " ×",
    };
    verdict(&[target], format)
}

fn print_rows(line: &Line, turns: &[Turns], format: Format) {
    let rows: Vec<Vec<String>> = line
        .proxies
        .iter()
        .zip(turns)
        .map(|(proxy, turns)| {
            let milliseconds = |number: fn(&Sample) -> std::time::Duration| {
                format!("{:.2}", median(turns, |sample| number(sample).as_secs_f64() * 1e3))
            };
            vec![
                proxy.kind.name().to_owned(),
                format!("{:.2}", median(turns, |sample| sample.cpu)),
                format!("{:.0} %", spread(turns, |sample| sample.cpu) * 100.0),
                format!("{:.0}", median(turns, |sample| sample.requests_per_second)),
                milliseconds(|sample| sample.p50),
                milliseconds(|sample| sample.p99),
            ]
        })
        .collect();
    table(&["proxy", "CPU µs/request", "spread", "requests/s", "p50 ms", "p99 ms"], &rows, format);
}

fn compare(
    line: &Line,
    turns: &[Turns],
    ours: Kind,
    theirs: Kind,
    number: fn(&Sample) -> f64,
) -> Option<f64> {
    let of = |kind| turns.get(line.position(kind)?);
    Some(ratio(of(ours)?, of(theirs)?, number))
}
