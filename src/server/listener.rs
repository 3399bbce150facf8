//! The sockets that browsers connect to: our own, or those that systemd opened.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use socket2::{Domain, Protocol, Socket, Type};

use super::ServeError;

/// How many connections may wait to be taken.
const BACKLOG: i32 = 4096;

/// The listening sockets, one set for each worker.
pub(super) struct Listeners {
    addresses: Vec<SocketAddr>,
    shares: Vec<Vec<TcpListener>>,
}

impl Listeners {
    /// Takes the sockets that systemd passed, or listens on `addresses`.
    ///
    /// Workers share a socket of systemd's. Of ours each has its own (`SO_REUSEPORT`), so that the
    /// kernel spreads connections and no worker wakes up in vain.
    pub(super) fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Self, ServeError> {
        let passed = passed_by_systemd()?;
        let mut listeners = Self { addresses: Vec::new(), shares: Vec::new() };
        listeners.shares.resize_with(workers, Vec::new);
        for socket in passed {
            listeners.addresses.push(socket.local_addr()?);
            for share in &mut listeners.shares {
                share.push(socket.try_clone()?);
            }
        }
        if listeners.addresses.is_empty() {
            for &address in addresses {
                listeners.listen(address).map_err(|cause| ServeError::Listen {
                    address: address.to_string(),
                    hint: hint_for(&cause),
                    cause,
                })?;
            }
        }
        Ok(listeners)
    }

    fn listen(&mut self, address: SocketAddr) -> io::Result<()> {
        let is_shared = self.shares.len() > 1;
        if is_shared && address.port() != 0 {
            // With SO_REUSEPORT a second gateway would get half of the connections unnoticed.
            drop(socket(address, false)?);
        }
        let mut address = address;
        for share in &mut self.shares {
            let listener = socket(address, is_shared)?;
            address = listener.local_addr()?;
            share.push(listener);
        }
        self.addresses.push(address);
        Ok(())
    }

    /// The addresses that are listened on, and each worker's sockets.
    pub(super) fn into_shares(self) -> (Vec<SocketAddr>, Vec<Vec<TcpListener>>) {
        (self.addresses, self.shares)
    }
}

fn passed_by_systemd() -> io::Result<Vec<TcpListener>> {
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .filter_map(|index| passed.take_tcp_listener(index).transpose())
        .map(|listener| {
            listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        })
        .collect()
}

fn socket(address: SocketAddr, is_shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if is_shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn hint_for(cause: &io::Error) -> &'static str {
    let kind = cause.kind();
    if kind == io::ErrorKind::AddrInUse {
        "\nhint: another program listens there; stop it, or set another `server.listen`"
    } else if kind == io::ErrorKind::PermissionDenied {
        "\nhint: ports below 1024 need CAP_NET_BIND_SERVICE, or systemd's vestibule.socket"
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "\nhint: this machine has no such address"
    } else {
        ""
    }
}
