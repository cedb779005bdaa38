//! What the settings of the vault can be, by name.

use provider_auth_vault::KeySource;

/// The sources of the vault key by name.
pub(super) const KEY_SOURCES: &[(&str, KeySource)] = &[
    ("auto", KeySource::Auto),
    ("keychain", KeySource::Keychain),
    ("env", KeySource::Env),
    ("passphrase", KeySource::Passphrase),
    ("keyfile", KeySource::Keyfile),
    ("memory", KeySource::Memory),
];

/// What a variable says yes and no with.
pub(super) const FLAGS: &[(&str, bool)] = &[("1", true), ("0", false)];
