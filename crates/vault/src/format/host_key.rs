//! What a host shows of its key as one line of text, for a person to carry to another host. Pure.
//!
//! `pa-host1`, then in base64 (RFC 4648 §5, no padding): vault, check value, public key, and the
//! first bytes of the SHA-256 of all that, so that a slip in copying is no other host.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    crypto::{
        key::CHECK,
        public::{PUBLIC_KEY, PublicKey},
    },
    format::{record::VaultId, slot::HostKey},
};

const PREFIX: &str = "pa-host1";
const SUM: usize = 4;

impl HostKey {
    /// Returns the line for a vault.
    pub(crate) fn to_text(self, vault: &VaultId) -> String {
        let mut bytes = [vault.as_slice(), &self.check, &self.public.0].concat();
        let sum = sum(&bytes);
        bytes.extend_from_slice(&sum);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads a line: the vault that it is for, and the host's key; `None` for any other text.
    pub(crate) fn from_text(text: &str) -> Option<(VaultId, Self)> {
        let text = text.trim().strip_prefix(PREFIX)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (said, sum_of_it) = bytes.split_last_chunk::<SUM>()?;
        let (vault, rest) = said.split_first_chunk()?;
        let (check, public) = rest.split_first_chunk::<CHECK>()?;
        let public: [u8; PUBLIC_KEY] = public.try_into().ok()?;
        let host = Self {
            check: *check,
            public: PublicKey(public),
        };
        (sum(said) == *sum_of_it).then_some((*vault, host))
    }
}

fn sum(bytes: &[u8]) -> [u8; SUM] {
    let hash = Sha256::new_with_prefix(PREFIX)
        .chain_update(bytes)
        .finalize();
    *hash.first_chunk().expect("a hash has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_was_written_and_a_slip_is_noticed() {
        let host = HostKey {
            check: [1; CHECK],
            public: PublicKey([2; PUBLIC_KEY]),
        };
        let text = host.to_text(&[3; 16]);
        let read = Some(([3; 16], host));
        assert_eq!(HostKey::from_text(&format!(" {text}\n")), read);
        for at in 0..text.len() {
            let mut slip = text.clone().into_bytes();
            slip[at] = if slip[at] == b'Q' { b'R' } else { b'Q' };
            let slip = String::from_utf8(slip).unwrap();
            assert_eq!(HostKey::from_text(&slip), None, "letter {at}");
            assert_eq!(HostKey::from_text(&text[..at]), None, "cut at {at}");
        }
        for junk in ["", "pa-host1", "pa-host2", "pa-host1!!!!", &text.repeat(2)] {
            assert_eq!(HostKey::from_text(junk), None, "{junk}");
        }
    }
}
