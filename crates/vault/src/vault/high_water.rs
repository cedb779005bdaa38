//! The highest generations that were ever seen, kept where a restored copy of the vault's folder
//! does not bring them back: in the keychain, beside the vault's key, in an entry of its own.
//!
//! The key's entry is written once, since some systems forget who may read an entry when it is
//! rewritten. This one is rewritten, rarely, and its loss costs a warning and nothing else: no call
//! waits for it longer than its timeout, none fails by it, and the user is asked nothing.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use zeroize::Zeroizing;

use crate::{
    KeySource, RecordId, Vault, VaultError,
    backend::Lock,
    keys::keychain::{self, Prompts},
    limits,
};

/// The format, at the front of the text.
const FORMAT: &str = "1 ";
/// Bytes that stand for a record: of its random ones, so that two are alike once in 10^19.
const NAME: usize = 8;
/// Bytes of a generation: more than [`limits::GENERATION_CEILING`].
const COUNT: usize = 5;

/// The highest generation of each record, the latest to grow first. No secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HighWater(Vec<([u8; NAME], u64)>);

impl HighWater {
    /// Returns the highest generation that was seen of a record; 0 when none is known.
    pub fn of(&self, id: &RecordId) -> u64 {
        let name = id.last_bytes();
        let known = self.0.iter().find(|(known, _)| *known == name);
        known.map_or(0, |(_, generation)| *generation)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes a generation. Tells whether it is news.
    pub fn raise(&mut self, id: &RecordId, generation: u64) -> bool {
        self.raise_name(id.last_bytes(), generation)
    }

    /// Takes over what the other knows better. Tells whether there was anything.
    fn merge(&mut self, other: &Self) -> bool {
        // The latest last, since each goes to the front.
        let raised = other.0.iter().rev();
        raised.fold(false, |news, (name, generation)| {
            self.raise_name(*name, *generation) || news
        })
    }

    fn raise_name(&mut self, name: [u8; NAME], generation: u64) -> bool {
        if generation == 0 || generation >= limits::GENERATION_CEILING {
            return false;
        }
        let place = self.0.iter().position(|(known, _)| *known == name);
        if let Some(place) = place {
            if self.0[place].1 >= generation {
                return false;
            }
            self.0.remove(place);
        }
        self.0.insert(0, (name, generation));
        self.0.truncate(limits::HIGH_WATER_RECORDS);
        true
    }

    fn text(&self) -> Zeroizing<String> {
        let mut bytes = Vec::with_capacity(self.0.len() * (NAME + COUNT));
        for (name, generation) in &self.0 {
            bytes.extend(name);
            bytes.extend(&generation.to_le_bytes()[..COUNT]);
        }
        Zeroizing::new(format!("{FORMAT}{}", BASE64.encode(bytes)))
    }

    /// Reads what [`HighWater::text`] wrote; anything else is `None`.
    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(FORMAT)?).ok()?;
        let entries = bytes.chunks(NAME + COUNT).map(|entry| {
            let (name, count) = entry.split_first_chunk::<NAME>()?;
            let mut generation = [0; 8];
            generation[..COUNT].copy_from_slice(count.first_chunk::<COUNT>()?);
            Some((*name, u64::from_le_bytes(generation)))
        });
        entries.collect::<Option<Vec<_>>>().map(Self)
    }
}

impl Vault {
    /// Whether there is a place for the high-water marks: the keychain from which this vault's key
    /// came.
    pub fn keeps_high_water(&self) -> bool {
        self.key_source() == KeySource::Keychain
    }

    /// Returns the marks that are kept; none where the machine has no keychain, or it does not
    /// answer.
    pub fn high_water(&self) -> HighWater {
        if !self.keeps_high_water() {
            return HighWater::default();
        }
        match self.kept_marks(limits::HIGH_WATER_TIMEOUT) {
            Ok(marks) => marks.unwrap_or_default(),
            Err(error) => {
                crate::line!(
                    DEBUG,
                    error = error,
                    "the keychain does not say how far the records were"
                );
                HighWater::default()
            }
        }
    }

    /// Raises the marks that are kept, unless they are as high or another process is at it, and
    /// returns what is kept then.
    ///
    /// Takes as long as a keychain takes, at most `timeout`: for a thread of its own.
    pub fn raise_high_water(
        &self,
        marks: &HighWater,
        timeout: Duration,
    ) -> Result<Option<HighWater>, VaultError> {
        if !self.keeps_high_water() {
            return Ok(None);
        }
        let Some(_held) = self.backend.try_lock(Lock::HighWater)? else {
            return Ok(None);
        };
        let mut kept = self.kept_marks(timeout)?.unwrap_or_default();
        if kept.merge(marks) {
            keychain::put(
                &self.marks_entry(),
                kept.text(),
                timeout,
                Prompts::Forbidden,
            )?;
        }
        Ok(Some(kept))
    }

    /// Removes the marks.
    pub(super) fn forget_high_water(&self) -> Result<(), VaultError> {
        let entry = self.marks_entry();
        keychain::forget(&entry, limits::HIGH_WATER_TIMEOUT, Prompts::Forbidden)
    }

    fn kept_marks(&self, timeout: Duration) -> Result<Option<HighWater>, VaultError> {
        let text = keychain::find(&self.marks_entry(), timeout, Prompts::Forbidden)?;
        Ok(text.and_then(|text| HighWater::parse(&text)))
    }

    fn marks_entry(&self) -> keychain::Name {
        keychain::Name::marks(hex::encode(self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u8) -> RecordId {
        RecordId::from_parts(1, [number; 10])
    }

    #[test]
    fn marks_only_rise() {
        let mut marks = HighWater::default();
        assert_eq!(marks.of(&record(1)), 0);
        assert!(marks.raise(&record(1), 5));
        for old in [0, 4, 5, limits::GENERATION_CEILING, u64::MAX] {
            assert!(!marks.raise(&record(1), old), "{old}");
        }
        assert!(marks.raise(&record(1), limits::GENERATION_CEILING - 1));
        assert_eq!(marks.of(&record(1)), limits::GENERATION_CEILING - 1);
        assert_eq!(marks.of(&record(2)), 0);
    }

    #[test]
    fn two_views_come_to_the_higher_of_each() {
        let (mut one, mut two) = (HighWater::default(), HighWater::default());
        one.raise(&record(1), 7);
        one.raise(&record(2), 2);
        two.raise(&record(2), 3);
        two.raise(&record(3), 1);
        assert!(one.merge(&two));
        assert!(!one.merge(&two));
        let seen = [1, 2, 3].map(|number| one.of(&record(number)));
        assert_eq!(seen, [7, 3, 1]);
    }

    #[test]
    fn they_are_read_as_they_were_written_and_fit_the_smallest_keychain() {
        let mut marks = HighWater::default();
        for number in 0..=255 {
            marks.raise(
                &record(number),
                limits::GENERATION_CEILING - 1 - u64::from(number),
            );
        }
        let text = marks.text();
        // CRED_MAX_CREDENTIAL_BLOB_SIZE of Windows.
        assert!(text.len() <= 2_560, "{}", text.len());
        assert_eq!(HighWater::parse(&text).as_ref(), Some(&marks));
        assert_eq!(marks.of(&record(255)), limits::GENERATION_CEILING - 256);
        assert_eq!(marks.of(&record(0)), 0, "the latest are kept");
        for other in ["", "1", "2 AAAA", "1 AAAA", "1 !", &text[..text.len() - 1]] {
            assert_eq!(HighWater::parse(other), None, "{other}");
        }
        assert_eq!(HighWater::parse("1 "), Some(HighWater::default()));
    }
}
