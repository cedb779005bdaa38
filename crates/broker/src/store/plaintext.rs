//! The bytes of what is to be sealed. They hold secrets, so no copy of them may stay behind in freed memory.

use std::io;

use serde::Serialize;
use zeroize::Zeroizing;

/// Returns a value with string keys as JSON.
pub(super) fn of(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    const KEYS: &str = "it has only string keys";
    // Sized ahead: growing would leave what was written so far behind.
    let mut length = Length(0);
    serde_json::to_writer(&mut length, value).expect(KEYS);
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    serde_json::to_writer(&mut *bytes, value).expect(KEYS);
    bytes
}

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_never_grow_while_they_are_written() {
        for length in [0, 1, 5_000, 100_000] {
            let bytes = of(&["\u{1f511}\"".repeat(length)]);
            assert_eq!(
                (bytes.len(), bytes.capacity()),
                (6 * length + 4, 6 * length + 4)
            );
        }
    }
}
