//! Which connections to the callback port are open, so that their number is bounded and a flood
//! makes room for the browser.
//!
//! When there are too many, the oldest connection of the largest group closes, where a group is one
//! peer's connections at one stage. So silent connections do not displace those that ask, nor one
//! address another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// It has not sent all of its request.
    Asking,
    /// Its query is being judged.
    Judged,
    /// It takes the page of a request that was refused.
    Refused,
    /// It brought the answer that ended the login, and stays until it has its page.
    Answered,
}

/// The open connections.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    last: u64,
    #[cfg(test)]
    most: usize,
    /// Oldest first.
    entries: Vec<Entry>,
}

struct Entry {
    number: u64,
    peer: IpAddr,
    stage: Stage,
    since: Instant,
    /// Dropping it closes the connection.
    _close: oneshot::Sender<()>,
}

/// One open connection, as the task that serves it sees it. Dropping it takes it off the list.
pub(super) struct Connection {
    connections: Connections,
    number: u64,
}

/// Resolves when a connection has to make room for others.
pub(super) type Displaced = oneshot::Receiver<()>;

impl Connections {
    /// Notes a new connection.
    pub(super) fn open(&self, peer: IpAddr, now: Instant) -> (Connection, Displaced) {
        let (close, displaced) = oneshot::channel();
        let mut open = self.0.lock();
        open.last += 1;
        let number = open.last;
        open.entries.push(Entry {
            number,
            peer: peer.to_canonical(),
            stage: Stage::Asking,
            since: now,
            _close: close,
        });
        #[cfg(test)]
        {
            open.most = open.most.max(open.entries.len());
        }
        let connection = Connection {
            connections: self.clone(),
            number,
        };
        (connection, displaced)
    }

    /// Makes room where there are too many, and returns from when on the next may be accepted:
    /// later than now where none has stayed long enough to be closed.
    pub(super) fn make_room(&self, now: Instant) -> Instant {
        let mut open = self.0.lock();
        while open.entries.len() > limits::CALLBACK_CONNECTIONS {
            let Some(oldest) = open.oldest_of_largest() else {
                return now;
            };
            let leaves_at = open.entries[oldest].since + limits::CALLBACK_LEAST_STAY;
            if leaves_at > now {
                return leaves_at;
            }
            open.entries.remove(oldest);
        }
        now
    }

    /// Closes a connection, however long it has stayed: the process has no handle left.
    pub(super) fn give_way(&self) {
        let mut open = self.0.lock();
        if let Some(oldest) = open.oldest_of_largest() {
            open.entries.remove(oldest);
        }
    }
}

impl Open {
    /// The place of the connection to close first.
    fn oldest_of_largest(&self) -> Option<usize> {
        let mut groups: HashMap<(IpAddr, Stage), (usize, usize)> = HashMap::new();
        for (place, entry) in self.entries.iter().enumerate() {
            if entry.stage != Stage::Answered {
                let group = groups.entry((entry.peer, entry.stage));
                group.or_insert((0, place)).0 += 1;
            }
        }
        let largest = groups.into_values().max_by_key(|&(size, _)| size);
        largest.map(|(_, oldest)| oldest)
    }
}

impl Connection {
    /// Notes how far the connection has come.
    pub(super) fn enter(&self, stage: Stage) {
        let mut open = self.connections.0.lock();
        let place = open.place(self.number);
        if let Some(place) = place {
            open.entries[place].stage = stage;
        }
    }
}

impl Open {
    fn place(&self, number: u64) -> Option<usize> {
        self.entries
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock();
        if let Some(place) = open.place(self.number) {
            open.entries.remove(place);
        }
    }
}

#[cfg(test)]
impl Connections {
    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    /// How many have been opened.
    pub(super) fn seen(&self) -> u64 {
        self.0.lock().last
    }

    /// How many were open at one time.
    pub(super) fn most(&self) -> usize {
        self.0.lock().most
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn peer(last: u8) -> IpAddr {
        Ipv4Addr::new(127, 0, 0, last).into()
    }

    /// Opens a connection per stage given, at `now`.
    fn fill(
        connections: &Connections,
        peer: IpAddr,
        now: Instant,
        stages: &[Stage],
    ) -> Vec<(Connection, Displaced)> {
        let open = |stage: &Stage| {
            let (connection, displaced) = connections.open(peer, now);
            connection.enter(*stage);
            (connection, displaced)
        };
        stages.iter().map(open).collect()
    }

    fn is_displaced((_, displaced): &mut (Connection, Displaced)) -> bool {
        matches!(
            displaced.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        )
    }

    #[test]
    fn the_oldest_of_the_largest_group_makes_room() {
        let (connections, began) = (Connections::default(), Instant::now());
        let later = began + limits::CALLBACK_LEAST_STAY;
        let mut answered = fill(&connections, peer(1), began, &[Stage::Answered]);
        let mut browser = fill(
            &connections,
            peer(1),
            began,
            &[Stage::Asking, Stage::Judged],
        );
        let silent = vec![Stage::Asking; limits::CALLBACK_CONNECTIONS - 2];
        let mut flood = fill(&connections, peer(2), began, &silent);
        assert_eq!(
            connections.make_room(began),
            later,
            "none has stayed long enough"
        );
        assert_eq!(connections.make_room(later), later);
        assert!(is_displaced(&mut flood[0]) && !is_displaced(&mut flood[1]));
        assert!(!browser.iter_mut().chain(&mut answered).any(is_displaced));
    }

    #[test]
    fn who_brought_the_answer_never_makes_room() {
        let (connections, began) = (Connections::default(), Instant::now());
        let stages = vec![Stage::Answered; limits::CALLBACK_CONNECTIONS + 1];
        let mut answered = fill(&connections, peer(1), began, &stages);
        connections.make_room(began + Duration::from_secs(60));
        connections.give_way();
        assert!(!answered.iter_mut().any(is_displaced));
    }

    #[test]
    fn a_connection_that_ended_takes_no_room() {
        let (connections, began) = (Connections::default(), Instant::now());
        let stages = vec![Stage::Asking; limits::CALLBACK_CONNECTIONS + 1];
        let flood = fill(&connections, peer(1), began, &stages);
        drop(flood);
        assert_eq!(connections.make_room(began), began);
        assert!(connections.0.lock().entries.is_empty());
    }
}
