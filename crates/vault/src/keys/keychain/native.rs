//! macOS and Windows: the stores of `keyring`, which call the system in this process.

use std::sync::Arc;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store;
use keyring_core::{Entry, Error, api::CredentialStoreApi};
#[cfg(target_os = "macos")]
use security_framework::os::macos::keychain::{KeychainUserInteractionLock, SecKeychain};
#[cfg(windows)]
use windows_native_keyring_store::Store;
use zeroize::Zeroizing;

use super::{Prompts, Refusal, Request};

pub(super) fn find(request: &Request) -> Result<Option<Zeroizing<String>>, Refusal> {
    let _silence = silence(request)?;
    let secret = match entry(request)?.get_secret() {
        Ok(secret) => Zeroizing::new(secret),
        Err(Error::NoEntry) => return Ok(None),
        Err(error) => return Err(refusal(&error)),
    };
    let text = std::str::from_utf8(&secret)
        .map_err(|_| Refusal::Unavailable("its entry is not text".to_owned()))?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

pub(super) fn keep(request: &Request, text: &str) -> Result<(), Refusal> {
    let _silence = silence(request)?;
    entry(request)?
        .set_secret(text.as_bytes())
        .map_err(|error| refusal(&error))
}

pub(super) fn put(request: &Request, text: &str) -> Result<(), Refusal> {
    keep(request, text)
}

pub(super) fn forget(request: &Request) -> Result<(), Refusal> {
    let _silence = silence(request)?;
    match entry(request)?.delete_credential() {
        Ok(()) | Err(Error::NoEntry) => Ok(()),
        Err(error) => Err(refusal(&error)),
    }
}

/// Keeps the system from asking the user, where a call forbids that. It holds for the whole
/// process, but only until the result is dropped, which is after one call.
#[cfg(target_os = "macos")]
fn silence(request: &Request) -> Result<Option<KeychainUserInteractionLock>, Refusal> {
    if request.prompts != Prompts::Forbidden {
        return Ok(None);
    }
    let silent = SecKeychain::disable_user_interaction();
    silent
        .map(Some)
        .map_err(|error| Refusal::Unavailable(format!("the system says: {error}")))
}

/// Windows never asks the user.
#[cfg(windows)]
fn silence(request: &Request) -> Result<Option<Prompts>, Refusal> {
    Ok(Some(request.prompts))
}

fn entry(request: &Request) -> Result<Entry, Refusal> {
    let store: Arc<Store> = Store::new().map_err(|error| refusal(&error))?;
    store
        .build(request.name.service, &request.name.user, None)
        .map_err(|error| refusal(&error))
}

/// Says what happened without what the error carries: two of its variants hold the secret.
fn refusal(error: &Error) -> Refusal {
    match error {
        Error::NoStorageAccess(_) => Refusal::Locked,
        Error::PlatformFailure(cause) => Refusal::Unavailable(format!("the system says: {cause}")),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            Refusal::Unavailable("its entry is not ours".to_owned())
        }
        _ => Refusal::Unavailable("it does not take such an entry".to_owned()),
    }
}
