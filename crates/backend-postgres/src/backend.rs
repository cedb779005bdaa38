//! One process's way to one vault.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::{runtime::Handle, task::AbortHandle};

use crate::{
    address::Address,
    clock::Clock,
    error::{BackendError, Failure},
    hearing::Pulse,
    keeper::Keeper,
    line::Line,
    options::Options,
};

/// Keeps the sealed records of one vault in PostgreSQL.
///
/// Every call but [`pulse`](Self::pulse), [`now`](Self::now) and the like blocks, for
/// [`Times::call`](crate::Times::call) at most, and must not be made from a thread that drives the
/// runtime.
pub struct PostgresBackend {
    pub(crate) keeper: Arc<Keeper>,
    runtime: Handle,
    keeping: AbortHandle,
}

impl PostgresBackend {
    /// Begins to connect, and returns at once: a call waits for the connection.
    ///
    /// # Errors
    /// [`BackendError::Refused`] where the address cannot be used.
    pub fn open(options: Options, runtime: Handle) -> Result<Self, BackendError> {
        Self::open_with(options, runtime, Clock::new(Arc::default()))
    }

    pub(crate) fn open_with(
        options: Options,
        runtime: Handle,
        clock: Clock,
    ) -> Result<Self, BackendError> {
        let address = Address::parse(options.url.expose_secret())?;
        let keeper = Arc::new(Keeper::new(address, options, clock));
        let kept = keeper.clone();
        let keeping = runtime
            .spawn(async move { kept.keep().await })
            .abort_handle();
        Ok(Self {
            keeper,
            runtime,
            keeping,
        })
    }

    /// Returns what is known without asking anybody: two loads.
    pub fn pulse(&self) -> Pulse {
        self.keeper.hearing.pulse()
    }

    /// Returns the database's time in ms since the Unix epoch, as last measured; before that this
    /// machine's. Answers from memory.
    pub fn now(&self) -> u64 {
        self.keeper.clock.now()
    }

    /// Returns by how many ms the database's clock is ahead of this machine's. Answers from memory.
    pub fn clock_offset(&self) -> i64 {
        self.keeper.clock.offset()
    }

    /// Returns whether changes of others are heard of at once; `None` while there is no connection.
    /// Answers from memory.
    pub fn is_listening(&self) -> Option<bool> {
        Some(self.keeper.open_line()?.listens)
    }

    /// Returns whether the end of this process is seen by the server, since no pooler stands between;
    /// `None` while there is no connection. Answers from memory.
    pub fn is_direct(&self) -> Option<bool> {
        Some(self.keeper.open_line()?.session.is_some())
    }

    /// Does some work within the deadline of a call.
    pub(crate) fn ask<T>(
        &self,
        work: impl AsyncFn(&Line) -> Result<T, Failure>,
    ) -> Result<T, BackendError> {
        let within = self.keeper.options.times.call;
        self.wait_for(self.keeper.ask(within, work))
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        // A caller that drives the runtime all the same is slow, and not the end of the process.
        tokio::task::block_in_place(|| self.runtime.block_on(work))
    }
}

impl Drop for PostgresBackend {
    fn drop(&mut self) {
        self.keeping.abort();
        self.keeper.close();
    }
}

impl std::fmt::Debug for PostgresBackend {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("PostgresBackend").finish_non_exhaustive()
    }
}
