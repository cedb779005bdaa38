//! What a host keeps beside the store, in the folder that its processes share: records as they were
//! last proven, new tokens on their way to the store, and by whom a record was claimed.
//!
//! ```text
//! seen/<id>.<generation>.<epoch>   sealed bytes that opened; the newest of each record
//! outbox/<id>.<generation>         new tokens that the store does not have yet; flushed
//! cookies/<id>                     the last cookies of claims, 16 bytes each, under the record's lock
//! ```
//!
//! Where the folder cannot be written, the host does without: a kill may then lose a token that a
//! disk would have kept.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use provider_auth_vault::{Backend, Durability, RecordId, SealedFacts, line};
use tokio::time::sleep;

use super::write_behind::{Behind, Writing};

const SEEN: &str = "seen";
const OUTBOX: &str = "outbox";
const COOKIES: &str = "cookies";
const COOKIE: usize = 16;
/// More have never to be told apart: each try to claim leaves one.
const COOKIES_KEPT: usize = 8;

pub(super) struct HostFiles {
    local: Arc<dyn Backend>,
    dir: PathBuf,
    /// The newest writing of each record that is kept.
    seen: Mutex<BTreeMap<RecordId, Writing>>,
    behind: Behind,
    told: AtomicBool,
}

impl HostFiles {
    pub(super) fn new(local: Arc<dyn Backend>) -> Self {
        let files = Self {
            dir: local.dir().to_owned(),
            local,
            seen: Mutex::default(),
            behind: Behind::default(),
            told: AtomicBool::new(false),
        };
        for folder in [SEEN, OUTBOX, COOKIES] {
            let made = files
                .local
                .host_disk()
                .create_folder(&files.dir.join(folder));
            files.tell(made);
        }
        let names = files.names(SEEN);
        let mut seen: Vec<_> = names.iter().filter_map(|name| parse_seen(name)).collect();
        // Of one record the newest comes last, and stays.
        seen.sort_unstable();
        *files.seen.lock() = seen.into_iter().collect();
        files
    }

    /// The records that are kept, and which writing of each.
    pub(super) fn all_seen(&self) -> BTreeMap<RecordId, Writing> {
        self.seen.lock().clone()
    }

    /// Which writing of a record is kept.
    pub(super) fn seen(&self, id: RecordId) -> Option<Writing> {
        self.seen.lock().get(&id).copied()
    }

    /// The bytes of a writing, if they are kept.
    pub(super) fn read_seen(&self, id: RecordId, writing: Writing) -> Option<Vec<u8>> {
        let kept = || self.read(SEEN, &seen_name(id, writing));
        let bytes = self.behind.read(id, writing).or_else(kept)?;
        let facts = SealedFacts::read(&bytes)?;
        ((facts.generation, facts.epoch) == writing && facts.id == id).then_some(bytes)
    }

    /// Keeps bytes that were proven, unless newer ones are kept. Of many at once most are written
    /// later: returns whether [`HostFiles::write_behind`] is to be called for that.
    pub(super) fn keep_seen(&self, id: RecordId, writing: Writing, bytes: &[u8]) -> bool {
        let before = self.seen(id);
        if before.is_some_and(|kept| kept >= writing) {
            return false;
        }
        let later = self.behind.put(id, writing, bytes, before);
        if later.is_some() || self.write_seen(id, writing, bytes, before) {
            self.seen.lock().insert(id, writing);
        }
        later == Some(true)
    }

    /// Waits until no more copies come that are to be written later: their reader has others to read, and
    /// writing takes as long as reading does.
    pub(super) async fn reading_ends(&self) {
        while let Some(rest) = self.behind.quiet_in() {
            sleep(rest).await;
        }
    }

    /// Writes what was left for later.
    pub(super) fn write_behind(&self) {
        while let Some((id, one)) = self.behind.first() {
            self.write_seen(id, one.writing, &one.bytes, one.before);
            self.behind.written(id, one.writing);
        }
    }

    fn write_seen(
        &self,
        id: RecordId,
        writing: Writing,
        bytes: &[u8],
        before: Option<Writing>,
    ) -> bool {
        let written = self.write(SEEN, &seen_name(id, writing), bytes, Durability::Lossy);
        if let Some(old) = before.filter(|_| written) {
            self.remove(SEEN, &seen_name(id, old));
        }
        written
    }

    /// Forgets a writing that turned out to be damaged.
    pub(super) fn forget_seen(&self, id: RecordId, writing: Writing) {
        self.behind.written(id, writing);
        self.remove(SEEN, &seen_name(id, writing));
        self.seen
            .lock()
            .retain(|one, kept| *one != id || *kept != writing);
    }

    /// The new tokens that wait, by record, oldest first. A folder that cannot be read is an error:
    /// what is in it must not be spent again.
    pub(super) fn outbox(&self) -> io::Result<Vec<(RecordId, u64)>> {
        let names = self.local.host_disk().list(&self.dir.join(OUTBOX))?;
        let mut waiting: Vec<_> = names.iter().filter_map(|name| parse_outbox(name)).collect();
        waiting.sort_unstable();
        Ok(waiting)
    }

    /// The generations of a record that wait, oldest first.
    pub(super) fn outbox_of(&self, id: RecordId) -> io::Result<Vec<u64>> {
        let of = |(one, generation)| (one == id).then_some(generation);
        Ok(self.outbox()?.into_iter().filter_map(of).collect())
    }

    /// The bytes that wait; `None` where another process has brought them meanwhile.
    pub(super) fn read_outbox(&self, id: RecordId, generation: u64) -> io::Result<Option<Vec<u8>>> {
        let file = self.dir.join(OUTBOX).join(outbox_name(id, generation));
        self.local.host_disk().read(&file)
    }

    /// Puts new tokens in the outbox, durably; false where they cannot be kept.
    pub(super) fn put_in_outbox(&self, id: RecordId, generation: u64, bytes: &[u8]) -> bool {
        self.write(
            OUTBOX,
            &outbox_name(id, generation),
            bytes,
            Durability::Durable,
        )
    }

    /// The store has what waited for this record, or something newer.
    pub(super) fn empty_outbox(&self, id: RecordId) {
        // One that stays is known by its generation to be old.
        for generation in self.outbox_of(id).unwrap_or_default() {
            self.drop_from_outbox(id, generation);
        }
    }

    pub(super) fn drop_from_outbox(&self, id: RecordId, generation: u64) {
        self.remove(OUTBOX, &outbox_name(id, generation));
    }

    /// Writes the cookie of a claim that is about to be asked for, and returns those that were there:
    /// of holders that are gone, since the caller has the record's lock.
    pub(super) fn swap_cookie(&self, id: RecordId, cookie: &[u8; COOKIE]) -> Vec<Vec<u8>> {
        let name = id.to_string();
        let before = self.read(COOKIES, &name).unwrap_or_default();
        let dead: Vec<Vec<u8>> = before.chunks_exact(COOKIE).map(<[u8]>::to_vec).collect();
        let kept = dead.iter().take(COOKIES_KEPT - 1).flatten();
        let now: Vec<u8> = cookie.iter().chain(kept).copied().collect();
        self.write(COOKIES, &name, &now, Durability::Lossy);
        dead
    }

    /// No process of this host has a claim on this record.
    pub(super) fn forget_cookies(&self, id: RecordId) {
        self.remove(COOKIES, &id.to_string());
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let listed = self.local.host_disk().list(&self.dir.join(folder));
        listed.unwrap_or_default()
    }

    fn read(&self, folder: &str, name: &str) -> Option<Vec<u8>> {
        let file = self.dir.join(folder).join(name);
        self.local.host_disk().read(&file).ok()?
    }

    fn write(&self, folder: &str, name: &str, bytes: &[u8], durability: Durability) -> bool {
        let file = self.dir.join(folder).join(name);
        let written = self.local.host_disk().replace(&file, bytes, durability);
        self.tell(written)
    }

    fn remove(&self, folder: &str, name: &str) {
        let file = self.dir.join(folder).join(name);
        // One that stays is known by its generation to be old.
        let _ = self.local.host_disk().remove(&file, Durability::Lossy);
    }

    /// Says once that this folder cannot be written; returns whether it could.
    fn tell(&self, written: io::Result<()>) -> bool {
        if let Err(error) = &written
            && !self.told.swap(true, Ordering::Relaxed)
        {
            line!(
                WARN,
                dir = self.dir.as_path(),
                error = error,
                "this machine's side of the store cannot be written: a kill may lose a token that a disk would have kept"
            );
        }
        written.is_ok()
    }
}

fn seen_name(id: RecordId, (generation, epoch): Writing) -> String {
    format!("{id}.{generation}.{epoch}")
}

fn parse_seen(name: &str) -> Option<(RecordId, Writing)> {
    let (id, writing) = name.split_once('.')?;
    let (generation, epoch) = writing.split_once('.')?;
    Some((
        id.parse().ok()?,
        (generation.parse().ok()?, epoch.parse().ok()?),
    ))
}

fn outbox_name(id: RecordId, generation: u64) -> String {
    format!("{id}.{generation}")
}

fn parse_outbox(name: &str) -> Option<(RecordId, u64)> {
    let (id, generation) = name.split_once('.')?;
    Some((id.parse().ok()?, generation.parse().ok()?))
}
