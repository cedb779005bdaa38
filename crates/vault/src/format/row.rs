//! What a row of the shared state is called, and under which keys. Pure.
//!
//! Who keeps the rows must not learn from a key what its row is about, nor guess it. So the key is a
//! keyed hash of the row's name, which stands inside the sealed bytes. What it is hashed with is
//! derived from the first data key and then kept in the header, so that a row keeps its key when the
//! data key changes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    Entropy,
    crypto::key::{Key, NONCE, TAG, random},
    format::{id::RecordId, record::VaultId},
};

/// Bytes of the length of a name, which comes first inside the seal.
const LENGTH: usize = 4;

/// The key of the names, sealed under the data key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SealedNamesKey {
    #[serde(with = "hex::serde")]
    nonce: [u8; NONCE],
    #[serde(with = "hex::serde")]
    sealed: Vec<u8>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

impl SealedNamesKey {
    pub(crate) fn new(
        names_key: &Key,
        of: (&VaultId, u32),
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let nonce = random(entropy);
        let mut sealed = Vec::with_capacity(names_key.bytes().len() + TAG);
        sealed.extend_from_slice(names_key.bytes());
        sealing_key(data_key).seal(&nonce, &context(of), &mut sealed);
        Self {
            nonce,
            sealed,
            unknown: Map::new(),
        }
    }

    /// Returns the key; `None` where it was not sealed for this epoch: an earlier version changed the
    /// data key and left it.
    pub(crate) fn open(&self, of: (&VaultId, u32), data_key: &Key) -> Option<Key> {
        let mut key = Zeroizing::new(self.sealed.clone());
        let opened = sealing_key(data_key).open(&self.nonce, &context(of), &mut key);
        opened.ok().and_then(|()| Key::from_slice(&key))
    }
}

/// Returns the key of the names where the header keeps none.
pub(crate) fn first_names_key(data_key: &Key) -> Key {
    data_key.derive(&[b"row names"])
}

/// Returns the key that seals rows of one epoch.
pub(crate) fn state_key(data_key: &Key, epoch: u32) -> Key {
    data_key.derive(&[b"state", &epoch.to_le_bytes()])
}

/// Returns the id under which a row is sealed: its text is the row's key.
pub(crate) fn row_id(names_key: &Key, name: &str) -> RecordId {
    RecordId::of_hash(&names_key.sign(name.as_bytes()))
}

/// Returns what is sealed of a row.
pub(crate) fn encode(name: &str, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(name.len()).expect("a name is shorter than 4 GiB");
    [&length.to_le_bytes(), name.as_bytes(), content].concat()
}

/// Returns the name and the content of a row from what was sealed.
pub(crate) fn decode(plaintext: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = plaintext.split_first_chunk::<LENGTH>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (name, content) = rest.split_at_checked(length)?;
    Some((str::from_utf8(name).ok()?, content))
}

fn sealing_key(data_key: &Key) -> Key {
    data_key.derive(&[b"names key"])
}

fn context((vault, epoch): (&VaultId, u32)) -> Vec<u8> {
    [
        b"provider-auth names".as_slice(),
        vault,
        &epoch.to_le_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_slice(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_name_has_one_key_that_says_nothing_of_it() {
        let id = row_id(&key(1), "b/egress:acme");
        assert_eq!(id, row_id(&key(1), "b/egress:acme"));
        assert_ne!(id, row_id(&key(2), "b/egress:acme"));
        assert_ne!(id, row_id(&key(1), "b/egress:acmf"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(!id.to_string().to_lowercase().contains("acme"));
    }

    #[test]
    fn a_name_and_a_content_come_back_whatever_they_hold() {
        for (name, content) in [("", "x"), ("a/1", ""), ("b/\n\u{0}é", "{}")] {
            let plaintext = encode(name, content.as_bytes());
            assert_eq!(decode(&plaintext), Some((name, content.as_bytes())));
        }
        for damaged in [
            &[][..],
            &[1, 0, 0],
            &[2, 0, 0, 0, b'x'],
            &[1, 0, 0, 0, 0xff],
        ] {
            assert_eq!(decode(damaged), None);
        }
    }

    #[test]
    fn the_key_of_the_names_opens_for_its_vault_epoch_and_data_key_alone() {
        let entropy = |bytes: &mut [u8]| bytes.fill(7);
        let sealed = SealedNamesKey::new(&key(1), (&[4; 16], 2), &key(3), &entropy);
        let opened = sealed.open((&[4; 16], 2), &key(3)).unwrap();
        assert_eq!(opened.bytes(), key(1).bytes());
        for (vault, epoch, data_key) in [(5, 2, 3), (4, 3, 3), (4, 2, 1)] {
            assert!(sealed.open((&[vault; 16], epoch), &key(data_key)).is_none());
        }
    }
}
