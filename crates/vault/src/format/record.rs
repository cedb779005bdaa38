//! One sealed record: its id, its fixed header, its bytes. Pure: no file, no clock, no entropy.
//!
//! A file is a fixed header of 72 bytes, then the ciphertext, then the tag. The whole header is
//! authenticated, so a record that was swapped, renamed, rolled into another vault or given another
//! generation does not open.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    crypto::hidden::Hidden,
    crypto::key::{Key, NONCE, TAG},
    format::id::RecordId,
    limits::PADDING,
};

/// A record as it was when it was read; its plaintext is wiped when the last holder lets go.
pub struct Record {
    /// Its name.
    pub id: RecordId,
    /// What the plaintext is; the vault gives it no meaning.
    pub kind: u8,
    /// Counts the writes of this record, from 1.
    pub generation: u64,
    /// Its length, itself, and zeros.
    content: Hidden,
    length: usize,
}

impl Record {
    /// Returns the content.
    pub fn plaintext(&self) -> &[u8] {
        &self.content.bytes()[LENGTH..][..self.length]
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = to.debug_struct("Record");
        record
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

/// Names a vault in its records and in the keychain.
pub type VaultId = [u8; 16];

/// The kind of a mark that a record was removed. It has no content.
pub(crate) const GONE: u8 = 255;

/// What the bytes of a record say of themselves to a reader without the key. Only opening them proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedFacts {
    /// The vault that it belongs to.
    pub vault: VaultId,
    /// Which record it is.
    pub id: RecordId,
    /// How often the record was written.
    pub generation: u64,
    /// Which data key sealed it.
    pub epoch: u32,
    /// Whether it is the mark of a removed record.
    pub is_gone: bool,
}

impl SealedFacts {
    /// Reads what the bytes say; `None` where they are no record.
    pub fn read(sealed: &[u8]) -> Option<Self> {
        let header = RecordHeader::parse(sealed).ok()?;
        Some(Self {
            vault: header.vault,
            id: header.id,
            generation: header.generation,
            epoch: header.epoch,
            is_gone: header.kind == GONE,
        })
    }
}

const MAGIC: [u8; 4] = *b"PAVR";
const FORMAT: u16 = 1;
/// HKDF-SHA256 and AES-256-GCM.
const SUITE: u8 = 1;
const HEADER: usize = 72;
/// The plaintext's own length comes first, inside the seal.
const LENGTH: usize = 4;

/// The authenticated first 72 bytes of a record's file; integers are little-endian.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordHeader {
    pub(crate) kind: u8,
    pub(crate) epoch: u32,
    pub(crate) generation: u64,
    pub(crate) vault: VaultId,
    pub(crate) id: RecordId,
    pub(crate) nonce: [u8; NONCE],
    pub(crate) length: u32,
}

/// Why a record's file does not open.
#[derive(Debug, PartialEq)]
pub(crate) enum RecordError {
    /// Its bytes are not those that were written, or not in this place.
    Damaged,
    /// It has a format, suite, flag or key epoch that this version does not know.
    Newer,
}

impl RecordHeader {
    pub(crate) fn parse(file: &[u8]) -> Result<Self, RecordError> {
        let mut rest = file.get(..HEADER).ok_or(RecordError::Damaged)?;
        if take::<4>(&mut rest) != MAGIC {
            return Err(RecordError::Damaged);
        }
        let format = u16::from_le_bytes(take(&mut rest));
        let [suite, kind] = take(&mut rest);
        let flags = u32::from_le_bytes(take(&mut rest));
        if format != FORMAT || suite != SUITE || flags != 0 {
            return Err(RecordError::Newer);
        }
        Ok(Self {
            kind,
            epoch: u32::from_le_bytes(take(&mut rest)),
            generation: u64::from_le_bytes(take(&mut rest)),
            vault: take(&mut rest),
            id: RecordId::from_bytes(take(&mut rest)),
            nonce: take(&mut rest),
            length: u32::from_le_bytes(take(&mut rest)),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend(MAGIC);
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend([SUITE, self.kind]);
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(self.epoch.to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.vault);
        bytes.extend(self.id.to_bytes());
        bytes.extend(self.nonce);
        bytes.extend(self.length.to_le_bytes());
        bytes
    }
}

/// Returns the key that seals records of one epoch.
pub(crate) fn record_key(data_key: &Key, epoch: u32) -> Key {
    data_key.derive(&[b"rec", &epoch.to_le_bytes()])
}

/// Returns the key that seals the index of one epoch.
pub(crate) fn index_key(data_key: &Key, epoch: u32) -> Key {
    data_key.derive(&[b"idx", &epoch.to_le_bytes()])
}

/// Returns the bytes of a record's file; `header.length` is set here.
pub(crate) fn seal(key: &Key, mut header: RecordHeader, plaintext: &[u8]) -> Vec<u8> {
    let length = u32::try_from(plaintext.len()).expect("a record is shorter than 4 GiB");
    let padded = (LENGTH + plaintext.len()).next_multiple_of(PADDING);
    // Room for the tag from the start: growing would leave a copy of the plaintext behind.
    let mut body = Zeroizing::new(Vec::with_capacity(padded + TAG));
    body.extend(length.to_le_bytes());
    body.extend_from_slice(plaintext);
    body.resize(padded, 0);
    header.length = u32::try_from(padded).expect("a padded record is shorter than 4 GiB");
    let mut file = header.encode();
    key.seal(&header.nonce, &file, &mut body);
    file.extend_from_slice(&body);
    file
}

/// Returns the length in bytes of what [`seal`] makes of `plaintext`.
pub(crate) fn sealed_length(plaintext: &[u8]) -> u64 {
    (HEADER + (LENGTH + plaintext.len()).next_multiple_of(PADDING) + TAG) as u64
}

/// Opens the file of record `id` of `vault`; `key_of` returns the record key of an epoch, if it is
/// known.
pub(crate) fn open<'k>(
    key_of: impl Fn(u32) -> Option<&'k Key>,
    vault: &VaultId,
    id: RecordId,
    file: &[u8],
) -> Result<Record, RecordError> {
    let header = RecordHeader::parse(file)?;
    let (context, sealed) = file.split_at(HEADER);
    let (sealed, tag) = sealed
        .split_last_chunk::<TAG>()
        .ok_or(RecordError::Damaged)?;
    if header.vault != *vault || header.id != id || sealed.len() != header.length as usize {
        return Err(RecordError::Damaged);
    }
    let key = key_of(header.epoch).ok_or(RecordError::Newer)?;
    let mut content = Hidden::copy_of(sealed);
    key.open_in_place(&header.nonce, context, content.bytes_mut(), tag)
        .map_err(|_| RecordError::Damaged)?;
    let (length, rest) = content
        .bytes()
        .split_first_chunk::<LENGTH>()
        .ok_or(RecordError::Damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > rest.len() {
        return Err(RecordError::Damaged);
    }
    Ok(Record {
        id,
        kind: header.kind,
        generation: header.generation,
        content,
        length,
    })
}

/// Takes `N` bytes from the front of a slice that is known to have them.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest
        .split_first_chunk()
        .expect("the fields add up to the header's length");
    *rest = tail;
    *head
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    fn header() -> RecordHeader {
        let id = RecordId::from_parts(1, [2; 10]);
        RecordHeader {
            kind: 3,
            epoch: 1,
            generation: 7,
            vault: [4; 16],
            id,
            nonce: [5; NONCE],
            length: 0,
        }
    }

    fn key() -> &'static Key {
        static KEY: OnceLock<Key> = OnceLock::new();
        KEY.get_or_init(|| Key::from_slice(&[9; 32]).unwrap())
    }

    fn opened(file: &[u8]) -> Result<Record, RecordError> {
        open(
            |epoch| (epoch == 1).then_some(key()),
            &[4; 16],
            header().id,
            file,
        )
    }

    #[test]
    fn a_record_comes_back_as_it_was_sealed() {
        for length in [0, 1, 251, 252, 253, 5000] {
            let plaintext = vec![b'x'; length];
            let file = seal(key(), header(), &plaintext);
            assert_eq!((file.len() - HEADER - TAG) % PADDING, 0);
            assert_eq!(file.len() as u64, sealed_length(&plaintext));
            let record = opened(&file).unwrap();
            assert_eq!(
                (record.plaintext(), record.kind, record.generation),
                (plaintext.as_slice(), 3, 7)
            );
        }
    }

    #[test]
    fn the_header_is_72_bytes_and_survives_a_round_trip() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER);
        assert_eq!(RecordHeader::parse(&bytes), Ok(header()));
    }

    #[test]
    fn a_newer_format_suite_flag_or_epoch_is_told_from_damage() {
        let file = seal(key(), header(), b"x");
        for (at, what) in [(4, "format"), (6, "suite"), (8, "flags"), (12, "epoch")] {
            let mut newer = file.clone();
            newer[at] ^= 2;
            assert_eq!(opened(&newer).unwrap_err(), RecordError::Newer, "{what}");
        }
    }

    #[test]
    fn a_record_opens_under_its_own_name_and_vault_only() {
        let file = seal(key(), header(), b"x");
        let other = RecordId::from_parts(1, [3; 10]);
        assert_eq!(
            open(|_| Some(key()), &[4; 16], other, &file).unwrap_err(),
            RecordError::Damaged
        );
        assert_eq!(
            open(|_| Some(key()), &[5; 16], header().id, &file).unwrap_err(),
            RecordError::Damaged
        );
    }

    #[test]
    fn a_record_prints_without_its_content() {
        let record = opened(&seal(key(), header(), b"S3CRET")).unwrap();
        assert!(!format!("{record:?}").contains("S3CRET"));
        assert!(!format!("{record:?}").contains("83"));
    }
}
