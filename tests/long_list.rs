//! `session list` takes the same memory however many sessions there are, on both sides: the real
//! command, and the gateway's half of it in this process. `SESSIONS=1000000` asks for a million.
//!
//! It is alone in its process, whose memory it measures.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use vestibule::accounts::settings::{Database, Hashing};
use vestibule::accounts::{self, By, Directory, NewUser};
use vestibule::domain::{Client, Device, Timestamp};
use vestibule::server::session_commands::{self, Desk, Moment};
use vestibule::server::wall_clock;
use vestibule::sessions::{Sessions, Settings};

const MIB: u64 = 1024 * 1024;

/// What either side may grow by; the whole list has 20 MiB as a table and 35 as JSON.
const MOST: u64 = 8 * MIB;

#[test]
fn a_long_list_is_never_in_memory_as_a_whole() {
    let count: usize = std::env::var("SESSIONS").map_or(150_000, |text| text.parse().unwrap());
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("var");
    fs::create_dir(&state).unwrap();
    let configuration = place.path().join("vestibule.toml");
    let text = "upstream = \"http://127.0.0.1:9\"\n[paths]\n\"/\" = { login_required = true }\n";
    File::create(configuration).unwrap().write_all(text.as_bytes()).unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (sessions, users) = (Arc::new(Sessions::default()), &state.join("users.db"));
    let desk = runtime.block_on(async {
        let directory = Arc::new(directory(users).await);
        let desk = Desk::new(Arc::clone(&sessions), Arc::clone(&directory));
        log_in(&sessions, &directory, 2000).await;
        let listener = UnixListener::bind(state.join("vestibule.sock")).unwrap();
        tokio::spawn(serve(listener, desk.clone()));
        (desk, directory)
    });

    let little = [&[][..], &["--json"]].map(|more| list(place.path(), more, 2000));
    runtime.block_on(log_in(&sessions, &desk.1, count - 2000));
    for (more, little) in [&[][..], &["--json"]].into_iter().zip(little) {
        // The highest mark from here on.
        File::options().write(true).open("/proc/self/clear_refs").unwrap().write_all(b"5").unwrap();
        let before = memory("self", "VmRSS:").unwrap();
        let theirs = list(place.path(), more, count).saturating_sub(little);
        let ours = memory("self", "VmHWM:").unwrap().saturating_sub(before);
        println!(
            "{count} sessions {more:?}: the gateway grew by {} KiB, the command needs {} KiB more than \
             for 2,000",
            ours / 1024,
            theirs / 1024
        );
        assert!(ours < MOST, "the gateway grew by {ours} bytes for {more:?}");
        assert!(theirs < MOST, "the command grew by {theirs} bytes for {more:?}");
    }
}

async fn directory(users: &Path) -> Directory {
    let settings = accounts::Settings {
        database: Database::Sqlite(users.to_owned()),
        hashing: Hashing { memory_kib: 8, iterations: 1, parallelism: 1 },
        ..accounts::Settings::default()
    };
    let directory = Directory::open(&settings).await.unwrap();
    let password = "lantern-gravel-4711".to_owned();
    let ada =
        NewUser { username: "ada".to_owned(), password: password.into(), ..NewUser::default() };
    directory.create_first_superuser(ada, now()).await.unwrap();
    directory
}

fn now() -> Timestamp {
    wall_clock()
}

async fn log_in(sessions: &Sessions, directory: &Directory, count: usize) {
    let ada = directory.verify("ada", "lantern-gravel-4711".to_owned(), now()).await;
    let ada = ada.unwrap().unwrap();
    let device = Device::of("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0");
    let client = Client { address: "2001:db8::1".parse().unwrap(), device };
    let lifetime = Settings::default().lifetime;
    for _ in 0..count {
        sessions.log_in(&ada, None, client, now(), &lifetime).await.unwrap();
    }
}

/// The gateway's half.
async fn serve(listener: UnixListener, desk: Desk) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let desk = desk.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(desk.clone(), request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            served.await.unwrap();
        });
    }
}

async fn answer(
    desk: Desk,
    request: Request<Incoming>,
) -> Result<Response<session_commands::Body>, hyper::Error> {
    assert_eq!(request.uri().path(), "/v1/sessions");
    let body: Bytes = request.into_body().collect().await?.to_bytes();
    let at = Moment { now: now(), lifetime: Settings::default().lifetime };
    Ok(session_commands::answer(desk, body, By::Operator("a test".to_owned()), at).await)
}

/// Runs the command, reads every line that it prints, and gives the most memory it needed.
fn list(directory: &Path, more: &[&str], count: usize) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vestibule"))
        .args(["session", "list", "--config", "vestibule.toml"])
        .args(more)
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (pid, mut most, mut sessions) = (child.id().to_string(), 0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        sessions += usize::from(line.contains("Firefox on Linux") && line.contains("ada"));
        if sessions % 500 == 1 {
            // One that has ended already has printed all it had to.
            most = most.max(memory(&pid, "VmHWM:").unwrap_or(0));
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(sessions, count);
    assert!(most > 0, "the memory of the command was not seen");
    most
}

fn memory(process: &str, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
