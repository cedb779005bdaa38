//! The last bundle that took logins along: kept in the vault for an owner who did not receive it,
//! and no longer than it is needed.
//!
//! It is needed while an account that it holds waits for its login. It goes as soon as none does,
//! and as soon as one of them is removed, since it cannot be opened here to take that one out.

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordGuard, RecordId, Vault, VaultError, line};
use serde::{Deserialize, Serialize};

use super::credential::Credential;

/// What is known of a kept bundle; its bytes follow.
#[derive(Serialize, Deserialize)]
struct Label {
    accounts: Vec<String>,
}

/// A bundle with the accounts that moved into it, as it is kept.
pub(crate) fn labelled<'a>(
    accounts: impl Iterator<Item = &'a AccountId>,
    bundle: &[u8],
) -> Vec<u8> {
    let label = Label {
        accounts: accounts.map(AccountId::to_string).collect(),
    };
    let mut content = serde_json::to_vec(&label).expect("a label has only string keys");
    // JSON has line breaks only if one asks for them.
    content.push(b'\n');
    content.extend_from_slice(bundle);
    content
}

/// The accounts that moved into it, and the bundle. An earlier version did not say which they are.
pub(crate) fn parse(content: &[u8]) -> (Option<Vec<String>>, &[u8]) {
    let end = content.iter().position(|byte| *byte == b'\n');
    let labelled = end.and_then(|end| {
        let label: Label = serde_json::from_slice(&content[..end]).ok()?;
        Some((Some(label.accounts), &content[end + 1..]))
    });
    labelled.unwrap_or((None, content))
}

/// Removes the kept bundle if this account, which is about to be removed, is in it. The caller has
/// its lock.
pub(crate) fn forget_with(
    vault: &Vault,
    id: &AccountId,
    credential: &Credential,
) -> Result<(), VaultError> {
    let holds = |content: &[u8]| match parse(content).0 {
        Some(accounts) => accounts.iter().any(|held| held == id.as_str()),
        None => credential.moved_at.is_some(),
    };
    match vault.moved()? {
        Some(kept) if holds(kept.plaintext()) => {
            vault.forget_moved(&mut |kept| holds(kept)).map(drop)
        }
        _ => Ok(()),
    }
}

/// Removes the kept bundle if it is not needed any more. What cannot be told now is left to the
/// next look.
pub(crate) fn settle(vault: &Vault) {
    if let Err(error) = try_settle(vault) {
        line!(
            WARN,
            error = error,
            "the bundle of moved logins stays in the vault for now"
        );
    }
}

fn try_settle(vault: &Vault) -> Result<(), VaultError> {
    let Some(kept) = vault.moved()? else {
        return Ok(());
    };
    let (held, _) = parse(kept.plaintext());
    let ids: Vec<RecordId> = match &held {
        Some(held) => held.iter().filter_map(|id| id.parse().ok()).collect(),
        None => vault.ids()?,
    };
    let Some(guards) = locked(vault, &ids)? else {
        return Ok(());
    };
    let (mut is_removed, mut is_awaited) = (false, false);
    for guard in &guards {
        match vault.reread(guard) {
            Ok(Some(record)) => {
                let credential = Credential::open(&record);
                is_awaited |= credential.is_none_or(|credential| credential.moved_at.is_some());
            }
            Ok(None) => is_removed |= held.is_some(),
            // A record that cannot be read may be one that waits.
            Err(VaultError::Corrupt { .. } | VaultError::NewerFormat { .. }) => is_awaited = true,
            Err(error) => return Err(error),
        }
    }
    if is_removed || !is_awaited {
        vault.forget_moved(&mut |content| content == kept.plaintext())?;
    }
    Ok(())
}

/// The locks of these records; `None` where one is taken, by an export under way most of all.
fn locked(vault: &Vault, ids: &[RecordId]) -> Result<Option<Vec<RecordGuard>>, VaultError> {
    ids.iter().map(|id| vault.try_lock(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_bundle_is_told_from_its_label_and_from_one_without() {
        let ids = ["one", "two"].map(AccountId::from);
        let bundle = b"age-encryption.org/v1\n-> scrypt \n\xff";
        let content = labelled(ids.iter(), bundle);
        let (held, read) = parse(&content);
        assert_eq!(held.unwrap(), ["one", "two"]);
        assert_eq!(read, bundle);
        assert_eq!(parse(bundle), (None, bundle.as_slice()));
    }
}
