//! The loopback port that a browser login comes back to (RFC 8252 §7.3).
//!
//! One task serves the port for as long as the [`CallbackServer`] lives, one client beside the other. It decides
//! nothing about the login: a query is put to the login that waits, and a request after the login was answered gets a 409.
//! Other programs of this machine can connect as well: every connection is accepted at once, and when there are too many,
//! those that only stay make room.

mod connections;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod fuzz;
mod head;
mod holder;
mod linger;
mod page;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;

use provider_auth_oauth::{CallbackError, error_code};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use url::{Host, Url};

use self::connections::{Connection, Connections, Displaced, Stage};
use self::head::{Expected, Head};
use self::page::Page;
use crate::error::BrokerError;
use crate::host::blocking;
use crate::limits;
use crate::login::deadline::LastAnswer;

/// Listens for the answer to one login. Dropping it closes the port, as [`close`](Self::close) does for a failed login.
pub(crate) struct CallbackServer {
    redirect: Url,
    questions: mpsc::Receiver<Question>,
    outcome: watch::Sender<Option<Page>>,
    task: JoinHandle<()>,
    #[cfg(test)]
    connections: Connections,
}

impl CallbackServer {
    /// Listens where the first of these redirect URIs says whose port is free, exactly; on a free port where it names
    /// none, or where there are no redirect URIs.
    ///
    /// `localhost` means both loopback addresses: a browser may take either, and no other program may
    /// sit on the other.
    pub(crate) async fn bind(redirects: &[Url], last: LastAnswer) -> Result<Self, BrokerError> {
        let anywhere = [Url::parse("http://127.0.0.1/callback").expect("a constant URL")];
        let redirects = if redirects.is_empty() {
            &anywhere
        } else {
            redirects
        };
        let mut busy = None;
        for redirect in redirects {
            let addresses = addresses(redirect)?;
            if let Some(port) = redirect.port() {
                linger::end(port).await;
            }
            match (listen(&addresses, redirect.port()), redirect.port()) {
                (Ok(listeners), _) => return Ok(Self::on(listeners, redirect.clone(), last)),
                (Err(error), Some(port)) if error.kind() == ErrorKind::AddrInUse => {
                    busy.get_or_insert(port);
                }
                (Err(error), _) => {
                    return Err(BrokerError::LoginFailed(format!(
                        "{redirect} cannot be listened on: {error}"
                    )));
                }
            }
        }
        let port = busy.expect("every one of at least one URI had a port that was busy");
        let holder = blocking(move || holder::of_port(port)).await;
        Err(BrokerError::CallbackPortBusy { port, holder })
    }

    fn on(listeners: Vec<TcpListener>, mut redirect: Url, last: LastAnswer) -> Self {
        if redirect.port().is_none() {
            let port = listeners
                .first()
                .and_then(|listener| listener.local_addr().ok())
                .map(|address| address.port());
            redirect
                .set_port(port)
                .expect("a URL with a host takes a port");
        }
        let (ask, questions) = mpsc::channel(1);
        let (outcome, ended) = watch::channel(None);
        let door = Door {
            expected: Expected::of(&redirect),
            connections: Connections::default(),
            ask,
            ended,
            taken: Page::TAKEN,
            last,
        };
        #[cfg(test)]
        let connections = door.connections.clone();
        let task = tokio::spawn(serve(listeners, Arc::new(door)));
        Self {
            redirect,
            questions,
            outcome,
            task,
            #[cfg(test)]
            connections,
        }
    }

    /// Returns the redirect URI to name in the authorization request.
    pub(crate) fn redirect_uri(&self) -> &Url {
        &self.redirect
    }

    /// Waits for an answer that `accept` takes, or that refuses the login ([`CallbackError::Denied`], the only error).
    ///
    /// Any other answer gets a page that says so, and the login stays open. The browser that brought the right one
    /// waits for [`close`](Self::close). This future may be dropped and called again; no answer is lost.
    pub(crate) async fn wait<T>(
        &mut self,
        mut accept: impl FnMut(&str) -> Result<T, CallbackError>,
    ) -> Result<T, CallbackError> {
        while let Some(Question { query, reply }) = self.questions.recv().await {
            let (said, answer) = match accept(&query) {
                Ok(answer) => (Reply::Accepted, Ok(answer)),
                Err(denied @ CallbackError::Denied { .. }) => {
                    (Reply::Denied(denied.to_string()), Err(denied))
                }
                Err(error) => {
                    tracing::debug!(%error, "a callback was refused; the login stays open");
                    let _ = reply.send(Reply::Refused(error_code(&query)));
                    continue;
                }
            };
            // The browser may have gone already; its answer counts all the same.
            let _ = reply.send(said);
            // A client that has asked meanwhile, or asks from now on, sees a closed port.
            self.questions.close();
            while self.questions.try_recv().is_ok() {}
            return answer;
        }
        std::future::pending().await
    }

    /// Shows the last page, naming what was connected, or that the login failed and by which code of the server, and closes the
    /// port. After a login that went well it says for a moment that one is signed in already.
    ///
    /// The task ends within a second; a process that is about to exit awaits it, so that the page arrives.
    pub(crate) fn close(self, connected: Result<&str, Option<&str>>) -> JoinHandle<()> {
        self.outcome.send_replace(Some(match connected {
            Ok(name) => Page::connected(name),
            Err(code) => Page::failed(code),
        }));
        self.task
    }
}

/// A query that came to the callback path, for the login that waits.
struct Question {
    query: String,
    reply: oneshot::Sender<Reply>,
}

/// What becomes of it.
enum Reply {
    Accepted,
    Denied(String),
    /// With the server's code of an error in it.
    Refused(Option<String>),
}

/// What every client meets.
struct Door {
    expected: Expected,
    connections: Connections,
    ask: mpsc::Sender<Question>,
    ended: watch::Receiver<Option<Page>>,
    /// What who asks after the login was answered gets to see.
    taken: Page,
    last: LastAnswer,
}

/// The loopback addresses that a redirect URI means.
fn addresses(redirect: &Url) -> Result<Vec<IpAddr>, BrokerError> {
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
fn listen(addresses: &[IpAddr], port: Option<u16>) -> io::Result<Vec<TcpListener>> {
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

/// Serves the port until the login has ended or its [`CallbackServer`] is gone, and then until who brought the answer has
/// its page.
async fn serve(listeners: Vec<TcpListener>, door: Arc<Door>) {
    let mut clients = JoinSet::new();
    welcome(&listeners, &door, &mut clients).await;
    let went_well = door.ended.borrow().as_ref().is_some_and(Page::is_success);
    match went_well {
        true => linger::begin(listeners, &door),
        false => drop(listeners),
    }
    let _ = timeout(limits::CALLBACK_CLOSING, async {
        while clients.join_next().await.is_some() {}
    })
    .await;
}

/// Takes in who comes, until there is an end.
async fn welcome(listeners: &[TcpListener], door: &Arc<Door>, clients: &mut JoinSet<()>) {
    let mut ended = door.ended.clone();
    let mut turn = 0;
    let mut accept_from = None;
    let most = limits::CALLBACK_CONNECTIONS + limits::CALLBACK_CLOSING_CONNECTIONS;
    loop {
        let arrival = async {
            if let Some(at) = accept_from {
                sleep_until(at).await;
            }
            turn += 1;
            accept(listeners, turn).await
        };
        tokio::select! {
            () = over(&mut ended) => break,
            Some(_) = clients.join_next() => {}
            arrival = arrival, if clients.len() < most => {
                let now = Instant::now();
                let room_from = match arrival {
                    Ok((stream, peer)) => {
                        let (connection, displaced) = door.connections.open(peer.ip(), now);
                        clients.spawn(attend(stream, connection, displaced, door.clone()));
                        door.connections.make_room(now)
                    }
                    Err(_) => {
                        door.connections.give_way();
                        now + limits::CALLBACK_ACCEPT_PAUSE
                    }
                };
                accept_from = (room_from > now).then_some(room_from);
            }
        }
        while clients.try_join_next().is_some() {}
    }
}

/// Waits until the login has ended, or can end no more.
async fn over(ended: &mut watch::Receiver<Option<Page>>) {
    let _ = ended.wait_for(Option::is_some).await;
}

/// Accepts a connection; the listeners take turns in being asked first, so that a flood of one does not hide the others.
async fn accept(listeners: &[TcpListener], turn: usize) -> io::Result<(TcpStream, SocketAddr)> {
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

/// Serves one client until it has its page or has to make room.
async fn attend(stream: TcpStream, connection: Connection, displaced: Displaced, door: Arc<Door>) {
    tokio::select! {
        () = visit(stream, &connection, &door) => {}
        _ = displaced => {}
    }
}

/// One request, one page.
async fn visit(mut stream: TcpStream, connection: &Connection, door: &Door) {
    let mut ended = door.ended.clone();
    let head = tokio::select! {
        head = timeout(limits::CALLBACK_CLIENT_TIMEOUT, read_head(&mut stream, &door.expected)) => head,
        // A browser opens connections in advance; they have nothing to wait for.
        () = over(&mut ended) => return,
    };
    let (page, stage) = match head {
        Ok(Ok(Head::Callback(query))) => ask(query, connection, door).await,
        Ok(Ok(Head::Refused(page))) => (page, Stage::Refused),
        Ok(Ok(Head::Missed(why, page))) => {
            door.last.note(why);
            (page, Stage::Refused)
        }
        // Too slow, or gone: no client waits for the answer.
        Ok(Ok(Head::Incomplete) | Err(_)) | Err(_) => return,
    };
    connection.enter(stage);
    tokio::select! {
        biased;
        _ = timeout(limits::CALLBACK_CLIENT_TIMEOUT, send(stream, &page)) => {}
        // The page is on its way; only who brought the answer is waited for.
        () = over(&mut ended), if stage == Stage::Refused => {}
    }
}

async fn read_head(stream: &mut TcpStream, expected: &Expected) -> io::Result<Head> {
    let mut bytes = Vec::with_capacity(limits::CALLBACK_HEAD_LIMIT);
    loop {
        let room = limits::CALLBACK_HEAD_LIMIT - bytes.len();
        let end = room == 0
            || (&mut *stream)
                .take(room as u64)
                .read_buf(&mut bytes)
                .await?
                == 0;
        match head::read(&bytes, expected) {
            Head::Incomplete if bytes.len() == limits::CALLBACK_HEAD_LIMIT => {
                return Ok(Head::Refused(Page::TOO_LARGE));
            }
            Head::Incomplete if !end => {}
            head => return Ok(head),
        }
    }
}

/// Puts a query to the login that waits, and returns the page that it leads to.
async fn ask(query: String, connection: &Connection, door: &Door) -> (Page, Stage) {
    connection.enter(Stage::Judged);
    let (reply, replied) = oneshot::channel();
    if door.ask.send(Question { query, reply }).await.is_err() {
        return (door.taken.clone(), Stage::Refused);
    }
    match replied.await {
        Ok(Reply::Accepted) => {
            connection.enter(Stage::Answered);
            let page = match door.ended.clone().wait_for(Option::is_some).await {
                Ok(page) => page.clone().unwrap_or_else(|| Page::failed(None)),
                Err(_) => Page::failed(None),
            };
            (page, Stage::Answered)
        }
        Ok(Reply::Denied(reason)) => (Page::denied(&reason), Stage::Answered),
        Ok(Reply::Refused(code)) => (Page::other_login(code.as_deref()), Stage::Refused),
        Err(_) => (door.taken.clone(), Stage::Refused),
    }
}

async fn send(mut stream: TcpStream, page: &Page) -> io::Result<()> {
    stream.write_all(&page.response()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection and could take the page with it.
    let mut unread = [0; 1024];
    let mut rest = stream.take(limits::CALLBACK_UNREAD_LIMIT);
    while rest.read(&mut unread).await? > 0 {}
    Ok(())
}
