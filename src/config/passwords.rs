//! `[passwords]`.

use super::problem::Problem;
use super::reader::Table;
use crate::accounts::Validators;
use crate::accounts::settings::Hashing;

/// What the section says.
pub(super) struct Passwords {
    pub(super) hashing: Hashing,
    pub(super) upgrade: bool,
    pub(super) validators: Validators,
}

pub(super) fn read(root: &Table<'_>) -> Passwords {
    let table = root.table("passwords");
    let hashing = hashing(&table);
    let validators = validators(&table);
    let upgrade = table.flag("upgrade").is_none_or(|at| at.value);
    table.finish(&[]);
    Passwords { hashing, upgrade, validators }
}

fn hashing(table: &Table<'_>) -> Hashing {
    let report = table.report();
    let defaults = Hashing::default();
    let memory = table.size("memory", 8 * 1024, 4 << 30);
    let iterations = table.integer("iterations", 1, 1000);
    let parallelism = table.integer("parallelism", 1, 255);
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let hashing = Hashing {
        memory_kib: memory.as_ref().map_or(defaults.memory_kib, |at| narrow(at.value / 1024)),
        iterations: iterations.as_ref().map_or(defaults.iterations, |at| narrow(at.value)),
        parallelism: parallelism.as_ref().map_or(defaults.parallelism, |at| narrow(at.value)),
    };
    if hashing.memory_kib < 8 * hashing.parallelism
        && let Some(span) = parallelism.or(memory.clone()).map(|at| at.span)
    {
        let message = format!("{} lanes need 8 KiB of memory each", hashing.parallelism);
        let hint = format!("write `memory = \"{}KiB\"` or more", 8 * hashing.parallelism);
        report.add(Problem::error("contradiction", span, message).hint(hint));
    }
    // OWASP's password storage cheat sheet: 7 MiB with five iterations is the least.
    let work = u64::from(hashing.memory_kib) * u64::from(hashing.iterations);
    if work < 35 * 1024
        && let Some(memory) = memory
    {
        let message = "passwords hashed so cheaply are cheap to guess";
        let problem = Problem::warning("weak-hashing", memory.span, message);
        report.add(problem.hint("the default is `memory = \"19MiB\"` and `iterations = 2`"));
    }
    hashing
}

fn validators(table: &Table<'_>) -> Validators {
    let defaults = Validators::default();
    let min_length = table.integer("min_length", 1, 1000);
    if let Some(at) = min_length.as_ref().filter(|at| at.value < 8) {
        let message = "passwords shorter than eight characters are guessed in no time";
        table.report().add(Problem::warning("weak-passwords", at.span.clone(), message));
    }
    let flag = |key, default| table.flag(key).map_or(default, |at| at.value);
    let common = table.flag("common");
    if let Some(at) = common.as_ref().filter(|at| !at.value) {
        let message = "without this list, users choose what everybody tries first";
        table.report().add(Problem::warning("weak-passwords", at.span.clone(), message));
    }
    Validators {
        min_length: min_length
            .and_then(|at| usize::try_from(at.value).ok())
            .unwrap_or(defaults.min_length),
        similarity: flag("similarity", defaults.similarity),
        common: common.map_or(defaults.common, |at| at.value),
        numeric: flag("numeric", defaults.numeric),
    }
}
