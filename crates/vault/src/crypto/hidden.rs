//! Memory for keys and opened records: it does not move, is wiped when dropped, and on Linux core
//! dumps leave it out.

use std::{fmt, hint::black_box};

use zeroize::optimization_barrier;

/// Stack that ciphers and key derivation use at most, in bytes: with half of it, a build without
/// optimisation left a key behind.
const STACK: usize = 32 * 1024;

/// Bytes that are never copied by a move and never printed.
pub(crate) struct Hidden(Place);

enum Place {
    #[cfg(target_os = "linux")]
    Page(page::Page),
    /// Where a system takes no such advice, or has no page to spare.
    Heap(Box<[u8]>),
}

impl Hidden {
    /// Returns zeros.
    pub(crate) fn new(length: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(page) = page::Page::new(length) {
            return Self(Place::Page(page));
        }
        Self(Place::Heap(vec![0; length].into_boxed_slice()))
    }

    /// Returns a copy of `bytes`.
    pub(crate) fn copy_of(bytes: &[u8]) -> Self {
        let mut hidden = Self::new(bytes.len());
        hidden.bytes_mut().copy_from_slice(bytes);
        hidden
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.0 {
            #[cfg(target_os = "linux")]
            Place::Page(page) => page.bytes(),
            Place::Heap(bytes) => bytes,
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            #[cfg(target_os = "linux")]
            Place::Page(page) => page.bytes_mut(),
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let bytes = self.bytes_mut();
        bytes.fill(0);
        optimization_barrier(bytes);
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Hidden")
    }
}

/// Does work and wipes the stack that it used: a cipher wipes itself when dropped, and not where it
/// was moved from; a hasher does not wipe itself at all.
pub fn wiping_stack<R>(work: impl FnOnce() -> R) -> R {
    let result = apart(work);
    wipe_stack();
    result
}

#[inline(never)]
fn apart<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[inline(never)]
fn wipe_stack() {
    black_box(&mut [0_u8; STACK]);
}

#[cfg(target_os = "linux")]
mod page {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use memmap2::{Advice, MmapMut};
    use parking_lot::Mutex;

    use crate::limits;

    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    /// Wiped, for the next ones: to map a page and to unmap it takes longer than to open a record.
    static SPARE: Mutex<Vec<MmapMut>> = Mutex::new(Vec::new());
    /// A page is this long at least.
    const SIZE: usize = 4096;

    /// A mapping of its own, because advice about memory goes by pages.
    pub(super) struct Page {
        /// Until it is dropped.
        map: Option<MmapMut>,
        length: usize,
        _share: Share,
    }

    /// One of the pages that this process may take; dropping it gives it back.
    struct Share;

    impl Share {
        fn take() -> Option<Self> {
            let share = Self;
            (TAKEN.fetch_add(1, Ordering::Relaxed) < limits::HIDDEN_PAGES).then_some(share)
        }
    }

    impl Drop for Share {
        fn drop(&mut self) {
            TAKEN.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Page {
        /// Returns zeros; `None` when the system gives no page, or this process has taken its share
        /// of them.
        pub(super) fn new(length: usize) -> Option<Self> {
            // First, so that nothing is mapped in vain.
            let share = Share::take()?;
            let spare = (length <= SIZE).then(|| SPARE.lock().pop()).flatten();
            let map = match spare {
                Some(spare) => spare,
                None => {
                    let map = MmapMut::map_anon(length.max(SIZE)).ok()?;
                    map.advise(Advice::DontDump).ok()?;
                    map
                }
            };
            Some(Self {
                map: Some(map),
                length,
                _share: share,
            })
        }

        pub(super) fn bytes(&self) -> &[u8] {
            self.map.as_ref().map_or(&[], |map| &map[..self.length])
        }

        pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
            self.map
                .as_mut()
                .map_or(&mut [], |map| &mut map[..self.length])
        }
    }

    impl Drop for Page {
        /// Its holder has wiped it.
        fn drop(&mut self) {
            if let Some(map) = self.map.take().filter(|map| map.len() == SIZE) {
                let mut spare = SPARE.lock();
                if spare.len() < limits::SPARE_PAGES {
                    spare.push(map);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_bytes_keep_what_is_written_and_do_not_print() {
        for length in [0, 32, 5000] {
            let mut hidden = Hidden::new(length);
            assert_eq!(hidden.bytes(), vec![0; length]);
            hidden.bytes_mut().fill(83);
            let moved = hidden;
            assert_eq!(moved.bytes(), vec![83; length]);
            assert_eq!(Hidden::copy_of(moved.bytes()).bytes(), moved.bytes());
            assert_eq!(format!("{moved:?}"), "Hidden");
        }
    }

    #[test]
    fn a_place_that_was_used_before_is_empty() {
        for _ in 0..100 {
            let mut hidden = Hidden::new(4096);
            assert_eq!(hidden.bytes(), vec![0; 4096]);
            hidden.bytes_mut().fill(83);
        }
    }

    /// `dd` among a mapping's flags: "do not dump" (proc_pid_smaps(5)).
    #[cfg(target_os = "linux")]
    #[test]
    fn a_core_dump_leaves_hidden_bytes_out() {
        let hidden = Hidden::copy_of(b"S3CRET");
        let at = hidden.bytes().as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let holds = |line: &&str| {
            let range = line
                .split(' ')
                .next()
                .and_then(|range| range.split_once('-'));
            range.is_some_and(|(from, to)| {
                let number = |text| usize::from_str_radix(text, 16).unwrap_or_default();
                (number(from)..number(to)).contains(&at)
            })
        };
        let mut lines = maps.lines().skip_while(|line| !holds(line));
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.split(' ').any(|flag| flag == "dd"), "{flags}");
    }
}
