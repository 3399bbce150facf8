//! `[server]`, `[admin]` and `[log]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::problem::{Problem, Span};
use super::reader::{At, Table};
use super::report::Report;
use crate::server::{self, settings::Limits};
use crate::telemetry;
use crate::telemetry::settings::{AccessLog, AuditTarget};

/// What `[server]` says to layers other than the server.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) public_url: Option<At<String>>,
    /// The largest request body unless a rule says otherwise; `None` for any.
    pub(super) max_body_size: Option<u64>,
    /// How long the log of changes is kept; `admin.keep_log`.
    pub(super) keep_log: Option<Duration>,
    /// Where the first address stands that others than this machine can reach.
    pub(super) reachable: Option<Span>,
}

const SECOND: Duration = Duration::from_secs(1);
const ANY: u64 = u64::MAX >> 1;
const GIB: u64 = 1 << 30;

pub(super) fn read(root: &Table<'_>) -> (server::settings::Settings, Shared) {
    let report = root.report();
    let table = root.table("server");
    let listen = addresses(&table);
    let reachable =
        listen.iter().find(|address| !address.value.ip().is_loopback()).map(|at| at.span.clone());
    let listen: Vec<SocketAddr> = listen.into_iter().map(|address| address.value).collect();
    let defaults = Limits::default();
    let workers = table.integer("workers", 1, 1024).map(|at| at.value);
    let duration = |key, least, default| table.duration(key, least).map_or(default, |at| at.value);
    let count = |key, default: usize| {
        table.integer(key, 1, 1 << 24).map_or(default, |at| usize_of(at.value))
    };
    let limits = Limits {
        // hyper needs a buffer of 8 KiB.
        max_header_size: table
            .size("max_header_size", 8 * 1024, 16 << 20)
            .map_or(defaults.max_header_size, |at| usize_of(at.value)),
        max_headers: count("max_headers", defaults.max_headers),
        max_connections: count("max_connections", defaults.max_connections),
        header_timeout: duration("header_timeout", SECOND, defaults.header_timeout),
        idle_timeout: duration("idle_timeout", SECOND, defaults.idle_timeout),
        body_timeout: duration("body_timeout", SECOND, defaults.body_timeout),
        write_timeout: duration("write_timeout", SECOND, defaults.write_timeout),
    };
    let shutdown_timeout = duration("shutdown_timeout", Duration::ZERO, Duration::from_secs(30));
    let max_body_size = table.size("max_body_size", 0, ANY).map_or(GIB, |at| at.value);
    let state_directory = path(&table, "state_directory").unwrap_or_else(|| PathBuf::from("var"));
    let shared = Shared {
        trusted_proxies: trusted_proxies(&table),
        public_url: table.parsed("public_url", public_url),
        max_body_size: (max_body_size > 0).then_some(max_body_size),
        keep_log: None,
        reachable,
    };
    table.not_yet("proxy_protocol", "this version does not speak the PROXY protocol");
    table.not_yet("http2", "this version speaks HTTP/1.1 alone");
    table.finish(&["proxy_protocol", "http2"]);

    let admin = root.table("admin");
    let admin_listen = admin.parsed("listen", socket_address);
    if let Some(address) = &admin_listen {
        check_admin_address(report, address, &listen);
    }
    let admin_socket =
        path(&admin, "socket").unwrap_or_else(|| state_directory.join("vestibule.sock"));
    let keep_log = admin.duration("keep_log", Duration::from_secs(60 * 60)).map(|at| at.value);
    admin.finish(&[]);
    let shared = Shared { keep_log, ..shared };

    let settings = server::settings::Settings {
        listen,
        workers: workers.map_or_else(
            || std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            usize_of,
        ),
        limits,
        state_directory,
        shutdown_timeout,
        admin_listen: admin_listen.map(|at| at.value),
        admin_socket,
    };
    (settings, shared)
}

/// `[log]`.
pub(super) fn read_log(root: &Table<'_>) -> telemetry::settings::Settings {
    let table = root.table("log");
    let defaults = telemetry::settings::Settings::default();
    let access = table.parsed("access", |text| match text {
        "" => Err("`access` is empty\nhint: write `stdout`, `off` or the path of a file"),
        "off" => Ok(AccessLog::Off),
        "stdout" => Ok(AccessLog::Stdout),
        file => Ok(AccessLog::File(PathBuf::from(file))),
    });
    let audit = table.parsed("audit", |text| match text {
        "" => Err("`audit` is empty\nhint: write `stderr`, `stdout`, `off` or the path of a file"),
        "off" => Ok(AuditTarget::Off),
        "stderr" => Ok(AuditTarget::Stderr),
        "stdout" => Ok(AuditTarget::Stdout),
        file => Ok(AuditTarget::File(PathBuf::from(file))),
    });
    let level = table.parsed("level", log_filter);
    table.finish(&[]);
    telemetry::settings::Settings {
        access: access.map_or(defaults.access, |at| at.value),
        audit: audit.map_or(defaults.audit, |at| at.value),
        level: level.map_or(defaults.level, |at| at.value),
    }
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A path that is not empty.
fn path(table: &Table<'_>, key: &'static str) -> Option<PathBuf> {
    let not_empty = |text: &str| match text {
        "" => Err(format!("`{key}` is empty\nhint: leave it out for its default")),
        path => Ok(PathBuf::from(path)),
    };
    table.parsed(key, not_empty).map(|at| at.value)
}

fn addresses(table: &Table<'_>) -> Vec<At<SocketAddr>> {
    let report = table.report();
    let mut addresses: Vec<At<SocketAddr>> = Vec::new();
    let Some(texts) = table.texts("listen") else {
        let default = SocketAddr::from(([127, 0, 0, 1], 8000));
        return vec![At { value: default, key: 0..0, span: 0..0 }];
    };
    for text in texts.value {
        let Some(value) = report.keep("bad-value", &text.span, socket_address(&text.value)) else {
            continue;
        };
        let same = |other: &&At<SocketAddr>| other.value == value && value.port() != 0;
        if let Some(first) = addresses.iter().find(same) {
            let message = format!("`{value}` is listened on twice");
            let problem = Problem::error("duplicate", text.span.clone(), message);
            report.add(problem.other(first.span.clone(), "first here"));
        }
        addresses.push(At { value, key: text.key, span: text.span });
    }
    addresses
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let hint = match text.rsplit_once(':') {
            Some(("", port)) => format!("write `127.0.0.1:{port}`, or `0.0.0.0:{port}` for all"),
            Some(("localhost", port)) => format!("write `127.0.0.1:{port}`"),
            None if text.parse::<u16>().is_ok() => format!("write `127.0.0.1:{text}`"),
            None if text.parse::<IpAddr>().is_ok() => format!("write `{text}:8000`"),
            Some(_) | None => "write an IP address and a port, `127.0.0.1:8000`".to_owned(),
        };
        format!("`{text}` is not an address to listen on\nhint: {hint}")
    })
}

fn check_admin_address(report: &Report, admin: &At<SocketAddr>, listen: &[SocketAddr]) {
    let span = || admin.span.clone();
    if admin.value.port() != 0 && listen.contains(&admin.value) {
        let message = format!("`{}` is listened on for browsers already", admin.value);
        report.add(Problem::error("duplicate", span(), message).hint("take another port"));
    } else if !admin.value.ip().is_loopback() {
        let message = "metrics are open to everybody who reaches this address";
        let problem = Problem::warning("open-admin", span(), message);
        report.add(problem.hint("listen on `127.0.0.1`, or keep others out with a firewall"));
    }
}

fn trusted_proxies(table: &Table<'_>) -> Vec<IpNet> {
    let report = table.report();
    let texts = table.entry("trusted_proxies").and_then(|entry| entry.texts_or_none());
    let mut networks = Vec::new();
    for text in texts.into_iter().flat_map(|texts| texts.value) {
        let Some(network) = report.keep("bad-value", &text.span, network(&text.value)) else {
            continue;
        };
        if network.prefix_len() == 0 {
            let message = format!("`{network}` trusts everybody to say who they are");
            let problem = Problem::warning("trusts-everybody", text.span, message).hint(
                "anybody could claim any address and `https`; name the addresses of your proxies",
            );
            report.add(problem);
        }
        networks.push(network);
    }
    networks
}

/// A network such as `10.0.0.0/8`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| address()).map_err(|_| {
        format!(
            "`{text}` is not a network\nhint: write `10.0.0.0/8`, `2001:db8::/32` or one address"
        )
    })
}

fn public_url(text: &str) -> Result<String, String> {
    let malformed = |why: &str| {
        format!(
            "`{text}` is not a public URL: {why}\nhint: write scheme and host, `https://example.org`"
        )
    };
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
        .ok_or_else(|| malformed("it does not begin with `https://` or `http://`"))?;
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.is_empty() {
        return Err(malformed("it has no host"));
    }
    if host.contains(['/', '?', '#']) {
        return Err(malformed("it has a path"));
    }
    if host.contains('@') || host.contains(char::is_whitespace) || host.contains(char::is_control) {
        return Err(malformed("it has more in it than a host and a port"));
    }
    Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
}

/// A filter of `tracing`: a level, or `target=level`, separated by commas.
fn log_filter(text: &str) -> Result<String, String> {
    const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !LEVELS.contains(&level) {
            let levels = LEVELS.join("`, `");
            return Err(format!("`{level}` is not a log level\nhint: write one of `{levels}`"));
        }
    }
    Ok(text.to_owned())
}
