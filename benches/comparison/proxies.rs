//! The proxies that are compared, all running in front of one upstream.

use std::net::SocketAddr;

use crate::support::connection::Connection;
use crate::support::load::Load;
use crate::support::nginx::{self, Nginx};
use crate::support::process::{Cores, Running};
use crate::support::report::note;
use crate::support::sign_in::begin_sessions;
use crate::support::vestibule::{self, Passwords, Plan, Vestibule};
use crate::support::workspace::Workspace;
use crate::support::{Result, forwarder, haproxy};

/// What is compared with what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Forwarder,
    Nginx,
    NginxWithAuthRequest,
    Haproxy,
    Vestibule,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Forwarder => "TCP forwarder",
            Kind::Nginx => "nginx, no authentication",
            Kind::NginxWithAuthRequest => "nginx, auth_request",
            Kind::Haproxy => "HAProxy, cookie table",
            Kind::Vestibule => "Vestibule",
        }
    }

    fn authenticates(self) -> bool {
        matches!(self, Kind::Haproxy | Kind::Vestibule)
    }
}

/// How the proxies are set up.
pub(crate) struct Settings {
    /// Unique in the workspace.
    pub(crate) name: &'static str,
    /// With more than one, only the two that are compared so are started.
    pub(crate) workers: usize,
    pub(crate) sessions: usize,
    pub(crate) users: usize,
    pub(crate) rules: usize,
    pub(crate) connections: usize,
    pub(crate) vestibule: bool,
    pub(crate) proxy_cores: Cores,
    pub(crate) other_cores: Cores,
}

/// The proxies side by side, with the load for all of them.
pub(crate) struct Line {
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) left_out: Vec<String>,
    pub(crate) load: Load,
    _upstream: Running,
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    process: Process,
}

enum Process {
    Program(Running),
    Vestibule(Vestibule),
}

impl Proxy {
    pub(crate) fn process(&self) -> u32 {
        match &self.process {
            Process::Program(running) => running.id(),
            Process::Vestibule(vestibule) => vestibule.id(),
        }
    }
}

impl Line {
    pub(crate) fn start(workspace: &Workspace, settings: &Settings) -> Result<Line> {
        let name = format!("{}-upstream", settings.name);
        let (upstream, address) = nginx::start_upstream(workspace, &name, &settings.other_cores)?;
        let (vestibule, cookies) = sessions(workspace, settings, address)?;
        let requests = (0..)
            .zip(&cookies)
            .map(|(number, cookie)| (vestibule::path(number, settings.rules), &**cookie));
        let load = Load::new(
            workspace,
            settings.name,
            requests,
            settings.connections,
            &settings.other_cores,
        )?;

        let mut starting =
            Starting { workspace, settings, upstream: address, proxies: vec![], left_out: vec![] };
        if settings.workers == 1 {
            starting.forwarder()?;
        }
        starting.nginx(Kind::Nginx, &nginx::forwarding())?;
        if settings.workers == 1 {
            starting.nginx(Kind::NginxWithAuthRequest, &nginx::forwarding_after_verification())?;
            starting.haproxy(&cookies)?;
        }
        match vestibule {
            Some(vestibule) => {
                let address = vestibule.address();
                starting.add(Kind::Vestibule, address, Process::Vestibule(vestibule));
            }
            None => starting.left_out.push("Vestibule, as asked".to_owned()),
        }
        for proxy in &starting.proxies {
            check(
                proxy,
                &vestibule::path(0, settings.rules),
                cookies.first().map_or("", String::as_str),
            )?;
        }
        Ok(Line {
            proxies: starting.proxies,
            left_out: starting.left_out,
            load,
            _upstream: upstream,
        })
    }

    /// The place of a proxy, if it takes part.
    pub(crate) fn position(&self, kind: Kind) -> Option<usize> {
        self.proxies.iter().position(|proxy| proxy.kind == kind)
    }
}

struct Starting<'a> {
    workspace: &'a Workspace,
    settings: &'a Settings,
    upstream: SocketAddr,
    proxies: Vec<Proxy>,
    left_out: Vec<String>,
}

impl Starting<'_> {
    fn forwarder(&mut self) -> Result<()> {
        let log = self.workspace.path("forwarder.log");
        let (running, address) = forwarder::start(self.upstream, &self.settings.proxy_cores, log)?;
        self.add(Kind::Forwarder, address, Process::Program(running));
        Ok(())
    }

    fn nginx(&mut self, kind: Kind, locations: &str) -> Result<()> {
        let started = Nginx {
            name: &format!("{}-proxy-{}", self.settings.name, self.proxies.len()),
            workers: self.settings.workers,
            cores: &self.settings.proxy_cores,
            upstream: Some(self.upstream),
            locations,
        }
        .start(self.workspace)?;
        self.add_installed(kind, started, "nginx");
        Ok(())
    }

    fn haproxy(&mut self, cookies: &[String]) -> Result<()> {
        let started =
            haproxy::start(self.workspace, self.upstream, cookies, &self.settings.proxy_cores)?;
        self.add_installed(Kind::Haproxy, started, "haproxy");
        Ok(())
    }

    fn add_installed(&mut self, kind: Kind, started: Option<(Running, SocketAddr)>, package: &str) {
        match started {
            Some((running, address)) => self.add(kind, address, Process::Program(running)),
            None => self
                .left_out
                .push(format!("{}: not installed (`apt-get install {package}`)", kind.name())),
        }
    }

    fn add(&mut self, kind: Kind, address: SocketAddr, process: Process) {
        self.proxies.push(Proxy { kind, address, process });
    }
}

/// Vestibule with its live sessions; or, without it, cookies that look alike for the others.
fn sessions(
    workspace: &Workspace,
    settings: &Settings,
    upstream: SocketAddr,
) -> Result<(Option<Vestibule>, Vec<String>)> {
    if !settings.vestibule {
        let made_up =
            (0..settings.sessions).map(|number| format!("{:032x}", (number as u128 + 1).pow(6)));
        return Ok((None, made_up.collect()));
    }
    let vestibule = Vestibule::start(
        workspace,
        &Plan {
            name: &format!("{}-vestibule", settings.name),
            upstream,
            workers: settings.workers,
            rules: settings.rules,
            passwords: Passwords::Cheap,
            sessions: "",
            cores: &settings.proxy_cores,
        },
    )?;
    let users = vestibule.create_users(settings.users)?;
    note(&format!("logging in {} times", settings.sessions));
    let cookies = begin_sessions(vestibule.address(), &users, settings.sessions, 64)?;
    Ok((Some(vestibule), cookies))
}

/// A comparison with a proxy that lets everybody in, or nobody, would be worth nothing.
fn check(proxy: &Proxy, path: &str, cookie: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(proxy.address).await?;
        let known = connection.get(path, &format!("sessionid={cookie}")).await?;
        if !known.status.is_success() || known.body.len() != nginx::ANSWER {
            return Err(
                format!("{} did not forward; {}", proxy.kind.name(), known.describe()).into()
            );
        }
        let mut connection = Connection::open(proxy.address).await?;
        let unknown = connection.get(path, "sessionid=nosuchsessionnosuchsessionnosuch").await?;
        if unknown.status.is_success() == proxy.kind.authenticates() {
            return Err(
                format!("{}: an unknown cookie got {}", proxy.kind.name(), unknown.status).into()
            );
        }
        Ok(())
    })
}
