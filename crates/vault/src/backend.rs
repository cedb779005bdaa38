//! The seam between a vault and what keeps its bytes. [`Vault`](crate::Vault) seals, opens and
//! caches; a [`Backend`] keeps sealed bytes and says who may change them. A folder on a disk is one
//! (`folder/`); another engine is a new file that implements [`Engine`] and [`Backend`], and
//! nothing above it changes.
//!
//! A backend knows no key and no provider: records, headers and bundles are opaque to it. Every
//! write that it confirms is whole, and durable where its method says so. Every call but
//! [`pulse`](Backend::pulse) may block, and none waits for a lock longer than its timeout.
//!
//! Of [`VaultError`] a backend returns these: `Busy` (ask again later), `Unsafe` and `Io` (a person
//! must mend it). *Absent* means exactly that the thing is not there: any other trouble is an
//! error, never "empty".

use std::{fmt, path::Path, sync::Arc, time::Duration};

use crate::{
    Options, VaultError,
    folder::store::{Held, Store},
    format::id::RecordId,
    send_by::SendBy,
    stamp::{Mark, Stamp},
    state_rows::StateRows,
    store_status::StoreStatus,
};

/// Finds the place where a vault is kept. Every [`Store`] is the engine of folders on that disk.
pub trait Engine: Send + Sync {
    /// Returns the place that the options name; `None` where there is none yet. Changes nothing.
    fn find(self: Arc<Self>, options: &Options) -> Result<Option<Arc<dyn Backend>>, VaultError>;

    /// Returns the place that the options name, and makes it where there is none yet.
    fn prepare(self: Arc<Self>, options: &Options) -> Result<Arc<dyn Backend>, VaultError>;
}

/// Keeps the bytes of one vault.
pub trait Backend: Send + Sync {
    /// The vault's folder on this machine. For the folder engine everything is in it.
    fn dir(&self) -> &Path;

    /// The disk of this machine, for a key file: that lies outside of the vault, whatever keeps the
    /// vault.
    fn host_disk(&self) -> &dyn Store;

    /// Names a record where an error speaks of it.
    fn record_name(&self, id: RecordId) -> String;

    /// Names a document where an error speaks of it.
    fn document_name(&self, document: Document) -> String;

    /// The engine's clock, in ms since the Unix epoch: ids of records go by it.
    fn now(&self) -> u64;

    /// Removes what crashed writers left. Best effort: a vault that cannot be written to serves
    /// without.
    fn sweep(&self);

    /// Tells how a store for many machines stands; `None` where the folder is all there is. Answers
    /// from memory.
    fn store_status(&self) -> Option<StoreStatus> {
        None
    }

    /// Returns the rows of the shared state, where the backend has some: then it is in them, and
    /// neither in [`Document::State`] nor in [`Document::News`], and [`Pulse::news`] never moves.
    fn state_rows(&self) -> Option<&dyn StateRows> {
        None
    }

    /// Waits for a lock, in turn with other processes; [`VaultError::Busy`] when `timeout` has
    /// passed.
    fn lock(&self, lock: Lock, timeout: Duration) -> Result<Held, VaultError>;

    /// Takes a lock if it is free.
    fn try_lock(&self, lock: Lock) -> Result<Option<Held>, VaultError>;

    /// Tells how often records, state and history changed, as far as that is known without asking
    /// anybody: it is asked before each request, and on the thread that must not wait.
    ///
    /// Take it before reading: what is read then is at least as new. A change by this backend is in
    /// it as soon as the call that made it has returned; one by others as soon as it is heard of,
    /// for a folder at once.
    fn pulse(&self) -> Pulse;

    /// Returns the records that may have changed since a mark; without one, from where on to ask.
    fn changes(&self, since: Option<Mark>) -> Result<Changes, VaultError>;

    /// Returns the ids of all records, oldest first.
    fn ids(&self) -> Result<Vec<RecordId>, VaultError>;

    /// Tells whether anything looks like a record, even where its id cannot be read: a new key
    /// would orphan it.
    fn has_records(&self) -> Result<bool, VaultError>;

    /// Returns a stamp of all records, which counts in every process: while it stays equal, none was
    /// added, replaced or removed.
    fn records_stamp(&self) -> Result<Stamp, VaultError>;

    /// Returns a record, unless it is still as `known` tells.
    fn look(&self, id: RecordId, known: Option<Stamp>) -> Result<Look, VaultError>;

    /// Returns a record's bytes.
    fn read_record(&self, id: RecordId) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(match self.look(id, None)? {
            Look::Found(_, bytes) => Some(bytes),
            Look::AsKnown | Look::Absent => None,
        })
    }

    /// Is told the bytes of a record that opened, by an engine's own look: they are good.
    fn proven(&self, id: RecordId, sealed: &[u8]) {
        let _ = (id, sealed);
    }

    /// Adds a record under an id that no one else knows yet, durably. The caller holds
    /// [`Lock::Vault`], and where it has decided that there is no such record, [`Lock::Records`] from
    /// then on.
    ///
    /// An engine whose locks do not reach all says [`Brought::Moved`] where somebody else has added a
    /// record since [`Lock::Records`] was taken: decide again.
    fn create_record(&self, id: RecordId, sealed: &[u8]) -> Result<Brought, VaultError>;

    /// Claims the right to spend what the guarded record holds at generation `known`: puts the note
    /// on it, durably. Once it is [`Claimed::Yes`] a death before [`release`](Self::release) leaves
    /// the note to be found.
    ///
    /// A lock on a folder lasts as long as its holder, and is proof enough: there it is always yes.
    /// An engine whose locks can be lost grants it for this generation and no other, to one at a
    /// time.
    fn claim(
        &self,
        guard: &RecordGuard,
        known: u64,
        need: Need,
        note: &[u8],
    ) -> Result<Claimed, VaultError>;

    /// Puts `sealed` in the place of generation `from` of the guarded record, durably; 0 where there
    /// was none. It needs no claim. New tokens end whatever claim there is; nothing else ends one.
    ///
    /// An engine whose locks can be lost replaces that generation and no other.
    fn bring(
        &self,
        guard: &RecordGuard,
        from: u64,
        purpose: Purpose,
        sealed: &[u8],
    ) -> Result<Brought, VaultError>;

    /// Returns new tokens of the guarded record that were brought by a process which is gone, and for
    /// which the record has moved on since: sealed, as the next generation of what they came from.
    /// [`release`](Self::release) with a known outcome drops them.
    fn left(&self, guard: &RecordGuard) -> Result<Option<Vec<u8>>, VaultError> {
        let _ = guard;
        Ok(None)
    }

    /// Gives back the claim on the guarded record, if there is one. A note without an outcome stays;
    /// one that was removed may be back after a power cut.
    fn release(&self, guard: &RecordGuard, outcome: Outcome) -> Result<(), VaultError>;

    /// Removes the guarded record for good, durably, and with it its note, what a killed writer
    /// left of it, and copies that were set aside; false when nothing of it was there.
    ///
    /// `mark` seals a mark of a generation: an engine that others read keeps it in the record's place,
    /// so that only a holder of the key removes an account, and none comes back.
    fn remove_record(
        &self,
        guard: &RecordGuard,
        mark: &mut SealMark<'_>,
    ) -> Result<bool, VaultError>;

    /// Takes the guarded record, which is damaged, out of the way and keeps it; `generation` is
    /// what can be read of it. An engine that keeps more than the bytes may find by `opens` that
    /// these are good, and the rest is wrong.
    fn set_record_aside(
        &self,
        guard: &RecordGuard,
        generation: u64,
        opens: &Opens<'_>,
    ) -> Result<(), VaultError>;

    /// Returns the records that were set aside, oldest first.
    fn quarantined(&self) -> Result<Vec<Quarantined>, VaultError>;

    /// Returns the note on a record: that a refresh of it is under way.
    fn read_note(&self, id: RecordId) -> Result<Option<Vec<u8>>, VaultError>;

    /// Returns the records with a note whose writer is gone.
    fn abandoned(&self) -> Result<Vec<RecordId>, VaultError>;

    /// Returns a document.
    fn read_document(&self, document: Document) -> Result<Option<Vec<u8>>, VaultError>;

    /// Puts new content in a document's place, durably where [`Document`] says so.
    fn write_document(&self, document: Document, content: &[u8]) -> Result<(), VaultError>;

    /// Removes a document, durably; false when there was none.
    fn remove_document(&self, document: Document) -> Result<bool, VaultError>;

    /// Keeps a header that no longer serves.
    fn set_header_aside(&self, header: &[u8]) -> Result<(), VaultError>;

    /// Removes the headers that were set aside.
    fn remove_headers_aside(&self) -> Result<(), VaultError>;
}

/// Whether these bytes open as the record in question.
pub type Opens<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// Seals the mark that a record was removed, as this generation of it.
pub type SealMark<'a> = dyn FnMut(u64) -> Result<Vec<u8>, VaultError> + 'a;

/// How often each of these changed since the backend was made: while a number stays equal, nothing
/// of it was added, replaced or removed.
///
/// A number that has moved proves nothing: where changes cannot be heard of, what is too new to tell
/// counts as changed with each look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Of records.
    pub records: u64,
    /// Of [`Document::State`], or of the rows in its place.
    pub state: u64,
    /// Of [`Document::News`].
    pub news: u64,
    /// Of [`Document::History`]. A backend of many machines may say it a quarter of a second late.
    pub history: u64,
}

/// The records that may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Their ids, oldest first, those of records that were removed among them; `None` where it may be
    /// any, as without a mark. What is listed then is at least as new as the mark.
    pub records: Option<Vec<RecordId>>,
    /// What to ask with the next time. A change after it is told of then.
    pub mark: Mark,
}

/// What a look at one record found.
#[derive(Clone, Debug)]
pub enum Look {
    /// It is what the caller knows.
    AsKnown,
    /// It is not there.
    Absent,
    /// Its bytes, and what tells that they did not change: a stamp that is never newer than they
    /// are.
    Found(Stamp, Vec<u8>),
}

/// What is kept besides records and their notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// Which vault this is and how its key is wrapped. Durable.
    Header,
    /// The last good header. Durable.
    HeaderBackup,
    /// The sealed bundle that last took logins away. Durable.
    Moved,
    /// What all processes share. After a power cut it may be the old one. Its writer holds
    /// [`Lock::Vault`].
    State,
    /// The latest of the state. After a power cut it may be the old one. Its writer holds
    /// [`Lock::Vault`].
    News,
    /// What all processes share and none waits for. After a power cut it may be the old one.
    /// Its writer holds [`Lock::History`].
    History,
    /// Counts of what happened, day by day. After a power cut it may be the old one. Its writer
    /// holds [`Lock::Stats`].
    Stats,
    /// What is known of the records without reading them. After a power cut it may be the old one.
    Index,
    /// What can be fetched again, by key. After a power cut it may be the old one.
    Cache([u8; 16]),
}

/// What only one thread of one process may do at a time. A lock ends with its holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Write this record.
    Record(RecordId),
    /// Add a record, change the header, merge the shared state. Held for milliseconds.
    Vault,
    /// Merge the history. Held for milliseconds.
    History,
    /// Add to the counts. Held for milliseconds.
    Stats,
    /// Change the data key or its slots. Held for as long as that takes.
    Keys,
    /// Decide which records there are: from the check that no such record exists to the write that
    /// adds it.
    Records,
    /// Raise the high-water marks.
    HighWater,
}

/// The right to write one record, in all processes; dropping it, or dying, gives it back.
///
/// It may travel between threads. What was read before it was taken is old: read again.
pub struct RecordGuard {
    id: RecordId,
    _lock: Held,
}

impl RecordGuard {
    /// Makes the guard of a record from its lock, [`Lock::Record`].
    pub fn new(id: RecordId, lock: Held) -> Self {
        Self { id, _lock: lock }
    }

    /// Returns the record that this guards.
    pub fn id(&self) -> RecordId {
        self.id
    }
}

impl fmt::Debug for RecordGuard {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("RecordGuard")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What came of a claim.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is granted: what the record holds may be spent, and be sent until then.
    Yes(SendBy),
    /// The record is of another generation by now: read it again.
    Moved,
    /// Somebody else has it.
    Held(Holder),
}

/// What a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// What is there serves still.
    Soon,
    /// Somebody waits: a claim whose time is over may be taken over.
    Now,
}

/// What a record is replaced for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It has new tokens, and the old ones are spent: nothing is more urgent.
    Tokens,
    /// Anything else.
    Other,
}

/// Who has the claim on a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Host and process, for a person.
    pub by: String,
    /// Since when, in ms since the Unix epoch.
    pub since: u64,
    /// Until when it may not be taken over, in ms since the Unix epoch.
    pub until: u64,
}

/// What came of bringing a record.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brought {
    /// It is in its place.
    Yes,
    /// The record is of another generation by now, and nothing was written: read it again.
    Moved,
    /// The vault has another data key by now, and nothing was written: seal it anew.
    Rekeyed,
}

/// How what was claimed for has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing was spent.
    Unsent,
    /// It is known what became of what was spent.
    Known,
    /// It was sent, and no answer came: the next holder should try at once.
    Unknown,
}

/// A damaged record that was set aside; its bytes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// The record.
    pub id: RecordId,
    /// Its generation, as far as its header could be read; else 0.
    pub generation: u64,
    /// When it was set aside, in ms since the Unix epoch.
    pub at: u64,
}
