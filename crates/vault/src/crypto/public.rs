//! Sealing to a public key: HPKE (RFC 9180) in base mode, with X25519, HKDF-SHA256 and AES-256-GCM.
//!
//! A key has a public half, which follows from it. Who knows that half alone can seal to it, and
//! open nothing.

use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use crate::{
    Entropy,
    crypto::{
        hidden::wiping_stack,
        key::{Key, NONCE, NotAuthentic, TAG},
    },
};

/// Bytes of a public key.
pub(crate) const PUBLIC_KEY: usize = 32;

/// Keeps what is sealed here from being taken for what another use of HPKE sealed.
const INFO: &[u8] = b"provider-auth";

/// DHKEM(X25519, HKDF-SHA256).
const KEM: &[u8] = b"KEM\x00\x20";

/// That, with HKDF-SHA256 and AES-256-GCM.
const SUITE: &[u8] = b"HPKE\x00\x20\x00\x01\x00\x02";

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
        wiping_stack(|| Self(x25519(*private(key).bytes(), X25519_BASEPOINT_BYTES)))
    }

    /// Seals `key` to this public key; `None` when nothing can be sealed to it, since the secret
    /// that both sides would share is known to all.
    pub(crate) fn seal(
        &self,
        context: &[u8],
        key: &Key,
        entropy: &dyn Entropy,
    ) -> Option<SealedKey> {
        let once = Key::random(entropy);
        let enc = Self::of(&once);
        let (sealing_key, nonce) = shared(&once, *self, (enc, *self))?;
        let mut ct = Vec::with_capacity(key.bytes().len() + TAG);
        ct.extend_from_slice(key.bytes());
        sealing_key.seal(&nonce, context, &mut ct);
        Some(SealedKey { enc, ct })
    }
}

impl SealedKey {
    /// Returns what was sealed to the public half of `key`.
    pub(crate) fn open(&self, context: &[u8], key: &Key) -> Result<Key, NotAuthentic> {
        let (sealing_key, nonce) =
            shared(key, self.enc, (self.enc, PublicKey::of(key))).ok_or(NotAuthentic)?;
        let mut opened = Zeroizing::new(self.ct.clone());
        sealing_key.open(&nonce, context, &mut opened)?;
        Key::from_slice(&opened).ok_or(NotAuthentic)
    }
}

/// The private key that follows from `key` (`DeriveKeyPair`).
fn private(key: &Key) -> Key {
    expanded(
        &extracted(KEM, &[], b"dkp_prk", key.bytes()),
        KEM,
        b"sk",
        &[],
    )
}

/// The key and nonce that the owner of `mine` shares with that of `theirs`: `Encap` or `Decap`, then
/// `KeySchedule` in base mode.
fn shared(
    mine: &Key,
    theirs: PublicKey,
    (enc, to): (PublicKey, PublicKey),
) -> Option<(Key, [u8; NONCE])> {
    wiping_stack(|| {
        let met = Zeroizing::new(x25519(*private(mine).bytes(), theirs.0));
        if *met == [0; PUBLIC_KEY] {
            return None;
        }
        let parties = [enc.0, to.0].concat();
        let secret = extracted(KEM, &[], b"eae_prk", &*met);
        let secret = expanded(&secret, KEM, b"shared_secret", &parties);
        let hash = |label, text| extracted(SUITE, &[], label, text).0;
        let (no_name, info) = (hash(b"psk_id_hash", &[]), hash(b"info_hash", INFO));
        let context = [&[0][..], no_name.as_slice(), info.as_slice()].concat();
        let secret = extracted(SUITE, secret.bytes(), b"secret", &[]);
        let mut nonce = [0; NONCE];
        expand(&secret, SUITE, b"base_nonce", &context, &mut nonce);
        Some((expanded(&secret, SUITE, b"key", &context), nonce))
    })
}

type Extracted = (hkdf::hmac::digest::Output<Sha256>, Hkdf<Sha256>);

/// `LabeledExtract`.
fn extracted(suite: &[u8], salt: &[u8], label: &[u8], input: &[u8]) -> Extracted {
    let input = Zeroizing::new([b"HPKE-v1", suite, label, input].concat());
    Hkdf::extract(Some(salt), &input)
}

/// `LabeledExpand`.
fn expand((_, from): &Extracted, suite: &[u8], label: &[u8], info: &[u8], out: &mut [u8]) {
    let length = (out.len() as u16).to_be_bytes();
    from.expand_multi_info(&[&length, b"HPKE-v1", suite, label, info], out)
        .expect("a key is within what HKDF-SHA256 yields");
}

fn expanded(from: &Extracted, suite: &[u8], label: &[u8], info: &[u8]) -> Key {
    let mut bytes = Zeroizing::new([0; PUBLIC_KEY]);
    expand(from, suite, label, info, &mut *bytes);
    Key::from_slice(&*bytes).expect("it has the length of a key")
}

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

    /// What is sealed here opens with the `hpke` crate, and the other way round.
    #[test]
    fn another_implementation_opens_it_and_seals_for_it() {
        use hpke::{
            Deserializable, Kem, OpModeR, OpModeS, Serializable,
            aead::AesGcm256,
            kdf::HkdfSha256,
            kem::X25519HkdfSha256 as X25519,
            rand_core::{TryCryptoRng, TryRng},
        };
        struct Sevens;
        impl TryRng for Sevens {
            type Error = std::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(7)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(7)
            }
            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
                bytes.fill(7);
                Ok(())
            }
        }
        impl TryCryptoRng for Sevens {}

        let (private, public) = X25519::derive_keypair(key(1).bytes());
        assert_eq!(
            PublicKey::of(&key(1)).0.as_slice(),
            public.to_bytes().as_slice()
        );
        let ours = PublicKey::of(&key(1))
            .seal(b"aad", &key(2), &entropy)
            .unwrap();
        let enc = Deserializable::from_bytes(&ours.enc.0).unwrap();
        let opened = hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519>(
            &OpModeR::Base,
            &private,
            &enc,
            INFO,
            &ours.ct,
            b"aad",
        );
        assert_eq!(opened.unwrap(), key(2).bytes());
        let (enc, ct) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519>(
            &OpModeS::Base,
            &public,
            INFO,
            key(2).bytes(),
            b"aad",
            &mut Sevens,
        )
        .unwrap();
        let theirs = SealedKey {
            enc: PublicKey(enc.to_bytes().into()),
            ct,
        };
        assert_eq!(
            theirs.open(b"aad", &key(1)).unwrap().bytes(),
            key(2).bytes()
        );
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
