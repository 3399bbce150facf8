//! HAProxy with a table of cookies: the cheapest authentication a stock proxy can do.

use std::fmt::Write;
use std::net::SocketAddr;

use super::Result;
use super::process::{self, Cores, Running, free_address};
use super::workspace::Workspace;

/// Starts HAProxy, which lets in who has one of `cookies` and tells the upstream the user's name; `None`
/// when it is not installed.
pub(crate) fn start(
    workspace: &Workspace,
    upstream: SocketAddr,
    cookies: &[String],
    cores: &Cores,
) -> Result<Option<(Running, SocketAddr)>> {
    let Some(program) = process::find("haproxy") else {
        return Ok(None);
    };
    let mut lines = String::new();
    for (number, cookie) in cookies.iter().enumerate() {
        writeln!(lines, "{cookie} user{}", number % 1000)?;
    }
    let map = workspace.write("haproxy.map", &lines)?;
    let address = free_address()?;
    let file = workspace.write(
        "haproxy.cfg",
        &format!(
            r#"global
    nbthread 1
    maxconn 4096
defaults
    mode http
    no log
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 75s
    timeout server 60s
    timeout http-request 30s
frontend in
    bind {address}
    http-request set-var(txn.user) req.cook(sessionid),map_str({map})
    http-request deny deny_status 401 unless {{ var(txn.user) -m found }}
    http-request set-header Remote-User %[var(txn.user)]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    option forwardfor
    default_backend application
backend application
    server application {upstream} pool-max-conn 128
"#,
            map = map.display(),
        ),
    )?;
    let mut command = process::program(&program, cores)?;
    command.arg("-db").arg("-f").arg(file);
    let mut running = Running::start("HAProxy", command, workspace.path("haproxy.log"))?;
    running.wait_for_listener(address)?;
    Ok(Some((running, address)))
}
