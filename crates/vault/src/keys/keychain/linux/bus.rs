//! A connection with the session's bus, for one call after the other.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStringExt,
            net::{SocketAddr, UnixStream},
        },
    },
    time::Duration,
};

use zeroize::Zeroizing;

use super::{
    super::Refusal,
    wire::{self, Kind, Message, Method, Reader, START, Writer},
};
use crate::limits;

pub(super) struct Bus {
    stream: BufReader<UnixStream>,
    serial: u32,
    /// Those that came while an answer was awaited.
    signals: Vec<Message>,
}

impl Bus {
    /// Connects with the bus of this session. Each wait ends after `timeout`.
    pub(super) fn connect(timeout: Duration) -> Result<Self, Refusal> {
        let stream = open(&address())?;
        stream.set_read_timeout(Some(timeout)).map_err(refusal)?;
        stream.set_write_timeout(Some(timeout)).map_err(refusal)?;
        let mut bus = Self {
            stream: BufReader::new(stream),
            serial: 0,
            signals: Vec::new(),
        };
        bus.authenticate()?;
        bus.call(&of_the_bus("Hello", "", "s"), &|_| {})?;
        Ok(bus)
    }

    /// Calls a method and returns its answer.
    pub(super) fn call(
        &mut self,
        method: &Method<'_>,
        arguments: &dyn Fn(&mut Writer),
    ) -> Result<Answer, Refusal> {
        self.serial += 1;
        let mut written = Writer::default();
        arguments(&mut written);
        self.send(&wire::call(method, self.serial, &written))?;
        loop {
            let message = self.receive()?;
            if message.is(Kind::Signal) {
                self.signals.push(message);
            } else if message.answers != Some(self.serial) {
                // An answer to nothing that was asked.
            } else if message.is(Kind::Return) {
                return Ok(Answer {
                    message,
                    types: method.returns,
                });
            } else if message.is(Kind::Error) {
                return Err(error(&message));
            }
        }
    }

    /// Has the bus hand on a signal that is not sent to this connection alone.
    pub(super) fn listen(&mut self, interface: &str, member: &str) -> Result<(), Refusal> {
        self.call(&of_the_bus("AddMatch", "s", ""), &|rule| {
            rule.text(&format!(
                "type='signal',interface='{interface}',member='{member}'"
            ));
        })?;
        Ok(())
    }

    /// Waits for a signal that `is_meant`.
    pub(super) fn signal(
        &mut self,
        types: &'static str,
        is_meant: &dyn Fn(&Message) -> bool,
    ) -> Result<Answer, Refusal> {
        let message = loop {
            let message = match self.signals.pop() {
                Some(message) => message,
                None => self.receive()?,
            };
            if message.is(Kind::Signal) && is_meant(&message) {
                break message;
            }
        };
        Ok(Answer { message, types })
    }

    /// Says who this process runs for, which the bus knows from the socket.
    fn authenticate(&mut self) -> Result<(), Refusal> {
        let user = rustix::process::geteuid().as_raw().to_string();
        self.send(format!("\0AUTH EXTERNAL {}\r\n", hex::encode(user)).as_bytes())?;
        let mut line = Vec::new();
        let mut bounded = self.stream.by_ref().take(limits::BUS_LINE);
        bounded.read_until(b'\n', &mut line).map_err(refusal)?;
        if !line.starts_with(b"OK ") || !line.ends_with(b"\r\n") {
            return Err(Refusal::Unavailable(
                "the session's bus does not let this user in".to_owned(),
            ));
        }
        self.send(b"BEGIN\r\n")
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.stream.get_mut().write_all(bytes).map_err(refusal)
    }

    fn receive(&mut self) -> Result<Message, Refusal> {
        let mut start = [0; START];
        self.stream.read_exact(&mut start).map_err(refusal)?;
        let length = Message::length(&start).ok_or_else(nonsense)?;
        let mut bytes = Zeroizing::new(vec![0; length]);
        let (head, rest) = bytes.split_at_mut(START);
        head.copy_from_slice(&start);
        self.stream.read_exact(rest).map_err(refusal)?;
        Message::read(bytes).ok_or_else(nonsense)
    }
}

/// What a method returns, or a signal says.
pub(super) struct Answer {
    pub(super) message: Message,
    types: &'static str,
}

impl Answer {
    /// Returns what `read` makes of it.
    pub(super) fn read<'a, T>(
        &'a self,
        read: impl FnOnce(Reader<'a>) -> Option<T>,
    ) -> Result<T, Refusal> {
        self.message
            .values(self.types)
            .and_then(read)
            .ok_or_else(nonsense)
    }
}

/// Why an answer cannot be used. It may hold the secret, so it is not quoted.
pub(super) fn nonsense() -> Refusal {
    Refusal::Unavailable("the Secret Service gave an answer that makes no sense".to_owned())
}

fn of_the_bus(name: &'static str, takes: &'static str, returns: &'static str) -> Method<'static> {
    Method {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        name,
        takes,
        returns,
    }
}

/// Where the session's bus is: several addresses with semicolons between them.
#[expect(
    clippy::disallowed_methods,
    reason = "each session tells its programs about its bus in the environment"
)]
fn address() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    set("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|| {
        let folder = set("XDG_RUNTIME_DIR")
            .unwrap_or_else(|| format!("/run/user/{}", rustix::process::geteuid().as_raw()));
        format!("unix:path={folder}/bus")
    })
}

/// Connects with the first of the addresses that can be used.
fn open(addresses: &str) -> Result<UnixStream, Refusal> {
    let mut refused = no_service();
    for socket in addresses.split(';').filter_map(socket) {
        match UnixStream::connect_addr(&socket) {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = refusal(error),
        }
    }
    Err(refused)
}

/// Returns the socket of an address; `None` if it is of another kind. Those who use the address of
/// another machine or of a program to start have no keychain.
fn socket(address: &str) -> Option<SocketAddr> {
    let mut keys = address.strip_prefix("unix:")?.split(',');
    keys.find_map(|key| match key.split_once('=')? {
        ("path", path) => SocketAddr::from_pathname(OsString::from_vec(unescaped(path)?)).ok(),
        ("abstract", name) => SocketAddr::from_abstract_name(unescaped(name)?).ok(),
        _ => None,
    })
}

/// Undoes the escapes of an address: a percent sign and two hexadecimal digits.
fn unescaped(value: &str) -> Option<Vec<u8>> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(*hex::decode(part.get(..2)?).ok()?.first()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    Some(bytes)
}

fn refusal(error: io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Refusal::TimedOut,
        ErrorKind::NotFound => no_service(),
        _ => Refusal::Unavailable(format!("D-Bus says: {error}")),
    }
}

/// What an error says that the bus or the service sent.
fn error(message: &Message) -> Refusal {
    let name = &*message.error;
    match name.strip_prefix("org.freedesktop.").unwrap_or(name) {
        "Secret.Error.IsLocked" => Refusal::Locked,
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => no_service(),
        _ => {
            let text = message.values("s").and_then(|mut values| values.text());
            Refusal::Unavailable(format!("D-Bus says: {name}: {}", text.unwrap_or_default()))
        }
    }
}

fn no_service() -> Refusal {
    Refusal::Unavailable("no Secret Service runs in this session".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as a real bus or keyring sent it.
    macro_rules! seed {
        ($name:literal) => {
            include_bytes!(concat!("../../../../../../fuzz/seeds/bus/", $name)).as_slice()
        };
    }

    /// A connection on which these bytes have come in, and its other end.
    fn connected(messages: &[&[u8]]) -> (Bus, UnixStream) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        theirs.write_all(&messages.concat()).unwrap();
        let bus = Bus {
            stream: BufReader::new(ours),
            serial: 0,
            signals: Vec::new(),
        };
        (bus, theirs)
    }

    fn ask(bus: &mut Bus, returns: &'static str) -> Result<Answer, Refusal> {
        bus.call(&of_the_bus("Ask", "", returns), &|_| {})
    }

    #[test]
    fn a_call_gets_its_own_answer_and_signals_wait_for_who_listens() {
        let (mut bus, _theirs) = connected(&[
            seed!("prompt-completed"),
            seed!("session"),
            seed!("name-acquired"),
            seed!("hello"),
            seed!("found"),
        ]);
        let hello = ask(&mut bus, "s").unwrap();
        assert_eq!(
            hello
                .read(|mut values| values.text().map(str::len))
                .unwrap(),
            4
        );
        let completed = bus.signal("bv", &|signal| signal.sender == ":1.6").unwrap();
        assert!(!completed.read(|mut values| values.truth()).unwrap());
        // The answer to the third call is none to the second.
        assert!(matches!(ask(&mut bus, "aoao"), Err(Refusal::TimedOut)));
        assert!(matches!(
            bus.signal("bv", &|signal| signal.sender == ":1.7"),
            Err(Refusal::TimedOut)
        ));
    }

    #[test]
    fn what_is_not_the_answer_that_was_asked_for_is_refused_unquoted() {
        let unavailable = |refused: Result<Answer, Refusal>, why: &str| match refused.err() {
            Some(Refusal::Unavailable(said)) => assert!(said.contains(why), "{said}"),
            other => panic!("{other:?}"),
        };
        let (mut bus, _theirs) = connected(&[seed!("hello")]);
        let other_types = ask(&mut bus, "o").unwrap();
        assert!(other_types.read(|mut values| values.text()).is_err());

        let (mut bus, _theirs) = connected(&[b"HTTP/1.1 400 Bad Request\r\n"]);
        unavailable(ask(&mut bus, "s"), "makes no sense");

        let (mut bus, theirs) = connected(&[&seed!("hello")[..40]]);
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        unavailable(ask(&mut bus, "s"), "D-Bus says");

        let (mut bus, _theirs) = connected(&[seed!("error")]);
        bus.serial = 3;
        assert!(matches!(ask(&mut bus, "s"), Err(Refusal::Locked)));
    }

    #[test]
    fn a_bus_that_does_not_let_this_user_in_is_left() {
        for said in ["REJECTED EXTERNAL\r\n", "OK without end", "\u{fffd}\r\n"] {
            let (mut bus, theirs) = connected(&[said.as_bytes()]);
            theirs.shutdown(std::net::Shutdown::Write).unwrap();
            assert!(matches!(
                bus.authenticate(),
                Err(Refusal::Unavailable(why)) if why.contains("does not let")
            ));
        }
        let (mut bus, _theirs) = connected(&[b"OK 1234deadbeef\r\n"]);
        assert!(bus.authenticate().is_ok());
    }

    #[test]
    fn an_address_names_a_socket_by_its_path_or_by_an_abstract_name() {
        let path = |address| socket(address)?.as_pathname().map(|path| path.to_owned());
        assert_eq!(
            path("unix:path=/run/user/1/bus"),
            Some("/run/user/1/bus".into())
        );
        assert_eq!(
            path("unix:guid=0a,path=/a%20b%2c,x=y"),
            Some("/a b,".into())
        );
        let named = socket("unix:abstract=/tmp/dbus-x,guid=1").unwrap();
        assert_eq!(named.as_abstract_name(), Some(&b"/tmp/dbus-x"[..]));
        for other in [
            "",
            "unix:",
            "unix:guid=1",
            "tcp:host=h,port=1",
            "unix:path=/%2",
            "unix:path=/%zz",
        ] {
            assert!(socket(other).is_none(), "{other}");
        }
    }

    #[test]
    fn where_no_address_has_a_bus_no_secret_service_runs() {
        for addresses in [
            "",
            ";",
            "tcp:host=h,port=1",
            "unix:path=/nowhere/bus;unixexec:path=/bin/x",
        ] {
            assert!(matches!(
                open(addresses),
                Err(Refusal::Unavailable(why)) if why.starts_with("no Secret Service")
            ));
        }
    }
}
