//! The name of a record.

use std::{cmp::Ordering, fmt, str::FromStr};

use ulid::{ULID_LEN, Ulid};

/// The name of a record: a ULID, so that names sort by age and say nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// Makes an id from the time of its making, in ms since the Unix epoch, and ten random bytes.
    pub fn from_parts(created_at: u64, random: [u8; 10]) -> Self {
        let mut low = [0; 16];
        low[6..].copy_from_slice(&random);
        Self(Ulid::from_parts(created_at, u128::from_be_bytes(low)).to_bytes())
    }

    /// Makes the id of something that is sealed like a record and is named by a hash.
    pub(crate) fn of_hash(hash: &[u8; 32]) -> Self {
        Self(*hash.first_chunk().expect("a hash is longer than an id"))
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns its bytes, which sort as it does.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the last eight of its random bytes.
    pub(crate) fn last_bytes(&self) -> [u8; 8] {
        *self.0.last_chunk().expect("an id has sixteen bytes")
    }
}

impl Ord for RecordId {
    /// Compares the bytes, as one number: a large vault is opened with millions of comparisons.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for RecordId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(Ulid::from_bytes(self.0).array_to_str(&mut [0; ULID_LEN]))
    }
}

impl fmt::Debug for RecordId {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, to)
    }
}

/// The text is not a record's id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record id: 26 letters and digits were expected")]
pub struct NotARecordId;

impl FromStr for RecordId {
    type Err = NotARecordId;

    /// Reads exactly what `Display` writes: one id has one name.
    fn from_str(text: &str) -> Result<Self, NotARecordId> {
        let id = Ulid::from_string(text).map_err(|_| NotARecordId)?;
        if id.array_to_str(&mut [0; ULID_LEN]) == text {
            Ok(Self(id.to_bytes()))
        } else {
            Err(NotARecordId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_id_has_one_name() {
        let id = RecordId::from_parts(1, [2; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(
            id.to_string().to_lowercase().parse::<RecordId>(),
            Err(NotARecordId)
        );
        assert_eq!("../../etc/passwd".parse::<RecordId>(), Err(NotARecordId));
        assert_eq!("".parse::<RecordId>(), Err(NotARecordId));
    }

    #[test]
    fn ids_sort_by_age_and_as_their_names_do() {
        let random = |first: u8| [first, 0, 0, 0, 0, 0, 0, 0, 0, first];
        let parts = [(1, 255), (2, 0), (2, 1), (256, 0), (257, 128)];
        let ids: Vec<_> = parts
            .into_iter()
            .map(|(at, first)| RecordId::from_parts(at, random(first)))
            .collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().map(RecordId::to_string).is_sorted());
    }
}
