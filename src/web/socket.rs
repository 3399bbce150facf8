//! What is done alike with every socket, on both sides of the gateway.

use std::io;
use std::net::IpAddr;

use socket2::SockRef;
use tokio::net::TcpStream;

/// The congestion control for connections that never leave the machine. It is the plainest there
/// is: one that paces its packets, as BBR does, sets a timer for each answer, for a network that is
/// not there.
const WITHIN_THE_MACHINE: &[u8] = b"reno";

/// Sends small messages at once, and does not pace what stays on this machine.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if is_local(stream.peer_addr()?.ip()) {
        // A kernel without it has its reasons, and the connection works all the same.
        let _ = SockRef::from(stream).set_tcp_congestion(WITHIN_THE_MACHINE);
    }
    Ok(())
}

fn is_local(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}
