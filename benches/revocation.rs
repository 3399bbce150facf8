//! How long does a WebSocket stay open after the right to it has ended?
//!
//! 10,000 WebSockets of as many sessions are open through the gateway. Visitors log out, users are deactivated and lose
//! permissions, a group is deleted, a reload changes a rule, and at last one takes every right away. Each time it is
//! measured how long after the acknowledgement (the answer to the logout, the end of the command) the close frame is
//! read at the other end; and none may end but those concerned. The load, the gateway and the upstream share the machine.
//!
//! Worrying: a p99 of more than 100 ms.

#[expect(dead_code, reason = "each bench uses its own part of what they share")]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use support::connection::Connection;
use support::options::Options;
use support::process::raise_open_files;
use support::report::{Target, heading, note, table, verdict};
use support::sign_in::{Credentials, begin_sessions, log_out};
use support::vestibule::{GROUP, PERMISSION, Passwords, Plan, Vestibule, path};
use support::workspace::Workspace;
use support::{Result, now, run, setting, socket_server, usage};

#[derive(Parser)]
#[command(about = "How long does a WebSocket stay open after the right to it has ended?")]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// WebSockets that are open at once.
    #[arg(long, default_value_t = setting("SOCKETS", 10_000))]
    sockets: usize,
    /// Logouts, one after the other.
    #[arg(long, default_value_t = setting("LOGOUTS", 500))]
    logouts: usize,
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;
const USERS: usize = 500;
/// How many users are deactivated, and how many lose a permission.
const USERS_CHANGED: usize = 20;
const RULES: usize = 4;
/// What the gateway needs for anything but WebSockets, which take two descriptors each.
const SPARE_FILES: usize = 100;
/// How long after a close frame its answer is sent: a browser is elsewhere, and works for itself.
const ROUND_TRIP: Duration = Duration::from_millis(200);
/// A WebSocket that is open for so long after its right has ended is never going to close.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    run(measure)
}

fn measure() -> Result<bool> {
    let arguments = Arguments::parse();
    let options = &arguments.common;
    let files = usize::try_from(raise_open_files()?).unwrap_or(usize::MAX);
    let allowed = files.saturating_sub(SPARE_FILES) / 2;
    let count = arguments.sockets.min(allowed);
    if count < arguments.sockets {
        note(&format!("{count} WebSockets, because only {files} open files are allowed"));
    }
    let workspace = Workspace::new()?;
    let (_upstream, upstream) = socket_server::start(&None, workspace.path("upstream.log"))?;
    let plan = Plan {
        name: "vestibule",
        upstream,
        workers: std::thread::available_parallelism().map_or(1, usize::from),
        rules: RULES,
        passwords: Passwords::Cheap,
        sessions: "",
        cores: &None,
    };
    let gateway = Vestibule::start(&workspace, &plan)?;
    let users = gateway.create_users(USERS)?;
    let cookies = begin_sessions(gateway.address(), &users, count, 1)?;
    let before = usage::resident(gateway.id())? as f64 / MEBIBYTE;

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut town = runtime.block_on(Town::open(&gateway, &cookies))?;
    std::thread::sleep(Duration::from_secs(1));
    let connected = usage::resident(gateway.id())? as f64 / MEBIBYTE;
    let idle = usage::cpu_time(gateway.id())?;
    std::thread::sleep(Duration::from_secs(5));
    let idle = (usage::cpu_time(gateway.id())? - idle).as_secs_f64() / 5.0 * 100.0;

    let acts = runtime.block_on(town.play(&gateway, &users, &cookies, arguments.logouts))?;

    heading(&format!("Revocation, {count} open WebSockets"), options.format());
    let rows: Vec<Vec<String>> = acts.iter().map(Act::row).collect();
    let header = ["what ended them", "WebSockets", "p50 ms", "p99 ms", "longest ms"];
    table(&header, &rows, options.format());
    note(&format!(
        "resident before and with the WebSockets: {before:.1} and {connected:.1} MiB, {:.1} KiB each; CPU while they are idle: {idle:.1} %",
        (connected - before) * 1024.0 / count as f64
    ));
    let targets: Vec<Target> = acts
        .iter()
        .map(|act| Target {
            name: format!("p99, {}", act.name),
            value: Some(act.at(0.99)),
            at_most: 100.0,
            unit: " ms",
        })
        .collect();
    Ok(options.outcome(verdict(&targets, options.format())))
}

/// What took rights away, and how long each WebSocket stayed open afterwards, in milliseconds, sorted.
struct Act {
    name: &'static str,
    delays: Vec<f64>,
}

impl Act {
    fn of(name: &'static str, mut delays: Vec<f64>) -> Act {
        delays.sort_by(f64::total_cmp);
        Act { name, delays }
    }

    fn at(&self, part: f64) -> f64 {
        let index = (self.delays.len() as f64 * part).ceil() as usize;
        self.delays.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    fn row(&self) -> Vec<String> {
        let number = |value: f64| format!("{value:.1}");
        let numbers = [self.at(0.5), self.at(0.99), self.at(1.0)].map(number);
        [self.name.to_owned(), self.delays.len().to_string()].into_iter().chain(numbers).collect()
    }
}

/// All WebSockets: which are open, and the news of those that are not any more.
struct Town {
    open: Vec<bool>,
    news: UnboundedReceiver<(usize, std::result::Result<Instant, String>)>,
}

/// The rule that lets this WebSocket in: a tenth asks for a permission, a tenth for a group.
fn rule(number: usize) -> usize {
    match number / USERS % 10 {
        rule @ (1 | 2) => rule,
        _ => 0,
    }
}

impl Town {
    /// Opens a WebSocket for each session; session `number` is of user `number % USERS`.
    async fn open(gateway: &Vestibule, cookies: &[String]) -> Result<Town> {
        let (tell, news) = unbounded_channel();
        for (number, cookie) in cookies.iter().enumerate() {
            let stream = connect(gateway.address(), number, cookie)
                .await
                .map_err(|problem| format!("WebSocket {number}: {problem}"))?;
            tokio::spawn(wait(stream, number, tell.clone()));
        }
        Ok(Town { open: vec![true; cookies.len()], news })
    }

    async fn play(
        &mut self,
        gateway: &Vestibule,
        users: &[Credentials],
        cookies: &[String],
        logouts: usize,
    ) -> Result<Vec<Act>> {
        let name = |user: usize| users.get(user).map_or("", |user| &user.name);
        let mut acts = Vec::new();

        let mut connection = Connection::open(gateway.address()).await?;
        let mut delays = Vec::new();
        let every = (cookies.len() / logouts.max(1)).max(1);
        for (number, cookie) in cookies.iter().enumerate().step_by(every).take(logouts) {
            log_out(&mut connection, cookie).await?;
            delays.extend(self.lose(now(), |socket| socket == number).await?);
        }
        acts.push(Act::of("a logout", delays));

        let mut delays = Vec::new();
        for user in 0..USERS_CHANGED {
            gateway.command(&["permission", "revoke", PERMISSION, "--user", name(user)], "")?;
            let concerns = |socket| socket % USERS == user && rule(socket) == 1;
            delays.extend(self.lose(now(), concerns).await?);
        }
        acts.push(Act::of("a user's permission revoked", delays));

        let mut delays = Vec::new();
        for user in USERS_CHANGED..2 * USERS_CHANGED {
            gateway.command(&["user", "set", name(user), "is_active=false"], "")?;
            delays.extend(self.lose(now(), |socket| socket % USERS == user).await?);
        }
        acts.push(Act::of("a user deactivated", delays));

        gateway.command(&["group", "delete", GROUP], "")?;
        acts.push(Act::of("a group deleted", self.lose(now(), |socket| rule(socket) == 2).await?));

        let with_permission = format!("permission_required = \"{PERMISSION}\" }}");
        gateway.reload(|text| text.replace(&with_permission, "superuser_required = true }"))?;
        let delays = self.lose(now(), |socket| rule(socket) == 1).await?;
        acts.push(Act::of("a reload that changes one rule", delays));

        gateway
            .reload(|text| text.replace("login_required = true", "superuser_required = true"))?;
        let delays = self.lose(now(), |socket| rule(socket) == 0).await?;
        acts.push(Act::of("a reload that ends all", delays));
        Ok(acts)
    }

    /// Waits until all those that are concerned have closed, and no other; says how long after `acknowledged`.
    async fn lose(
        &mut self,
        acknowledged: Instant,
        is_concerned: impl Fn(usize) -> bool,
    ) -> Result<Vec<f64>> {
        let mut left = (0..self.open.len()).filter(|&n| self.open[n] && is_concerned(n)).count();
        let mut delays = Vec::with_capacity(left);
        while left > 0 {
            let news = tokio::time::timeout(PATIENCE, self.news.recv()).await;
            let Ok(Some((number, closed))) = news else {
                return Err(format!("{left} WebSockets stayed open for {PATIENCE:?}").into());
            };
            let closed = closed.map_err(|problem| format!("WebSocket {number}: {problem}"))?;
            if !is_concerned(number) {
                return Err(format!("WebSocket {number} was closed without a reason").into());
            }
            if let Some(open) = self.open.get_mut(number) {
                *open = false;
            }
            left -= 1;
            delays.push(closed.saturating_duration_since(acknowledged).as_secs_f64() * 1000.0);
        }
        Ok(delays)
    }
}

/// Opens a WebSocket, from one of several loopback addresses, so that the ports of one do not run short.
async fn connect(address: SocketAddr, number: usize, cookie: &str) -> Result<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number / 5000)?);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    let mut stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let path = path(rule(number), RULES);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: sessionid={cookie}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("the connection was closed".into());
        }
    }
    match head.starts_with(b"HTTP/1.1 101") {
        true => Ok(stream),
        false => Err(format!("not accepted: {}", String::from_utf8_lossy(&head)).into()),
    }
}

/// Waits for the close frame, and answers it as a browser does, as far away as one.
async fn wait(
    mut stream: TcpStream,
    number: usize,
    tell: UnboundedSender<(usize, std::result::Result<Instant, String>)>,
) {
    let mut frame = [0; 130];
    let read = stream.read(&mut frame).await;
    let closed = match &read {
        Ok(4..) if frame.starts_with(&[0x88]) && frame[2..4] == 1008_u16.to_be_bytes() => Ok(now()),
        Ok(count) => Err(format!("no close frame but {:?}", &frame[..*count])),
        Err(error) => Err(error.to_string()),
    };
    // A bench that has ended does not want to know any more.
    let _ = tell.send((number, closed));
    tokio::time::sleep(ROUND_TRIP).await;
    let _ = stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xf0]).await;
}
