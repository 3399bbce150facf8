//! nginx, as the upstream of every comparison and as a proxy to compare with.

use std::net::SocketAddr;

use super::Result;
use super::process::{self, Cores, Running, free_address};
use super::workspace::Workspace;

/// The size of the upstream's answer in bytes.
pub(crate) const ANSWER: usize = 1024;

/// What one nginx is to do.
pub(crate) struct Nginx<'a> {
    /// Also the name of its directory.
    pub(crate) name: &'a str,
    pub(crate) workers: usize,
    pub(crate) cores: &'a Cores,
    /// The `upstream application { … }` block's server, when it is a proxy.
    pub(crate) upstream: Option<SocketAddr>,
    /// The `location` blocks.
    pub(crate) locations: &'a str,
}

impl Nginx<'_> {
    /// Starts it; `None` when no nginx is installed.
    pub(crate) fn start(&self, workspace: &Workspace) -> Result<Option<(Running, SocketAddr)>> {
        let Some(program) = process::find("nginx") else {
            return Ok(None);
        };
        let address = free_address()?;
        let prefix = workspace.directory(self.name)?;
        let file =
            workspace.write(&format!("{}/nginx.conf", self.name), &self.configuration(address))?;
        let mut command = process::program(&program, self.cores)?;
        command.arg("-p").arg(&prefix).arg("-e").arg(prefix.join("error.log")).arg("-c").arg(file);
        let mut running =
            Running::start(&format!("nginx ({})", self.name), command, prefix.join("output.log"))?;
        running.wait_for_listener(address)?;
        Ok(Some((running, address)))
    }

    fn configuration(&self, address: SocketAddr) -> String {
        // Started by root, nginx would give its workers away to `nobody`, who may not enter our directory.
        let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
        let upstream = self.upstream.map(|server| {
            format!("upstream application {{ server {server}; keepalive 128; keepalive_requests 1000000000; }}")
        });
        format!(
            r#"daemon off;
{user}
worker_processes {workers};
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    default_type text/plain;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    client_max_body_size 0;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {upstream}
    server {{
        listen {address} backlog=4096;
        {locations}
    }}
}}
"#,
            workers = self.workers,
            upstream = upstream.unwrap_or_default(),
            locations = self.locations,
        )
    }
}

/// Starts the upstream of a bench: one worker, the same answer on every path, and a yes for `auth_request`.
pub(crate) fn start_upstream(
    workspace: &Workspace,
    name: &str,
    cores: &Cores,
) -> Result<(Running, SocketAddr)> {
    let body = "Vestibule ".repeat(ANSWER.div_ceil(10));
    let body = body.get(..ANSWER).unwrap_or_default();
    let locations = format!(
        r#"location = /_verify {{ add_header Remote-User ada; return 200 ""; }}
        location / {{ return 200 "{body}"; }}"#
    );
    let started = Nginx { name, workers: 1, cores, upstream: None, locations: &locations }
        .start(workspace)?;
    started.ok_or_else(|| {
        "nginx is missing, and it is the upstream\nhint: `apt-get install nginx`".into()
    })
}

/// `proxy_pass` as an operator writes it: a pool of kept connections and the usual headers.
pub(crate) const PROXY: &str = r#"
            proxy_pass http://application;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Port $server_port;"#;

/// A proxy without any authentication.
pub(crate) fn forwarding() -> String {
    format!("location / {{{PROXY}\n        }}")
}

/// A proxy that asks the upstream about every request first.
pub(crate) fn forwarding_after_verification() -> String {
    format!(
        r#"location / {{
            auth_request /_verify;
            auth_request_set $verified_user $upstream_http_remote_user;
            proxy_set_header Remote-User $verified_user;{PROXY}
        }}
        location = /_verify {{
            internal;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Original-URI $request_uri;{PROXY}
        }}"#
    )
}
