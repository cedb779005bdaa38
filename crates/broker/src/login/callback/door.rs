//! What every client of the port meets: one request, one page.

use std::io::{self};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::connections::{Connection, Connections, Displaced, Stage};
use super::head::{Expected, Head};
use super::page::Page;
use super::{head, port::accept};
use crate::limits;
use crate::login::deadline::LastAnswer;

/// A query that came to the callback path, for the login that waits.
pub(super) struct Question {
    pub(super) query: String,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// What becomes of it.
pub(super) enum Reply {
    Accepted,
    Denied(String),
    /// With the server's code of an error in it.
    Refused(Option<String>),
}

/// What every client meets.
pub(super) struct Door {
    pub(super) expected: Expected,
    pub(super) connections: Connections,
    pub(super) ask: mpsc::Sender<Question>,
    pub(super) ended: watch::Receiver<Option<Page>>,
    /// What who asks after the login was answered gets to see.
    pub(super) taken: Page,
    pub(super) last: LastAnswer,
}

/// Takes in who comes, until there is an end.
pub(super) async fn welcome(
    listeners: &[TcpListener],
    door: &Arc<Door>,
    clients: &mut JoinSet<()>,
) {
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
