//! A key as text, in base64: how people and keychains keep it.

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use crate::{VaultError, crypto::key::Key, keys::source::KeySource};

/// Either alphabet, with or without padding: people paste keys from many tools.
pub(crate) fn decoded(text: &str, key_source: KeySource) -> Result<Key, VaultError> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    let bytes = GeneralPurpose::new(alphabet, lenient)
        .decode(text.trim())
        .map(Zeroizing::new);
    let key = bytes.ok().and_then(|bytes| Key::from_slice(&bytes));
    key.ok_or(VaultError::KeyUnreadable {
        key_source,
        why: "it is not 32 bytes in base64",
    })
}

pub(crate) fn encoded(key: &Key) -> Zeroizing<String> {
    Zeroizing::new(base64::engine::general_purpose::STANDARD.encode(key.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_in_either_alphabet_and_with_or_without_padding() {
        let key = Key::from_slice(&[0xfb; 32]).unwrap();
        let text = encoded(&key);
        let url_safe = text.replace('+', "-").replace('/', "_");
        for form in [
            text.as_str(),
            &url_safe,
            text.trim_end_matches('='),
            &format!("  {}\n", text.as_str()),
        ] {
            assert_eq!(
                decoded(form, KeySource::Env).ok().unwrap().bytes(),
                key.bytes()
            );
        }
    }

    #[test]
    fn a_bad_key_is_refused_without_being_quoted() {
        for bad in ["", "S3CRET", "S3CRET!!", &"A".repeat(42), &"A".repeat(44)] {
            let error = decoded(bad, KeySource::Env).err().unwrap();
            assert_eq!(error.code(), "VAULT_KEY_MISMATCH");
            assert!(!format!("{error}{error:?}").contains("S3CRET"));
        }
    }
}
