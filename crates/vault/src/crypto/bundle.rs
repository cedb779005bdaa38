//! Bytes that travel under a passphrase, in the age v1 format (C2SP `age.md`): the `age` command
//! makes and opens them too.
//!
//! Only what a passphrase needs is here: one `scrypt` recipient, binary. Keys are derived and bytes
//! sealed as the format says, which is why neither is what the rest of the vault does. Pure.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};
use hkdf::Hkdf;
use scrypt::{Params, scrypt};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Entropy, VaultError,
    crypto::key::{Key, NONCE, TAG, random},
    limits,
};

const VERSION: &str = "age-encryption.org/v1";
const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
/// Plaintext bytes of every chunk but the last.
const CHUNK: usize = 64 * 1024;

type FileKey = Zeroizing<[u8; 16]>;

/// Returns `bytes` as an age file that this passphrase opens; takes a second on purpose.
pub fn seal_bundle(
    passphrase: &SecretString,
    bytes: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, VaultError> {
    if passphrase.expose_secret().is_empty() {
        return Err(unusable("its passphrase would be empty"));
    }
    Ok(seal(passphrase, limits::BUNDLE_WORK, bytes, entropy))
}

/// Returns what an age file holds; one that was cut or changed anywhere opens not at all.
pub fn open_bundle(
    passphrase: &SecretString,
    bundle: &[u8],
) -> Result<SecretSlice<u8>, VaultError> {
    let (head, payload) = Head::parse(bundle)?;
    let mut file_key = Zeroizing::new(head.wrapped.to_vec());
    stretched(passphrase, &head.salt, head.work)
        .decrypt_in_place(&[0; NONCE].into(), b"", &mut *file_key)
        .map_err(|_| VaultError::WrongPassphrase)?;
    let file_key = FileKey::new(file_key.as_slice().try_into().map_err(|_| CHANGED)?);
    if !derived(&file_key, &[], b"header").signed(head.signed, &head.signature) {
        return Err(CHANGED);
    }
    open_payload(&file_key, payload)
}

const CHANGED: VaultError = unusable("it was cut or changed");

const fn unusable(why: &'static str) -> VaultError {
    VaultError::BundleUnusable { why }
}

fn seal(passphrase: &SecretString, work: u8, bytes: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
    let mut file_key = FileKey::default();
    entropy.fill(&mut *file_key);
    let salt = random(entropy);
    let mut wrapped = Vec::with_capacity(file_key.len() + TAG);
    wrapped.extend_from_slice(&*file_key);
    stretched(passphrase, &salt, work)
        .encrypt_in_place(&[0; NONCE].into(), b"", &mut wrapped)
        .expect(SHORT);
    let (salt, wrapped) = (BASE64.encode(salt), BASE64.encode(wrapped));
    let mut file = format!("{VERSION}\n-> scrypt {salt} {work}\n{wrapped}\n---").into_bytes();
    let signature = derived(&file_key, &[], b"header").sign(&file);
    file.extend_from_slice(format!(" {}\n", BASE64.encode(signature)).as_bytes());
    let nonce: [u8; 16] = random(entropy);
    file.extend_from_slice(&nonce);
    let cipher = payload_cipher(&file_key, &nonce);
    let last = bytes.len().saturating_sub(1) / CHUNK;
    for count in 0..=last {
        let plain = &bytes[count * CHUNK..bytes.len().min((count + 1) * CHUNK)];
        // Room for the tag from the start: growing would leave a copy of the plaintext behind.
        let mut chunk = Zeroizing::new(Vec::with_capacity(plain.len() + TAG));
        chunk.extend_from_slice(plain);
        cipher
            .encrypt_in_place(&chunk_nonce(count, count == last), b"", &mut *chunk)
            .expect(SHORT);
        file.extend_from_slice(&chunk);
    }
    file
}

const SHORT: &str = "a chunk is shorter than the 256 GiB that the cipher takes";

fn open_payload(file_key: &FileKey, payload: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
    let (nonce, sealed) = payload.split_first_chunk::<16>().ok_or(CHANGED)?;
    let cipher = payload_cipher(file_key, nonce);
    let last = sealed.len().saturating_sub(1) / (CHUNK + TAG);
    let mut bytes = Zeroizing::new(Vec::with_capacity(sealed.len()));
    for (count, chunk) in sealed.chunks(CHUNK + TAG).enumerate() {
        let mut chunk = Zeroizing::new(chunk.to_vec());
        cipher
            .decrypt_in_place(&chunk_nonce(count, count == last), b"", &mut *chunk)
            .map_err(|_| CHANGED)?;
        if chunk.is_empty() && count > 0 {
            return Err(CHANGED);
        }
        bytes.extend_from_slice(&chunk);
    }
    if sealed.is_empty() {
        return Err(CHANGED);
    }
    Ok(SecretSlice::from(bytes.to_vec()))
}

/// The text before the payload.
struct Head<'f> {
    salt: [u8; 16],
    work: u8,
    /// The file key under the passphrase.
    wrapped: [u8; 16 + TAG],
    signed: &'f [u8],
    signature: [u8; 32],
}

impl<'f> Head<'f> {
    /// Cuts a file into its head and its payload.
    fn parse(file: &'f [u8]) -> Result<(Self, &'f [u8]), VaultError> {
        let mut rest = file;
        if line(&mut rest) != Some(VERSION) {
            return Err(unusable("it is not a binary age file"));
        }
        let stanza = line(&mut rest).and_then(|line| line.strip_prefix("-> scrypt "));
        let stanza = stanza.ok_or(unusable("it is not encrypted with a passphrase"))?;
        let (salt, work) = stanza.split_once(' ').ok_or(CHANGED)?;
        let salt = decoded(salt).ok_or(CHANGED)?;
        let wrapped = line(&mut rest).and_then(decoded).ok_or(CHANGED)?;
        let signed = &file[..file.len() - rest.len() + 3.min(rest.len())];
        let signature = line(&mut rest).and_then(|line| decoded(line.strip_prefix("--- ")?));
        let signature = signature.ok_or(CHANGED)?;
        let is_plain = !work.starts_with('0') && work.bytes().all(|byte| byte.is_ascii_digit());
        let work = work.parse().ok().filter(|_| is_plain).ok_or(CHANGED)?;
        if work > limits::BUNDLE_WORK_CEILING {
            return Err(unusable(
                "it asks for more scrypt work than any bundle that is made here",
            ));
        }
        let head = Self {
            salt,
            work,
            wrapped,
            signed,
            signature,
        };
        Ok((head, rest))
    }
}

/// Takes a line off the front.
fn line<'f>(rest: &mut &'f [u8]) -> Option<&'f str> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    *rest = &rest[end + 1..];
    Some(line)
}

fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

fn stretched(passphrase: &SecretString, salt: &[u8; 16], work: u8) -> ChaCha20Poly1305 {
    let params = Params::new(work, 8, 1).expect("the work is at most its ceiling");
    let mut key = Zeroizing::new([0; 32]);
    let salt = [SALT_LABEL, salt].concat();
    scrypt(
        passphrase.expose_secret().as_bytes(),
        &salt,
        &params,
        &mut *key,
    )
    .expect("scrypt yields 32 bytes");
    ChaCha20Poly1305::new((&*key).into())
}

fn derived(file_key: &FileKey, salt: &[u8], purpose: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), &**file_key)
        .expand(purpose, &mut *key)
        .expect("32 bytes are within the 8,160 that HKDF-SHA256 yields");
    Key::from_slice(&*key).expect("32 bytes are a key")
}

fn payload_cipher(file_key: &FileKey, nonce: &[u8; 16]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(derived(file_key, nonce, b"payload").bytes().into())
}

/// Eleven bytes that count the chunks, big-endian, and one that marks the last.
fn chunk_nonce(count: usize, is_last: bool) -> chacha20poly1305::Nonce {
    let mut nonce = [0; NONCE];
    nonce[3..11].copy_from_slice(&(count as u64).to_be_bytes());
    nonce[11] = u8::from(is_last);
    nonce.into()
}

#[cfg(test)]
mod vectors;

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase() -> SecretString {
        "correct S3CRET".into()
    }

    fn sealed(bytes: &[u8]) -> Vec<u8> {
        seal(&passphrase(), 1, bytes, &|out: &mut [u8]| out.fill(7))
    }

    fn opened(bundle: &[u8]) -> Result<Vec<u8>, VaultError> {
        open_bundle(&passphrase(), bundle).map(|bytes| bytes.expose_secret().to_vec())
    }

    #[test]
    fn what_is_sealed_opens_with_its_passphrase_only() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let bytes = vec![b'x'; length];
            assert_eq!(opened(&sealed(&bytes)).unwrap(), bytes, "{length}");
        }
        let other = open_bundle(&"wrong S3CRET".into(), &sealed(b"x"));
        assert!(matches!(other, Err(VaultError::WrongPassphrase)));
        let empty = seal_bundle(&"".into(), b"x", &|out: &mut [u8]| out.fill(7));
        assert_eq!(empty.unwrap_err().code(), "INVALID_ARGUMENT");
    }

    #[test]
    fn a_bundle_cut_at_any_length_or_longer_does_not_open() {
        let whole = sealed(b"content");
        for length in 0..whole.len() {
            opened(&whole[..length]).unwrap_err();
        }
        opened(&[whole.as_slice(), b"x"].concat()).unwrap_err();
        let chunks = sealed(&vec![b'x'; 2 * CHUNK]);
        opened(&chunks[..chunks.len() - CHUNK - TAG]).unwrap_err();
    }

    #[test]
    fn a_bundle_with_any_byte_flipped_does_not_open() {
        let whole = sealed(b"content");
        for at in 0..whole.len() {
            for bit in [1, 0x10] {
                let mut flipped = whole.clone();
                flipped[at] ^= bit;
                let error = opened(&flipped).unwrap_err();
                assert!(!format!("{error}{error:?}").contains("S3CRET"), "byte {at}");
            }
        }
    }

    #[test]
    fn work_out_of_all_reason_is_not_done() {
        let text = String::from_utf8_lossy(&sealed(b"x")).into_owned();
        for work in ["21", "64", "255", "256", "01", "+1", "0", ""] {
            let hostile = text.replacen(" 1\n", &format!(" {work}\n"), 1);
            assert!(
                matches!(
                    opened(hostile.as_bytes()),
                    Err(VaultError::BundleUnusable { .. })
                ),
                "{work}"
            );
        }
    }

    #[test]
    fn an_age_file_for_another_kind_of_key_is_called_so() {
        let file = b"age-encryption.org/v1\n-> X25519 abc\nabc\n--- abc\n";
        let error = opened(file).unwrap_err();
        assert!(error.to_string().contains("passphrase"), "{error}");
        assert!(opened(b"-----BEGIN AGE ENCRYPTED FILE-----\n").is_err());
    }
}
