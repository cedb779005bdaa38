//! A new data key for every record, while others read and write, and whatever is killed on the way.
//!
//! First the header gets the new key and keeps the old one, sealed under the new. From then on
//! every write is under the new key, so it is enough to visit each record once, under its lock.
//! When none is left under an old key, the header drops it: at once, or, where several hosts share
//! the vault, a week later, since one of them may still hold such bytes. Killed in between, every
//! record has its key in the header, and the next one to open the vault goes on.

use std::time::Duration;

use crate::{
    Entropy, KeySecrets, KeySource, Options, RecordGuard, RecordId, Vault, VaultError,
    backend::{Document, Lock, Purpose},
    crypto::key::Key,
    format::{
        header::Header,
        record::{self, RecordHeader, SealedFacts, VaultId},
        slot::{HeaderError, Slot},
    },
    keys::finder::KeyFinder,
    limits,
    vault::unlock::{Unlocked, header_error, write_header},
};

/// What to do about a record whose lock is taken.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum InUse {
    /// Wait for it.
    Wait,
    /// Leave it under its old key for now.
    Skip,
}

impl Vault {
    /// Re-encrypts every record under a new data key, as [`Vault::rotate_key_with`] does, with the
    /// keys that the vault's options give.
    pub fn rotate_key(&self) -> Result<(), VaultError> {
        self.rotate_key_with(&KeySecrets::default())
    }

    /// Re-encrypts every record under a new data key; none is left under an old one when this
    /// returns.
    ///
    /// The new data key is sealed to the public half of every slot's key. A slot that an earlier
    /// version made, and whose key has opened nothing since, has none: then its key is needed, and
    /// `given` has those that the vault's options do not have. Where one is not at hand, that is
    /// [`VaultError::SlotKeyMissing`] and nothing was changed; give it, or remove the slot. After
    /// any other error every record is readable, and the next rotation or opening goes on. A record
    /// that a newer version wrote stays under its old key, which is then kept, and is the error
    /// that is returned when all others are done.
    pub fn rotate_key_with(&self, given: &KeySecrets) -> Result<(), VaultError> {
        let _keys_lock = self.lock_keys()?;
        let old = self.unlocked()?;
        self.rotate_into(&old, &old.header.slots, given)
    }

    /// Makes a new data key, puts it in these slots and no other, and brings every record under it.
    /// The caller holds [`Lock::Keys`].
    pub(super) fn rotate_into(
        &self,
        old: &Unlocked,
        slots: &[Slot],
        given: &KeySecrets,
    ) -> Result<(), VaultError> {
        let wrapping_keys = self.wrapping_keys(old, slots, given)?;
        let filled = |of: (&VaultId, u32), data_key: &Key| {
            let slots = slots.iter().zip(&wrapping_keys);
            let fill = |(slot, key): (&Slot, &Option<Key>)| match key {
                Some(key) => Ok(slot.rewrapped(of, key, data_key, &*self.entropy)),
                None => slot
                    .resealed(of, data_key, &*self.entropy)
                    .ok_or(HeaderError::Damaged(
                        "has a slot that nothing can be sealed to",
                    )),
            };
            slots.map(fill).collect()
        };
        let (header, data_key) = old
            .next_epoch(filled, &*self.entropy)
            .map_err(|why| header_error(why, self.header_name(), old.key_source))?;
        self.change_header(&header, &data_key)?;
        crate::line!(
            INFO,
            dir = self.dir(),
            epoch = header.epoch,
            "the vault has a new data key"
        );
        self.forget_old_headers();
        self.move_records(InUse::Wait)
    }

    /// Goes on with a rotation that was cut off, unless another process does so; what cannot be
    /// done now is left to the next one.
    pub(super) fn resume_rotation(&self) {
        let now = self.backend.now();
        let header = &self.cached_keys().header;
        if !header.has_previous_to_do(now, self.old_keys_kept()) {
            return;
        }
        let moved = match self.backend.try_lock(Lock::Keys) {
            Ok(Some(_keys_lock)) => self.move_records(InUse::Skip),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            crate::line!(
                DEBUG,
                dir = self.dir(),
                error = error,
                "a rotation could not be finished"
            );
        }
    }

    /// Brings every record under the present key, then drops the old ones. The caller holds
    /// [`Lock::Keys`].
    pub(super) fn move_records(&self, in_use: InUse) -> Result<(), VaultError> {
        let mut left = None;
        for id in self.ids()? {
            match self.move_record(id, in_use) {
                // What is damaged was set aside.
                Ok(()) | Err(VaultError::Corrupt { .. }) => {}
                Err(error @ VaultError::NewerFormat { .. }) => left = left.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        if in_use == InUse::Wait {
            // Not before: a process that was moving records into a bundle had their locks.
            self.forget_moved_of_old_keys()?;
        }
        self.forget_index()?;
        self.reseal_rows()?;
        self.drop_old_keys()?;
        left.map_or(Ok(()), Err)
    }

    /// Removes headers that were set aside: their slots still open to keys that may have been taken
    /// out since.
    pub(super) fn forget_old_headers(&self) {
        if let Err(error) = self.backend.remove_headers_aside() {
            crate::line!(
                WARN,
                error = error,
                "an old header stays in the folder quarantine: remove it"
            );
        }
    }

    /// Puts a header in the place of the one that was there.
    pub(super) fn change_header(&self, header: &Header, data_key: &Key) -> Result<(), VaultError> {
        let _held = self.lock_vault()?;
        write_header(&*self.backend, &header.encode(data_key))
    }

    /// Finds the keys of slots; `None` for one that is not at hand, and whose public half will do.
    fn wrapping_keys(
        &self,
        unlocked: &Unlocked,
        slots: &[Slot],
        given: &KeySecrets,
    ) -> Result<Vec<Option<Key>>, VaultError> {
        let vault = &unlocked.header.vault;
        let context = self.unlock_context();
        let with_given = Options {
            secrets: given.clone(),
            ..context.options.clone()
        };
        let find = |slot: &Slot| {
            if slot.has_wrapping_key(&unlocked.wrapping_key, vault) {
                return Ok(Some(unlocked.wrapping_key.duplicate()));
            }
            let Some(source) = slot.source() else {
                return Err(VaultError::NewerFormat {
                    name: self.header_name(),
                });
            };
            let mut trouble = VaultError::SlotKeyMissing {
                slot: slot.id(),
                key_source: source,
            };
            // Earlier versions open a slot only as one who has its key fills it. That of a host they
            // do not open at all.
            let places: &[&Options] = match source {
                KeySource::Host => &[],
                _ => &[&context.options, &with_given],
            };
            for options in places {
                let finder = KeyFinder::new(options, self.backend.host_disk());
                match finder.find(source, vault, slot.kdf.as_ref()) {
                    Ok(wrapping_key) if slot.has_wrapping_key(&wrapping_key, vault) => {
                        return Ok(Some(wrapping_key));
                    }
                    Ok(_) | Err(VaultError::KeyMissing { .. }) => {}
                    Err(error) => {
                        trouble = error;
                        break;
                    }
                }
            }
            slot.public.map(|_| None).ok_or(trouble)
        };
        slots.iter().map(find).collect()
    }

    fn move_record(&self, id: RecordId, in_use: InUse) -> Result<(), VaultError> {
        let (epoch, _) = self.current_keys()?.current();
        if !self.is_left_behind(id, epoch)? {
            return Ok(());
        }
        let guard = match in_use {
            InUse::Wait => self.lock_within(&id, limits::ROTATED_RECORD_TIMEOUT)?,
            InUse::Skip => match self.try_lock(&id)? {
                Some(guard) => guard,
                None => return Ok(()),
            },
        };
        self.reseal(&guard)
    }

    /// Seals the guarded record under the present key. Content and generation stay the same, so
    /// that no reader has to take notice.
    fn reseal(&self, guard: &RecordGuard) -> Result<(), VaultError> {
        while let Some(record) = self.reread(guard)? {
            let step = (record.generation, record.generation);
            if self.bring_as(guard, record.kind, step, Purpose::Other, record.plaintext())? {
                return Ok(());
            }
        }
        // Of a record that was removed there may be a mark.
        let file = self.backend.read_record(guard.id())?;
        if let Some(mark) = file.as_deref().and_then(SealedFacts::read)
            && mark.is_gone
        {
            let step = (mark.generation, mark.generation);
            self.bring_as(guard, record::GONE, step, Purpose::Other, &[])?;
        }
        Ok(())
    }

    fn header_name(&self) -> String {
        self.backend.document_name(Document::Header)
    }

    fn drop_old_keys(&self) -> Result<(), VaultError> {
        // No record is added while this is held.
        let _held = self.lock_vault()?;
        let Unlocked {
            mut header,
            data_key,
            ..
        } = self.unlocked()?;
        if header.previous.is_empty() {
            return Ok(());
        }
        for id in self.ids()? {
            if self.is_left_behind(id, header.epoch)? {
                return Ok(());
            }
        }
        self.forget_moved_of_old_keys()?;
        if header.drop_previous(self.backend.now(), self.old_keys_kept()) {
            write_header(&*self.backend, &header.encode(&data_key))?;
        }
        Ok(())
    }

    /// How long an old data key is kept after the last record has left it. What is in a folder is
    /// nowhere else.
    fn old_keys_kept(&self) -> Duration {
        match self.backend.store_status() {
            Some(_) => limits::OLD_KEY_KEPT,
            None => Duration::ZERO,
        }
    }

    /// Tells whether a record may be under another key than that of `epoch`.
    fn is_left_behind(&self, id: RecordId, epoch: u32) -> Result<bool, VaultError> {
        let file = self.backend.read_record(id)?;
        Ok(file.is_some_and(|file| {
            !RecordHeader::parse(&file).is_ok_and(|header| header.epoch == epoch)
        }))
    }
}

impl Unlocked {
    /// Makes the next data key, and the header in which `slots` wrap it and it seals the keys
    /// before it.
    pub(super) fn next_epoch(
        &self,
        slots: impl FnOnce((&VaultId, u32), &Key) -> Result<Vec<Slot>, HeaderError>,
        entropy: &dyn Entropy,
    ) -> Result<(Header, Key), HeaderError> {
        let data_key = Key::random(entropy);
        let keys = self.header.data_keys(&self.data_key)?;
        let slots = slots((&self.header.vault, self.header.epoch + 1), &data_key)?;
        let header = self.header.next_epoch(slots, &keys, &data_key, entropy);
        Ok((header, data_key))
    }
}
