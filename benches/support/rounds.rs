//! Alternating rounds: what the machine does meanwhile meets every contestant alike.

use std::net::SocketAddr;
use std::time::Duration;

use super::load::Load;
use super::report::note;
use super::{Result, usage};

/// A proxy that takes part.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) process: u32,
    pub(crate) address: SocketAddr,
}

/// What one turn of one contestant cost.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// CPU microseconds of the proxy's process tree per request.
    pub(crate) cpu: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// All turns of one contestant, one a round.
pub(crate) type Turns = Vec<Sample>;

/// Lets each contestant run under its load in each round, every other round in reverse order.
pub(crate) fn alternate(
    contestants: &[(Contestant, &Load)],
    rounds: usize,
    turn: Duration,
) -> Result<Vec<Turns>> {
    let mut turns: Vec<Turns> = contestants.iter().map(|_| Turns::new()).collect();
    for (contestant, load) in contestants {
        take(contestant, load, Duration::from_secs(1))?;
    }
    for round in 0..rounds.max(1) {
        let mut order: Vec<_> = contestants.iter().zip(&mut turns).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for ((contestant, load), turns) in order {
            let sample = take(contestant, load, turn)?;
            note(&format!(
                "round {} of {rounds}: {} {:.2} µs a request",
                round + 1,
                contestant.name,
                sample.cpu
            ));
            turns.push(sample);
        }
    }
    Ok(turns)
}

/// One turn of one contestant.
pub(crate) fn take(contestant: &Contestant, load: &Load, turn: Duration) -> Result<Sample> {
    let before = usage::cpu_time(contestant.process)?;
    let measured = load
        .run(contestant.address, turn)
        .map_err(|problem| format!("{}: {problem}", contestant.name))?;
    let used = usage::cpu_time(contestant.process)?.saturating_sub(before);
    Ok(Sample {
        cpu: used.as_secs_f64() * 1e6 / measured.requests as f64,
        requests_per_second: measured.requests as f64 / measured.seconds,
        p50: measured.p50,
        p99: measured.p99,
    })
}

/// The median of one of the numbers over all rounds.
pub(crate) fn median(turns: &[Sample], number: impl Fn(&Sample) -> f64) -> f64 {
    middle(turns.iter().map(number).collect())
}

/// How far apart the rounds were: the largest less the smallest, as a part of the median.
pub(crate) fn spread(turns: &[Sample], number: impl Fn(&Sample) -> f64) -> f64 {
    let numbers: Vec<f64> = turns.iter().map(number).collect();
    let largest = numbers.iter().copied().fold(f64::MIN, f64::max);
    let smallest = numbers.iter().copied().fold(f64::MAX, f64::min);
    (largest - smallest) / middle(numbers)
}

/// The median over the rounds of what `ours` was to `theirs` in the same round.
pub(crate) fn ratio(ours: &[Sample], theirs: &[Sample], number: impl Fn(&Sample) -> f64) -> f64 {
    middle(ours.iter().zip(theirs).map(|(ours, theirs)| number(ours) / number(theirs)).collect())
}

/// The median.
pub(crate) fn middle(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let at = |index: usize| numbers.get(index).copied().unwrap_or(f64::NAN);
    let half = numbers.len() / 2;
    if numbers.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 }
}
