//! What does a large body cost on its way through?
//!
//! 1 GiB down and 1 GiB up through Vestibule, and through nginx: with `proxy_buffering` on, as it is by default,
//! and off; with `proxy_request_buffering` off in both, since nobody wants uploads on the proxy's disk.
//!
//! Worrying: more than 1.2 × the CPU time of the cheaper nginx, or resident memory that grows with the body.

#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use support::nginx::{Nginx, PROXY};
use support::options::Options;
use support::process::{Running, bind};
use support::report::{Target, heading, note, say, table, verdict};
use support::rounds::middle;
use support::sign_in::begin_sessions;
use support::vestibule::{Passwords, Plan, Vestibule};
use support::workspace::Workspace;
use support::{Result, now, run, setting, stream_server, usage};

#[derive(Parser)]
#[command(about = "What does a large body cost on its way through?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// MiB of one body.
    #[arg(long, default_value_t = setting("MEBIBYTES", 1024))]
    mebibytes: u64,
    /// Leave Vestibule out.
    #[arg(long)]
    without_vestibule: bool,
}

const MEBIBYTE: u64 = 1024 * 1024;
/// A body that stalls this long will not arrive.
const PATIENCE: Duration = Duration::from_secs(60);
const CHUNK: usize = 64 * 1024;

fn main() -> ExitCode {
    run(compare)
}

fn compare() -> Result<bool> {
    let arguments = Arguments::parse();
    let options = &arguments.common;
    let workspace = Workspace::new()?;
    let (_, others) = options.cores();
    let (_upstream, upstream) = stream_server::start(&others, workspace.path("upstream.log"))?;
    let proxies = start(&workspace, &arguments, upstream)?;
    bind(&others)?;

    let size = arguments.mebibytes * MEBIBYTE;
    let mut measured: Vec<[Vec<Passage>; 2]> = proxies.iter().map(|_| Default::default()).collect();
    for round in 1..=options.rounds.max(1) {
        for (proxy, measured) in proxies.iter().zip(&mut measured) {
            for (direction, passages) in [Direction::Down, Direction::Up].into_iter().zip(measured)
            {
                let passage = pass(proxy, direction, size).map_err(|problem| {
                    format!("{}, {}: {problem}", proxy.name, direction.name())
                })?;
                note(&format!(
                    "round {round}: {} {} {:.2} s of CPU",
                    proxy.name,
                    direction.name(),
                    passage.cpu
                ));
                passages.push(passage);
            }
        }
    }
    Ok(options.outcome(print(&arguments, &proxies, &measured)))
}

struct Proxy {
    name: &'static str,
    address: SocketAddr,
    cookie: String,
    process: u32,
    _running: Process,
}

#[expect(dead_code, reason = "held only to be ended")]
enum Process {
    Program(Running),
    Vestibule(Vestibule),
}

/// Vestibule first, if it takes part; then what it is compared with.
fn start(workspace: &Workspace, arguments: &Arguments, upstream: SocketAddr) -> Result<Vec<Proxy>> {
    let (own, _) = arguments.common.cores();
    let mut proxies = Vec::new();
    if !arguments.without_vestibule {
        let plan = Plan {
            name: "vestibule",
            upstream,
            workers: 1,
            rules: 1,
            passwords: Passwords::Cheap,
            sessions: "",
            cores: &own,
        };
        let gateway = Vestibule::start(workspace, &plan)?;
        let users = gateway.create_users(1)?;
        let cookie = begin_sessions(gateway.address(), &users, 1, 1)?.pop().unwrap_or_default();
        let (address, process) = (gateway.address(), gateway.id());
        proxies.push(Proxy {
            name: "Vestibule",
            address,
            cookie,
            process,
            _running: Process::Vestibule(gateway),
        });
    }
    for (name, directory, buffering) in
        [("nginx, buffering", "buffering", "on"), ("nginx, no buffering", "no-buffering", "off")]
    {
        let locations = format!(
            "location / {{ proxy_request_buffering off; proxy_buffering {buffering};{PROXY}\n        }}"
        );
        let nginx = Nginx {
            name: directory,
            workers: 1,
            cores: &own,
            upstream: Some(upstream),
            locations: &locations,
        };
        match nginx.start(workspace)? {
            Some((running, address)) => proxies.push(Proxy {
                name,
                address,
                cookie: String::new(),
                process: running.id(),
                _running: Process::Program(running),
            }),
            None => say(&format!("Left out: {name}: not installed (`apt-get install nginx`).")),
        }
    }
    Ok(proxies)
}

#[derive(Clone, Copy)]
enum Direction {
    Down,
    Up,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Down => "down",
            Direction::Up => "up",
        }
    }
}

/// What one body cost.
struct Passage {
    /// Seconds.
    cpu: f64,
    /// Seconds.
    elapsed: f64,
    /// Bytes of resident memory at the peak, above what was there before.
    growth: u64,
}

fn pass(proxy: &Proxy, direction: Direction, size: u64) -> Result<Passage> {
    usage::forget_peak(proxy.process)?;
    let resident = usage::resident(proxy.process)?;
    let cpu = usage::cpu_time(proxy.process)?;
    let start = now();
    match direction {
        Direction::Down => download(proxy, size)?,
        Direction::Up => upload(proxy, size)?,
    }
    let elapsed = start.elapsed().as_secs_f64();
    Ok(Passage {
        cpu: usage::cpu_time(proxy.process)?.saturating_sub(cpu).as_secs_f64(),
        elapsed,
        growth: usage::peak_resident(proxy.process)?.saturating_sub(resident),
    })
}

fn download(proxy: &Proxy, size: u64) -> Result<()> {
    let mut stream = connect(proxy)?;
    stream.write_all(format!("GET /{size} {}\r\n", head(proxy)).as_bytes())?;
    let mut start = Vec::new();
    let mut received = read_head(&mut stream, &mut start)?;
    let mut buffer = vec![0; CHUNK];
    while received < size {
        match stream.read(&mut buffer)? {
            0 => return Err(format!("{received} bytes came instead of {size}").into()),
            count => received += count as u64,
        }
    }
    Ok(())
}

fn upload(proxy: &Proxy, size: u64) -> Result<()> {
    let mut stream = connect(proxy)?;
    stream
        .write_all(format!("POST /up {}Content-Length: {size}\r\n\r\n", head(proxy)).as_bytes())?;
    let buffer = vec![0; CHUNK];
    let mut left = size;
    while left > 0 {
        let part = buffer.get(..CHUNK.min(usize::try_from(left)?)).unwrap_or_default();
        if stream.write_all(part).is_err() {
            // The answer that came too early says why.
            break;
        }
        left -= part.len() as u64;
    }
    // The server answers the number of bytes it received.
    let expected = size.to_string();
    let mut answer = Vec::new();
    let mut received = read_head(&mut stream, &mut answer)?;
    let mut buffer = [0; 64];
    while received < expected.len() as u64 {
        match stream.read(&mut buffer)? {
            0 => break,
            count => {
                answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
                received += count as u64;
            }
        }
    }
    let text = String::from_utf8_lossy(&answer);
    if text.ends_with(&expected) {
        Ok(())
    } else {
        Err(format!("unexpected answer: {text}").into())
    }
}

fn connect(proxy: &Proxy) -> Result<TcpStream> {
    let stream = TcpStream::connect(proxy.address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn head(proxy: &Proxy) -> String {
    format!("HTTP/1.1\r\nHost: {}\r\nCookie: sessionid={}\r\n", proxy.address, proxy.cookie)
}

/// Reads the answer's head and whatever of the body came with it; returns how much of the body that was.
fn read_head(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<u64> {
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
        if let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") {
            return match answer.starts_with(b"HTTP/1.1 200") {
                true => Ok((answer.len() - end - 4) as u64),
                false => {
                    Err(format!("unexpected answer: {}", String::from_utf8_lossy(answer)).into())
                }
            };
        }
        if count == 0 {
            return Err("the connection was closed before the answer".into());
        }
    }
}

fn print(arguments: &Arguments, proxies: &[Proxy], measured: &[[Vec<Passage>; 2]]) -> bool {
    let format = arguments.common.format();
    heading(&format!("Streaming {} MiB", arguments.mebibytes), format);
    let median = |passages: &[Passage], number: fn(&Passage) -> f64| {
        middle(passages.iter().map(number).collect())
    };
    let rows: Vec<Vec<String>> = proxies
        .iter()
        .zip(measured)
        .map(|(proxy, [down, up])| {
            let numbers = [down, up].into_iter().flat_map(|passages| {
                [
                    format!("{:.2}", median(passages, |passage| passage.cpu)),
                    format!("{:.2}", median(passages, |passage| passage.elapsed)),
                    format!(
                        "{:.1}",
                        median(passages, |passage| passage.growth as f64 / MEBIBYTE as f64)
                    ),
                ]
            });
            std::iter::once(proxy.name.to_owned()).chain(numbers).collect()
        })
        .collect();
    let header =
        ["proxy", "down CPU s", "down s", "down RSS +MiB", "up CPU s", "up s", "up RSS +MiB"];
    table(&header, &rows, format);

    let (ours, theirs) = measured.split_at(usize::from(!arguments.without_vestibule));
    let targets: Vec<Target> = [Direction::Down, Direction::Up]
        .into_iter()
        .enumerate()
        .map(|(index, direction)| {
            let cpu = |row: &[Vec<Passage>; 2]| {
                row.get(index).map(|passages| median(passages, |passage| passage.cpu))
            };
            let cheapest = theirs.iter().filter_map(cpu).min_by(f64::total_cmp);
            Target {
                name: format!("CPU {}, Vestibule / cheaper nginx", direction.name()),
                value: ours.first().and_then(cpu).zip(cheapest).map(|(ours, theirs)| ours / theirs),
                at_most: 1.20,
                unit: " ×",
            }
        })
        .chain(ours.first().map(|passages| {
            Target {
                name: "growth of resident memory".to_owned(),
                value: passages
                    .iter()
                    .flatten()
                    .map(|passage| passage.growth as f64 / MEBIBYTE as f64)
                    .max_by(f64::total_cmp),
                at_most: 8.0,
                unit: " MiB",
            }
        }))
        .collect();
    verdict(&targets, format)
}
