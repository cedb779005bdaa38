//! A session with the Secret Service: how texts travel over the bus, where programs of the same user
//! can listen. Secret Service API, chapter "Transfer of Secrets".

use aes_gcm::aes::{
    Aes128,
    cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::Pkcs7},
};
use crypto_bigint::{
    Odd, U1024,
    modular::{ConstMontyForm, ConstMontyParams, FixedMontyParams},
};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{super::Refusal, bus::nonsense};

const BYTES: usize = U1024::BYTES;

/// "Second Oakley Group", RFC 2409 §6.2. Its generator is 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Group;

impl ConstMontyParams<{ U1024::LIMBS }> for Group {
    const LIMBS: usize = U1024::LIMBS;
    const PARAMS: FixedMontyParams<{ U1024::LIMBS }> =
        FixedMontyParams::new_vartime(Odd::<U1024>::from_be_hex(concat!(
            "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74",
            "020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437",
            "4fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7ed",
            "ee386bfb5a899fa5ae9f24117c4b1fe649286651ece65381ffffffffffffffff",
        )));
}

/// The key of AES-128 that both sides have agreed on.
pub(super) struct SessionKey(Zeroizing<[u8; 16]>);

/// Our half of an agreement.
pub(super) struct Offer {
    private: Zeroizing<U1024>,
}

impl Offer {
    pub(super) fn new() -> Result<Self, Refusal> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        fill(&mut *bytes)?;
        Ok(Self {
            private: Zeroizing::new(U1024::from_be_slice(&*bytes)),
        })
    }

    /// Returns what the service is told, without leading zeros.
    pub(super) fn public(&self) -> Vec<u8> {
        let public = power(&U1024::from(2_u8), &self.private).to_be_bytes();
        let zeros = public.iter().take_while(|byte| **byte == 0).count();
        public.as_ref()[zeros..].to_vec()
    }

    /// Returns the key, from what the service told.
    pub(super) fn agree(&self, theirs: &[u8]) -> Result<SessionKey, Refusal> {
        let zeros = theirs.iter().take_while(|byte| **byte == 0).count();
        let theirs = &theirs[zeros..];
        let mut padded = [0; BYTES];
        let from = BYTES.checked_sub(theirs.len()).ok_or_else(nonsense)?;
        padded[from..].copy_from_slice(theirs);
        let theirs = U1024::from_be_slice(&padded);
        // Others make keys that everybody knows.
        let last = Group::PARAMS.modulus().wrapping_sub(&U1024::ONE);
        if theirs <= U1024::ONE || theirs >= last {
            return Err(nonsense());
        }
        let common = Zeroizing::new(power(&theirs, &self.private));
        let mut key = Zeroizing::new([0; 16]);
        Hkdf::<Sha256>::new(None, common.to_be_bytes().as_ref())
            .expand(&[], &mut *key)
            .map_err(|_| nonsense())?;
        Ok(SessionKey(key))
    }
}

impl SessionKey {
    /// Returns the initialisation vector and what is encrypted.
    pub(super) fn seal(&self, text: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let mut vector = [0; 16];
        fill(&mut vector)?;
        let cipher = cbc::Encryptor::<Aes128>::new((&*self.0).into(), (&vector).into());
        Ok((vector.to_vec(), cipher.encrypt_padded_vec::<Pkcs7>(text)))
    }

    pub(super) fn open(&self, vector: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let vector: &[u8; 16] = vector.try_into().map_err(|_| nonsense())?;
        let cipher = cbc::Decryptor::<Aes128>::new((&*self.0).into(), vector.into());
        let opened = cipher.decrypt_padded_vec::<Pkcs7>(sealed);
        opened.map(Zeroizing::new).map_err(|_| nonsense())
    }
}

/// Returns `base` to the power of `exponent` in the group; how long that takes tells nothing of them.
fn power(base: &U1024, exponent: &U1024) -> U1024 {
    ConstMontyForm::<Group, { U1024::LIMBS }>::new(base)
        .pow(exponent)
        .retrieve()
}

fn fill(bytes: &mut [u8]) -> Result<(), Refusal> {
    getrandom::fill(bytes)
        .map_err(|_| Refusal::Unavailable("the system has no random numbers".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_on_a_key_that_opens_what_the_other_sealed() {
        let (ours, theirs) = (Offer::new().unwrap(), Offer::new().unwrap());
        let our_key = ours.agree(&theirs.public()).unwrap();
        let their_key = theirs.agree(&ours.public()).unwrap();
        assert_eq!(our_key.0, their_key.0);
        for text in [&b""[..], b"0123456789abcdef", b"a key"] {
            let (vector, sealed) = our_key.seal(text).unwrap();
            assert_eq!(*their_key.open(&vector, &sealed).unwrap(), text);
            assert!(their_key.open(&vector[1..], &sealed).is_err());
            assert!(their_key.open(&vector, &sealed[1..]).is_err());
        }
    }

    /// By Python: `pow(2, 3 ** 600, p)` and `pow(5, 3 ** 600, p)`, and HKDF by `hmac`.
    #[test]
    fn the_key_is_the_one_that_other_programs_find() {
        let three = U1024::from(3_u8);
        let private = (0..600).fold(U1024::ONE, |power, _| power.wrapping_mul(&three));
        let offer = Offer {
            private: Zeroizing::new(private),
        };
        assert_eq!(hex::encode(&offer.public()[..8]), "6823d714e1512c4f");
        let key = offer.agree(&[0, 0, 5]).unwrap();
        assert_eq!(hex::encode(*key.0), "fd8b8e8a4d2cabc7c99e17e6ff9bedbf");
    }

    #[test]
    fn a_part_that_makes_the_key_plain_to_everybody_is_refused() {
        let offer = Offer::new().unwrap();
        let prime = Group::PARAMS.modulus().to_be_bytes();
        let mut last = prime;
        last.as_mut()[BYTES - 1] -= 1;
        let too_long = [1; BYTES + 1];
        for part in [
            &[][..],
            &[0],
            &[1],
            last.as_ref(),
            prime.as_ref(),
            &too_long,
        ] {
            assert!(offer.agree(part).is_err(), "{part:?}");
        }
        assert!(offer.agree(&[2]).is_ok());
    }
}
