//! `upstream`, `[upstreams.NAME]` and `[upstream_defaults]`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::{Problem, Span};
use super::reader::{At, Entry, Table};
use super::report::{Report, nearest};
use crate::upstream::settings::{Server, Settings};

const SECOND: Duration = Duration::from_secs(1);

/// `upstream` as it was written: where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// One or more URLs.
    Servers(Vec<Server>, String),
    /// The name of a table.
    Named(String),
}

/// All applications, those of the tables first.
#[derive(Debug)]
pub(super) struct Upstreams<'a> {
    report: &'a Report,
    list: Vec<Settings>,
    defaults: Settings,
    names: HashMap<String, Named>,
    inline: HashMap<Vec<Server>, usize>,
}

#[derive(Debug)]
struct Named {
    index: usize,
    place: Span,
    is_used: bool,
}

impl<'a> Upstreams<'a> {
    pub(super) fn read(root: &Table<'a>) -> Self {
        let report = root.report();
        let table = root.table("upstream_defaults");
        let mut defaults = Settings::new("", Vec::new());
        read_tuning(&table, &mut defaults);
        table.finish(&LATER);

        let mut upstreams = Self {
            report,
            list: Vec::new(),
            defaults,
            names: HashMap::new(),
            inline: HashMap::new(),
        };
        for entry in root.table("upstreams").entries() {
            let table = entry.table("upstreams.*", format!("`[upstreams.{}]`", entry.name));
            if !table.is_in_file() {
                continue;
            }
            if entry.name.is_empty() || entry.name.contains([':', '/']) {
                let message = format!("`{}` cannot be the name of an upstream", entry.name);
                let problem = Problem::error("bad-value", entry.key.clone(), message);
                report.add(problem.hint("`:` and `/` are for URLs"));
            }
            let mut settings = Settings { name: entry.name.clone(), ..upstreams.defaults.clone() };
            match table.entry("url") {
                Some(url) => {
                    if let Some((servers, _)) = servers(&url) {
                        settings.servers = servers;
                    }
                }
                None => {
                    let message = format!("the upstream `{}` has no `url`", entry.name);
                    report.add(Problem::error("missing-key", entry.key.clone(), message));
                }
            }
            read_tuning(&table, &mut settings);
            table.finish(&LATER);
            let named = Named { index: upstreams.list.len(), place: entry.key, is_used: false };
            upstreams.names.insert(entry.name, named);
            upstreams.list.push(settings);
        }
        upstreams
    }

    /// The number of the application that `target` stands for.
    pub(super) fn index(&mut self, target: &At<Target>) -> Option<usize> {
        match &target.value {
            Target::Servers(servers, text) => {
                let next = self.list.len();
                let index = *self.inline.entry(servers.clone()).or_insert(next);
                if index == next {
                    let (name, servers) = (text.clone(), servers.clone());
                    self.list.push(Settings { name, servers, ..self.defaults.clone() });
                }
                Some(index)
            }
            Target::Named(name) => {
                if let Some(named) = self.names.get_mut(name) {
                    named.is_used = true;
                    return Some(named.index);
                }
                let problem = Problem::error(
                    "unknown-upstream",
                    target.span.clone(),
                    format!("there is no upstream called `{name}`"),
                );
                let hint = match nearest(name, self.names.keys().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if name.contains([':', '.', '/']) => {
                        format!("write `http://{}` if it is an address", name.trim_matches('/'))
                    }
                    None => format!("declare it with `[upstreams.{name}]`, or write a URL"),
                };
                self.report.add(problem.hint(hint));
                None
            }
        }
    }

    /// All applications; tables that nothing names are warned of.
    pub(super) fn finish(self) -> Vec<Settings> {
        for (name, named) in &self.names {
            if !named.is_used {
                let message = format!("no rule and no site leads to the upstream `{name}`");
                self.report.add(Problem::warning("unused-upstream", named.place.clone(), message));
            }
        }
        self.list
    }
}

const LATER: [&str; 4] = ["balance", "health_check", "tls", "protocol"];

fn read_tuning(table: &Table<'_>, settings: &mut Settings) {
    let duration = |key, target: &mut Duration| {
        if let Some(at) = table.duration(key, SECOND) {
            *target = at.value;
        }
    };
    duration("connect_timeout", &mut settings.connect_timeout);
    duration("response_timeout", &mut settings.response_timeout);
    duration("read_timeout", &mut settings.read_timeout);
    duration("idle_timeout", &mut settings.idle_timeout);
    if let Some(at) = table.integer("max_idle", 0, 1 << 16) {
        settings.max_idle = usize::try_from(at.value).unwrap_or(settings.max_idle);
    }
    if let Some(at) = table.flag("title_case_headers") {
        settings.title_case_headers = at.value;
    }
    if let Some(at) = table.flag("trust_responses") {
        settings.trust_responses = at.value;
    }
    table.not_yet("balance", "this version takes the servers of an upstream in turn");
    table.not_yet("health_check", "this version has no health checks");
    table.not_yet("tls", "this version speaks plain HTTP to upstreams");
    table.not_yet("protocol", "this version speaks HTTP/1.1 to upstreams alone");
}

/// `upstream` of a site or a rule: a URL, a list of URLs, or a name.
pub(super) fn target(table: &Table<'_>) -> Option<At<Target>> {
    let entry = table.entry("upstream")?;
    let texts = entry.texts()?;
    let value = match texts.value.as_slice() {
        [only] if !is_url(&only.value) => Target::Named(only.value.clone()),
        _ => {
            let (servers, text) = servers(&entry)?;
            Target::Servers(servers, text)
        }
    };
    Some(At { value, key: texts.key, span: texts.span })
}

fn is_url(text: &str) -> bool {
    text.contains("://") || text.starts_with("unix:")
}

/// The servers of one URL or of a list of them, and how they were written.
fn servers(entry: &Entry<'_>) -> Option<(Vec<Server>, String)> {
    let texts = entry.texts()?.value;
    let mut servers: Vec<Server> = Vec::new();
    for text in &texts {
        match server(&text.value) {
            Ok(server) if servers.contains(&server) => {
                let message = format!("`{}` is in the list twice", text.value);
                entry.report().add(Problem::warning("duplicate", text.span.clone(), message));
            }
            Ok(server) => servers.push(server),
            Err(problem) => {
                let (code, message) = problem;
                entry.report().add(Problem::error(code, text.span.clone(), message));
            }
        }
    }
    let text = texts.iter().map(|at| at.value.as_str()).collect::<Vec<_>>().join(", ");
    (!servers.is_empty()).then_some((servers, text))
}

/// Where an application listens, from its URL.
fn server(text: &str) -> Result<Server, (&'static str, String)> {
    let malformed = |why: &str| {
        let hint = "write `http://127.0.0.1:3000` or `unix:/run/app.sock`";
        ("bad-url", format!("`{text}` is not the URL of an upstream: {why}\nhint: {hint}"))
    };
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Err(malformed("it has no path")),
            path => Ok(Server::Unix(PathBuf::from(path))),
        };
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(malformed("it has no scheme"));
    };
    match scheme {
        "http" => {}
        "https" => {
            let message = "this version speaks plain HTTP to upstreams, not `https`";
            return Err(("not-yet", message.to_owned()));
        }
        "ws" => return Err(malformed("WebSockets go through an `http` upstream as they are")),
        _ => return Err(malformed("its scheme is neither `http` nor `unix`")),
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains('@') {
        return Err(malformed("it has a user name or password in it"));
    }
    if authority.contains(['/', '?', '#']) {
        return Err(malformed("it has a path, and requests keep the path they came with"));
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, after) =
                bracketed.split_once(']').ok_or_else(|| malformed("its `[` is not closed"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(malformed("what stands in brackets is not an IPv6 address"));
            }
            (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some("80")))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("80")),
        },
    };
    let port = port
        .and_then(|port| port.parse::<u16>().ok())
        .filter(|&port| port != 0)
        .ok_or_else(|| malformed("its port is not a number from 1 to 65535"))?;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    if host.is_empty() || !host.bytes().all(is_name) {
        return Err(malformed("its host is not a name or an address"));
    }
    Ok(Server::Tcp { host: host.to_ascii_lowercase(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_host_and_a_port_or_a_socket() {
        let tcp = |host: &str, port| Server::Tcp { host: host.to_owned(), port };
        for (text, expected) in [
            ("http://127.0.0.1:3000", tcp("127.0.0.1", 3000)),
            ("http://App.internal/", tcp("app.internal", 80)),
            ("http://[::1]:8080", tcp("::1", 8080)),
            ("http://[::1]", tcp("::1", 80)),
            ("unix:/run/app.sock", Server::Unix("/run/app.sock".into())),
        ] {
            assert_eq!(server(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "http://",
            "http://:80",
            "http://a:0",
            "http://a:99999",
            "http://a:b",
            "http://a/x",
            "http://u:p@a",
            "https://a",
            "ws://a",
            "ftp://a",
            "unix:",
            "http://[::1",
            "http://[x]",
            "http://[::1]80",
            "http://a b",
            "http://a?x",
            "http://::1",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
    }
}
