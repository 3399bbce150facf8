//! The machine, in one line.

use jiff::Timestamp;

/// The date, processor, number of cores and kernel.
pub(crate) fn description() -> String {
    // Of the machine, not of this process, which may be bound to some of them.
    let cores = file("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count();
    let kernel = file("/proc/sys/kernel/osrelease");
    let date = Timestamp::now().strftime("%Y-%m-%d");
    format!("{date}, {cores} × {}, Linux {}", processor(), kernel.trim())
}

fn processor() -> String {
    let described = file("/proc/cpuinfo");
    let model = described
        .lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
