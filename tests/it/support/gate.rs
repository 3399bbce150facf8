//! A running gateway with an application behind it. When the test lets go of it, its log must be clean.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, Weak},
    thread::JoinHandle,
    time::Instant,
};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::{
    DEADLINE, config, eventually,
    people::{self, PASSWORD},
    recorder::Recorder,
    visitor::Visitor,
    wire::{Conversation, Wire},
};

pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    pub(crate) upstream: Recorder,
    directory: TempDir,
    child: Mutex<Child>,
    log: Lines,
    access: Lines,
    readers: Vec<JoinHandle<()>>,
    announced: Mutex<Vec<String>>,
}

type Lines = Arc<Mutex<Vec<String>>>;

impl Gate {
    /// Starts a gateway on any free port, with everybody's account, in front of a recording application.
    pub(crate) async fn start(text: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), Recorder::start(), text).await
    }

    pub(crate) async fn start_in(directory: TempDir, upstream: Recorder, text: &str) -> Self {
        people::settle_in(directory.path());
        Self::start_in_settled(directory, upstream, text).await
    }

    /// Starts a gateway where whoever lives there is settled already.
    pub(crate) async fn start_in_settled(
        directory: TempDir,
        upstream: Recorder,
        text: &str,
    ) -> Self {
        fs::write(directory.path().join("vestibule.toml"), config::complete(text, &upstream.url()))
            .unwrap();
        let (log, access) = (Lines::default(), Lines::default());
        let (child, readers) = spawn(directory.path(), &log, &access);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut gate = Self {
            address,
            upstream,
            directory,
            child: Mutex::new(child),
            log,
            access,
            readers,
            announced: Mutex::default(),
        };
        gate.address = gate.opens().await;
        gate
    }

    /// Kills the gateway, if it has not ended by itself, with nothing said to it before.
    pub(crate) fn is_killed(&mut self) {
        let child = self.child.get_mut().unwrap();
        drop(child.kill());
        drop(child.wait());
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
    }

    /// Starts a gateway that has ended, in the same directory; its address is another one, and its log begins anew.
    pub(crate) async fn starts_again(&mut self) {
        let log = std::mem::take(&mut *self.log.lock().unwrap());
        let faults = faults(&log, &self.announced.lock().unwrap());
        assert!(faults.is_empty(), "the gateway's log has faults:\n{}", faults.join("\n"));
        let (child, readers) = spawn(self.directory.path(), &self.log, &self.access);
        *self.child.get_mut().unwrap() = child;
        self.readers = readers;
        self.address = self.opens().await;
    }

    /// Waits until the gateway says that it is ready, and where it listens.
    async fn opens(&self) -> SocketAddr {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = self.log();
            let address = announced_address(&log, "listening on http://");
            if let Some(address) = address
                && log.iter().any(|line| line.contains("ready"))
            {
                return address;
            }
            let exited = self.child.lock().unwrap().try_wait().unwrap();
            assert!(
                exited.is_none() && Instant::now() < deadline,
                "the gateway did not start ({exited:?}):\n{}",
                log.join("\n")
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    /// Sends bytes on a connection of their own and listens until the gateway closes it.
    pub(crate) async fn hears(&self, bytes: impl AsRef<[u8]>) -> Conversation {
        Conversation::hold(self.address, bytes).await
    }

    /// Somebody who has not logged in.
    pub(crate) fn visitor(&self) -> Visitor {
        Visitor::new(self.address)
    }

    /// Somebody who has.
    pub(crate) async fn sign_in(&self, name: &str) -> Visitor {
        let mut visitor = self.visitor();
        visitor.logs_in(name, PASSWORD).await;
        visitor
    }

    /// Runs a command beside the running gateway; it must succeed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        people::run_well(self.directory.path(), arguments, "")
    }

    pub(crate) fn try_run(&self, arguments: &[&str], input: &str) -> Output {
        people::run(self.directory.path(), arguments, input)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Rewrites the configuration file; the gateway reads it when it is told to.
    pub(crate) fn rewrite(&self, text: &str) {
        self.rewrite_exactly(&config::complete(text, &self.upstream.url()));
    }

    /// As `rewrite`, without the tests' defaults and in the very order and spelling given.
    pub(crate) fn rewrite_exactly(&self, text: &str) {
        fs::write(self.directory.path().join("vestibule.toml"), text).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).unwrap();
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child.lock().unwrap())
    }

    pub(crate) async fn exits(&self) -> ExitStatus {
        let mut status = None;
        eventually("the gateway exits", || {
            status = self.child.lock().unwrap().try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn access_log(&self) -> Vec<String> {
        self.access.lock().unwrap().clone()
    }

    /// The value of a metric, written with its labels as `/metrics` has it; 0 where there is none of it.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let mut wire = Wire::connect(self.admin_address()).await;
        wire.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let text = wire.answer().await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        announced_address(&self.log(), "admin on http://").unwrap()
    }

    /// Errors whose log line contains this text belong to the test.
    pub(crate) fn announce(&self, text: &str) {
        self.announced.lock().unwrap().push(text.to_owned());
    }

    /// Resident memory of the gateway, in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Processor time the gateway has used, in clock ticks (100 a second).
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_pid())).unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        {
            let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // It may have exited already, which some tests ask of it.
            drop(child.kill());
            drop(child.wait());
        }
        for reader in self.readers.drain(..) {
            drop(reader.join());
        }
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("--- the gateway's log\n{}", log.join("\n"));
            return;
        }
        let announced = self.announced.lock().unwrap().clone();
        let faults = faults(&log, &announced);
        assert!(faults.is_empty(), "the gateway's log has faults:\n{}", faults.join("\n"));
        let violations = self.upstream.violations();
        assert!(
            violations.is_empty(),
            "the gateway sent the application what it must not:\n{}",
            violations.join("\n")
        );
    }
}

/// The lines of a log that no healthy gateway writes.
pub(crate) fn faults(log: &[String], announced: &[String]) -> Vec<String> {
    log.iter()
        .filter(|line| {
            line.contains("panicked") || line.split_whitespace().any(|word| word == "ERROR")
        })
        .filter(|line| {
            line.contains("panicked") || !announced.iter().any(|text| line.contains(text))
        })
        .cloned()
        .collect()
}

pub(crate) fn announced_address(log: &[String], before: &str) -> Option<SocketAddr> {
    log.iter().find_map(|line| {
        let rest = line.split_once(before)?.1;
        let end = rest
            .find(|character: char| {
                !character.is_ascii_digit() && character != '.' && character != ':'
            })
            .unwrap_or(rest.len());
        rest[..end].parse().ok()
    })
}

/// The real program in `directory`. A file that may not grow is an error to it, not a signal, as on a disk that is full.
fn spawn(directory: &Path, log: &Lines, access: &Lines) -> (Child, Vec<JoinHandle<()>>) {
    let mut child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" serve --config vestibule.toml"])
        .arg(env!("CARGO_BIN_EXE_vestibule"))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let readers = vec![
        collect(child.stderr.take().unwrap(), log),
        collect(child.stdout.take().unwrap(), access),
    ];
    (child, readers)
}

fn collect(stream: impl Read + Send + 'static, lines: &Lines) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

/// A gateway that the tests of a file share while at least one of them runs; the last one to let go sees to its log.
pub(crate) struct Shared {
    gate: tokio::sync::Mutex<Weak<Gate>>,
    config: fn() -> String,
}

impl Shared {
    pub(crate) const fn new(config: fn() -> String) -> Self {
        Self { gate: tokio::sync::Mutex::const_new(Weak::new()), config }
    }

    pub(crate) async fn gate(&self) -> Arc<Gate> {
        let mut slot = self.gate.lock().await;
        if let Some(gate) = slot.upgrade() {
            return gate;
        }
        let gate = Arc::new(Gate::start(&(self.config)()).await);
        *slot = Arc::downgrade(&gate);
        gate
    }
}
