//! Bytes as lower-case hex, for the header and for names.

use serde::{Deserialize, Deserializer, Serializer, de::Error};

pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

/// For `#[serde(with = "hex")]` on an array or a `Vec` of bytes.
pub(crate) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&encode(bytes.as_ref()))
}

/// For `#[serde(with = "hex")]` on an array or a `Vec` of bytes.
pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
    from: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    decode(&text)
        .and_then(|bytes| T::try_from(bytes).ok())
        .ok_or_else(|| D::Error::custom("not hex of the right length"))
}
