//! AES-256-GCM (NIST SP 800-38D), in place. The cipher is generic, so that it is compiled where it is used: here, where a
//! release optimises for speed. In a crate that is built for size it takes fourteen times as long.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};

/// Bytes of a key.
pub const KEY: usize = 32;
/// Bytes of a nonce.
pub const NONCE: usize = 12;
/// Bytes of a tag.
pub const TAG: usize = 16;

/// The sealed bytes, their context, the nonce or the key are not what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAuthentic;

/// Encrypts `bytes` and returns the tag, with which `context` is authenticated too.
///
/// # Panics
/// With more than the 64 GiB that the cipher takes.
pub fn seal(key: &[u8; KEY], nonce: &[u8; NONCE], context: &[u8], bytes: &mut [u8]) -> [u8; TAG] {
    let sealed =
        Aes256Gcm::new(key.into()).encrypt_inout_detached(nonce.into(), context, bytes.into());
    sealed.expect("there are less than 64 GiB").into()
}

/// Decrypts what [`seal`] made. Where that is refused, `bytes` are as they were.
///
/// # Errors
/// [`NotAuthentic`]
pub fn open(
    key: &[u8; KEY],
    nonce: &[u8; NONCE],
    context: &[u8],
    bytes: &mut [u8],
    tag: &[u8; TAG],
) -> Result<(), NotAuthentic> {
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(nonce.into(), context, bytes.into(), tag.into())
        .map_err(|_| NotAuthentic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_what_is_refused_stays_as_it_was() {
        let mut bytes = *b"S3CRET";
        let tag = seal(&[1; KEY], &[7; NONCE], b"context", &mut bytes);
        let sealed = bytes;
        assert_ne!(&sealed, b"S3CRET");
        let mut wrong = tag;
        wrong[0] ^= 1;
        assert_eq!(
            open(&[1; KEY], &[7; NONCE], b"context", &mut bytes, &wrong),
            Err(NotAuthentic)
        );
        assert_eq!(bytes, sealed);
        assert_eq!(
            open(&[1; KEY], &[7; NONCE], b"context", &mut bytes, &tag),
            Ok(())
        );
        assert_eq!(&bytes, b"S3CRET");
    }
}
