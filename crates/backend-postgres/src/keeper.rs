//! Keeps one connection: opens it anew when it breaks, watches it while it matters, and asks over it
//! with a deadline.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use provider_auth_vault::RecordId;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_postgres::types::Type;

use crate::{
    address::Address,
    claims::{self, Granted, Kept, Nonce},
    clock::{Clock, now_ms, uptime},
    error::{BackendError, Failure},
    hearing::Hearing,
    limits,
    line::{Ear, Line, Parameter},
    options::Options,
    poll::Poll,
    row::wait,
    sql,
};

/// One process's connection, and what hangs on it.
pub(crate) struct Keeper {
    address: Address,
    pub(crate) options: Options,
    standing: watch::Sender<Standing>,
    /// The claims of this process: a new connection asserts them.
    claims: Mutex<HashMap<RecordId, Kept>>,
    /// Claims that are over and may be in the database yet: as long as this process lives, nobody
    /// else could end them.
    owed: Mutex<Vec<Owed>>,
    pub(crate) clock: Clock,
    pub(crate) hearing: Arc<Hearing>,
    /// Since when every answer came in time; `None` while there is no line that answers.
    well_since: Mutex<Option<Instant>>,
    /// How many hosts there were when this process signed in last; 0 before.
    hosts: AtomicU32,
    /// Since when the connection stands as it does, in ms since the Unix epoch.
    since: AtomicU64,
    /// Whether a call has waited in vain for a connection since there was one.
    is_away: AtomicBool,
    /// How often it could not connect since it last did.
    failed: AtomicU32,
    /// Something hangs: try another connection.
    doubted: Notify,
    /// A claim was taken: watch the line.
    claimed: Notify,
}

enum Standing {
    Down(Failure),
    Up(Arc<Line>),
}

/// A claim to be given back, and what became of it: see [`sql::RELEASE`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) id: RecordId,
    pub(crate) nonce: Nonce,
    pub(crate) no_outcome: Option<bool>,
}

impl Keeper {
    pub(crate) fn new(address: Address, options: Options, clock: Clock) -> Self {
        Self {
            address,
            options,
            standing: watch::Sender::new(Standing::Down(Failure::Down)),
            claims: Mutex::default(),
            owed: Mutex::default(),
            clock,
            hearing: Arc::new(Hearing::new()),
            well_since: Mutex::default(),
            hosts: AtomicU32::new(0),
            since: AtomicU64::new(now_ms()),
            is_away: AtomicBool::new(false),
            failed: AtomicU32::new(0),
            doubted: Notify::new(),
            claimed: Notify::new(),
        }
    }

    /// Connects for as long as it is polled. A connection that hangs is kept until there is another
    /// one: to close it would say that this process is dead.
    pub(crate) async fn keep(&self) {
        let (mut pause, mut poll) = (limits::SHORTEST_PAUSE, Poll::new());
        loop {
            let failure = match timeout(self.options.times.call * 2, self.renew()).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(failure),
                Err(_) => Some(Failure::Down),
            };
            match failure {
                None => {
                    pause = limits::SHORTEST_PAUSE;
                    self.failed.store(0, Ordering::Relaxed);
                }
                Some(failure) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                    self.fell(failure);
                }
            }
            if let Some(line) = self.open_line()
                && self.answers(&line, &mut poll).await
            {
                *self.well_since.lock() = Some(Instant::now());
                self.watch(&line, &mut poll).await;
                *self.well_since.lock() = None;
            }
            sleep(jittered(pause)).await;
            // Every host is back before anything is claimed that was lost meanwhile.
            pause = (pause * 2).min(self.options.times.settle / 2);
        }
    }

    /// Opens a connection, tells the database that the claims are on it now, and only then hands it
    /// out.
    async fn renew(&self) -> Result<(), Failure> {
        let hearing = self.hearing.clone();
        let ear: Ear = Arc::new(move |said| hearing.hear_of(said));
        let mut line = Line::open(&self.address, &self.options, ear).await?;
        self.assert_claims(&line).await?;
        let hosts = self.sign_in(&line).await?;
        self.hosts
            .store(u32::try_from(hosts).unwrap_or(0), Ordering::Relaxed);
        line.listen(hosts).await?;
        let line = Arc::new(line);
        self.is_away.store(false, Ordering::Relaxed);
        if self.open_line().is_none() {
            self.since.store(now_ms(), Ordering::Relaxed);
        }
        self.standing.send_replace(Standing::Up(line.clone()));
        // Claims that were taken over the old line meanwhile.
        self.assert_claims(&line).await
    }

    async fn assert_claims(&self, line: &Line) -> Result<(), Failure> {
        let claims = self.claims.lock().clone();
        if claims.is_empty() {
            return Ok(());
        }
        claims::assert(line, self.options.host, self.settle(), &claims).await
    }

    /// Writes this machine among the hosts, learns what time it is, and returns how many hosts there are.
    async fn sign_in(&self, line: &Line) -> Result<i64, Failure> {
        const SIGN_IN: &str = "with me as (
               insert into pa.host (vault, id, name, version) values ($1, $2, $3, $4)
               on conflict (vault, id) do update set name = excluded.name, version = excluded.version, seen_at = clock_timestamp()
               returning id)
             select count(*), pa.ms(clock_timestamp()) from pa.host h, me
             where h.vault = $1 and h.seen_at > now() - interval '1 day'";
        let before = uptime();
        let rows = line
            .rows(
                SIGN_IN,
                &[
                    (&line.vault, Type::UUID),
                    (&self.options.host, Type::UUID),
                    (&self.options.name, Type::TEXT),
                    (&env!("CARGO_PKG_VERSION"), Type::TEXT),
                ],
            )
            .await?;
        let row = rows.first().ok_or(Failure::Down)?;
        self.clock.learn(before, row.try_get(1)?, uptime());
        Ok(row.try_get(0)?)
    }

    /// Polls until the line breaks or is doubted; while a claim is held, often.
    async fn watch(&self, line: &Line, poll: &mut Poll) {
        let times = &self.options.times;
        let mut asked_at = Instant::now();
        loop {
            let is_busy = !self.claims.lock().is_empty() || !self.owed.lock().is_empty();
            let pause = if is_busy {
                times.ping.min(times.poll)
            } else {
                times.poll
            };
            tokio::select! {
                () = line.ended() => return,
                () = self.doubted.notified() => return,
                () = self.claimed.notified() => continue,
                () = sleep_until(asked_at + pause) => (),
            }
            asked_at = Instant::now();
            if !self.answers(line, poll).await {
                return;
            }
        }
    }

    /// Polls once, and gives back what is owed.
    async fn answers(&self, line: &Line, poll: &mut Poll) -> bool {
        let asked = timeout(self.options.times.call, async {
            poll.ask(line, &self.clock, &self.hearing).await?;
            // What a failover lost may be put back by now.
            self.assert_claims(line).await?;
            let owed = self.owed.lock().clone();
            for one in owed {
                give_back(line, &one).await?;
                self.owed.lock().retain(|other| *other != one);
            }
            Ok::<_, Failure>(())
        });
        matches!(asked.await, Ok(Ok(())))
    }

    /// A connection that still works is better than none.
    fn fell(&self, failure: Failure) {
        self.standing.send_if_modified(|standing| {
            let is_open = matches!(standing, Standing::Up(line) if !line.is_closed());
            if matches!(standing, Standing::Up(_)) && !is_open {
                self.since.store(now_ms(), Ordering::Relaxed);
            }
            if !is_open {
                *standing = Standing::Down(failure);
            }
            !is_open
        });
    }

    /// The database was away, or may have been.
    fn trouble(&self) {
        if let Some(since) = &mut *self.well_since.lock() {
            *since = Instant::now();
        }
    }

    /// Whether the database has answered for as long as hosts need to put back what it lost.
    pub(crate) fn is_well(&self) -> bool {
        self.settles_in().is_none()
    }

    /// For how long it has to answer until it has; `None` where it has.
    pub(crate) fn settles_in(&self) -> Option<Duration> {
        let (since, settle) = (*self.well_since.lock(), self.options.times.settle);
        let left = since.map_or(settle, |since| settle.saturating_sub(since.elapsed()));
        (!left.is_zero()).then_some(left)
    }

    /// Ends the connection, even while a claim lives: so others learn that this process is done.
    pub(crate) fn close(&self) {
        let closed = Failure::refused("this process has closed it");
        self.standing.send_replace(Standing::Down(closed));
    }

    /// Whether the server could not be reached twice in a row.
    pub(crate) fn has_failed_twice(&self) -> bool {
        self.failed.load(Ordering::Relaxed) >= 2
    }

    /// How many hosts there were when this process signed in last, and since when, in ms since the Unix
    /// epoch, there has been a connection, or none.
    pub(crate) fn standing_facts(&self) -> (Option<u32>, u64) {
        let hosts = self.hosts.load(Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        (Some(hosts).filter(|hosts| *hosts > 0), since)
    }

    /// The line of the moment, if it works as far as is known.
    pub(crate) fn open_line(&self) -> Option<Arc<Line>> {
        match &*self.standing.borrow() {
            Standing::Up(line) if !line.is_closed() => Some(line.clone()),
            _ => None,
        }
    }

    /// Does some work over the line of the moment, and again over the next one where it broke: all
    /// work is written so that doing it twice is doing it once.
    pub(crate) async fn ask<T>(
        &self,
        within: Duration,
        work: impl AsyncFn(&Line) -> Result<T, Failure>,
    ) -> Result<T, BackendError> {
        // Who has waited in vain has done so for those who come after, until there is a line again.
        let is_whole = within == self.options.times.call;
        let within = match is_whole && self.is_away.load(Ordering::Relaxed) {
            true => limits::WAIT_WHILE_AWAY,
            false => within,
        };
        let asked = timeout(within, async {
            loop {
                let line = self.line().await?;
                let begun = Instant::now();
                let done = work(&line).await;
                if begun.elapsed() > self.options.times.suspect {
                    self.trouble();
                }
                match done {
                    Err(Failure::Down) => sleep(limits::SHORTEST_PAUSE).await,
                    done => return done,
                }
            }
        });
        match asked.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Final(error))) => Err(error),
            Ok(Err(Failure::Later(retry_at))) => Err(BackendError::Unavailable { retry_at }),
            Ok(Err(Failure::Down)) | Err(_) => {
                self.trouble();
                match self.open_line() {
                    Some(_) => self.doubted.notify_one(),
                    None => self.is_away.store(is_whole, Ordering::Relaxed),
                }
                let pause = limits::RETRY_AFTER.as_millis();
                Err(BackendError::Unavailable {
                    retry_at: self.clock.now() + u64::try_from(pause).unwrap_or(0),
                })
            }
        }
    }

    /// Waits for a line that works; what only a person can mend is said at once.
    async fn line(&self) -> Result<Arc<Line>, Failure> {
        let mut standing = self.standing.subscribe();
        let found = standing
            .wait_for(|standing| match standing {
                Standing::Up(line) => !line.is_closed(),
                Standing::Down(failure) => *failure != Failure::Down,
            })
            .await;
        match found.as_deref() {
            Ok(Standing::Up(line)) => Ok(line.clone()),
            Ok(Standing::Down(failure)) => Err(failure.clone()),
            Err(_) => Err(Failure::Down),
        }
    }

    /// From here on a new connection asserts this claim. It is noted before the database is asked: the
    /// line may break before the answer is read.
    pub(crate) fn holds(&self, id: RecordId, nonce: Nonce) {
        self.claims.lock().insert(id, Kept::asked_for(nonce));
        self.claimed.notify_one();
    }

    /// The claim was granted: one that a failover loses is taken anew.
    pub(crate) fn granted(&self, id: RecordId, nonce: &Nonce, granted: Granted) {
        if let Some(kept) = self.claims.lock().get_mut(&id)
            && kept.nonce == *nonce
        {
            kept.granted = Some(granted);
        }
    }

    /// This claim is over; false where it was before.
    pub(crate) fn forget(&self, id: RecordId, nonce: Option<&Nonce>) -> bool {
        let mut claims = self.claims.lock();
        let held = claims.get(&id);
        let is_there = held.is_some_and(|held| nonce.is_none_or(|nonce| *nonce == held.nonce));
        is_there && claims.remove(&id).is_some()
    }

    /// Gives a claim back as soon as there is a line.
    pub(crate) fn owe(&self, owed: Owed) {
        self.owed.lock().push(owed);
        self.claimed.notify_one();
    }

    pub(crate) fn settle(&self) -> i64 {
        wait(self.options.times.settle)
    }
}

/// Gives a claim back; nothing happens where it is over.
pub(crate) async fn give_back(line: &Line, owed: &Owed) -> Result<(), Failure> {
    let parameters: [Parameter<'_>; 2] = [
        (&owed.nonce.as_slice(), Type::BYTEA),
        (&owed.no_outcome, Type::BOOL),
    ];
    line.about(owed.id, sql::RELEASE, &parameters)
        .await
        .map(drop)
}

/// Between half a pause and a whole one, so that hosts do not come back all at once.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without entropy all wait the same.
    let _ = getrandom::fill(&mut random);
    pause.mul_f64(0.5 + f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX) / 2.0)
}
