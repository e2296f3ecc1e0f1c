//! The k greatest entries of a row: by value, then by lower index.

use super::lanes::{Bf16, F16, F32, F64, Stored};
use crate::element::Element;
use crate::rows::Vocab;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A logit and its index; the greatest is the best: a higher value, or the same at a lower index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// The logit.
    pub value: f64,
    /// Its column.
    pub id: u32,
}

impl Eq for Entry {}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        // No NaN comes here, and +0 ties with -0.
        let by_value = self.value.partial_cmp(&other.value).unwrap_or(Ordering::Equal);
        by_value.then(other.id.cmp(&self.id))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Best first; shorter than `k` where fewer entries are allowed.
pub(super) fn top_k(element: Element, vocab: &Vocab, row: &[u8], k: usize) -> Vec<Entry> {
    match element {
        Element::F32 => select::<F32>(vocab, row, k),
        Element::F64 => select::<F64>(vocab, row, k),
        Element::F16 => select::<F16>(vocab, row, k),
        Element::Bf16 => select::<Bf16>(vocab, row, k),
    }
}

/// A heap of the best k so far; most entries fail the test against its worst.
fn select<E: Stored>(vocab: &Vocab, row: &[u8], k: usize) -> Vec<Entry> {
    let mut best = BinaryHeap::with_capacity(k + 1);
    let mut worst = f64::NEG_INFINITY;
    for (id, stored) in row.chunks_exact(E::SIZE).enumerate() {
        // SAFETY: a chunk has the element's size.
        let value = unsafe { E::get(stored.as_ptr()) };
        if (best.len() == k && value <= worst) || value.is_nan() || !vocab.allows(id) {
            continue;
        }
        best.push(std::cmp::Reverse(Entry { value, id: id as u32 }));
        if best.len() > k {
            best.pop();
        }
        worst = best.peek().map_or(f64::NEG_INFINITY, |entry| entry.0.value);
    }
    let mut entries: Vec<_> = best.into_iter().map(|entry| entry.0).collect();
    entries.sort_unstable_by(|a, b| b.cmp(a));
    entries
}
