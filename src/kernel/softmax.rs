//! A row of log-softmax from its lse: x - lse, subtracted in f64 and rounded once.

use super::lanes::{Bf16, F16, F32, F64, Stored};
use crate::element::Element;
use crate::rows::Vocab;

/// Where a row is written.
pub enum Output<'a> {
    /// As f32.
    F32(&'a mut [f32]),
    /// As f64.
    F64(&'a mut [f64]),
}

/// Writes a row; the first `vocab.size()` columns of it come from the logits, the rest are -inf.
#[inline(always)]
pub(super) fn write(element: Element, vocab: &Vocab, row: &[u8], lse: f64, out: Output) {
    match out {
        Output::F32(out) => write_as(element, vocab, row, lse, out, f32::NEG_INFINITY, |x| x as f32),
        Output::F64(out) => write_as(element, vocab, row, lse, out, f64::NEG_INFINITY, |x| x),
    }
}

#[inline(always)]
fn write_as<T: Copy>(
    element: Element,
    vocab: &Vocab,
    row: &[u8],
    lse: f64,
    out: &mut [T],
    absent: T,
    round: impl Fn(f64) -> T,
) {
    match element {
        Element::F32 => subtract::<F32, T>(row, lse, out, round),
        Element::F64 => subtract::<F64, T>(row, lse, out, round),
        Element::F16 => subtract::<F16, T>(row, lse, out, round),
        Element::Bf16 => subtract::<Bf16, T>(row, lse, out, round),
    }
    let size = vocab.size().min(out.len());
    out[size..].fill(absent);
    if vocab.is_masked() {
        for (id, value) in out[..size].iter_mut().enumerate() {
            if !vocab.allows(id) {
                *value = absent;
            }
        }
    }
}

#[inline(always)]
fn subtract<E: Stored, T>(row: &[u8], lse: f64, out: &mut [T], round: impl Fn(f64) -> T) {
    for (value, stored) in out.iter_mut().zip(row.chunks_exact(E::SIZE)) {
        // SAFETY: a chunk has the element's size.
        *value = round(unsafe { E::get(stored.as_ptr()) } - lse);
    }
}
