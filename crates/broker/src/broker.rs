//! The broker: one per process, over one vault folder that all processes share.
//!
//! It owns what the three leaves need of each other: the open vault, the accounts read from it, the shared state, the
//! attempts under way. Decisions are `policy`'s; this file opens, reads again what others changed, and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use provider_auth_policy::{AccountId, Action, Reason, Rule, SharedState, Timestamp, Traffic};
use provider_auth_vault::{Disk, Options, Vault, VaultError};
use tokio::sync::{MutexGuard, Notify};

use crate::accounts::Accounts;
use crate::attempts::Attempts;
use crate::calm::Calm;
use crate::config::{Inline, Settings};
use crate::error::BrokerError;
use crate::events::{Event, EventKind, Events};
use crate::host::Host;
use crate::ledger::Ledger;
use crate::limits;
use crate::login::Logins;
use crate::marks::Marks;
use crate::models::ModelRequests;
use crate::opening::{Opened, Opening, looked_through};
use crate::refresh::Flights;
use crate::status::Figures;
use crate::unsaved::UnsavedTokens;

/// Lends credentials of the accounts in one vault.
pub struct Broker {
    pub(crate) host: Host,
    pub(crate) inline: Inline,
    pub(crate) settings: RwLock<Arc<Settings>>,
    vault: RwLock<Option<Arc<Vault>>>,
    calm: Calm,
    opening: Opening,
    /// Apart from `opening`: a call without a person does not wait for one at another call's prompt.
    opening_by_hand: Opening,
    pub(crate) accounts: RwLock<Arc<Accounts>>,
    pub(crate) ledger: Ledger,
    pub(crate) traffic: Mutex<Traffic>,
    pub(crate) attempts: Mutex<Attempts>,
    pub(crate) flights: Flights,
    pub(crate) unsaved: UnsavedTokens,
    pub(crate) marks: Marks,
    pub(crate) logins: Logins,
    pub(crate) models: ModelRequests,
    pub(crate) figures: Mutex<Figures>,
    pub(crate) events: Arc<Events>,
    /// Told when an account or a cooldown changed, so that those who wait look again.
    pub(crate) changed: Notify,
    flush_due: AtomicBool,
    serial: AtomicU64,
}

impl Broker {
    /// Reads the configuration; the vault opens on first use.
    pub fn new(host: Host, inline: &Inline, events: Arc<Events>) -> Result<Arc<Self>, BrokerError> {
        let settings = crate::config::load(&*host.env, inline)?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let mut nonce = [0; 4];
        host.entropy.fill(&mut nonce);
        Ok(Arc::new(Self {
            host,
            inline: inline.clone(),
            settings: RwLock::new(Arc::new(settings)),
            vault: RwLock::default(),
            calm: Calm::default(),
            opening: Opening::default(),
            opening_by_hand: Opening::default(),
            accounts: RwLock::default(),
            ledger: Ledger::default(),
            traffic: Mutex::default(),
            attempts: Mutex::new(Attempts::new(u32::from_le_bytes(nonce))),
            flights: Flights::default(),
            unsaved: UnsavedTokens::default(),
            marks: Marks::default(),
            logins: Logins::default(),
            models: ModelRequests::default(),
            figures: Mutex::default(),
            events,
            changed: Notify::new(),
            flush_due: AtomicBool::new(false),
            serial: AtomicU64::new(0),
        }))
    }

    /// Whether the vault is open, from when on the settings are fixed.
    pub fn is_open(&self) -> bool {
        self.vault.read().is_some()
    }

    /// Writes what is unwritten and waits, at most `limits::EXIT_PATIENCE`, for token exchanges under way: a refresh
    /// token that the server has already replaced must reach the disk. Called when the process ends.
    pub fn close(&self) {
        self.flights.wait_idle(limits::EXIT_PATIENCE);
        if let Some(vault) = self.open_vault() {
            self.save_all(&vault);
            self.ledger.save(&vault, self.now());
            self.mark_now(&vault);
        }
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

    /// The accounts as last read.
    pub(crate) fn accounts(&self) -> Arc<Accounts> {
        self.accounts.read().clone()
    }

    /// Whether the vault is open and neither a record nor the shared state changed since they were last read. Costs
    /// one question to the kernel where it watches the folders, else two stats.
    pub(crate) fn is_current(&self) -> bool {
        self.vault
            .read()
            .as_ref()
            .is_some_and(|vault| self.equals_memory(vault))
    }

    fn equals_memory(&self, vault: &Vault) -> bool {
        let compare = || self.accounts.read().is_current(vault) && self.ledger.is_current(vault);
        self.calm.lasts(vault, self.now(), compare)
    }

    /// The vault, opened if need be, with accounts and shared state as they are on disk now.
    pub(crate) async fn opened(self: &Arc<Self>) -> Result<Arc<Vault>, BrokerError> {
        self.opened_with(self.vault_options()).await
    }

    /// Like [`Broker::opened`], for a call behind which a person waits: where there is a display, the keychain may ask them.
    pub(crate) async fn opened_by_hand(self: &Arc<Self>) -> Result<Arc<Vault>, BrokerError> {
        self.opened_with(self.options_by_hand()).await
    }

    pub(crate) fn options_by_hand(&self) -> Options {
        let options = self.vault_options();
        if self.has_display() {
            options.with_prompts()
        } else {
            options
        }
    }

    async fn opened_with(self: &Arc<Self>, options: Options) -> Result<Arc<Vault>, BrokerError> {
        let vault = match self.open_vault() {
            Some(vault) if self.equals_memory(&vault) => return Ok(vault),
            Some(vault) => vault,
            None => self.open(options).await?,
        };
        self.reread(&vault).await?;
        Ok(vault)
    }

    /// Opens the vault. Those who come while another call is at it share what that comes to, so that the keychain's deadline
    /// is waited for once and not by one call after the other.
    async fn open(self: &Arc<Self>, options: Options) -> Result<Arc<Vault>, BrokerError> {
        let opening = if options.interactive {
            &self.opening_by_hand
        } else {
            &self.opening
        };
        let failed_before = opening.failures();
        let _one_at_a_time = opening.turn.lock().await;
        if let Some(vault) = self.open_vault() {
            return Ok(vault);
        }
        if let Some(refusal) = opening.refusal_since(failed_before) {
            return Err(BrokerError::Shared(refusal));
        }
        let entropy = self.vault_entropy();
        let open = move || Vault::open(options, Arc::new(Disk), entropy);
        let Opened {
            vault,
            cut_short,
            marks,
        } = match looked_through(open).await {
            Ok(opened) => opened,
            Err(error) => return Err(BrokerError::Shared(opening.refused(error.into()))),
        };
        {
            let mut open = self.vault.write();
            if let Some(first) = &*open {
                return Ok(first.clone());
            }
            self.adopt_marks(marks);
            *open = Some(vault.clone());
        }
        self.recover(&cut_short);
        Ok(vault)
    }

    /// Keeps other calls from opening the vault, for one that changes its key.
    pub(crate) async fn alone(&self) -> [MutexGuard<'_, ()>; 2] {
        [
            self.opening_by_hand.turn.lock().await,
            self.opening.turn.lock().await,
        ]
    }

    /// Takes the vault that `open` returns for the one that is open. The caller holds [`Broker::alone`].
    pub(crate) async fn work_with(
        self: &Arc<Self>,
        open: impl FnOnce() -> Result<Vault, VaultError> + Send + 'static,
    ) -> Result<(), BrokerError> {
        let Opened {
            vault,
            cut_short,
            marks,
        } = looked_through(open).await?;
        self.adopt_marks(marks);
        *self.vault.write() = Some(vault);
        self.recover(&cut_short);
        Ok(())
    }

    pub(crate) fn vault_entropy(&self) -> Arc<dyn provider_auth_vault::Entropy> {
        let entropy = self.host.entropy.clone();
        Arc::new(move |bytes: &mut [u8]| entropy.fill(bytes))
    }

    /// The vault, if it is open already.
    pub(crate) fn open_vault(&self) -> Option<Arc<Vault>> {
        self.vault.read().clone()
    }

    /// The vault, which is open: whoever asks was handed an account from it.
    pub(crate) fn vault(&self) -> Arc<Vault> {
        self.open_vault()
            .expect("accounts are read from an open vault only")
    }

    /// Reads accounts and shared state again, where they changed.
    pub(crate) async fn reread(self: &Arc<Self>, vault: &Arc<Vault>) -> Result<(), BrokerError> {
        let (broker, disk) = (self.clone(), vault.clone());
        blocking(move || broker.reread_now(&disk)).await?;
        self.mark_soon(vault);
        Ok(())
    }

    /// The state is read before the accounts and published after them: a record's generation is in the state only
    /// once the record is on disk, so a record older than the state says is an old copy, never a late reader.
    pub(crate) fn reread_now(&self, vault: &Vault) -> Result<(), VaultError> {
        let _one_at_a_time = self.ledger.reading();
        let state = if self.ledger.is_current(vault) {
            None
        } else {
            self.ledger.fetch(vault, self.now())
        };
        let known = self.accounts();
        let is_current = known.is_current(vault);
        if !is_current {
            let read = Accounts::read(vault, &known, &self.settings())?;
            *self.accounts.write() = Arc::new(read);
        }
        let is_same_state = state.is_none();
        if let Some(state) = state {
            self.ledger.adopt(state);
        }
        if !(is_current && is_same_state) {
            self.notice_rollback(&known);
        }
        Ok(())
    }

    /// Notes a change of the shared state and writes it.
    pub(crate) async fn note(self: &Arc<Self>, vault: &Arc<Vault>, change: &SharedState) {
        self.ledger.note(change);
        self.changed.notify_waiters();
        self.save_state(vault).await;
    }

    /// Writes the shared state now. A disk that does not take it keeps nobody from going on: the change holds in this
    /// process and is written with the next one.
    pub(crate) async fn save_state(self: &Arc<Self>, vault: &Arc<Vault>) {
        let (broker, disk) = (self.clone(), vault.clone());
        blocking(move || broker.ledger.save(&disk, broker.now())).await;
        self.mark_soon(vault);
    }

    /// Writes the shared state now, for a caller who must know that it is on disk.
    pub(crate) async fn flush(self: &Arc<Self>, vault: &Arc<Vault>) -> Result<(), BrokerError> {
        let (broker, vault) = (self.clone(), vault.clone());
        blocking(move || broker.ledger.flush(&vault, broker.now())).await?;
        Ok(())
    }

    /// Writes the shared state in a second, once for all changes until then.
    pub(crate) fn flush_soon(self: &Arc<Self>, runtime: &tokio::runtime::Handle) {
        if self.flush_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let broker = self.clone();
        runtime.spawn(async move {
            tokio::time::sleep(limits::FLUSH_AFTER).await;
            broker.flush_due.store(false, Ordering::Release);
            if let Some(vault) = broker.open_vault() {
                broker.save_state(&vault).await;
            }
        });
    }

    /// Tells listeners of a decision about one account of a pool.
    pub(crate) fn tell(
        &self,
        kind: EventKind,
        pool: (&Arc<str>, &Arc<str>),
        account: Option<&AccountId>,
        about: About<'_>,
    ) {
        self.events.emit(|| Event {
            kind,
            at: self.now(),
            provider: pool.0.clone(),
            namespace: pool.1.clone(),
            account: account.cloned(),
            model: about.model.map(str::to_owned),
            reason: about.reason,
            until: about.until,
            attempt: about.attempt.map(str::to_owned),
            rule: about.rule,
            action: about.action,
        });
    }
}

/// What an event says besides who.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) reason: Option<Reason>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) attempt: Option<&'a str>,
    pub(crate) rule: Option<Rule>,
    pub(crate) action: Option<Action>,
}

/// Runs work that touches the disk away from the threads that answer.
pub(crate) async fn blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
