//! The gateway itself: its configuration, its users and their sessions.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Result;
use super::process::{self, Cores, Running};
use super::sign_in::Credentials;
use super::workspace::Workspace;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vestibule");

/// What one gateway is to be.
pub(crate) struct Plan<'a> {
    /// Also the name of its directory.
    pub(crate) name: &'a str,
    pub(crate) upstream: SocketAddr,
    pub(crate) workers: usize,
    pub(crate) rules: usize,
    pub(crate) passwords: Passwords,
    /// Lines of `[sessions]`.
    pub(crate) sessions: &'a str,
    pub(crate) cores: &'a Cores,
}

/// What a login costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passwords {
    /// As little as argon2id can, where sessions are wanted and not logins.
    Cheap,
    /// What Vestibule does when nobody says otherwise.
    Default,
}

/// A running gateway.
pub(crate) struct Vestibule {
    running: Running,
    address: SocketAddr,
    admin: SocketAddr,
    configuration: PathBuf,
}

impl Vestibule {
    pub(crate) fn start(workspace: &Workspace, plan: &Plan<'_>) -> Result<Vestibule> {
        let state = workspace.directory(plan.name)?;
        let text = configuration(plan, &state.join("state"))?;
        let configuration = workspace.write(&format!("{}/vestibule.toml", plan.name), &text)?;
        let mut command = process::program(PROGRAM.as_ref(), plan.cores)?;
        command.arg("serve").arg("--config").arg(&configuration);
        let mut running = Running::start("Vestibule", command, state.join("output.log"))?;
        let announced = |line| move |written: &str| announced_address(written, line);
        let address = running.wait("to be ready", announced("listening on http://"))?;
        let admin = running.wait("to serve metrics", announced("admin on http://"))?;
        Ok(Vestibule { running, address, admin, configuration })
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.ok_or_else(|| format!("there is no metric `{name}`"))?.parse()?)
    }

    /// Ends it as an operator does, and waits until it is gone.
    pub(crate) fn stop(self) {
        drop(self.running);
    }

    /// Creates users whom every rule lets in.
    pub(crate) fn create_users(&self, count: usize) -> Result<Vec<Credentials>> {
        self.command(&["group", "create", GROUP], "")?;
        (0..count)
            .map(|number| {
                let name = format!("reader{number:04}");
                let password = format!("violet-harbour-{number:04}-lantern");
                let arguments = [
                    "user",
                    "create",
                    &name,
                    "--password-stdin",
                    "--group",
                    GROUP,
                    "--permission",
                    PERMISSION,
                ];
                self.command(&arguments, &password)?;
                Ok(Credentials { name, password })
            })
            .collect()
    }

    /// Has the gateway read its file again, after `change`.
    #[expect(
        clippy::disallowed_methods,
        reason = "nothing here outlives the bench, so nothing must survive a crash"
    )]
    pub(crate) fn reload(&self, change: impl FnOnce(&str) -> String) -> Result<()> {
        let text = std::fs::read_to_string(&self.configuration)?;
        std::fs::write(&self.configuration, change(&text))?;
        self.command(&["reload"], "")
    }

    /// Carries out a command, which must succeed.
    pub(crate) fn command(&self, arguments: &[&str], input: &str) -> Result<()> {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .arg("--config")
            .arg(&self.configuration)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that needs no input may be gone already.
            let _ = writeln!(stdin, "{input}");
        }
        let output = child.wait_with_output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!(
            "`vestibule {}` ended with {}: {}",
            arguments.join(" "),
            output.status,
            said.trim()
        )
        .into())
    }
}

/// A path that the rule with this number judges; the numbers wrap around at the number of rules.
pub(crate) fn path(number: usize, rules: usize) -> String {
    format!("{}reports/page.html", prefix(number % rules.max(1)))
}

/// What a rule with a permission asks for.
pub(crate) const PERMISSION: &str = "bench.read";

/// What a rule with groups asks for.
pub(crate) const GROUP: &str = "Readers";

fn prefix(rule: usize) -> String {
    format!("/area-{rule:05}/")
}

fn configuration(plan: &Plan<'_>, state: &std::path::Path) -> Result<String> {
    let passwords = match plan.passwords {
        Passwords::Cheap => "[passwords]\nmemory = \"8KiB\"\niterations = 1\n",
        Passwords::Default => "",
    };
    let mut text = format!(
        r#"upstream = "http://{upstream}"

[server]
listen = "127.0.0.1:0"
workers = {workers}
max_body_size = "4GiB"
state_directory = {state:?}

[admin]
listen = "127.0.0.1:0"

[log]
access = "off"

[lockout]
enabled = false

{passwords}
[sessions]
{sessions}

[permissions]
"{PERMISSION}" = "Can read"

[paths]
"/" = {{ login_required = true }}
"#,
        upstream = plan.upstream,
        workers = plan.workers,
        sessions = plan.sessions,
    );
    for rule in 1..plan.rules {
        let condition = match rule % 4 {
            0 => "login_required = true".to_owned(),
            1 => format!("permission_required = \"{PERMISSION}\""),
            2 => format!("groups = [\"{GROUP}\"]"),
            _ => format!("permission_required = \"{PERMISSION}\", groups = [\"{GROUP}\"]"),
        };
        writeln!(text, "\"{}\" = {{ {condition} }}", prefix(rule))?;
    }
    Ok(text)
}

/// The address of a listener, once the gateway has said that it is ready.
fn announced_address(written: &str, line: &str) -> Option<SocketAddr> {
    let (_, after) = written.split_once(line)?;
    let (address, rest) = after.split_once('\n')?;
    let address =
        address.split(|next: char| next != '.' && next != ':' && !next.is_ascii_digit()).next()?;
    rest.lines().any(|line| line.contains("ready")).then(|| address.parse().ok())?
}
