//! Ciphers and what they work on: keys, memory that is wiped, bundles, and how good a passphrase
//! is. No file, no keychain.

pub(crate) mod bundle;
pub(crate) mod hidden;
pub(crate) mod key;
pub(crate) mod passphrase;
pub(crate) mod public;
