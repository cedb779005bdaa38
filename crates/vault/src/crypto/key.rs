//! Keys and what is done with them: derive, check, seal, open. Knows neither files nor where a key
//! comes from.

use std::hint::black_box;

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::{
    Hkdf,
    hmac::{Hmac, KeyInit, Mac},
};
use provider_auth_aead as aead;
use sha2::Sha256;

use crate::crypto::hidden::{Hidden, wiping_stack};

pub(crate) use provider_auth_aead::{NONCE, NotAuthentic, TAG};

/// Bytes of a key.
const KEY: usize = aead::KEY;
/// Bytes of a key check value.
pub(crate) const CHECK: usize = 16;

/// A source of unpredictable bytes: keys, nonces and ids come from here.
///
/// An implementation that has no randomness must panic rather than return.
pub trait Entropy: Send + Sync {
    /// Overwrites all of `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

impl<F: Fn(&mut [u8]) + Send + Sync> Entropy for F {
    fn fill(&self, bytes: &mut [u8]) {
        self(bytes);
    }
}

/// Returns `N` bytes of entropy.
pub(crate) fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// A 32-byte key, wiped when dropped, never printed, and on Linux in no core dump.
pub(crate) struct Key(Hidden);

impl Key {
    pub(crate) fn random(entropy: &dyn Entropy) -> Self {
        let mut key = Hidden::new(KEY);
        entropy.fill(key.bytes_mut());
        Self(key)
    }

    /// Returns a key only if there are exactly 32 bytes.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == KEY).then(|| Self(Hidden::copy_of(bytes)))
    }

    /// Derives a key from a passphrase with Argon2id (RFC 9106); `None` when the costs are out of
    /// range.
    pub(crate) fn from_passphrase(passphrase: &[u8], salt: &[u8], costs: Costs) -> Option<Self> {
        let params = Params::new(costs.memory_kib, costs.passes, costs.lanes, Some(32)).ok()?;
        let mut key = Hidden::new(KEY);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2
            .hash_password_into(passphrase, salt, key.bytes_mut())
            .ok()?;
        Some(Self(key))
    }

    /// Returns the same key for another holder; on purpose not `Clone`, so that copies are seen.
    pub(crate) fn duplicate(&self) -> Self {
        Self(Hidden::copy_of(self.bytes()))
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY] {
        let bytes = self.0.bytes().first_chunk();
        bytes.expect("a key is made with its length")
    }

    /// Derives another key for one purpose (HKDF-SHA256, RFC 5869).
    pub(crate) fn derive(&self, purpose: &[&[u8]]) -> Self {
        let mut key = Hidden::new(KEY);
        self.expand(purpose, key.bytes_mut());
        Self(key)
    }

    /// Returns a value that tells two keys apart and reveals neither.
    pub(crate) fn check(&self, purpose: &[&[u8]]) -> [u8; CHECK] {
        let mut check = [0; CHECK];
        self.expand(purpose, &mut check);
        check
    }

    /// Authenticates `bytes` (HMAC-SHA256).
    pub(crate) fn sign(&self, bytes: &[u8]) -> [u8; 32] {
        without_trace(|| self.mac(bytes).finalize().into_bytes().into())
    }

    /// Tells, in constant time, whether `signature` was made by [`Key::sign`].
    pub(crate) fn signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        without_trace(|| self.mac(bytes).verify_slice(signature).is_ok())
    }

    /// Encrypts `bytes` in place and appends the tag (AES-256-GCM); `context` is authenticated with
    /// them.
    pub(crate) fn seal(&self, nonce: &[u8; NONCE], context: &[u8], bytes: &mut Vec<u8>) {
        let tag = without_trace(|| aead::seal(self.bytes(), nonce, context, bytes));
        bytes.extend(tag);
    }

    /// Decrypts what [`Key::seal`] made, in place.
    pub(crate) fn open(
        &self,
        nonce: &[u8; NONCE],
        context: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<(), NotAuthentic> {
        let (sealed, tag) = bytes.split_last_chunk_mut().ok_or(NotAuthentic)?;
        self.open_in_place(nonce, context, sealed, tag)?;
        bytes.truncate(bytes.len() - TAG);
        Ok(())
    }

    /// The same of bytes without their tag.
    pub(crate) fn open_in_place(
        &self,
        nonce: &[u8; NONCE],
        context: &[u8],
        bytes: &mut [u8],
        tag: &[u8; TAG],
    ) -> Result<(), NotAuthentic> {
        without_trace(|| aead::open(self.bytes(), nonce, context, bytes, tag))
    }

    fn expand(&self, purpose: &[&[u8]], out: &mut [u8]) {
        let expanded = without_trace(|| {
            Hkdf::<Sha256>::new(None, self.bytes()).expand_multi_info(purpose, out)
        });
        expanded.expect("32 bytes are within the 8,160 that HKDF-SHA256 yields");
    }

    fn mac(&self, bytes: &[u8]) -> Hmac<Sha256> {
        Hmac::<Sha256>::new_from_slice(self.bytes())
            .expect("HMAC takes a key of any length")
            .chain_update(bytes)
    }
}

/// Does work on a key and leaves nothing of it on the stack or in registers.
///
/// Vector registers outlive a call, and the next code that saves them (a signal, the dynamic
/// linker) puts them on the stack. So the cipher is set up once more, with a key of zeros.
fn without_trace<R>(work: impl FnOnce() -> R) -> R {
    wiping_stack(|| {
        let result = work();
        black_box(aead::seal(&[0; KEY], &[0; NONCE], b"", black_box(&mut [])));
        result
    })
}

/// What one guess of a passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Costs {
    pub(crate) memory_kib: u32,
    pub(crate) passes: u32,
    pub(crate) lanes: u32,
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_slice(&[byte; 32]).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_under_the_same_key_and_context_only() {
        let mut sealed = b"S3CRET".to_vec();
        key(1).seal(&[7; NONCE], b"context", &mut sealed);
        assert_eq!(sealed.len(), 6 + TAG);
        assert_eq!(
            key(2).open(&[7; NONCE], b"context", &mut sealed.clone()),
            Err(NotAuthentic)
        );
        assert_eq!(
            key(1).open(&[8; NONCE], b"context", &mut sealed.clone()),
            Err(NotAuthentic)
        );
        assert_eq!(
            key(1).open(&[7; NONCE], b"another", &mut sealed.clone()),
            Err(NotAuthentic)
        );
        key(1).open(&[7; NONCE], b"context", &mut sealed).unwrap();
        assert_eq!(sealed, b"S3CRET");
    }

    #[test]
    fn each_purpose_has_its_own_key() {
        assert_ne!(
            key(1).derive(&[b"a"]).bytes(),
            key(1).derive(&[b"b"]).bytes()
        );
        assert_ne!(key(1).check(&[b"a"]), key(2).check(&[b"a"]));
        assert_eq!(
            key(1).derive(&[b"a", b"b"]).bytes(),
            key(1).derive(&[b"ab"]).bytes()
        );
    }

    #[test]
    fn a_signature_covers_every_byte() {
        let signature = key(1).sign(b"header");
        assert!(key(1).signed(b"header", &signature));
        assert!(!key(1).signed(b"headex", &signature));
        assert!(!key(2).signed(b"header", &signature));
        assert!(!key(1).signed(b"header", &signature[..31]));
    }

    #[test]
    fn a_passphrase_is_stretched_with_its_salt() {
        let costs = Costs {
            memory_kib: 64,
            passes: 1,
            lanes: 1,
        };
        let one = Key::from_passphrase(b"pass", &[1; 16], costs).unwrap();
        assert_eq!(
            one.bytes(),
            Key::from_passphrase(b"pass", &[1; 16], costs)
                .unwrap()
                .bytes()
        );
        assert_ne!(
            one.bytes(),
            Key::from_passphrase(b"pass", &[2; 16], costs)
                .unwrap()
                .bytes()
        );
        assert!(
            Key::from_passphrase(
                b"pass",
                &[1; 16],
                Costs {
                    memory_kib: 0,
                    ..costs
                }
            )
            .is_none()
        );
    }
}
