//! An upstream for WebSockets: it accepts each, says nothing and reads until the other side closes.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::Result;
use super::process::{Cores, Running, free_address, role};

const ACCEPTED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

/// Starts the server as a child process.
pub(crate) fn start(cores: &Cores, log: PathBuf) -> Result<(Running, SocketAddr)> {
    let listen = free_address()?;
    let mut command = role("sockets", cores)?;
    command.arg(listen.to_string());
    let mut running = Running::start("the WebSocket server", command, log)?;
    running.wait_for_listener(listen)?;
    Ok((running, listen))
}

/// Serves on one thread, for ever.
pub(crate) fn serve(listen: SocketAddr) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            // Whoever breaks off is not heard of any more, and that is all.
            tokio::task::spawn_local(async move { hold(stream).await.ok() });
        }
    })
}

async fn hold(mut stream: TcpStream) -> std::io::Result<()> {
    let mut read = [0; 1024];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut read).await? {
            0 => return Ok(()),
            count => head.extend_from_slice(&read[..count]),
        }
    }
    drop(head);
    stream.write_all(ACCEPTED).await?;
    while stream.read(&mut read).await? > 0 {}
    Ok(())
}
