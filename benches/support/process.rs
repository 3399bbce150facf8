//! Starting a program, waiting until it answers, and ending it.
//!
//! Every child is started through this executable itself, which binds the child to its cores and asks the
//! kernel to end it when the bench dies, and then becomes the program. That needs no `unsafe` between fork
//! and exec, and no `taskset`. The proxies and servers that are a few lines of Rust are roles of the same kind.

use std::ffi::OsString;
use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use super::{Result, forwarder, now, socket_server, stream_server, usage};

const MARK: &str = "--vestibule-bench-role";
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// The cores a child may use; `None` leaves it to the kernel.
pub(crate) type Cores = Option<Vec<usize>>;

/// A command that will become `program`, bound to `cores`, and end with the bench.
pub(crate) fn program(program: &Path, cores: &Cores) -> Result<Command> {
    let mut command = role("exec", cores)?;
    command.arg(program);
    Ok(command)
}

/// A command that will play one of the roles in `play`.
pub(crate) fn role(role: &str, cores: &Cores) -> Result<Command> {
    let cores: Vec<String> = cores.iter().flatten().map(usize::to_string).collect();
    let mut command = Command::new(std::env::current_exe()?);
    command.args([MARK, &std::process::id().to_string(), &cores.join(","), role]);
    Ok(command)
}

/// A running child. Dropping it ends it and everything it started.
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with its output in the file `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: PathBuf) -> Result<Running> {
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|cause| format!("cannot start {name}: {cause}"))?;
        Ok(Running { name: name.to_owned(), child, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until something accepts connections at `address`.
    pub(crate) fn wait_for_listener(&mut self, address: SocketAddr) -> Result<()> {
        self.wait("to accept connections", |_| TcpStream::connect(address).ok()).map(drop)
    }

    /// Waits until `look` finds what it wants in what the child has written so far.
    pub(crate) fn wait<T>(&mut self, what: &str, look: impl Fn(&str) -> Option<T>) -> Result<T> {
        let start = now();
        loop {
            let written = self.output();
            if let Some(found) = look(&written) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.complaint(&ended(status)).into());
            }
            if start.elapsed() > START_LIMIT {
                return Err(self
                    .complaint(&format!("was waited for {what}, in vain, for {START_LIMIT:?}"))
                    .into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn complaint(&self, what: &str) -> String {
        let written = self.output();
        let lines: Vec<&str> = written.lines().collect();
        let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default();
        match last {
            [] => format!("{} {what} and wrote nothing", self.name),
            [..] => format!("{} {what}; it wrote:\n    {}", self.name, last.join("\n    ")),
        }
    }
}

impl Drop for Running {
    /// Asks with `SIGTERM`, so that an nginx or HAProxy master takes its workers along; then insists.
    fn drop(&mut self) {
        let family = usage::descendants(self.child.id());
        signal(self.child.id(), Signal::TERM);
        let start = now();
        while start.elapsed() < STOP_LIMIT {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for id in family {
            signal(id, Signal::KILL);
        }
        // A child that SIGKILL has reached cannot refuse to be reaped; an error has no one left to tell.
        let _ = self.child.wait();
    }
}

/// A port of 127.0.0.1 that was free a moment ago, for programs that cannot tell which port they got.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Where a program is; `/usr/sbin` is looked at too, since an ordinary user's `PATH` lacks it.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Lifts the limit of open files to what the kernel lets us have, for this process and its children.
pub(crate) fn raise_open_files() -> Result<u64> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    rustix::process::setrlimit(
        Resource::Nofile,
        Rlimit { current: limit.maximum, maximum: limit.maximum },
    )?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Binds this thread to `cores`.
pub(crate) fn bind(cores: &Cores) -> Result<()> {
    let Some(cores) = cores else {
        return Ok(());
    };
    let mut set = CpuSet::new();
    for &core in cores {
        set.set(core);
    }
    Ok(rustix::thread::sched_setaffinity(None, &set)?)
}

/// The arguments after the mark, when this process was started to be a child.
pub(crate) fn own_role() -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == MARK).then(|| arguments.collect())
}

/// Becomes what the arguments say: `PARENT CORES exec PROGRAM…`, `… forward LISTEN TO`,
/// `… sockets LISTEN` or `… stream LISTEN`.
pub(crate) fn play(arguments: &[OsString]) -> Result<()> {
    let [parent, cores, role, rest @ ..] = arguments else {
        return Err("a child needs a parent, cores and a role".into());
    };
    die_with(parent)?;
    bind(&read_cores(cores)?)?;
    match (role.to_str(), rest) {
        (Some("exec"), [program, arguments @ ..]) => {
            let cause = Command::new(program).args(arguments).exec();
            Err(format!("cannot run `{}`: {cause}", program.display()).into())
        }
        (Some("forward"), [listen, to]) => forwarder::serve(address(listen)?, address(to)?),
        (Some("sockets"), [listen]) => socket_server::serve(address(listen)?),
        (Some("stream"), [listen]) => stream_server::serve(address(listen)?),
        _ => Err(format!("no such role: `{}`", role.display()).into()),
    }
}

fn die_with(parent: &OsString) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let alive = rustix::process::getppid().map(|id| id.as_raw_nonzero().to_string());
    // The parent may have died before the line above: then no signal will ever come.
    if alive.as_deref() == parent.to_str() { Ok(()) } else { Err("the bench is gone".into()) }
}

fn read_cores(text: &OsString) -> Result<Cores> {
    let text = text.to_string_lossy();
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(text.split(',').map(str::parse).collect::<std::result::Result<_, _>>()?))
}

fn address(text: &OsString) -> Result<SocketAddr> {
    Ok(text.to_string_lossy().parse()?)
}

fn signal(id: u32, signal: Signal) {
    if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        // It may have ended by itself, which is what is wanted.
        let _ = rustix::process::kill_process(id, signal);
    }
}

fn ended(status: ExitStatus) -> String {
    format!("ended too early ({status})")
}
