//! What a process and everything it started have used: CPU time and memory, read from `/proc`.

use std::collections::HashMap;
use std::time::Duration;

use super::Result;

/// The kernel counts in `USER_HZ`, which is 100 on every architecture Debian ships but one nobody measures on.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of `id` and all its descendants.
pub(crate) fn cpu_time(id: u32) -> Result<Duration> {
    let mut ticks = 0;
    for member in descendants(id) {
        // A member may end between the listing and the reading; a proxy's workers do not.
        if let Some(stat) = Stat::read(member) {
            ticks += stat.ticks;
        }
    }
    match ticks {
        0 if Stat::read(id).is_none() => Err(format!("process {id} is gone").into()),
        ticks => Ok(TICK * ticks),
    }
}

/// Resident memory of `id` and all its descendants, in bytes. Pages they share are counted for each.
pub(crate) fn resident(id: u32) -> Result<u64> {
    descendants(id).into_iter().map(|member| status_field(member, "VmRSS:")).sum()
}

/// The most that was resident since `forget_peak`, in bytes.
pub(crate) fn peak_resident(id: u32) -> Result<u64> {
    descendants(id).into_iter().map(|member| status_field(member, "VmHWM:")).sum()
}

/// Makes the present resident memory the peak.
#[expect(
    clippy::disallowed_methods,
    reason = "a file of /proc is a request to the kernel, not a file"
)]
pub(crate) fn forget_peak(id: u32) -> Result<()> {
    for member in descendants(id) {
        std::fs::write(format!("/proc/{member}/clear_refs"), "5")?;
    }
    Ok(())
}

/// `id` and every process below it.
pub(crate) fn descendants(id: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for member in entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if let Some(stat) = Stat::read(member) {
            children.entry(stat.parent).or_default().push(member);
        }
    }
    let mut family = vec![id];
    let mut next = 0;
    while let Some(member) = family.get(next) {
        family.extend(children.remove(member).unwrap_or_default());
        next += 1;
    }
    family
}

struct Stat {
    parent: u32,
    ticks: u32,
}

impl Stat {
    fn read(id: u32) -> Option<Stat> {
        let line = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
        let (_, rest) = line.rsplit_once(") ")?;
        let field = |number: usize| rest.split(' ').nth(number - 3)?.parse::<u32>().ok();
        Some(Stat { parent: field(4)?, ticks: field(14)? + field(15)? })
    }
}

fn status_field(id: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kibibytes: Option<u64> = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    Ok(kibibytes.ok_or_else(|| format!("process {id} has no `{name}`"))? * 1024)
}
