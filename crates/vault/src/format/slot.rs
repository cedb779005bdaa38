//! One way to the data key: a slot wraps it under a key that lives elsewhere. Pure.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    Entropy, KeySource,
    crypto::{
        key::{CHECK, Costs, Key, NONCE, NotAuthentic, TAG, random},
        public::{PublicKey, SealedKey},
    },
    format::record::VaultId,
    limits,
};

/// Why a header, or a slot of it, cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum HeaderError {
    Damaged(&'static str),
    Newer,
    /// The key is not the one that made this slot.
    WrongKey,
}

/// One way to the data key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// A [`KeySource`]'s name, or one that a later version knows.
    pub(crate) source: String,
    /// Check value of the key that wraps: tells a wrong key from a damaged header.
    #[serde(with = "hex::serde")]
    check: [u8; CHECK],
    #[serde(with = "hex::serde")]
    nonce: [u8; NONCE],
    #[serde(with = "hex::serde")]
    wrapped: Vec<u8>,
    /// How a passphrase becomes the key that wraps.
    #[serde(rename = "stretch", default, skip_serializing_if = "Option::is_none")]
    pub(crate) kdf: Option<KdfParams>,
    /// The public half of the key that wraps; earlier versions left none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public: Option<PublicKey>,
    /// The data key, sealed to the public half by one who had no more than that. It stands over
    /// `wrapped`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<SealedSlot>,
    /// Whose key this is, in a slot of [`KeySource::Host`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<HostFacts>,
    #[serde(flatten)]
    pub(crate) unknown: Map<String, Value>,
}

/// A data key that was sealed to the public half of a slot's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SealedSlot {
    /// Of which epoch it is. An earlier version rotates past it, and changes `wrapped` alone.
    epoch: u32,
    #[serde(flatten)]
    key: SealedKey,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// What a slot says of its host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HostFacts {
    pub(crate) name: String,
    /// When it was admitted, in ms since the Unix epoch.
    pub(crate) added: u64,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// What a host shows of its key, for others to admit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostKey {
    pub(crate) check: [u8; CHECK],
    pub(crate) public: PublicKey,
}

/// The Argon2id salt and costs of a passphrase slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KdfParams {
    #[serde(with = "hex::serde")]
    salt: [u8; 16],
    #[serde(flatten)]
    costs: Costs,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// The key that wraps a slot's data key, and where it came from.
pub(crate) struct WrappingKey {
    pub(crate) key: Key,
    pub(crate) source: KeySource,
    /// How a passphrase became this key; `None` for every other source.
    pub(crate) kdf: Option<KdfParams>,
}

impl KdfParams {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let costs = Costs {
            memory_kib: limits::ARGON2_MEMORY_KIB,
            passes: limits::ARGON2_PASSES,
            lanes: limits::ARGON2_LANES,
        };
        Self {
            salt: random(entropy),
            costs,
            unknown: Map::new(),
        }
    }

    /// Returns the key that the passphrase stands for; `None` when a header asks for unreasonable
    /// costs.
    pub(crate) fn apply(&self, passphrase: &[u8]) -> Option<Key> {
        let work = self.costs.passes.max(self.costs.lanes);
        if self.costs.memory_kib > limits::ARGON2_MEMORY_CEILING_KIB
            || work > limits::ARGON2_WORK_CEILING
        {
            return None;
        }
        Key::from_passphrase(passphrase, &self.salt, self.costs)
    }
}

impl HostKey {
    /// Returns what may be seen of a host's key.
    pub(crate) fn of(wrapping_key: &Key, vault: &VaultId) -> Self {
        Self {
            check: slot_check(wrapping_key, vault),
            public: PublicKey::of(&pair_key(wrapping_key, vault)),
        }
    }
}

impl Slot {
    /// Wraps `data_key` of one epoch under `wrapping_key`.
    pub(crate) fn new(
        (vault, epoch): (&VaultId, u32),
        wrapping_key: &WrappingKey,
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let empty = Self {
            source: wrapping_key.source.name().to_owned(),
            check: slot_check(&wrapping_key.key, vault),
            nonce: [0; NONCE],
            wrapped: Vec::new(),
            kdf: wrapping_key.kdf.clone(),
            public: None,
            sealed: None,
            host: None,
            unknown: Map::new(),
        };
        empty.rewrapped((vault, epoch), &wrapping_key.key, data_key, entropy)
    }

    /// Makes the slot of a host, of which no more than its public half is known; `None` when nothing
    /// can be sealed to that.
    pub(crate) fn of_host(
        of: (&VaultId, u32),
        host: &HostKey,
        (name, added): (&str, u64),
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        let empty = Self {
            source: KeySource::Host.name().to_owned(),
            check: host.check,
            nonce: [0; NONCE],
            wrapped: Vec::new(),
            kdf: None,
            public: Some(host.public),
            sealed: None,
            host: Some(HostFacts {
                name: name.to_owned(),
                added,
                unknown: Map::new(),
            }),
            unknown: Map::new(),
        };
        empty.resealed(of, data_key, entropy)
    }

    /// Returns this slot with another data key in it, for which its public half is enough; `None`
    /// when it has none.
    pub(crate) fn resealed(
        &self,
        (vault, epoch): (&VaultId, u32),
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        let public = self.public?;
        let context = self.sealing_context(vault, epoch, &public);
        let key = public.seal(&context, data_key, entropy)?;
        Some(Self {
            nonce: [0; NONCE],
            wrapped: Vec::new(),
            sealed: Some(SealedSlot {
                epoch,
                key,
                unknown: Map::new(),
            }),
            ..self.clone()
        })
    }

    /// Returns this slot with the public half of its key in it.
    pub(crate) fn published(&self, wrapping_key: &Key, vault: &VaultId) -> Self {
        let public = || PublicKey::of(&pair_key(wrapping_key, vault));
        Self {
            public: Some(self.public.unwrap_or_else(public)),
            ..self.clone()
        }
    }

    /// Returns this slot with another data key, or that of another epoch, in it.
    pub(crate) fn rewrapped(
        &self,
        (vault, epoch): (&VaultId, u32),
        wrapping_key: &Key,
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let nonce = random(entropy);
        let mut wrapped = Vec::with_capacity(32 + TAG);
        wrapped.extend_from_slice(data_key.bytes());
        let context = slot_context(vault, &self.source, epoch);
        wrapping_key
            .derive(&[b"slot"])
            .seal(&nonce, &context, &mut wrapped);
        Self {
            nonce,
            wrapped,
            sealed: None,
            ..self.published(wrapping_key, vault)
        }
    }

    /// Returns the data key of one epoch that this slot wraps.
    pub(crate) fn open(
        &self,
        (vault, epoch): (&VaultId, u32),
        wrapping_key: &Key,
    ) -> Result<Key, HeaderError> {
        if !self.has_wrapping_key(wrapping_key, vault) {
            return Err(HeaderError::WrongKey);
        }
        if let Some(sealed) = self.sealed.as_ref().filter(|sealed| sealed.epoch == epoch) {
            let public = self.public.ok_or(DAMAGED)?;
            let context = self.sealing_context(vault, epoch, &public);
            let opened = sealed.key.open(&context, &pair_key(wrapping_key, vault));
            return opened.map_err(|NotAuthentic| DAMAGED);
        }
        let mut wrapped = Zeroizing::new(self.wrapped.clone());
        wrapping_key
            .derive(&[b"slot"])
            .open(
                &self.nonce,
                &slot_context(vault, &self.source, epoch),
                &mut wrapped,
            )
            .map_err(|NotAuthentic| DAMAGED)?;
        Key::from_slice(&wrapped).ok_or(HeaderError::Damaged("has a key slot of the wrong length"))
    }

    /// Tells whether `wrapping_key` is the key that wraps this slot.
    pub(crate) fn has_wrapping_key(&self, wrapping_key: &Key, vault: &VaultId) -> bool {
        slot_check(wrapping_key, vault) == self.check
    }

    /// First 8 hex digits of the wrapping key's check value.
    pub(crate) fn id(&self) -> String {
        hex::encode(&self.check[..4])
    }

    /// Returns where the key of this slot is to be found; `None` for a source of a later version.
    pub(crate) fn source(&self) -> Option<KeySource> {
        if self.source == KeySource::Host.name() {
            return Some(KeySource::Host);
        }
        self.source.parse().ok()
    }

    /// Tells whether this is the slot of that host, by its key.
    pub(crate) fn is_of(&self, host: &HostKey) -> bool {
        self.check == host.check || self.public == Some(host.public)
    }

    /// What a sealed data key belongs to: nobody can put it into another slot, vault or epoch.
    fn sealing_context(&self, vault: &VaultId, epoch: u32, public: &PublicKey) -> Vec<u8> {
        let mut context = slot_context(vault, &self.source, epoch);
        context.extend_from_slice(&public.0);
        context
    }
}

const DAMAGED: HeaderError = HeaderError::Damaged("has a damaged key slot");

/// The key whose public half a slot shows: another one in each vault, so that two vaults with one
/// key do not look alike.
fn pair_key(wrapping_key: &Key, vault: &VaultId) -> Key {
    wrapping_key.derive(&[b"slot pair", vault])
}

fn slot_check(wrapping_key: &Key, vault: &VaultId) -> [u8; CHECK] {
    wrapping_key.check(&[b"slot check", vault])
}

fn slot_context(vault: &VaultId, source: &str, epoch: u32) -> Vec<u8> {
    [
        b"provider-auth slot".as_slice(),
        vault,
        &epoch.to_le_bytes(),
        source.as_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreasonable_costs_are_not_paid() {
        let mut kdf = KdfParams::new(&|bytes: &mut [u8]| bytes.fill(7));
        kdf.costs.memory_kib = u32::MAX;
        assert!(kdf.apply(b"passphrase").is_none());
        kdf.costs = Costs {
            memory_kib: 64,
            passes: 1000,
            lanes: 1,
        };
        assert!(kdf.apply(b"passphrase").is_none());
    }
}
