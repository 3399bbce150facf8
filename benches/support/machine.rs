//! The machine, in one line.

use jiff::Timestamp;

/// The date, processor, number of cores and kernel.
pub(crate) fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
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
