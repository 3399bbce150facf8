//! A real PostgreSQL server of the tests' own, which can be stopped and started again.
//!
//! It refuses to run as root; then it runs as Debian's user `postgres`. It ends with its
//! [`PostgresServer`], or else with the process that started it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Mutex,
    sync::atomic::{AtomicU32, Ordering},
};

/// The password of the server's superuser; it needs percent-encoding in a URL.
const PASSWORD: &str = "let me/in@once";

/// Nothing here has to survive a power cut.
const SETTINGS: [&str; 5] = [
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
];

pub(crate) struct PostgresServer {
    directory: PathBuf,
    port: u16,
    running: Mutex<Option<Running>>,
    databases: AtomicU32,
}

/// The shell above the server, which stops it when nobody holds its input any more.
struct Running {
    shell: Child,
    input: ChildStdin,
}

impl PostgresServer {
    pub(crate) fn start() -> Self {
        // Not a `TempDir`: the shell removes it, because a server that is shared by all tests of a
        // process is never dropped.
        let directory = tempfile::Builder::new().prefix("postgres").tempdir().unwrap().keep();
        fs::write(directory.join("password"), PASSWORD).unwrap();
        if is_root() {
            run(Command::new("chown").args(["-R", "postgres:"]).arg(&directory));
        }
        let password = format!("--pwfile={}", directory.join("password").display());
        run(as_somebody("initdb")
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions", &password, "--pgdata"])
            .arg(directory.join("data")));
        // Another process may take the port between our asking and the server's.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(running) = serve(&directory, port) {
                let running = Mutex::new(Some(running));
                return Self { directory, port, running, databases: AtomicU32::new(0) };
            }
        }
        panic!("postgres does not start")
    }

    /// Makes a database that nobody else uses; gives its address.
    pub(crate) fn new_database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// The address of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        let password = PASSWORD.replace('/', "%2F").replace('@', "%40").replace(' ', "%20");
        format!("postgres://postgres:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// Carries out statements as somebody else than the gateway; gives what they answer, a line
    /// for each row with `|` between its columns.
    pub(crate) fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]).args([
            "--set=ON_ERROR_STOP=1",
            "--command",
            statements,
            &self.url(database),
        ]);
        run(&mut psql)
    }

    /// Stops it at once, as a machine that loses its power.
    pub(crate) fn stop(&self) {
        if let Some(running) = self.running.lock().unwrap().take() {
            running.stop();
        }
    }

    /// Starts it again, with what it has on its disk.
    pub(crate) fn restart(&self) {
        self.stop();
        let running = serve(&self.directory, self.port);
        assert!(running.is_some(), "postgres does not start again");
        *self.running.lock().unwrap() = running;
    }
}

impl Running {
    fn stop(mut self) {
        drop(writeln!(self.input, "keep"));
        drop(self.input);
        drop(self.shell.wait());
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(running) = running.take() {
            running.stop();
        }
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Where Debian keeps the programs of a server.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| panic!("there is no `{name}`; tests/run installs it"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of the server's, as a user that it accepts.
fn as_somebody(name: &str) -> Command {
    if !is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]);
    command.arg(program(name));
    command
}

/// Runs the server until its input ends; `None` if it does not begin to.
fn serve(directory: &Path, port: u16) -> Option<Running> {
    // The shell outlives this process for a moment. Without a word that the directory is still
    // needed, it removes that too.
    let script = r#"
        "$@" >"$0/log" 2>&1 </dev/null & server=$!
        while kill -0 $server 2>/dev/null; do
            if grep -q "ready to accept connections" "$0/log"; then echo ready; break; fi
            sleep 0.05
        done
        read -r line
        kill -QUIT $server 2>/dev/null; wait $server
        if [ "$line" != keep ]; then rm -rf "$0"; fi
    "#;
    let server = as_somebody("postgres");
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(directory).arg(server.get_program()).args(server.get_args());
    shell
        .arg("-D")
        .arg(directory.join("data"))
        .args(["-p", &port.to_string(), "-k"])
        .arg(directory);
    for setting in SETTINGS {
        shell.args(["-c", setting]);
    }
    fs::write(directory.join("log"), "").unwrap();
    let spawned = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut shell = spawned.unwrap();
    let mut said = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let running = Running { input: shell.stdin.take().unwrap(), shell };
    if said.trim() == "ready" {
        return Some(running);
    }
    eprintln!("{}", fs::read_to_string(directory.join("log")).unwrap_or_default());
    running.stop();
    None
}

/// What a command says that has to succeed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if !output.status.success() {
        let mut stderr = std::io::stderr();
        stderr.write_all(&output.stderr).unwrap();
        panic!("{command:?} failed");
    }
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
