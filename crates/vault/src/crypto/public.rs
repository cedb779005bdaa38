//! Sealing to a public key: HPKE (RFC 9180) in base mode, with X25519, HKDF-SHA256 and AES-256-GCM.
//!
//! A key has a public half, which follows from it. Who knows that half alone can seal to it, and
//! open nothing.

use std::convert::Infallible;

use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable,
    aead::AesGcm256,
    kdf::HkdfSha256,
    kem::X25519HkdfSha256,
    rand_core::{TryCryptoRng, TryRng},
    single_shot_open, single_shot_seal_with_rng,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    Entropy,
    crypto::{
        hidden::wiping_stack,
        key::{Key, NotAuthentic, random},
    },
};

/// Bytes of a public key.
pub(crate) const PUBLIC_KEY: usize = 32;

/// Keeps what is sealed here from being taken for what another use of HPKE sealed.
const INFO: &[u8] = b"provider-auth";

type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// The public half of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PublicKey(#[serde(with = "hex::serde")] pub(crate) [u8; PUBLIC_KEY]);

/// A key that was sealed to a public key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SealedKey {
    /// The sender's part: a public key that was made for this alone.
    enc: PublicKey,
    #[serde(with = "hex::serde")]
    ct: Vec<u8>,
}

impl PublicKey {
    /// Returns the public half of `key`.
    pub(crate) fn of(key: &Key) -> Self {
        let (_, public) = wiping_stack(|| pair_of(key));
        Self(public.to_bytes().into())
    }

    /// Seals `key` to this public key; `None` when nothing can be sealed to it, since the secret
    /// that both sides would share is known to all.
    pub(crate) fn seal(
        &self,
        context: &[u8],
        key: &Key,
        entropy: &dyn Entropy,
    ) -> Option<SealedKey> {
        let to = Deserializable::from_bytes(&self.0).ok()?;
        let sealed = wiping_stack(|| {
            single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
                &OpModeS::Base,
                &to,
                INFO,
                key.bytes(),
                context,
                &mut Rng(entropy),
            )
        });
        let (enc, ct) = sealed.ok()?;
        Some(SealedKey {
            enc: Self(enc.to_bytes().into()),
            ct,
        })
    }
}

impl SealedKey {
    /// Returns what was sealed to the public half of `key`.
    pub(crate) fn open(&self, context: &[u8], key: &Key) -> Result<Key, NotAuthentic> {
        let enc = Deserializable::from_bytes(&self.enc.0).map_err(|_| NotAuthentic)?;
        let opened = wiping_stack(|| {
            single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
                &OpModeR::Base,
                &pair_of(key).0,
                &enc,
                INFO,
                &self.ct,
                context,
            )
        });
        let opened = opened.map(Zeroizing::new).map_err(|_| NotAuthentic)?;
        Key::from_slice(&opened).ok_or(NotAuthentic)
    }
}

fn pair_of(key: &Key) -> (PrivateKey, <X25519HkdfSha256 as Kem>::PublicKey) {
    X25519HkdfSha256::derive_keypair(key.bytes())
}

/// Our entropy, as HPKE asks for it.
struct Rng<'a>(&'a dyn Entropy);

impl TryRng for Rng<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(random(self.0)))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(random(self.0)))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Rng<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::from_slice(&[byte; 32]).unwrap()
    }

    fn entropy(bytes: &mut [u8]) {
        bytes.fill(7);
    }

    #[test]
    fn what_is_sealed_to_a_public_key_opens_with_its_key_and_context_only() {
        let sealed = PublicKey::of(&key(1)).seal(b"context", &key(2), &entropy);
        let sealed = sealed.unwrap();
        assert_eq!(
            sealed.open(b"context", &key(1)).unwrap().bytes(),
            key(2).bytes()
        );
        assert!(sealed.open(b"another", &key(1)).is_err());
        assert!(sealed.open(b"context", &key(3)).is_err());
        for byte in 0..sealed.ct.len() + PUBLIC_KEY {
            let mut flipped = sealed.clone();
            match flipped.ct.get_mut(byte) {
                Some(byte) => *byte ^= 1,
                None => flipped.enc.0[byte - sealed.ct.len()] ^= 1,
            }
            assert!(flipped.open(b"context", &key(1)).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn nothing_is_sealed_to_a_public_key_of_low_order() {
        let mut one = [0; PUBLIC_KEY];
        one[0] = 1;
        for low in [[0; PUBLIC_KEY], one] {
            assert_eq!(PublicKey(low).seal(b"", &key(1), &entropy), None);
        }
    }

    /// RFC 9180, appendix A.1.1: `ikmR` and `pkRm`.
    #[test]
    fn the_public_half_is_that_of_the_standard() {
        let key = "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037";
        let public = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d";
        let key = Key::from_slice(&hex::decode(key).unwrap()).unwrap();
        assert_eq!(hex::encode(PublicKey::of(&key).0), public);
    }
}
