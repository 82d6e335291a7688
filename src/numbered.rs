//! Values by small numbers.

use std::sync::OnceLock;

/// A place for a value for each number of 16 bits, which is set once and then read without a lock.
pub(crate) struct Numbered<T> {
    /// In parts, so that the first few numbers take one.
    parts: Box<[OnceLock<Part<T>>]>,
}

type Part<T> = Box<[OnceLock<T>]>;

const PART: usize = 256;

impl<T> Numbered<T> {
    /// How many numbers there are.
    pub(crate) const COUNT: usize = PART * PART;

    #[inline]
    pub(crate) fn get(&self, number: u16) -> Option<&T> {
        let [part, at] = number.to_be_bytes().map(usize::from);
        self.parts.get(part)?.get()?.get(at)?.get()
    }

    /// Where the value of this number is set.
    pub(crate) fn place(&self, number: u16) -> Option<&OnceLock<T>> {
        let [part, at] = number.to_be_bytes().map(usize::from);
        self.parts.get(part)?.get_or_init(empty).get(at)
    }
}

fn empty<T>() -> Box<[OnceLock<T>]> {
    (0..PART).map(|_| OnceLock::new()).collect()
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { parts: empty() }
    }
}
