//! The port of a login: its addresses, and the connections that come to it.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use url::{Host, Url};

use crate::error::BrokerError;
use crate::limits;

/// The loopback addresses that a redirect URI means.
pub(super) fn addresses(redirect: &Url) -> Result<Vec<IpAddr>, BrokerError> {
    let addresses: Vec<IpAddr> = match redirect.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain("localhost")) => {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        }
        _ => Vec::new(),
    };
    if redirect.scheme() != "http"
        || addresses.is_empty()
        || !addresses.iter().all(IpAddr::is_loopback)
    {
        return Err(BrokerError::InvalidArgument(format!(
            "method: {redirect} is not an http address on this machine, so a browser login cannot come back here; use the method paste"
        )));
    }
    Ok(addresses)
}

/// Listens on every one of the addresses that this machine has, on one and the same port.
pub(super) fn listen(addresses: &[IpAddr], port: Option<u16>) -> io::Result<Vec<TcpListener>> {
    let mut tries = if port.is_some() {
        1
    } else {
        limits::CALLBACK_PORT_TRIES
    };
    loop {
        tries -= 1;
        match listen_once(addresses, port.unwrap_or(0)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 0 => {}
            result => return result,
        }
    }
}

fn listen_once(addresses: &[IpAddr], mut port: u16) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut missing = None;
    for address in addresses {
        match listen_at(SocketAddr::new(*address, port)) {
            Ok(listener) => {
                port = listener.local_addr()?.port();
                listeners.push(listener);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            // No such address: IPv6 is often switched off.
            Err(error) => missing = Some(error),
        }
    }
    match missing {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // On Windows it would let another program listen on the same port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(limits::CALLBACK_BACKLOG)
}

/// Accepts a connection; the listeners take turns in being asked first, so that a flood of one does
/// not hide the others.
pub(super) async fn accept(
    listeners: &[TcpListener],
    turn: usize,
) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        for place in 0..listeners.len() {
            let listener = &listeners[(turn + place) % listeners.len()];
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}
