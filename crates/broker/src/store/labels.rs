//! Names of accounts: no two of a pool share a label without a word, and what names several is told
//! with their ids.

use provider_auth_policy::{AccountId, AccountView};

use super::accounts::Accounts;
use super::credential::Credential;
use crate::error::BrokerError;

/// Refuses a pin that is the label of several accounts of the pool.
pub(crate) fn check_pin(
    accounts: &Accounts,
    provider: &str,
    namespace: &str,
    pin: &str,
) -> Result<(), BrokerError> {
    let (roster, _) = accounts.pool(provider, namespace);
    let labelled = || roster.iter().filter(|account| account.label == pin);
    match roster.get(&AccountId::from(pin)).is_none() && labelled().nth(1).is_some() {
        true => Err(ambiguous(labelled())),
        false => Ok(()),
    }
}

pub(super) fn ambiguous<'a>(accounts: impl Iterator<Item = &'a AccountView>) -> BrokerError {
    let named = |account: &AccountView| format!("{} ({})", account.id, account.provider);
    let mut ids: Vec<String> = accounts.map(named).collect();
    ids.sort();
    BrokerError::InvalidArgument(format!(
        "account: several accounts have this label; name one by its id: {}",
        ids.join(", ")
    ))
}

/// The label that an account takes in its pool: its own, else the address or the provider that it
/// is of; behind it the first number from 2 on where another account has that one.
pub(crate) fn free_label(credential: &Credential, is_taken: impl Fn(&str) -> bool) -> String {
    let identity = credential.identity.email.as_deref();
    let wanted = match credential.label.as_str() {
        "" => identity.unwrap_or(&credential.provider),
        label => label,
    };
    let mut label = wanted.to_owned();
    let mut number = 1;
    while is_taken(&label) {
        number += 1;
        label = format!("{wanted} {number}");
    }
    label
}

/// [`free_label`] in the pool of the credential, for an account that has this id already or is to
/// be added.
pub(crate) fn label_in_pool(
    accounts: &Accounts,
    credential: &Credential,
    own: Option<&AccountId>,
) -> String {
    let (roster, _) = accounts.pool(&credential.provider, &credential.namespace);
    let is_other = |view: &AccountView| Some(&view.id) != own;
    free_label(credential, |label| {
        roster
            .iter()
            .any(|view| view.label == label && is_other(view))
    })
}
