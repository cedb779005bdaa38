//! Ordered collections, filled without a sort.

/// Fills a collection entry by entry.
pub trait Gather: Iterator + Sized {
    /// Returns what `collect` would. For an ordered map or set, `collect` sorts the entries first, with 5 to 8 KB of code
    /// for each type of entry: that pays for thousands of entries, and few collections here have as many.
    fn gather<C: Default + Extend<Self::Item>>(self) -> C {
        let mut collection = C::default();
        self.for_each(|entry| collection.extend([entry]));
        collection
    }
}

impl<I: Iterator> Gather for I {}
