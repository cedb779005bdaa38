//! The vault's header: which vault this is, which slots hold its data key, and a signature under
//! that key. Pure.
//!
//! The file is two lines: the header as JSON, and the signature of exactly those bytes. Each slot
//! wraps the same 32-byte data key under another key; fields that this version does not know are
//! kept. While the records move to a new data key, and for a week after that where several hosts
//! share the vault, the ones before it are kept too, each sealed under the new one.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    Entropy, KeySource,
    crypto::key::{CHECK, Key, NONCE, NotAuthentic, TAG, random},
    format::{
        record::VaultId,
        row::{SealedNamesKey, first_names_key},
        slot::{HeaderError, HostFacts, Slot, WrappingKey},
    },
};

const FORMAT: u32 = 1;

/// Returns which vault a header is of, and the epoch of the data key that new records are sealed
/// with, as it says of itself to a reader without the key; `None` where it cannot be read as a header.
pub fn header_facts(file: &[u8]) -> Option<(VaultId, u32)> {
    let header = Header::parse(file).ok()?;
    Some((header.vault, header.epoch))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    format: u32,
    /// Names the vault in its records and in the keychain.
    #[serde(with = "hex::serde")]
    pub(crate) vault: VaultId,
    /// Counts the data keys of this vault, from 1.
    pub(crate) epoch: u32,
    /// Check value of the data key of this epoch.
    #[serde(with = "hex::serde")]
    check: [u8; CHECK],
    pub(crate) slots: Vec<Slot>,
    /// The data keys that records may still be under; none when no rotation is under way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) previous: Vec<Previous>,
    /// The key of the names of rows, once the data key has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    names: Option<SealedNamesKey>,
    /// Hosts whose slots are gone, while not all that they could read was renewed since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) revoked: Vec<RevokedHost>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A host that was taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RevokedHost {
    /// That of its slot.
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) host: HostFacts,
}

/// The data key of an earlier epoch, sealed under the present one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Previous {
    epoch: u32,
    #[serde(with = "hex::serde")]
    nonce: [u8; NONCE],
    #[serde(with = "hex::serde")]
    sealed: Vec<u8>,
    /// When no record was under it any more, in ms since the Unix epoch; `None` while one may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl Previous {
    fn is_over(&self, now: u64, kept: Duration) -> bool {
        let kept = kept.as_millis() as u64;
        self.left
            .is_some_and(|left| now >= left.saturating_add(kept))
    }
}

impl Header {
    /// Makes the header of a vault with one slot, in which `wrapping_key` wraps `data_key`.
    pub(crate) fn new(
        (vault, epoch): (VaultId, u32),
        wrapping_key: &WrappingKey,
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Self {
        Self {
            format: FORMAT,
            vault,
            epoch,
            check: data_check(data_key, &vault, epoch),
            slots: vec![Slot::new((&vault, epoch), wrapping_key, data_key, entropy)],
            previous: Vec::new(),
            names: None,
            revoked: Vec::new(),
            unknown: Map::new(),
        }
    }

    /// Returns the header of the next epoch: `slots` wrap `next_key`, which seals `keys`, the data
    /// keys of this epoch and those before it.
    pub(crate) fn next_epoch(
        &self,
        slots: Vec<Slot>,
        keys: &[(u32, Key)],
        next_key: &Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let epoch = self.epoch + 1;
        let seal = |(old, key): &(u32, Key)| {
            let nonce = random(entropy);
            let mut sealed = Vec::with_capacity(32 + TAG);
            sealed.extend_from_slice(key.bytes());
            previous_key(next_key).seal(
                &nonce,
                &previous_context(&self.vault, epoch, *old),
                &mut sealed,
            );
            let known = self.previous.iter().find(|known| known.epoch == *old);
            Previous {
                epoch: *old,
                nonce,
                sealed,
                left: known.and_then(|known| known.left),
                unknown: Map::new(),
            }
        };
        let names_key = keys.first().map(|(_, data_key)| self.names_key(data_key));
        let of = (&self.vault, epoch);
        let names = names_key.map(|key| SealedNamesKey::new(&key, of, next_key, entropy));
        Self {
            epoch,
            names,
            check: data_check(next_key, &self.vault, epoch),
            slots,
            previous: keys.iter().map(seal).collect(),
            ..self.clone()
        }
    }

    /// Adds a way to the data key. A keychain has one key for each vault: a slot for another one
    /// opens no more.
    pub(crate) fn add_slot(
        &mut self,
        wrapping_key: &WrappingKey,
        data_key: &Key,
        entropy: &dyn Entropy,
    ) {
        if wrapping_key.source == KeySource::Keychain {
            self.slots
                .retain(|slot| slot.source() != Some(KeySource::Keychain));
        }
        let of = (&self.vault, self.epoch);
        self.slots
            .push(Slot::new(of, wrapping_key, data_key, entropy));
    }

    /// Returns the data keys of this epoch and of those before it that are kept.
    pub(crate) fn data_keys(&self, data_key: &Key) -> Result<Vec<(u32, Key)>, HeaderError> {
        let mut keys = vec![(self.epoch, data_key.duplicate())];
        for previous in &self.previous {
            let mut key = Zeroizing::new(previous.sealed.clone());
            let context = previous_context(&self.vault, self.epoch, previous.epoch);
            previous_key(data_key)
                .open(&previous.nonce, &context, &mut key)
                .map_err(|NotAuthentic| HeaderError::Damaged("has a damaged earlier key"))?;
            let key = Key::from_slice(&key).ok_or(HeaderError::Damaged(
                "has an earlier key of the wrong length",
            ))?;
            keys.push((previous.epoch, key));
        }
        Ok(keys)
    }

    /// Returns the key of the names of rows, which stays when the data key changes.
    pub(crate) fn names_key(&self, data_key: &Key) -> Key {
        let of = (&self.vault, self.epoch);
        let kept = self.names.as_ref().and_then(|it| it.open(of, data_key));
        kept.unwrap_or_else(|| first_names_key(data_key))
    }

    /// Drops the data keys before this epoch's, once no record has been under them for `kept`; tells
    /// whether anything changed. No record may be under one of them now.
    pub(crate) fn drop_previous(&mut self, now: u64, kept: Duration) -> bool {
        let before = self.previous.clone();
        for previous in &mut self.previous {
            previous.left.get_or_insert(now);
        }
        self.previous
            .retain(|previous| !previous.is_over(now, kept));
        self.previous != before
    }

    /// Tells whether a data key before this epoch's may be in use, or is to be dropped.
    pub(crate) fn has_previous_to_do(&self, now: u64, kept: Duration) -> bool {
        let to_do = |previous: &Previous| previous.left.is_none() || previous.is_over(now, kept);
        self.previous.iter().any(to_do)
    }

    /// Reads the first line. Nothing in it may be trusted before [`Header::unlock`] has checked the
    /// signature.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, HeaderError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let (line, _) = lines(file)?;
        let Format { format } = serde_json::from_slice(line)
            .map_err(|_| HeaderError::Damaged("is not a vault header"))?;
        if format != FORMAT {
            return Err(HeaderError::Newer);
        }
        serde_json::from_slice(line)
            .map_err(|_| HeaderError::Damaged("lacks a field or has a wrong one"))
    }

    /// Returns the file's bytes, signed under the data key.
    pub(crate) fn encode(&self, data_key: &Key) -> Vec<u8> {
        let mut file =
            serde_json::to_vec(self).expect("a header has no key that JSON could not hold");
        let signature = header_key(data_key).sign(&file);
        file.push(b'\n');
        file.extend_from_slice(hex::encode(signature).as_bytes());
        file.push(b'\n');
        file
    }

    /// Opens one slot of this header, which was read from `file`, with the slot's wrapping key:
    /// returns the data key.
    pub(crate) fn unlock(
        &self,
        file: &[u8],
        slot: &Slot,
        wrapping_key: &Key,
    ) -> Result<Key, HeaderError> {
        let data_key = slot.open((&self.vault, self.epoch), wrapping_key)?;
        if !self.has_data_key(&data_key) {
            return Err(HeaderError::Damaged(
                "has a key check value that does not fit its key",
            ));
        }
        self.verify(file, &data_key)?;
        Ok(data_key)
    }

    /// Tells whether `data_key` is the one of this epoch.
    pub(crate) fn has_data_key(&self, data_key: &Key) -> bool {
        data_check(data_key, &self.vault, self.epoch) == self.check
    }

    /// Checks that this header, which was read from `file`, was signed under `data_key`.
    pub(crate) fn verify(&self, file: &[u8], data_key: &Key) -> Result<(), HeaderError> {
        let (line, signature) = lines(file)?;
        if header_key(data_key).signed(line, &signature) {
            return Ok(());
        }
        Err(HeaderError::Damaged("was changed without its key"))
    }

    /// Tells whether both speak of the same key of the same vault.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        (self.vault, self.epoch, self.check) == (other.vault, other.epoch, other.check)
    }

    /// First 8 hex digits of the data key's check value.
    pub(crate) fn key_id(&self) -> String {
        hex::encode(&self.check[..4])
    }
}

/// Tells whether two header files have the same signature.
pub(crate) fn is_signed_like(file: &[u8], other: &[u8]) -> bool {
    let signatures = (lines(file), lines(other));
    matches!(signatures, (Ok((_, one)), Ok((_, two))) if one == two)
}

/// Cuts a header file into its JSON and its signature.
fn lines(file: &[u8]) -> Result<(&[u8], Vec<u8>), HeaderError> {
    let end = file
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(HeaderError::Damaged("is cut short"))?;
    let signature = file[end + 1..]
        .strip_suffix(b"\n")
        .and_then(|line| hex::decode(line).ok());
    Ok((
        &file[..end],
        signature.ok_or(HeaderError::Damaged("is cut short"))?,
    ))
}

fn header_key(data_key: &Key) -> Key {
    data_key.derive(&[b"header"])
}

fn data_check(data_key: &Key, vault: &VaultId, epoch: u32) -> [u8; CHECK] {
    data_key.check(&[b"data check", vault, &epoch.to_le_bytes()])
}

fn previous_key(data_key: &Key) -> Key {
    data_key.derive(&[b"previous"])
}

fn previous_context(vault: &VaultId, epoch: u32, old: u32) -> Vec<u8> {
    [
        b"provider-auth previous".as_slice(),
        vault,
        &epoch.to_le_bytes(),
        &old.to_le_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;
