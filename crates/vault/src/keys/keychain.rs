//! The keychain of the operating system: short texts by vault, under a timeout.
//!
//! Each call runs on a thread of its own, because every one of these interfaces can hang for ever:
//! on a prompt that is never answered, or on a service that was stopped. What a keychain says in an
//! error may hold the secret, so nothing of it is printed but what is known not to.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use zeroize::Zeroizing;

use crate::{VaultError, limits};

#[cfg(target_os = "linux")]
#[path = "keychain/linux.rs"]
mod system;
#[cfg(any(target_os = "macos", windows))]
#[path = "keychain/native.rs"]
mod system;
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
#[path = "keychain/none.rs"]
mod system;

/// Names an entry, as keychains list them.
#[derive(Clone, Debug)]
pub(crate) struct Name {
    service: &'static str,
    user: String,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "other systems show the service's name")
    )]
    label: &'static str,
    /// Whether its text is a secret, on its way to the keychain too.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "other systems keep entries within the process")
    )]
    content: Content,
}

/// What the text of an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Secret,
    Public,
}

impl Name {
    /// Of a vault's key.
    pub(crate) fn key(vault: String) -> Self {
        Self {
            service: "provider-auth",
            user: vault,
            label: "provider-auth vault key",
            content: Content::Secret,
        }
    }

    /// Of a host's own key for a vault. Another service, since a host may have the vault's key too.
    pub(crate) fn host_key(vault: String) -> Self {
        Self {
            service: "provider-auth-host",
            user: vault,
            label: "provider-auth key of this host",
            content: Content::Secret,
        }
    }

    /// Of a vault's high-water marks. Another service, so that who looks for the key finds one
    /// entry.
    pub(crate) fn marks(vault: String) -> Self {
        Self {
            service: "provider-auth-marks",
            user: vault,
            label: "provider-auth vault marks",
            content: Content::Public,
        }
    }
}

/// Whether a person is there who can answer a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompts {
    Allowed,
    /// A locked keychain is reported instead. The system may still ask whether this program may
    /// read an entry.
    Avoided,
    /// Nor does the system ask anything: an answer is not worth it.
    Forbidden,
}

/// Why the keychain did not do it.
#[derive(Debug)]
pub(crate) enum Refusal {
    Locked,
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only D-Bus calls can be called off from within")
    )]
    TimedOut,
    Unavailable(String),
}

/// A request that travels to the keychain's thread.
#[cfg_attr(
    not(target_os = "linux"),
    expect(
        dead_code,
        reason = "other systems decide on prompts and waits themselves"
    )
)]
struct Request {
    name: Name,
    timeout: Duration,
    prompts: Prompts,
}

/// Returns the text of an entry; `None` when the keychain is open and has none.
pub(crate) fn find(
    name: &Name,
    timeout: Duration,
    prompts: Prompts,
) -> Result<Option<Zeroizing<String>>, VaultError> {
    let request = Request::new(name, timeout, prompts);
    within(timeout, move || system::find(&request))
}

/// Makes an entry, which is not there yet, and reads it back.
pub(crate) fn keep(
    name: &Name,
    text: Zeroizing<String>,
    timeout: Duration,
    prompts: Prompts,
) -> Result<(), VaultError> {
    let request = Request::new(name, timeout, prompts);
    within(timeout, move || {
        system::keep(&request, &text)?;
        match system::find(&request)? {
            Some(kept) if *kept == *text => Ok(()),
            _ => Err(Refusal::Unavailable(
                "it did not keep what it was given".to_owned(),
            )),
        }
    })
}

/// Makes an entry or replaces its text.
pub(crate) fn put(
    name: &Name,
    text: Zeroizing<String>,
    timeout: Duration,
    prompts: Prompts,
) -> Result<(), VaultError> {
    let request = Request::new(name, timeout, prompts);
    within(timeout, move || system::put(&request, &text))
}

/// Removes an entry, if it is there.
pub(crate) fn forget(name: &Name, timeout: Duration, prompts: Prompts) -> Result<(), VaultError> {
    let request = Request::new(name, timeout, prompts);
    within(timeout, move || system::forget(&request))
}

impl Request {
    fn new(name: &Name, timeout: Duration, prompts: Prompts) -> Self {
        Self {
            name: name.clone(),
            timeout,
            prompts,
        }
    }
}

/// Runs a call on its own thread and stops waiting at the timeout.
fn within<T: Send + 'static>(
    timeout: Duration,
    call: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, VaultError> {
    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    let timed_out = VaultError::KeychainTimeout { after: timeout };
    if RUNNING.fetch_add(1, Ordering::Relaxed) >= limits::HUNG_KEYCHAIN_CALLS {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        return Err(timed_out);
    }
    let (sender, answer) = mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("keychain".to_owned())
        .spawn(move || {
            let answered = call();
            RUNNING.fetch_sub(1, Ordering::Relaxed);
            // After the timeout no one listens any more.
            let _ = sender.send(answered);
        });
    if thread.is_err() {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        return Err(VaultError::KeychainUnavailable {
            why: "no thread could be started for it".to_owned(),
        });
    }
    match answer.recv_timeout(timeout) {
        Ok(answered) => answered.map_err(|refusal| match refusal {
            Refusal::Locked => VaultError::Locked,
            Refusal::TimedOut => timed_out,
            Refusal::Unavailable(why) => VaultError::KeychainUnavailable { why },
        }),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(timed_out),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(VaultError::KeychainUnavailable {
            why: "its client broke down".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_hangs_ends_at_its_deadline_and_hung_calls_do_not_pile_up() {
        let (release, hang) = mpsc::channel::<()>();
        let hang = std::sync::Arc::new(parking_lot::Mutex::new(hang));
        let short = Duration::from_millis(10);
        for _ in 0..limits::HUNG_KEYCHAIN_CALLS {
            let hang = std::sync::Arc::clone(&hang);
            let hung = within(short, move || {
                let _ = hang.lock().recv();
                Ok(())
            });
            assert!(matches!(hung, Err(VaultError::KeychainTimeout { .. })));
        }
        let refused = within(Duration::from_secs(600), || Ok(()));
        assert!(matches!(refused, Err(VaultError::KeychainTimeout { .. })));
        drop(release);
    }
}
