//! A bare TCP forwarder: the least that any proxy on this machine can cost.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Result;
use super::process::{Cores, Running, free_address, role};

/// Starts the forwarder as a child process in front of `to`.
pub(crate) fn start(to: SocketAddr, cores: &Cores, log: PathBuf) -> Result<(Running, SocketAddr)> {
    let listen = free_address()?;
    let mut command = role("forward", cores)?;
    command.args([listen.to_string(), to.to_string()]);
    let mut running = Running::start("the TCP forwarder", command, log)?;
    running.wait_for_listener(listen)?;
    Ok((running, listen))
}

/// Copies bytes between each connection and one of its own to `to`, on one thread, for ever.
pub(crate) fn serve(listen: SocketAddr, to: SocketAddr) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (mut client, _) = listener.accept().await?;
            tokio::task::spawn_local(async move {
                // Either side may break the connection off; there is nothing to do but to forget it.
                let _ = async {
                    let mut server = TcpStream::connect(to).await?;
                    client.set_nodelay(true)?;
                    server.set_nodelay(true)?;
                    copy_bidirectional(&mut client, &mut server).await
                }
                .await;
            });
        }
    })
}
