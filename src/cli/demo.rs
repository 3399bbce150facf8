//! `vestibule demo`: a sample application and the gateway in front of it.

mod application;
mod color;
mod events;
mod pages;
mod polls;
mod visitor;
mod websocket;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use serde::Serialize;

use super::Failure;
use crate::accounts::{self, By, Command, Directory, NewUser};
use crate::config::{self, Configuration};
use crate::server::{Reload, wall_clock};

/// Nothing that the demo does is for production: the passwords are public.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where browsers connect; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
}

/// What the gateway runs with, but for what [`filled_in`] fills in.
const CONFIGURATION: &str = include_str!("../../config/demo.toml");

/// Where the application listens according to [`CONFIGURATION`].
const SAMPLE_UPSTREAM: &str = "http://127.0.0.1:3000";

/// Where the gateway listens according to [`CONFIGURATION`].
const SAMPLE_LISTEN: &str = "listen = [\"127.0.0.1:8000\"]";

const EDITORS: &str = "Site editors";

/// Somebody who can log in.
#[derive(Debug, Serialize)]
struct DemoUser {
    username: &'static str,
    password: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    about: &'static str,
    is_admin: bool,
    groups: &'static [&'static str],
    permissions: &'static [&'static str],
}

const USERS: [DemoUser; 4] = [
    DemoUser {
        username: "ada",
        password: "demo-ada",
        first_name: "Ada",
        last_name: "Archer",
        about: "staff and superuser",
        is_admin: true,
        groups: &[],
        permissions: &[],
    },
    DemoUser {
        username: "bob",
        password: "demo-bob",
        first_name: "Bob",
        last_name: "Baker",
        about: "can vote in polls",
        is_admin: false,
        groups: &[],
        permissions: &["polls.can_vote"],
    },
    DemoUser {
        username: "carol",
        password: "demo-carol",
        first_name: "Carol",
        last_name: "Carter",
        about: "in the group “Site editors”",
        is_admin: false,
        groups: &[EDITORS],
        permissions: &[],
    },
    DemoUser {
        username: "dave",
        password: "demo-dave",
        first_name: "Dave",
        last_name: "Dyer",
        about: "may do nothing special",
        is_admin: false,
        groups: &[],
        permissions: &[],
    },
];

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| Failure::No(format!("{what}: {error}"));
    let address = free_address(arguments.listen)?;
    let state = tempfile::Builder::new()
        .prefix("vestibule-demo-")
        .tempdir()
        .map_err(|error| failed("no temporary directory", &error))?;
    let file = state.path().join("vestibule.toml");
    let application = application::start(command(&file))
        .map_err(|error| failed("the sample application", &error))?;
    let text = filled_in(address, application, state.path());
    write(&file, &text).map_err(|error| failed("no file for commands", &error))?;
    let configuration = configuration(&text)?;
    create_users(&configuration.accounts)?;
    announce_when_it_answers(address, file).map_err(|error| failed("no thread", &error))?;
    super::serve::start(configuration, end_instead_of_reloading())
}

/// Where to listen, with a port that nobody uses.
fn free_address(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    let probe = TcpListener::bind(wanted).and_then(|listener| listener.local_addr());
    probe.map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::AddrInUse {
            "\nhint: another program listens there; take a free port with `--listen 127.0.0.1:0`"
        } else {
            ""
        };
        Failure::No(format!("cannot listen on `{wanted}`: {error}{hint}"))
    })
}

/// The text of the configuration with addresses and the directory for state filled in.
fn filled_in(address: SocketAddr, application: SocketAddr, state: &Path) -> String {
    let listen = format!("listen = [\"{address}\"]\nstate_directory = {state:?}");
    CONFIGURATION
        .replace(SAMPLE_UPSTREAM, &format!("http://{application}"))
        .replace(SAMPLE_LISTEN, &listen)
}

/// Writes the file by which commands find the running demo.
fn write(file: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

/// The words that a command to the running demo begins and ends with.
fn command(file: &Path) -> application::Command {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("vestibule"));
    application::Command {
        program: program.display().to_string(),
        file: file.display().to_string(),
    }
}

fn configuration(text: &str) -> Result<Configuration, Failure> {
    config::parse("config/demo.toml", text).map_err(Failure::Configuration)
}

fn create_users(settings: &accounts::Settings) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::No(format!("the demo's users: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    runtime.block_on(async {
        let directory = Directory::open(settings).await.map_err(|error| failed(&error))?;
        let group = Command::GroupCreate { name: EDITORS.to_owned(), permissions: Vec::new() };
        let users = USERS.iter().map(|user| Command::UserCreate(new_user(user)));
        for command in std::iter::once(group).chain(users) {
            directory
                .execute(command, &By::this_process(), wall_clock())
                .await
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    })
}

fn new_user(user: &DemoUser) -> NewUser {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NewUser {
        username: user.username.to_owned(),
        first_name: user.first_name.to_owned(),
        last_name: user.last_name.to_owned(),
        email: format!("{}@treeville.example", user.username),
        password: user.password.to_owned().into(),
        is_staff: user.is_admin,
        is_superuser: user.is_admin,
        groups: owned(user.groups),
        permissions: owned(user.permissions),
        ..NewUser::default()
    }
}

/// A hang-up means that the terminal is gone; a demo that went on would be one that nobody knows of.
fn end_instead_of_reloading() -> Reload {
    Arc::new(|_| {
        Box::pin(async {
            kill_process(getpid(), Signal::TERM).map_err(|error| error.to_string())?;
            Err("the demo has no file to read again, so it ends".to_owned())
        })
    })
}

/// Says where to click as soon as there is something to see.
fn announce_when_it_answers(address: SocketAddr, file: PathBuf) -> io::Result<()> {
    let wait = move || {
        // The gateway says itself why it does not come up, and ends the process then.
        while TcpStream::connect(reachable(address)).is_err() {
            std::thread::sleep(Duration::from_millis(20));
        }
        announce(address, &file);
    };
    std::thread::Builder::new().name("banner".to_owned()).spawn(wait).map(drop)
}

/// An address to connect to: one that listens everywhere is reached on this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[expect(clippy::print_stdout, reason = "people are to read this")]
fn announce(address: SocketAddr, file: &Path) {
    println!("{}", banner(address, file));
}

fn banner(address: SocketAddr, file: &Path) -> String {
    let site = format!("http://{}", reachable(address));
    let mut text = String::from("Vestibule demo: a sample application behind the gateway.\n");
    text.push_str("For looking around only: everybody knows the passwords.\n");
    if !address.ip().is_loopback() {
        text.push_str("WARNING: other machines can reach it too.\n");
    }
    text.push_str(&format!("\n  listening on {site}\n\nLog in as\n"));
    for DemoUser { username, password, about, .. } in USERS {
        text.push_str(&format!("  {username:<6} {password:<11} {about}\n"));
    }
    text.push_str("\nLook at\n");
    for (path, about) in [
        ("/", "everything, with links"),
        ("/private/", "asks to log in first"),
        ("/polls/vote/", "for bob and ada; the others are refused"),
        ("/reports/", "for carol"),
        ("/staff/", "for ada"),
        ("/color/", "remembers a colour, of strangers too"),
        ("/socket/", "a WebSocket, which ends when you log out elsewhere"),
        ("/events/", "an event stream, which does so too"),
        ("/headers/", "what the application gets to see"),
    ] {
        text.push_str(&format!("  {:<36} {about}\n", format!("{site}{path}")));
    }
    text.push_str(&format!("\nCommands find it with\n  --config {}\n", file.display()));
    text.push_str("\nCtrl-C ends it, and nothing of it stays.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_right_and_says_what_its_tests_expect() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8000));
        let application = SocketAddr::from(([127, 0, 0, 1], 4711));
        let state = Path::new("/nowhere");
        let configuration = configuration(&filled_in(listen, application, state)).unwrap();
        let ran = config::run_tests(&configuration, |_| None);
        assert_eq!(ran.unwrap_or_else(|problems| panic!("{problems}")), 11);
        assert_eq!(configuration.server.listen, [listen]);
        assert_eq!(configuration.server.state_directory, state);
        assert_eq!(configuration.server.admin_socket, state.join("vestibule.sock"));
        assert!(CONFIGURATION.contains(&format!("upstream = \"{SAMPLE_UPSTREAM}\"")));
    }

    #[test]
    fn a_port_that_is_taken_is_refused_with_a_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let error = free_address(taken.local_addr().unwrap()).unwrap_err().to_string();
        assert!(error.contains("cannot listen on `127.0.0.1:"), "{error}");
        assert!(error.contains("\nhint: another program listens there"), "{error}");
        assert_ne!(free_address("127.0.0.1:0".parse().unwrap()).unwrap().port(), 0);
    }

    #[test]
    fn the_banner_names_everybody_and_warns_when_strangers_can_come() {
        let text = banner("127.0.0.1:8000".parse().unwrap(), Path::new("/tmp/x.toml"));
        assert!(text.contains("\n  --config /tmp/x.toml\n"), "{text}");
        assert!(text.contains("\n  listening on http://127.0.0.1:8000\n"), "{text}");
        assert!(USERS.iter().all(|user| text.contains(user.password)));
        assert!(!text.contains("WARNING"));
        let text = banner("0.0.0.0:80".parse().unwrap(), Path::new("/tmp/x.toml"));
        assert!(text.contains("listening on http://127.0.0.1:80\n"), "{text}");
        assert!(text.contains("WARNING"));
    }

    #[test]
    fn every_user_can_log_in_with_the_printed_password() {
        let state = tempfile::tempdir().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], 8000));
        let settings = configuration(&filled_in(address, address, state.path())).unwrap().accounts;
        create_users(&settings).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = Directory::open(&settings).await.unwrap();
            for user in USERS {
                let password = user.password.to_owned();
                let verified = directory.verify(user.username, password, wall_clock()).await;
                assert!(verified.unwrap().is_ok(), "{}", user.username);
            }
        });
    }
}
