//! The vault's header: which vault this is, which slots hold its data key, and a signature under that key. Pure.
//!
//! The file is two lines: the header as JSON, and the signature of exactly those bytes. Each slot wraps the same 32-byte data
//! key under another key; fields that this version does not know are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Entropy, KeySource, hex,
    key::{CHECK, Costs, Forged, Key, NONCE, random},
    limits,
    record::VaultId,
};

const FORMAT: u32 = 1;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    format: u32,
    /// Names the vault in its records and in the keychain.
    #[serde(with = "hex")]
    pub(crate) vault: VaultId,
    /// Counts the data keys of this vault, from 1.
    pub(crate) epoch: u32,
    /// Check value of the data key of this epoch.
    #[serde(with = "hex")]
    check: [u8; CHECK],
    pub(crate) slots: Vec<Slot>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// One way to the data key.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slot {
    /// A [`KeySource`]'s name, or one that a later version knows.
    source: String,
    /// Check value of the key that wraps: tells a wrong key from a damaged header.
    #[serde(with = "hex")]
    check: [u8; CHECK],
    #[serde(with = "hex")]
    nonce: [u8; NONCE],
    #[serde(with = "hex")]
    wrapped: Vec<u8>,
    /// How a passphrase becomes the key that wraps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stretch: Option<Stretch>,
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// The Argon2id salt and costs of a passphrase slot.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stretch {
    #[serde(with = "hex")]
    salt: [u8; 16],
    #[serde(flatten)]
    costs: Costs,
}

/// Why a header cannot be used.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    Damaged(&'static str),
    Newer,
    /// The key is not the one that made this slot.
    WrongKey,
}

impl Stretch {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let costs = Costs {
            memory_kib: limits::ARGON2_MEMORY_KIB,
            passes: limits::ARGON2_PASSES,
            lanes: limits::ARGON2_LANES,
        };
        Self {
            salt: random(entropy),
            costs,
        }
    }

    /// Returns the key that the passphrase stands for; `None` when a header asks for costs out of all reason.
    pub(crate) fn apply(&self, passphrase: &[u8]) -> Option<Key> {
        let work = self.costs.passes.max(self.costs.lanes);
        if self.costs.memory_kib > limits::ARGON2_MEMORY_CEILING_KIB
            || work > limits::ARGON2_WORK_CEILING
        {
            return None;
        }
        Key::stretch(passphrase, &self.salt, self.costs)
    }
}

impl Slot {
    /// Returns where the key of this slot is to be found; `None` for a source of a later version.
    pub(crate) fn source(&self) -> Option<KeySource> {
        self.source.parse().ok()
    }
}

impl Header {
    /// Makes the header of a new vault: one slot, in which `outer` wraps `data_key`.
    pub(crate) fn new(
        vault: VaultId,
        source: KeySource,
        stretch: Option<Stretch>,
        outer: &Key,
        data_key: &Key,
        entropy: &dyn Entropy,
    ) -> Self {
        let epoch = 1;
        let nonce = random(entropy);
        let mut wrapped = data_key.bytes().to_vec();
        let source = source.name().to_owned();
        outer
            .derive(&[b"slot"])
            .seal(&nonce, &slot_context(&vault, &source, epoch), &mut wrapped);
        let slot = Slot {
            check: slot_check(outer, &vault),
            source,
            nonce,
            wrapped,
            stretch,
            unknown: Map::new(),
        };
        let check = data_check(data_key, &vault, epoch);
        Self {
            format: FORMAT,
            vault,
            epoch,
            check,
            slots: vec![slot],
            unknown: Map::new(),
        }
    }

    /// Reads the first line. Nothing in it may be trusted before [`Header::unlock`] has checked the signature.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, Refused> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let (line, _) = lines(file)?;
        let Format { format } =
            serde_json::from_slice(line).map_err(|_| Refused::Damaged("is not a vault header"))?;
        if format != FORMAT {
            return Err(Refused::Newer);
        }
        serde_json::from_slice(line)
            .map_err(|_| Refused::Damaged("lacks a field or has a wrong one"))
    }

    /// Returns the file's bytes, signed under the data key.
    pub(crate) fn encode(&self, data_key: &Key) -> Vec<u8> {
        let mut file =
            serde_json::to_vec(self).expect("a header has no key that JSON could not hold");
        let signature = header_key(data_key).sign(&file);
        file.push(b'\n');
        file.extend_from_slice(hex::encode(&signature).as_bytes());
        file.push(b'\n');
        file
    }

    /// Opens one slot of this header, which was read from `file`, with the slot's outer key: returns the data key.
    pub(crate) fn unlock(&self, file: &[u8], slot: &Slot, outer: &Key) -> Result<Key, Refused> {
        if slot_check(outer, &self.vault) != slot.check {
            return Err(Refused::WrongKey);
        }
        let mut wrapped = zeroize::Zeroizing::new(slot.wrapped.clone());
        outer
            .derive(&[b"slot"])
            .open(
                &slot.nonce,
                &slot_context(&self.vault, &slot.source, self.epoch),
                &mut wrapped,
            )
            .map_err(|Forged| Refused::Damaged("has a damaged key slot"))?;
        let data_key = Key::from_slice(&wrapped)
            .ok_or(Refused::Damaged("has a key slot of the wrong length"))?;
        if data_check(&data_key, &self.vault, self.epoch) != self.check {
            return Err(Refused::Damaged(
                "has a key check value that does not fit its key",
            ));
        }
        let (line, signature) = lines(file)?;
        if !header_key(&data_key).signed(line, &signature) {
            return Err(Refused::Damaged(
                "was changed by somebody who does not have its key",
            ));
        }
        Ok(data_key)
    }

    /// First 8 hex digits of the data key's check value.
    pub(crate) fn key_id(&self) -> String {
        hex::encode(&self.check[..4])
    }
}

/// Cuts a header file into its JSON and its signature.
fn lines(file: &[u8]) -> Result<(&[u8], Vec<u8>), Refused> {
    let end = file
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or(Refused::Damaged("is cut short"))?;
    let signature = file[end + 1..]
        .strip_suffix(b"\n")
        .and_then(|line| hex::decode(std::str::from_utf8(line).ok()?));
    Ok((
        &file[..end],
        signature.ok_or(Refused::Damaged("is cut short"))?,
    ))
}

fn header_key(data_key: &Key) -> Key {
    data_key.derive(&[b"header"])
}

fn data_check(data_key: &Key, vault: &VaultId, epoch: u32) -> [u8; CHECK] {
    data_key.check(&[b"data check", vault, &epoch.to_le_bytes()])
}

fn slot_check(outer: &Key, vault: &VaultId) -> [u8; CHECK] {
    outer.check(&[b"slot check", vault])
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

    fn entropy(bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn key(byte: u8) -> Key {
        Key::from_slice(&[byte; 32]).unwrap()
    }

    fn header() -> Header {
        Header::new([3; 16], KeySource::Env, None, &key(1), &key(2), &entropy)
    }

    #[track_caller]
    fn check(file: &[u8], outer: &Key, expect: Result<[u8; 32], Refused>) {
        let unlocked =
            Header::parse(file).and_then(|header| header.unlock(file, &header.slots[0], outer));
        assert_eq!(unlocked.map(|key| *key.bytes()), expect);
    }

    #[test]
    fn the_right_key_opens_the_slot_and_a_wrong_one_is_called_wrong() {
        let file = header().encode(&key(2));
        check(&file, &key(1), Ok([2; 32]));
        check(&file, &key(9), Err(Refused::WrongKey));
    }

    #[test]
    fn a_slot_of_another_vault_or_source_does_not_open() {
        let mut moved = header();
        moved.slots[0].source = "keyfile".to_owned();
        check(
            &moved.encode(&key(2)),
            &key(1),
            Err(Refused::Damaged("has a damaged key slot")),
        );
        let mut other = header();
        other.vault = [4; 16];
        check(&other.encode(&key(2)), &key(1), Err(Refused::WrongKey));
    }

    #[test]
    fn a_change_by_somebody_without_the_key_is_refused() {
        let mut extended = header();
        extended
            .unknown
            .insert("colour".to_owned(), Value::from("red"));
        let forged = extended.encode(&key(5));
        check(
            &forged,
            &key(1),
            Err(Refused::Damaged(
                "was changed by somebody who does not have its key",
            )),
        );
    }

    #[test]
    fn fields_of_later_versions_are_kept() {
        let mut later = header();
        later
            .unknown
            .insert("colour".to_owned(), Value::from("red"));
        later.slots[0]
            .unknown
            .insert("hint".to_owned(), Value::from("pet"));
        let file = later.encode(&key(2));
        assert_eq!(Header::parse(&file).unwrap(), later);
        check(&file, &key(1), Ok([2; 32]));
    }

    #[test]
    fn another_format_is_newer_and_junk_is_damaged() {
        let mut newer = header();
        newer.format = 2;
        assert_eq!(Header::parse(&newer.encode(&key(2))), Err(Refused::Newer));
        for junk in [
            b"".as_slice(),
            b"{",
            b"{}\n",
            b"\n\n",
            b"{}\nzz\n",
            b"\xff\n00\n",
            b"{\"format\":1}\n00\n",
        ] {
            assert!(
                matches!(Header::parse(junk), Err(Refused::Damaged(_))),
                "{junk:?}"
            );
        }
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let file = header().encode(&key(2));
        for at in 0..file.len() {
            let mut flipped = file.clone();
            flipped[at] ^= 1;
            let unlocked = Header::parse(&flipped)
                .and_then(|header| header.unlock(&flipped, &header.slots[0], &key(1)));
            // The case of a hex digit carries nothing.
            assert!(unlocked.is_err(), "byte {at}");
        }
    }

    #[test]
    fn costs_out_of_all_reason_are_not_paid() {
        let mut stretch = Stretch::new(&entropy);
        stretch.costs.memory_kib = u32::MAX;
        assert!(stretch.apply(b"passphrase").is_none());
        stretch.costs = Costs {
            memory_kib: 64,
            passes: 1000,
            lanes: 1,
        };
        assert!(stretch.apply(b"passphrase").is_none());
    }
}
