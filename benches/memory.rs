//! How much memory does the gateway need, idle and with many connections?
//!
//! The resident memory of the process after its start, after a login and some requests, and with 10,000 idle
//! keep-alive connections that have each had a proxied request; nginx, which does less, beside it.
//!
//! Worrying: more than 20 MiB after the start, or more than 150 MiB with 10,000 connections.

#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use socket2::{Domain, SockAddr, Socket, Type};

use support::nginx::{ANSWER, Nginx, forwarding, start_upstream};
use support::options::Options;
use support::process::raise_open_files;
use support::report::{Target, heading, note, table, verdict};
use support::sign_in::begin_sessions;
use support::vestibule::{Passwords, Plan, Vestibule, path};
use support::workspace::Workspace;
use support::{Result, run, setting, usage};

#[derive(Parser)]
#[command(about = "How much memory does the gateway need, idle and with many connections?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// Idle keep-alive connections.
    #[arg(long, default_value_t = setting("IDLE", 10_000))]
    idle: usize,
    /// Leave Vestibule out.
    #[arg(long)]
    without_vestibule: bool,
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;
/// What this process and the gateway need for anything but the idle connections.
const SPARE_FILES: u64 = 500;
/// Requests before "after use" is measured.
const REQUESTS: usize = 1000;

fn main() -> ExitCode {
    run(measure)
}

fn measure() -> Result<bool> {
    let arguments = Arguments::parse();
    let options = &arguments.common;
    let files = raise_open_files()?;
    if files < arguments.idle as u64 + SPARE_FILES {
        return Err(format!(
            "only {files} open files are allowed\nhint: raise the hard limit (`ulimit -Hn`) or ask for fewer with `--idle`"
        )
        .into());
    }
    let workspace = Workspace::new()?;
    let (_upstream, upstream) = start_upstream(&workspace, "upstream", &None)?;

    let ours = if arguments.without_vestibule {
        None
    } else {
        Some(vestibule(&workspace, upstream, arguments.idle)?)
    };
    let theirs = nginx(&workspace, upstream, arguments.idle)?;

    heading(&format!("Resident memory, {} idle connections", arguments.idle), options.format());
    let rows: Vec<Vec<String>> = [("Vestibule", &ours), ("nginx, no authentication", &theirs)]
        .into_iter()
        .filter_map(|(name, memory)| Some((name, memory.as_ref()?)))
        .map(|(name, memory)| {
            let values = [memory.started, memory.used, memory.connected, memory.left]
                .map(|bytes| format!("{bytes:.1}"));
            std::iter::once(name.to_owned()).chain(values).collect()
        })
        .collect();
    table(
        &["MiB resident", "started", "after use", "with connections", "after they closed"],
        &rows,
        options.format(),
    );
    let targets = [
        Target {
            name: "Vestibule after its start".to_owned(),
            value: ours.as_ref().map(|memory| memory.started),
            at_most: 20.0,
            unit: " MiB",
        },
        Target {
            name: format!("Vestibule with {} idle connections", arguments.idle),
            value: ours.as_ref().map(|memory| memory.connected),
            at_most: 150.0,
            unit: " MiB",
        },
    ];
    Ok(options.outcome(verdict(&targets, options.format())))
}

/// Resident memory in MiB, at four moments.
struct Memory {
    started: f64,
    /// After a login and `REQUESTS` requests.
    used: f64,
    connected: f64,
    left: f64,
}

fn vestibule(workspace: &Workspace, upstream: SocketAddr, idle: usize) -> Result<Memory> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = Plan {
        name: "vestibule",
        upstream,
        workers,
        rules: 100,
        passwords: Passwords::Default,
        sessions: "",
        cores: &None,
    };
    let gateway = Vestibule::start(workspace, &plan)?;
    let started = settled(gateway.id())?;
    let users = gateway.create_users(1)?;
    let cookies = begin_sessions(gateway.address(), &users, 1, 1)?;
    let cookie = cookies.first().ok_or("no session was begun")?;
    watch(gateway.id(), gateway.address(), cookie, started, idle)
        .map_err(|problem| format!("Vestibule: {problem}").into())
}

fn nginx(workspace: &Workspace, upstream: SocketAddr, idle: usize) -> Result<Option<Memory>> {
    let nginx = Nginx {
        name: "proxy",
        workers: 1,
        cores: &None,
        upstream: Some(upstream),
        locations: &forwarding(),
    };
    let Some((running, address)) = nginx.start(workspace)? else {
        note("left out: nginx: not installed (`apt-get install nginx`)");
        return Ok(None);
    };
    let started = settled(running.id())?;
    let memory = watch(running.id(), address, "none", started, idle);
    memory.map(Some).map_err(|problem| format!("nginx: {problem}").into())
}

fn watch(
    process: u32,
    address: SocketAddr,
    cookie: &str,
    started: f64,
    idle: usize,
) -> Result<Memory> {
    let mut client = connect(address, 0)?;
    for _ in 0..REQUESTS {
        ask(&mut client, address, cookie)?;
    }
    let used = settled(process)?;
    let mut connections = Vec::with_capacity(idle);
    for number in 0..idle {
        let mut connection = connect(address, number)
            .map_err(|problem| format!("connection {number}: {problem}"))?;
        ask(&mut connection, address, cookie)
            .map_err(|problem| format!("connection {number}: {problem}"))?;
        connections.push(connection);
    }
    let connected = settled(process)?;
    // The gateway must not have kept its memory low by closing them.
    for connection in connections.iter_mut().step_by((idle / 100).max(1)) {
        ask(connection, address, cookie)
            .map_err(|problem| format!("an idle connection was lost: {problem}"))?;
    }
    drop(connections);
    Ok(Memory { started, used, connected, left: settled(process)? })
}

/// Connects from one of several loopback addresses, so that the ports of one do not run short.
fn connect(address: SocketAddr, number: usize) -> Result<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number / 5000)?);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SockAddr::from(SocketAddr::from((source, 0))))?;
    socket.connect(&SockAddr::from(address))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(socket.into())
}

/// One proxied request, whose answer is read to its end.
fn ask(connection: &mut TcpStream, address: SocketAddr, cookie: &str) -> Result<()> {
    let path = path(0, 1);
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: sessionid={cookie}\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = connection.read(&mut buffer)?;
        answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let body = answer
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .map(|end| answer.len() - end - 4);
        let right = answer.starts_with(b"HTTP/1.1 200");
        match body {
            Some(ANSWER) if right => return Ok(()),
            Some(_) if !right => {
                return Err(
                    format!("unexpected answer: {}", String::from_utf8_lossy(&answer)).into()
                );
            }
            Some(_) | None if count == 0 => return Err("the connection was closed".into()),
            Some(_) | None => {}
        }
    }
}

/// Resident memory in MiB, once the process has come to rest.
fn settled(process: u32) -> Result<f64> {
    std::thread::sleep(Duration::from_secs(1));
    Ok(usage::resident(process)? as f64 / MEBIBYTE)
}
