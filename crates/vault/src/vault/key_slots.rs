//! The ways to the vault's key: listing, adding and removing them.

use crate::{
    KeySecrets, KeySource, Options, Vault, VaultError,
    backend::Lock,
    format::{
        header::Header,
        slot::{Slot, WrappingKey},
    },
    keys::finder::KeyFinder,
};

/// One way to the vault's key, without the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySlot {
    /// First 8 hex digits of the check value of its key: names the slot.
    pub id: String,
    /// Where its key lives; `None` for a source that a later version knows.
    pub key_source: Option<KeySource>,
}

impl Vault {
    /// Adds a way to open the vault: say, a recovery passphrase beside the keychain. The records
    /// stay as they are.
    ///
    /// If a slot of that source opens with that very key, it is returned and nothing is changed. A
    /// keychain slot whose key is no longer in the keychain gives way to the new one.
    pub fn add_slot(&self, key: KeySource, secrets: &KeySecrets) -> Result<KeySlot, VaultError> {
        let options = Options {
            key,
            secrets: secrets.clone(),
            ..self.unlock_context().options.clone()
        };
        let finder = KeyFinder::new(&options, self.backend.host_disk());
        let _keys_lock = self.lock_keys()?;
        let unlocked = self.unlocked()?;
        let mut header = unlocked.header;
        if let Some((slot, _)) = open_slot(&finder, &header)? {
            return Ok(KeySlot::of(slot));
        }
        let wrapping_key = finder.find_or_make(&header.vault, &*self.entropy)?;
        header.add_slot(&wrapping_key, &unlocked.data_key, &*self.entropy);
        self.change_header(&header, &unlocked.data_key)?;
        Ok(KeySlot::of(
            header.slots.last().expect("a slot was just added"),
        ))
    }

    /// Removes a slot; false when no slot has that id. The last one that this version can open is
    /// [`VaultError::LastSlot`].
    ///
    /// Someone who has the slot's key and an earlier copy of the header still has the data key:
    /// rotate it if that may be so. What a key file holds stays there, since it may open other
    /// vaults too; a keychain's entry is removed with its slot.
    pub fn remove_slot(&self, id: &str) -> Result<bool, VaultError> {
        let _keys_lock = self.lock_keys()?;
        let unlocked = self.unlocked()?;
        let mut header = unlocked.header.clone();
        header.slots.retain(|slot| slot.id() != id);
        if header.slots.len() == unlocked.header.slots.len() {
            return Ok(false);
        }
        if header.slots.iter().all(|slot| slot.source().is_none()) {
            return Err(VaultError::LastSlot);
        }
        self.change_header(&header, &unlocked.data_key)?;
        self.forget_old_headers();
        self.forget_keychain(Some(&unlocked.header), &header);
        Ok(true)
    }

    /// Puts the public half of the key that opened the vault into its slot, which an earlier version
    /// made without, so that a rotation elsewhere does not need the key. Left to another time where
    /// another process changes the keys.
    pub(super) fn publish_key(&self) -> Result<(), VaultError> {
        let key = &self.unlock_context().wrapping_key;
        let is_unpublished =
            |slot: &Slot| slot.public.is_none() && slot.has_wrapping_key(key, &self.id);
        if !self.cached_keys().header.slots.iter().any(is_unpublished) {
            return Ok(());
        }
        let Some(_keys_lock) = self.backend.try_lock(Lock::Keys)? else {
            return Ok(());
        };
        let unlocked = self.unlocked()?;
        let mut header = unlocked.header;
        for slot in &mut header.slots {
            if is_unpublished(slot) {
                *slot = slot.published(key, &self.id);
            }
        }
        self.change_header(&header, &unlocked.data_key)
    }

    /// Removes the vault's entry from the keychain once no slot is left that it opens. One that
    /// stays opens nothing.
    pub(super) fn forget_keychain(&self, before: Option<&Header>, now: &Header) {
        let in_keychain = |header: &Header| {
            let mut sources = header.slots.iter().map(Slot::source);
            sources.any(|source| source == Some(KeySource::Keychain))
        };
        let Some(before) = before.filter(|before| in_keychain(before) && !in_keychain(now)) else {
            return;
        };
        let context = self.unlock_context();
        let finder = KeyFinder::new(&context.options, self.backend.host_disk());
        if let Err(error) = finder.forget_in_keychain(&before.vault) {
            crate::line!(
                WARN,
                error = error,
                "the keychain keeps an entry that opens nothing any more"
            );
        }
        if let Err(error) = self.forget_high_water() {
            crate::line!(
                DEBUG,
                error = error,
                "the keychain keeps marks of a vault that has no key there any more"
            );
        }
    }
}

impl KeySlot {
    pub(super) fn of(slot: &Slot) -> Self {
        Self {
            id: slot.id(),
            key_source: slot.source(),
        }
    }
}

/// Returns the slot that opens with what the finder's source gives now, and that key.
pub(super) fn open_slot<'h>(
    finder: &KeyFinder<'_>,
    header: &'h Header,
) -> Result<Option<(&'h Slot, WrappingKey)>, VaultError> {
    let source = finder.chosen().unwrap_or(KeySource::Keychain);
    for slot in &header.slots {
        if slot.source() != Some(source) {
            continue;
        }
        match finder.find(source, &header.vault, slot.kdf.as_ref()) {
            Ok(key) if slot.has_wrapping_key(&key, &header.vault) => {
                let wrapping_key = WrappingKey {
                    key,
                    source,
                    kdf: slot.kdf.clone(),
                };
                return Ok(Some((slot, wrapping_key)));
            }
            Ok(_) | Err(VaultError::KeyMissing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
