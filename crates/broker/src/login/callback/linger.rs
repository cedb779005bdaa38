//! The moment after a login that went well: its port says that one is signed in already, until
//! another login wants it.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::connections::Connections;
use super::door::{Door, welcome};
use super::page::Page;
use crate::limits;

/// The ports of this process that are still open, each with what closes it.
static OPEN: LazyLock<Mutex<Vec<Lingering>>> = LazyLock::new(Mutex::default);

struct Lingering {
    port: u16,
    close: oneshot::Sender<()>,
    closed: JoinHandle<()>,
}

/// Goes on to serve the port for a moment. Takes no more answers.
pub(super) fn begin(listeners: Vec<TcpListener>, door: &Door) {
    let address = listeners.first().map(TcpListener::local_addr);
    let Some(Ok(address)) = address else { return };
    let (close, closing) = oneshot::channel();
    let (going_on, ended) = watch::channel(None);
    let door = Arc::new(Door {
        expected: door.expected.clone(),
        connections: Connections::default(),
        ask: mpsc::channel(1).0,
        ended,
        taken: Page::SIGNED_IN,
        last: door.last.clone(),
    });
    let closed = tokio::spawn(async move {
        let mut clients = JoinSet::new();
        let serving = timeout(
            limits::CALLBACK_LINGER,
            welcome(&listeners, &door, &mut clients),
        );
        tokio::select! {
            _ = serving => {}
            _ = closing => {}
        }
        drop(going_on);
    });
    let mut open = OPEN.lock();
    open.retain(|other| !other.closed.is_finished());
    open.push(Lingering {
        port: address.port(),
        close,
        closed,
    });
}

/// Closes the port, if it is still open here.
pub(super) async fn end(port: u16) {
    let found = {
        let mut open = OPEN.lock();
        let place = open.iter().position(|other| other.port == port);
        place.map(|place| open.swap_remove(place))
    };
    if let Some(Lingering { close, closed, .. }) = found {
        let _ = close.send(());
        let _ = closed.await;
    }
}
