//! The load: wrk, with the same requests for every proxy.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{self, Cores};
use super::workspace::Workspace;
use super::{Result, nginx};

const MISSING: &str =
    "wrk is missing, and nothing can be measured without it\nhint: `apt-get install wrk`";

/// A way to put proxies under load.
pub(crate) struct Load {
    wrk: PathBuf,
    script: PathBuf,
    requests: PathBuf,
    cores: Cores,
    connections: usize,
    /// Milliseconds, on average, that each connection rests before a request.
    pause: u64,
}

/// One request of the load: the path, and the value of the session cookie.
pub(crate) type Request<'a> = (String, &'a str);

/// What wrk saw in one turn.
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Load {
    /// Makes a load of `requests`, which are sent in turn; `name` is unique in the workspace.
    pub(crate) fn new<'a>(
        workspace: &Workspace,
        name: &str,
        requests: impl Iterator<Item = Request<'a>>,
        connections: usize,
        cores: &Cores,
    ) -> Result<Load> {
        let mut lines = String::new();
        for (path, cookie) in requests {
            writeln!(lines, "{path}\t{cookie}")?;
        }
        Ok(Load {
            wrk: process::find("wrk").ok_or(MISSING)?,
            script: workspace.write("requests.lua", include_str!("requests.lua"))?,
            requests: workspace.write(&format!("{name}.requests"), &lines)?,
            cores: cores.clone(),
            connections,
            pause: 0,
        })
    }

    /// Fails early when there is no wrk, before anything expensive is prepared.
    pub(crate) fn check_installed() -> Result<()> {
        process::find("wrk").map(drop).ok_or_else(|| MISSING.into())
    }

    /// The same load with a rest before each request, so that the proxy is not always busy.
    pub(crate) fn with_pause(self, pause: Duration) -> Load {
        Load { pause: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), ..self }
    }

    /// Puts `address` under load for a while. Any failed request, and any that did not bring the upstream's
    /// answer, makes the measurement worthless and is an error.
    pub(crate) fn run(&self, address: SocketAddr, turn: Duration) -> Result<Measured> {
        let output = process::program(&self.wrk, &self.cores)?
            .args(["--threads", "1", "--connections", &self.connections.to_string()])
            .args([
                "--duration",
                &format!("{}s", turn.as_secs().max(1)),
                "--timeout",
                "10s",
                "--script",
            ])
            .args([
                &self.script,
                Path::new(&format!("http://{address}/")),
                Path::new("--"),
                &self.requests,
            ])
            .args([address.to_string(), self.pause.to_string()])
            .output()?;
        let written = String::from_utf8_lossy(&output.stdout);
        let numbers = measured(&written).ok_or_else(|| {
            format!("wrk did not measure:\n{written}{}", String::from_utf8_lossy(&output.stderr))
        })?;
        let [requests, microseconds, bytes, p50, p99, broken, refused] = numbers;
        if broken + refused > 0 || requests == 0 {
            return Err(format!(
                "{requests} answers, {broken} broken connections, {refused} refusals"
            )
            .into());
        }
        // A redirect to a login page would count as a success and be cheaper than the real answer.
        if bytes / requests < nginx::ANSWER as u64 {
            return Err(format!(
                "{} bytes an answer: these are not the upstream's",
                bytes / requests
            )
            .into());
        }
        Ok(Measured {
            requests,
            seconds: Duration::from_micros(microseconds).as_secs_f64(),
            p50: Duration::from_micros(p50),
            p99: Duration::from_micros(p99),
        })
    }
}

fn measured(written: &str) -> Option<[u64; 7]> {
    let line = written.lines().find_map(|line| line.strip_prefix("measured "))?;
    let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
    numbers.try_into().ok()
}
