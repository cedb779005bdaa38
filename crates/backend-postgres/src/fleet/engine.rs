//! Finds a vault in PostgreSQL, and this host's side of it.

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use provider_auth_vault::{
    Backend, Document, Engine, Memory, RecordId, SealedFacts, StoreClock, VaultError, line,
};
use ring::digest::{SHA256, digest};
use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::{
    ahead::Ahead,
    backend::FleetBackend,
    error::vault_error,
    host_files::HostFiles,
    known_rows::Rows,
    late_pulse::LatePulse,
    limits,
    mirror::Mirror,
    process::{Fleet, Place, Progress},
    record_row::{OURS, Row, WAITS},
    sync::{follow, unreadable},
};
use crate::{BackendError, Options, PostgresBackend, address::Address, clock::Clock};

/// What to do where the store has no vault of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewVault {
    /// It is refused: a name may be mistyped.
    Refused,
    /// It is made, by a role that may.
    Made,
}

/// A store, and what its user needs beside it.
pub struct Store {
    /// How to reach it, and as whom.
    pub options: Options,
    /// What keeps this host's side: in a folder of its own below the vault's folder.
    pub folder: Arc<dyn Engine>,
    /// What drives the connection.
    pub runtime: Handle,
    /// Is set by the store's clock.
    pub clock: Arc<StoreClock>,
    /// What to do where the store has no vault of this name.
    pub new_vault: NewVault,
}

struct StoreEngine {
    store: Store,
    place: Place,
    open: Mutex<Option<Arc<Fleet>>>,
}

/// Returns the engine of one vault in PostgreSQL. All that it finds is one backend.
///
/// # Errors
/// [`VaultError::StoreRefused`] where the address cannot be used.
pub fn engine(store: Store) -> Result<Arc<dyn Engine>, VaultError> {
    let address = Address::parse(store.options.url.expose_secret()).map_err(vault_error)?;
    let name = address.name();
    let hash = digest(&SHA256, name.as_bytes());
    let short: String = hash.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let place = Place {
        name,
        folder: format!("store-{short}"),
    };
    Ok(Arc::new(StoreEngine {
        store,
        place,
        open: Mutex::default(),
    }))
}

impl Engine for StoreEngine {
    fn find(
        self: Arc<Self>,
        options: &provider_auth_vault::Options,
    ) -> Result<Option<Arc<dyn Backend>>, VaultError> {
        let fleet = self.opened(options)?;
        let is_there = fleet.header.lock().is_some();
        Ok(is_there.then(|| Arc::new(FleetBackend(fleet)) as Arc<dyn Backend>))
    }

    fn prepare(
        self: Arc<Self>,
        options: &provider_auth_vault::Options,
    ) -> Result<Arc<dyn Backend>, VaultError> {
        let fleet = self.opened(options)?;
        if fleet.header.lock().is_none() && self.store.new_vault == NewVault::Refused {
            return Err(vault_error(BackendError::Absent));
        }
        Ok(Arc::new(FleetBackend(fleet)))
    }
}

impl StoreEngine {
    fn opened(&self, options: &provider_auth_vault::Options) -> Result<Arc<Fleet>, VaultError> {
        let mut open = self.open.lock();
        if let Some(fleet) = &*open {
            // There may be one by now.
            if fleet.header.lock().is_none() {
                fleet.begin()?;
            }
            return Ok(fleet.clone());
        }
        let fleet = self.connect(options)?;
        *open = Some(fleet.clone());
        Ok(fleet)
    }

    fn connect(&self, options: &provider_auth_vault::Options) -> Result<Arc<Fleet>, VaultError> {
        let local = provider_auth_vault::Options {
            dir: options.dir.join(&self.place.folder),
            ..options.clone()
        };
        let local = match self.store.folder.clone().prepare(&local) {
            Ok(local) => local,
            // A host without a disk of its own serves all the same.
            Err(VaultError::Io { .. }) => {
                line!(
                    WARN,
                    dir = options.dir.as_path(),
                    "this machine's side of the store is in memory: a kill may lose a token that a disk would have kept"
                );
                Arc::new(Memory::default()).prepare(options)?
            }
            Err(error) => return Err(error),
        };
        let host = &self.store.options;
        let clock = Clock::new(self.store.clock.clone());
        let remote = PostgresBackend::open_with(host.clone(), self.store.runtime.clone(), clock);
        let fleet = Arc::new(Fleet {
            remote: remote.map_err(vault_error)?,
            late: LatePulse::new(),
            files: HostFiles::new(local.clone()),
            local,
            mirror: Mirror::default(),
            rows: Rows::default(),
            ahead: Ahead::default(),
            progress: Mutex::new(Progress::default()),
            header: Mutex::default(),
            claims: Mutex::default(),
            turn: Mutex::default(),
            holder: format!("{}, process {}", host.name, std::process::id()),
            place: self.place.clone(),
        });
        fleet.begin()?;
        follow(&fleet, &self.store.runtime);
        Ok(fleet)
    }
}

impl Fleet {
    /// Learns what is there; from this host's copy where the store is away.
    fn begin(&self) -> Result<(), VaultError> {
        match self.first_header() {
            Ok(_) => self.synchronize(),
            Err(BackendError::Absent) => Ok(()),
            Err(error @ BackendError::Unavailable { .. }) => self.begin_offline(vault_error(error)),
            Err(error) => Err(vault_error(error)),
        }
    }

    /// The header; where this host has a copy of the vault, a server that cannot be reached is not
    /// waited for. One that is slow is.
    fn first_header(&self) -> Result<crate::Header, BackendError> {
        if self.files.all_seen().is_empty() {
            return self.remote.header();
        }
        let tries = self
            .remote
            .keeper
            .options
            .times
            .call
            .div_duration_f32(limits::FIRST_TRY);
        for _ in 0..tries as u32 {
            let header = self.remote.header_within(limits::FIRST_TRY);
            let is_away = matches!(header, Err(BackendError::Unavailable { .. }));
            if !is_away || self.remote.keeper.has_failed_twice() {
                return header;
            }
        }
        self.remote.header_within(limits::FIRST_TRY)
    }

    fn begin_offline(&self, why: VaultError) -> Result<(), VaultError> {
        let Some(header) = self.local.read_document(Document::Header)? else {
            return Err(why);
        };
        let Some((vault, epoch)) = provider_auth_vault::header_facts(&header) else {
            return Err(why);
        };
        *self.header.lock() = Some(crate::Header {
            vault: uuid::Uuid::from_bytes(vault),
            version: 0,
            epoch,
            bytes: header,
        });
        for (id, writing) in self.files.all_seen() {
            let Some(bytes) = self.files.read_seen(id, writing) else {
                continue;
            };
            if let Some(facts) = SealedFacts::read(&bytes) {
                let row = Row {
                    generation: facts.generation,
                    epoch: facts.epoch,
                    changed: OURS,
                    gone: facts.is_gone,
                };
                self.mirror.put(id, row, bytes);
            }
        }
        let waiting: BTreeSet<(RecordId, u64)> = self
            .files
            .outbox()
            .map_err(unreadable)
            .map_err(vault_error)?
            .into_iter()
            .collect();
        for (id, generation) in waiting {
            let is_newer = self
                .mirror
                .row(id)
                .is_none_or(|row| row.generation < generation);
            let bytes = self.files.read_outbox(id, generation).map_err(unreadable);
            let bytes = bytes.map_err(vault_error)?.filter(|_| is_newer);
            if let Some(sealed) = bytes.as_deref().and_then(super::sync::sealed) {
                self.mirror.put(id, Row::of(&sealed, WAITS), sealed.bytes);
            }
        }
        line!(
            WARN,
            count = u64::try_from(self.mirror.ids().len()).unwrap_or(u64::MAX),
            "the store of the vault does not answer: this machine's copy serves"
        );
        Ok(())
    }
}
