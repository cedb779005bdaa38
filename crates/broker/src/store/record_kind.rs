//! What a record holds, as the vault keeps it beside the sealed bytes.

use provider_auth_policy::AccountKind;

pub(crate) fn record_kind(kind: AccountKind) -> u8 {
    match kind {
        AccountKind::Oauth => 1,
        AccountKind::Api => 2,
        AccountKind::Wellknown => 3,
        AccountKind::Mcp => 4,
    }
}

/// The kind of a record that holds a file instead of an account: a file of another program as it was before a migration.
pub(crate) const KEPT_FILE: u8 = 5;
