//! Other programs of this machine crowd the callback port: the right answer is served at once all
//! the same.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use provider_auth_oauth::CallbackError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use url::Url;

use super::*;

/// Connections of one kind that come again as soon as they are closed; more than the port keeps
/// open.
const CROWD: usize = 400;

/// A quiet machine answers within milliseconds; a crowd that is waited for takes longer than this.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How often the answer is timed. A busy machine may be late once, but a crowd that is waited for
/// is so each time.
const TRIES: usize = 3;

/// How often a browser asks that gets no answer.
const ASKS: usize = 10;

/// How long a crowd may take to come, on a busy machine.
const CROWDING: Duration = Duration::from_secs(60);

/// What a stranger does with a connection.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Connects and says nothing.
    Silent,
    /// Sends one byte of a good request after the other.
    Drips,
    /// Says that nothing more comes, and stays.
    HalfClosed,
    /// Sends junk instead of a request, without end, and reads nothing.
    Babbles,
    /// Asks rightly, with an answer that is none of this login's.
    Guesses,
}

const HABITS: [Habit; 5] = [
    Habit::Silent,
    Habit::Drips,
    Habit::HalfClosed,
    Habit::Babbles,
    Habit::Guesses,
];

/// One stranger, who comes again for as long as there is a port. `from` is the last number of its
/// address.
async fn stranger(port: u16, habit: Habit, from: u8) {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, from), 0));
        // Systems that have 127.0.0.1 alone let it come from there.
        let _ = socket.bind(address);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match socket.connect(target).await {
            Ok(stream) => {
                let _ = stay(stream, port, habit).await;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// Stays until the server closes.
async fn stay(mut stream: TcpStream, port: u16, habit: Habit) -> io::Result<()> {
    let request = format!("GET /callback?other HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    match habit {
        Habit::Silent => {}
        Habit::Drips => {
            for byte in request.as_bytes().iter().cycle() {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Habit::HalfClosed => stream.shutdown().await?,
        Habit::Babbles => loop {
            stream.write_all(b"\0junk\r\n\r\n").await?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        },
        Habit::Guesses => stream.write_all(request.as_bytes()).await?,
    }
    let mut unread = [0; 1024];
    while stream.read(&mut unread).await? > 0 {}
    Ok(())
}

fn accept(query: &str) -> Result<String, CallbackError> {
    match query {
        "yes" => Ok(query.to_owned()),
        _ => Err(CallbackError::WrongState),
    }
}

async fn get(port: u16, target: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Answers the login, again where the connection was lost without a word: a busy machine may let a
/// client ask so late that a stranger has its place by then. A browser asks again, too.
async fn ask_as_a_browser(port: u16) -> String {
    let mut page = String::new();
    for _ in 0..ASKS {
        page = get(port, "/callback?yes").await.unwrap_or_default();
        if !page.is_empty() {
            break;
        }
    }
    page
}

/// Waits until the whole crowd has been seen once.
async fn crowded(connections: &Connections) {
    let came = async {
        while connections.seen() < CROWD as u64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let came = tokio::time::timeout(CROWDING, came).await;
    assert!(came.is_ok(), "only {} strangers came", connections.seen());
}

/// Crowds the port and answers the login, again where that was late.
#[track_caller]
fn check(crowd: impl IntoIterator<Item = (Habit, u8)> + Clone) {
    let mut waits = Vec::new();
    while waits.len() < TRIES && waits.iter().all(|wait| *wait >= TIMEOUT) {
        waits.push(answered_in(crowd.clone()));
    }
    assert!(waits.iter().any(|wait| *wait < TIMEOUT), "{waits:?}");
}

/// Crowds the port, answers the login, and returns how long that took.
fn answered_in(crowd: impl IntoIterator<Item = (Habit, u8)>) -> Duration {
    // The strangers have threads of their own, as other programs have.
    let outside = tokio::runtime::Runtime::new().unwrap();
    let inside = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let waited = inside.block_on(async {
        let mut server = CallbackServer::bind(&[], LastAnswer::default())
            .await
            .unwrap();
        let port = server.redirect_uri().port().unwrap();
        let connections = server.connections.clone();
        for (habit, from) in crowd {
            outside.spawn(stranger(port, habit, from));
        }
        let login = inside.spawn(async move {
            let answer = server.wait(accept).await;
            server.close(Ok("acme")).await.unwrap();
            (answer, Instant::now())
        });
        crowded(&connections).await;
        let asked_at = Instant::now();
        let page = ask_as_a_browser(port).await;
        let answered_at = Instant::now();
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        let (answer, closed_at) = login.await.unwrap();
        assert_eq!(answer, Ok("yes".to_owned()));
        assert!(
            connections.most()
                <= limits::CALLBACK_CONNECTIONS + limits::CALLBACK_CLOSING_CONNECTIONS
        );
        assert_eq!(
            connections.len(),
            0,
            "the end of the login closes everything"
        );
        // What then says that one is signed in already gives the port up to the next login.
        let mut again: Url = "http://127.0.0.1/callback".parse().unwrap();
        again.set_port(Some(port)).unwrap();
        let next = CallbackServer::bind(&[again], LastAnswer::default()).await;
        assert!(next.is_ok());
        answered_at.max(closed_at) - asked_at
    });
    outside.shutdown_background();
    waited
}

#[test]
fn a_crowd_of_one_kind_from_one_address_does_not_delay_the_answer() {
    for habit in HABITS {
        check((0..CROWD).map(|_| (habit, 1)));
    }
}

#[test]
fn a_crowd_of_every_kind_from_many_addresses_does_not_delay_the_answer() {
    let strangers =
        (0..2 * CROWD).map(|number| (HABITS[number % HABITS.len()], number as u8 % 50 + 1));
    check(strangers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_one_loopback_address_does_not_hide_the_other() {
    // A machine may have no IPv6.
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let mut waits = Vec::new();
    while waits.len() < TRIES && waits.iter().all(|wait| *wait >= TIMEOUT) {
        waits.push(answered_beside_a_crowd().await);
    }
    assert!(waits.iter().any(|wait| *wait < TIMEOUT), "{waits:?}");
}

/// Crowds 127.0.0.1, answers the login at `::1`, and returns how long that took.
async fn answered_beside_a_crowd() -> Duration {
    let redirect = Url::parse("http://localhost/callback").unwrap();
    let mut server = CallbackServer::bind(&[redirect], LastAnswer::default())
        .await
        .unwrap();
    let port = server.redirect_uri().port().unwrap();
    let connections = server.connections.clone();
    let outside = std::thread::spawn(move || {
        let outside = tokio::runtime::Runtime::new().unwrap();
        for _ in 0..CROWD {
            outside.spawn(stranger(port, Habit::Babbles, 1));
        }
        outside
    });
    crowded(&connections).await;
    let browser = async {
        let asked_at = Instant::now();
        let mut stream = TcpStream::connect(("::1", port)).await.unwrap();
        let request = format!("GET /callback?yes HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer, asked_at.elapsed())
    };
    let login = async {
        server.wait(accept).await.unwrap();
        server.close(Ok("acme")).await.unwrap();
    };
    let ((page, waited), ()) = tokio::join!(browser, login);
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    outside.join().unwrap().shutdown_background();
    waited
}

#[tokio::test]
async fn a_browser_that_connects_in_advance_is_served_on_whichever_connection_it_takes() {
    let mut server = CallbackServer::bind(&[], LastAnswer::default())
        .await
        .unwrap();
    let port = server.redirect_uri().port().unwrap();
    let mut connected = Vec::new();
    for _ in 0..6 {
        connected.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let browser = async {
        let mut stream = connected.remove(2);
        let request = format!("GET /callback?yes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let login = async {
        server.wait(accept).await.unwrap();
        server.close(Ok("acme")).await.unwrap();
    };
    let (page, ()) = tokio::join!(browser, login);
    assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
    for mut idle in connected {
        assert_eq!(idle.read(&mut [0; 1]).await.unwrap_or_default(), 0);
    }
}
