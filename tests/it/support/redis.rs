//! A real redis-server of the test's own, which can be killed, halted and started again.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to start; on a busy machine it is asked again and again.
const PATIENCE: Duration = Duration::from_secs(20);

/// It writes every change to its disk before it answers, so that what it acknowledged survives a kill.
pub(crate) struct RedisServer {
    directory: TempDir,
    port: u16,
    child: Mutex<Option<Child>>,
}

impl RedisServer {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Another process may take the port between our asking and the server's; then another one is asked for.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(child) = run(&directory, port) {
                return Self { directory, port, child: Mutex::new(Some(child)) };
            }
        }
        panic!("redis-server does not start")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// As by `kill -9`: nothing is written any more, and nobody is told.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again, with what it has on its disk.
    pub(crate) fn restart(&self) {
        self.kill();
        let child = run(&self.directory, self.port);
        assert!(child.is_some(), "redis-server does not start again");
        *self.child.lock().unwrap() = child;
    }

    /// It keeps its connections and answers nothing, as a machine that is gone from the network.
    pub(crate) fn halt(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.lock().unwrap();
        kill_process(Pid::from_child(child.as_ref().unwrap()), signal).unwrap();
    }

    /// A command on a connection of its own; gives the first line of the answer.
    pub(crate) fn says(&self, command: &str) -> String {
        ask(self.port, command).unwrap()
    }

    /// A command whose answer is a list of texts.
    pub(crate) fn says_all(&self, command: &str) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
        let lines = BufReader::new(stream).lines().map(Result::unwrap);
        lines.filter(|line| !line.starts_with(['*', '$', '+'])).collect()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(child) = child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn run(directory: &TempDir, port: u16) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("`redis-server` cannot be run ({error}); tests/run installs it")
        });
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if ask(port, "PING").is_ok_and(|answer| answer == "+PONG") {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(child.kill());
    drop(child.wait());
    None
}
