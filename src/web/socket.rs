//! What is done alike with every socket, on both sides of the gateway.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::Write;
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

/// Up to how many bytes are written in one piece.
const SMALL: usize = 2048;

/// Writes several pieces: gathered by us when they are small, by the kernel when they are large.
///
/// A plain write of a copy costs the kernel less than a vector of two small pieces.
pub fn poll_write_pieces(
    stream: Pin<&mut impl Write>,
    context: &mut Context<'_>,
    pieces: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    match pieces {
        [piece] => stream.poll_write(context, piece),
        several if length <= SMALL => {
            let mut together = [0; SMALL];
            let mut end = 0;
            for piece in several {
                together[end..end + piece.len()].copy_from_slice(piece);
                end += piece.len();
            }
            stream.poll_write(context, &together[..length])
        }
        several => stream.poll_write_vectored(context, several),
    }
}
