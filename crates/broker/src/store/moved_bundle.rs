//! The last bundle that took logins along: kept in the vault for an owner who did not receive it,
//! and no longer than it is needed.
//!
//! It is needed while an account that it holds waits for its login. It goes as soon as none does,
//! and as soon as one of them is removed, since it cannot be opened here to take that one out.
//!
//! A bundle on its way to another vault has no passphrase of its own, and no other copy: it stays until
//! all of it has arrived. What stays then is where the accounts went.

use provider_auth_policy::AccountId;
use provider_auth_vault::{RecordGuard, RecordId, Vault, VaultError, line};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::credential::Credential;

/// What is known of a kept bundle; its bytes follow.
#[derive(Serialize, Deserialize)]
pub(crate) struct Label {
    /// The accounts that moved into it.
    pub(crate) accounts: Vec<String>,
    /// The vault that it is on its way to, or, without a bundle, has come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
}

/// Where the accounts of a vault went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedTo {
    /// Names the other vault.
    pub place: String,
    /// Whether some have not arrived.
    pub is_under_way: bool,
}

impl Label {
    pub(crate) fn of<'a>(accounts: impl Iterator<Item = &'a AccountId>, to: Option<&str>) -> Self {
        Self {
            accounts: accounts.map(AccountId::to_string).collect(),
            to: to.map(str::to_owned),
        }
    }

    /// A bundle with its label, as it is kept.
    pub(crate) fn before(&self, bundle: &[u8]) -> Zeroizing<Vec<u8>> {
        let label = serde_json::to_vec(self).expect("a label has only string keys");
        let mut content = Zeroizing::new(Vec::with_capacity(label.len() + 1 + bundle.len()));
        content.extend_from_slice(&label);
        // JSON has line breaks only if one asks for them.
        content.push(b'\n');
        content.extend_from_slice(bundle);
        content
    }
}

/// The label, and the bundle. An earlier version had none.
pub(crate) fn parse(content: &[u8]) -> (Option<Label>, &[u8]) {
    let end = content.iter().position(|byte| *byte == b'\n');
    let labelled = end.and_then(|end| {
        let label: Label = serde_json::from_slice(&content[..end]).ok()?;
        Some((Some(label), &content[end + 1..]))
    });
    labelled.unwrap_or((None, content))
}

impl MovedTo {
    /// As what is kept says.
    fn of(content: &[u8]) -> Option<Self> {
        let (label, bundle) = parse(content);
        Some(Self {
            place: label?.to?,
            is_under_way: !bundle.is_empty(),
        })
    }
}

/// Where the accounts of this vault went, if they went to another one.
pub(crate) fn moved_to(vault: &Vault) -> Result<Option<MovedTo>, VaultError> {
    let kept = vault.moved()?;
    Ok(kept.and_then(|kept| MovedTo::of(kept.plaintext())))
}

/// Keeps a bundle in place of the one before, unless that one is on its way to another vault and there
/// is no other copy of it: where to is then returned.
pub(crate) fn keep(vault: &Vault, content: &[u8]) -> Result<Option<MovedTo>, VaultError> {
    let mut under_way = None;
    let mut may = |kept: Option<&[u8]>| {
        under_way = kept.and_then(MovedTo::of).filter(|to| to.is_under_way);
        under_way.is_none()
    };
    vault.replace_moved(&mut may, content)?;
    Ok(under_way)
}

/// Removes the kept bundle if this account, which is about to be removed, is in it. The caller has
/// its lock.
pub(crate) fn forget_with(
    vault: &Vault,
    id: &AccountId,
    credential: &Credential,
) -> Result<(), VaultError> {
    let holds = |content: &[u8]| match parse(content).0 {
        Some(label) => label.accounts.iter().any(|held| held == id.as_str()),
        None => credential.moved_at.is_some(),
    };
    let Some(kept) = vault.moved()?.filter(|kept| holds(kept.plaintext())) else {
        return Ok(());
    };
    match parse(kept.plaintext()) {
        // The others are nowhere else. This one does not arrive.
        (Some(mut label), bundle) if label.to.is_some() => {
            label.accounts.retain(|held| held != id.as_str());
            let without = label.before(bundle);
            let mut is_kept = |there: Option<&[u8]>| there == Some(kept.plaintext());
            vault.replace_moved(&mut is_kept, &without).map(drop)
        }
        _ => vault.forget_moved(&mut |kept| holds(kept)).map(drop),
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
    let (label, _) = parse(kept.plaintext());
    let ids: Vec<RecordId> = match &label {
        Some(label) => label
            .accounts
            .iter()
            .filter_map(|id| id.parse().ok())
            .collect(),
        None => vault.ids()?,
    };
    // Of a bundle on its way the others stay.
    let ends_with_one = label.is_some_and(|label| label.to.is_none());
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
            Ok(None) => is_removed |= ends_with_one,
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
        let content = Label::of(ids.iter(), None).before(bundle);
        let (label, read) = parse(&content);
        assert_eq!(label.unwrap().accounts, ["one", "two"]);
        assert_eq!(read, bundle);
        let (label, read) = parse(bundle);
        assert!(label.is_none());
        assert_eq!(read, bundle);
    }
}
