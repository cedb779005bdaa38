//! The vault as this process sees it: the accounts and the shared state as last read, and what is
//! on its way to the disk.
//!
//! Everything that knows how a vault is kept is here and below. What uses it asks for accounts, for
//! the right to change one, and for the shared state. After a record's lock is taken, the record is
//! read again: the disk wins.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod audience;
mod change_detector;
mod changed;
mod configured;
mod counting;
pub(crate) mod credential;
mod engine;
pub(crate) mod entry;
pub(crate) mod headers;
mod index;
pub(crate) mod labels;
pub(crate) mod locks;
mod lookup;
pub(crate) mod moved_bundle;
mod once;
mod opened;
mod opening;
mod plaintext;
mod readings;
pub(crate) mod record_kind;
mod rollback;
pub(crate) mod secret;
mod setup;
mod shared_files;
mod shared_rows;
mod shared_state;
mod shared_views;
pub(crate) mod store_account;
mod unread;
pub(crate) mod unsaved;
mod variables;
mod withheld;
mod writing;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use provider_auth_policy::{AccountId, Request, Timestamp};
use provider_auth_vault::{RecordId, Shared, Vault, VaultError, line};
use tokio::runtime::Handle;

use crate::config::{Inline, Settings};
use crate::error::BrokerError;
use crate::host::{Host, blocking};
use crate::limits;
use crate::log::{Number, Shown};
use crate::notifier::{Events, Notifier};
use accounts::Accounts;
use change_detector::{ChangeDetector, Part};
use entry::Entry;
use opening::Openings;
use readings::Readings;
use rollback::HighWaterMarks;
use shared_state::StateCache;
use unsaved::UnsavedTokens;

pub use account::{Account, Filter};
pub use headers::{HeaderRules, HeaderSet};
pub use moved_bundle::MovedTo;
pub use setup::StoreSetup;
pub(crate) use shared_views::Due;
pub use variables::Variables;

/// Takes over refreshes that were cut short, of these records.
type Recover = Box<dyn Fn(&[RecordId]) + Send + Sync>;

/// The open vault and what this process knows of it.
pub(crate) struct Store {
    pub(crate) host: Host,
    pub(crate) notifier: Notifier,
    inline: Inline,
    settings: RwLock<Arc<Settings>>,
    vault: RwLock<Option<Arc<Vault>>>,
    openings: Openings,
    changes: ChangeDetector,
    readings: Readings,
    accounts: RwLock<Arc<Accounts>>,
    /// Whether an index of them is to be written.
    index_due: AtomicBool,
    /// Whether that is already waited for.
    index_waits: AtomicBool,
    pub(crate) state: StateCache,
    unsaved: UnsavedTokens,
    marks: HighWaterMarks,
    /// Opening the vault finds refreshes that were cut short.
    on_cut_short: OnceLock<Recover>,
    /// Whose turn it is to write rows.
    row_turn: Arc<tokio::sync::Mutex<()>>,
    /// Whether a write is under way, by [`Due`].
    flush_due: [AtomicBool; 2],
    /// Whether a write of the counts is.
    counts_due: AtomicBool,
    /// Whether the user was told that they cannot be written: once, until they can be.
    counts_unwritable: AtomicBool,
    /// Whether a reading of the history is.
    reads_history: AtomicBool,
    serial: AtomicU64,
    /// Tells this process from others.
    process: u32,
    /// How many requests and refreshes it has numbered.
    numbered: AtomicU64,
}

impl Store {
    /// Reads the configuration; the vault opens on first use.
    pub(crate) fn new(
        host: Host,
        inline: &Inline,
        events: Arc<Events>,
    ) -> Result<Arc<Self>, BrokerError> {
        let settings = crate::config::load(&*host.env, inline)?;
        Ok(Self::of(host, inline, settings, events))
    }

    fn of(host: Host, inline: &Inline, settings: Settings, events: Arc<Events>) -> Arc<Self> {
        let clock = host.clock.clone();
        let mut process = [0; 4];
        host.entropy.fill(&mut process);
        Arc::new(Self {
            host,
            notifier: Notifier::new(events, clock, settings.counting),
            inline: inline.clone(),
            settings: RwLock::new(Arc::new(settings)),
            vault: RwLock::default(),
            openings: Openings::default(),
            changes: ChangeDetector::default(),
            readings: Readings::default(),
            accounts: RwLock::default(),
            index_due: AtomicBool::new(false),
            index_waits: AtomicBool::new(false),
            state: StateCache::default(),
            unsaved: UnsavedTokens::default(),
            marks: HighWaterMarks::default(),
            on_cut_short: OnceLock::new(),
            row_turn: Arc::default(),
            flush_due: Default::default(),
            counts_due: AtomicBool::new(false),
            counts_unwritable: AtomicBool::new(false),
            reads_history: AtomicBool::new(false),
            serial: AtomicU64::new(0),
            process: u32::from_le_bytes(process),
            numbered: AtomicU64::new(0),
        })
    }

    /// Writes down what is odd about the configuration; once the log is open.
    pub(crate) fn log_warnings(&self) {
        for warning in &self.settings().warnings {
            line!(
                WARN,
                warning = Shown(warning),
                "the configuration has something odd"
            );
        }
    }

    /// Has `recover` take over the refreshes that were cut short, whenever a vault is opened that
    /// has some.
    pub(crate) fn when_cut_short(&self, recover: impl Fn(&[RecordId]) + Send + Sync + 'static) {
        let _ = self.on_cut_short.set(Box::new(recover));
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.host.clock.now()
    }

    /// Time since some fixed moment, which no change of the wall clock moves.
    pub(crate) fn uptime(&self) -> Duration {
        self.host.clock.uptime()
    }

    /// A number in [0, 1).
    pub(crate) fn jitter(&self) -> f64 {
        let mut bytes = [0; 4];
        self.host.entropy.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }

    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells this process from others.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// The next number, of a request or a refresh: `kind` is its letter.
    pub(crate) fn number(&self, kind: char) -> Number {
        Number {
            kind,
            process: self.process,
            number: self.numbered.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The accounts as last read.
    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        self.accounts.read().clone()
    }

    /// Whether the vault is open and neither a record nor the shared state changed since they were
    /// last read. Never waits: it asks for nothing but the vault's pulse.
    pub(crate) fn is_current(&self) -> bool {
        let vault = self.vault.read();
        vault
            .as_ref()
            .is_some_and(|vault| self.changes.is_current(vault, &Part::OF_REQUESTS))
    }

    fn equals_memory(&self, vault: &Vault) -> bool {
        self.changes.is_current(vault, &Part::ALL)
    }

    /// For how long the history in memory may have been behind the disk, where all else is
    /// [current](Self::is_current): one question for both.
    pub(crate) fn history_lag(&self, now: Timestamp) -> Option<Duration> {
        let vault = self.vault.read();
        self.changes
            .history_lag(vault.as_ref()?, (now, self.uptime()))
    }

    /// Whether the history in memory is good enough for a request: it is as on disk, or it was a
    /// moment ago and knows the conversation. One that is behind is read again, behind the request.
    pub(crate) fn remembers(
        self: &Arc<Self>,
        request: &Request,
        (lag, now): (Duration, Timestamp),
        runtime: &Handle,
    ) -> bool {
        if lag.is_zero() {
            return true;
        }
        self.read_history_soon(runtime);
        lag < limits::HISTORY_LAG && self.state.read(|state| state.knows(request, now))
    }

    fn read_history_soon(self: &Arc<Self>, runtime: &Handle) {
        if self.reads_history.swap(true, Ordering::AcqRel) {
            return;
        }
        let store = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(limits::READ_HISTORY_AFTER).await;
            store.reads_history.store(false, Ordering::Release);
            if let Some(vault) = store.open_vault() {
                blocking(move || store.reread_history(&vault)).await;
            }
        });
    }

    fn reread_history(&self, vault: &Vault) {
        let now = self.now();
        let _one_at_a_time = self.state.reading();
        let pulse = vault.pulse();
        if !self.changes.holds(Part::History, pulse)
            && let Some(history) = self.state.fetch(vault, Shared::History, now)
        {
            for shown in self.state.show(vec![(Shared::History, history)], now) {
                self.changes.adopt(shown.into(), pulse, now);
            }
        }
    }

    /// Reads accounts and shared state again, where they changed. All who wait for it share one
    /// reading.
    pub(crate) async fn reread(self: &Arc<Self>, vault: &Arc<Vault>) -> Result<(), BrokerError> {
        let asked = self.readings.asked();
        let _one_at_a_time = self.readings.turn.lock().await;
        if !self.readings.has_answered(asked) {
            let (store, disk) = (self.clone(), vault.clone());
            blocking(move || store.reread_now(&disk)).await?;
        }
        self.mark_soon(vault);
        self.index_soon(vault);
        if vault.has_rows() {
            // What the store has lost.
            self.flush_soon(&Handle::current());
        }
        Ok(())
    }

    /// The state is read before the accounts and published after them: a record's generation is in
    /// the state only once the record is on disk, so a record older than the state says is an old
    /// copy, never a late reader.
    pub(crate) fn reread_now(&self, vault: &Vault) -> Result<(), VaultError> {
        let asked = self.readings.asked();
        let _one_at_a_time = self.state.reading();
        while !self.readings.has_answered(asked) {
            let reading = self.readings.begin();
            if self.read_changes(vault)? {
                self.readings.end(reading);
            }
        }
        Ok(())
    }

    /// Reads what changed; false where this process has replaced a file meanwhile, which is then to
    /// be read again.
    fn read_changes(&self, vault: &Vault) -> Result<bool, VaultError> {
        let now = self.now();
        // One for all files: a state that took in its news after they were read is read once more.
        let pulse = vault.pulse();
        // The news before what they are of: while they go into it they are in both.
        let shared = [Shared::News, Shared::State, Shared::History];
        let changed = shared
            .into_iter()
            .filter(|shared| !self.changes.holds((*shared).into(), pulse));
        let read =
            changed.filter_map(|shared| Some((shared, self.state.fetch(vault, shared, now)?)));
        let read: Vec<_> = read.collect();
        let before = self.read_accounts(vault, now)?;
        let count = read.len();
        let shown = self.state.show(read, now);
        for shared in &shown {
            self.changes.adopt((*shared).into(), pulse, now);
        }
        if before.is_some() || count > 0 {
            let before = before.unwrap_or_default();
            self.marks.notice(&before, &self.accounts(), &self.state);
        }
        Ok(shown.len() == count)
    }

    /// Reads what changed since the accounts were last read. Returns the generations that accounts
    /// had before; `None` where nothing changed.
    fn read_accounts(
        &self,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<Option<Generations>, VaultError> {
        let pulse = vault.pulse();
        if self.changes.holds(Part::Records, pulse) {
            return Ok(None);
        }
        let changes = vault.changes(self.changes.mark())?;
        let before = match &changes.records {
            Some(changed) => self.read_records(vault, changed)?,
            None => self.read_all(vault)?,
        };
        self.changes.reached(changes.mark);
        self.changes.adopt(Part::Records, pulse, now);
        Ok(Some(before))
    }

    /// Reads these records, and all others too where what those are worth may depend on them.
    /// Returns the generations that accounts had before.
    fn read_records(&self, vault: &Vault, ids: &[RecordId]) -> Result<Generations, VaultError> {
        let (known, settings) = (self.accounts(), self.settings());
        let Some(found) = known.look_at(ids, vault, &settings)? else {
            let read = Accounts::read(vault, &known.without(ids), &settings)?;
            *self.accounts.write() = Arc::new(read);
            return Ok(generations(known.entries()));
        };
        let ids = ids.iter().map(|id| id.to_string().into());
        let before = generations(ids.filter_map(|id| known.get(&id)));
        // In its place, unless somebody holds it: thousands of accounts are not copied for one.
        drop(known);
        Arc::make_mut(&mut self.accounts.write()).follow(found, &settings);
        Ok(before)
    }

    fn read_all(&self, vault: &Vault) -> Result<Generations, VaultError> {
        let (known, settings) = (self.accounts(), self.settings());
        let read = if known.by_id.is_empty() {
            let read = Accounts::read(vault, &Accounts::of_index(vault, &settings), &settings)?;
            self.index_due
                .store(read.are_worth_an_index(), Ordering::Release);
            read
        } else {
            Accounts::read(vault, &known, &settings)?
        };
        *self.accounts.write() = Arc::new(read);
        Ok(generations(known.entries()))
    }
}

/// How often the records of accounts were written.
type Generations = Vec<(AccountId, u64)>;

fn generations<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Generations {
    let generation = |entry: &Arc<Entry>| (entry.view.id.clone(), entry.view.generation);
    entries.map(generation).collect()
}
