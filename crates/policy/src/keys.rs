//! Keys of the shared state, and the hash in them that is the same in every process and version.

/// Returns the key of a pool in the shared state.
pub(crate) fn pool_key(provider: &str, namespace: &str) -> String {
    format!("{provider}/{namespace}")
}

/// Returns the key of what a conversation about a model is bound to.
pub(crate) fn conversation_key(
    provider: &str,
    namespace: &str,
    session: &str,
    model: &str,
) -> String {
    // Made for every request, so without the machinery of `format!`.
    let mut key = String::with_capacity(provider.len() + namespace.len() + 18);
    for part in [provider, "/", namespace, ":"] {
        key.push_str(part);
    }
    push_hex(&mut key, hash(&[session, model]));
    key
}

/// Appends 16 hexadecimal digits.
pub(crate) fn push_hex(text: &mut String, number: u64) {
    let digits = (0..16).rev().map(|place| (number >> (4 * place)) & 0xf);
    text.extend(digits.filter_map(|digit| char::from_digit(digit as u32, 16)));
}

/// Returns a hash that is the same in every process and version: FNV-1a, mixed by the finaliser of
/// SplitMix64.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for part in parts {
        // 0xff is in no UTF-8 text, so that no two lists of parts read the same.
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    mix(hash)
}

/// Spreads every bit over all of them: the finaliser of SplitMix64.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
