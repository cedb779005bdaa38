//! Names of accounts: no two of a pool share a label without a word, and what names several is told
//! with their ids.

use std::collections::HashSet;

use provider_auth_policy::{AccountId, AccountView, Gather as _};
use secrecy::ExposeSecret as _;

use super::accounts::Accounts;
use super::credential::Credential;
use super::secret::Secret;
use crate::error::BrokerError;
use crate::limits::SHORTEST_SHOWN_KEY;

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

/// The label that an account takes in its pool: its own, else the address that it is of, else how
/// its key ends, else the provider; behind it the first number from 2 on where another account has
/// that one.
pub(crate) fn free_label(credential: &Credential, is_taken: impl Fn(&str) -> bool) -> String {
    let wanted = wanted_label(credential);
    let mut label = wanted.clone();
    let mut number = 1;
    while is_taken(&label) {
        number += 1;
        label = format!("{wanted} {number}");
    }
    label
}

fn wanted_label(credential: &Credential) -> String {
    match (credential.label.as_str(), &credential.identity.email) {
        ("", Some(address)) => address.clone(),
        ("", None) => end_of_key(credential).unwrap_or_else(|| credential.provider.clone()),
        (label, _) => label.to_owned(),
    }
}

/// How an API key ends, as pages of providers show their keys. Of a short one that would be too
/// much of it.
fn end_of_key(credential: &Credential) -> Option<String> {
    let Secret::Api { key, .. } = &credential.secret else {
        return None;
    };
    let key = key.expose_secret();
    let end = key.get(key.len().checked_sub(4)?..)?;
    (key.len() >= SHORTEST_SHOWN_KEY).then(|| format!("key …{end}"))
}

/// [`free_label`] in the pool of the credential, for an account that has this id already or is to
/// be added.
pub(crate) fn label_in_pool(
    accounts: &Accounts,
    credential: &Credential,
    own: Option<&AccountId>,
) -> String {
    let (roster, _) = accounts.pool(&credential.provider, &credential.namespace);
    let others = roster.iter().filter(|view| Some(&view.id) != own);
    // All that can be tried begins so: of thousands of labels few are left to be compared.
    let wanted = wanted_label(credential);
    let alike = others.filter(|view| view.label.starts_with(&wanted));
    let labels: HashSet<&str> = alike.map(|view| view.label.as_str()).gather();
    free_label(credential, |label| labels.contains(label))
}
