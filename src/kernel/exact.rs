//! The value of one row in f64: the formulas of `row.rs`, with exp good to 4e-15 and block sums
//! added without error (Knuth's `TwoSum`), so that nll is good to 1e-13 relative.
//!
//! Column c belongs to lane c mod 8; within a block of 512 columns four accumulators take the
//! vectors in turn. The code is plain Rust over arrays of eight: add, mul and integer operations
//! only, so that each tier's compiler may vectorise it and the bits stay.

use super::exp::{EXP_FLOOR, exp, ln};
use super::lanes::Stored;
use super::row::combine;
use super::{Flags, RowScore};
use crate::rows::{BLOCK, BlockKind, LANES as MASK_LANES, Vocab};

const LANES: usize = 8;
const GUESS: std::ops::RangeInclusive<f64> = -40.0..=60.0;
const HOLDS: std::ops::RangeInclusive<f64> = -40.0..=85.0;

/// One row.
///
/// # Safety
/// `row` has `vocab.size()` elements, `label` lies below it.
#[inline(always)]
pub(super) unsafe fn score<E: Stored>(row: &[u8], label: Option<usize>, vocab: &Vocab) -> RowScore {
    let invalid = || RowScore::invalid(E::ELEMENT, row, vocab);
    let view = Row::<E> { at: row.as_ptr(), label, vocab, kind: std::marker::PhantomData };
    // SAFETY: passed on: columns lie below the vocabulary's size.
    unsafe {
        let x = label.map_or(f64::NEG_INFINITY, |y| view.get(y));
        if x.is_nan() || x == f64::INFINITY {
            return invalid();
        }
        let m0 = view.first_max();
        let mut r = if GUESS.contains(&m0) || !m0.is_finite() { 0.0 } else { m0 };
        loop {
            let (s, m) = view.pass(r);
            if s.is_finite() && HOLDS.contains(&(m - r)) {
                return view.finish(x, r, ln(s));
            }
            if m == f64::NEG_INFINITY && !s.is_nan() {
                let alone = RowScore { nll: 0.0, lse: x, rank: 0, greater: 0, ties: 0, flags: Flags(0) };
                return if x.is_finite() { alone } else { invalid() };
            }
            if !m.is_finite() || m == r {
                return invalid();
            }
            r = m;
        }
    }
}

struct Row<'a, E> {
    at: *const u8,
    label: Option<usize>,
    vocab: &'a Vocab,
    kind: std::marker::PhantomData<E>,
}

impl<E: Stored> Row<'_, E> {
    #[inline(always)]
    unsafe fn get(&self, column: usize) -> f64 {
        // SAFETY: passed on.
        unsafe { E::get(self.at.add(column * E::SIZE)) }
    }

    fn blocks(&self) -> usize {
        self.vocab.size().div_ceil(BLOCK)
    }

    /// Eight columns; those that take no part are -inf.
    #[inline(always)]
    unsafe fn load(&self, at: usize, mask: Option<u16>) -> [f64; LANES] {
        let mut x = [f64::NEG_INFINITY; LANES];
        for (lane, x) in x.iter_mut().enumerate() {
            if mask.is_none_or(|bits| bits >> lane & 1 == 1) {
                // SAFETY: a set bit is a column of the row; without a mask all eight are.
                *x = unsafe { self.get(at + lane) };
            }
        }
        x
    }

    /// The mask's eight bits for vector `i` of a block; `None` if all columns take part.
    #[inline(always)]
    fn masks(&self, block: usize) -> Option<[u16; BLOCK / MASK_LANES]> {
        let whole = self.vocab.block(block) == BlockKind::Full
            && (block + 1) * BLOCK <= self.vocab.size()
            && self.label.is_none_or(|y| y / BLOCK != block);
        (!whole).then(|| {
            let mut words = self.vocab.words(block);
            if let Some(y) = self.label.filter(|y| y / BLOCK == block) {
                words[y % BLOCK / MASK_LANES] &= !(1 << (y % MASK_LANES));
            }
            words
        })
    }

    #[inline(always)]
    unsafe fn first_max(&self) -> f64 {
        let first = (0..self.blocks()).find(|&b| self.vocab.block(b) != BlockKind::Empty).unwrap_or(0);
        let masks = self.masks(first);
        let mut top = f64::NEG_INFINITY;
        for i in 0..64 / LANES {
            // SAFETY: passed on.
            for x in unsafe { self.load(first * BLOCK + i * LANES, half(masks.as_ref(), i)) } {
                top = if x > top { x } else { top };
            }
        }
        top
    }

    /// The sum, and the maximum, of all but the label.
    #[inline(always)]
    unsafe fn pass(&self, r: f64) -> (f64, f64) {
        let (mut sums, mut lost) = ([0.0; LANES], [0.0; LANES]);
        let mut top = [f64::NEG_INFINITY; LANES];
        for block in 0..self.blocks() {
            if self.vocab.block(block) == BlockKind::Empty {
                continue;
            }
            let masks = self.masks(block);
            let columns = (self.vocab.size() - block * BLOCK).min(BLOCK);
            let mut a = [[0.0; LANES]; 4];
            for i in 0..columns.div_ceil(LANES) {
                // SAFETY: passed on.
                let x = unsafe { self.load(block * BLOCK + i * LANES, half(masks.as_ref(), i)) };
                add_exp(&mut a[i % 4], &mut top, &x, r);
            }
            for lane in 0..LANES {
                let sum = (a[0][lane] + a[1][lane]) + (a[2][lane] + a[3][lane]);
                let (total, error) = two_sum(sums[lane], sum);
                sums[lane] = total;
                lost[lane] += error;
            }
        }
        let m = top.into_iter().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a });
        (fold(sums, lost), m)
    }

    /// The rank, by one more look at the row; it costs little beside the f64 sum.
    #[inline(always)]
    unsafe fn finish(&self, x: f64, r: f64, u: f64) -> RowScore {
        let (mut greater, mut ties, mut before) = (0, 0, 0);
        let label = self.label.unwrap_or(0);
        for column in 0..self.vocab.size() {
            if column != label && self.vocab.allows(column) {
                // SAFETY: passed on.
                let other = unsafe { self.get(column) };
                greater += u32::from(other > x);
                ties += u32::from(other == x);
                before += u32::from(other == x && column < label);
            }
        }
        let v = x - r;
        let rank = greater + before;
        if x == f64::NEG_INFINITY {
            let flags = Flags::NEGINF_LABEL;
            return RowScore { nll: f64::INFINITY, lse: r + u, rank, greater, ties, flags };
        }
        let (nll, above) = combine(u, v);
        RowScore { nll, lse: r + above, rank, greater, ties, flags: Flags(0) }
    }
}

/// The eight bits of vector `i` among words of sixteen.
#[inline(always)]
fn half(words: Option<&[u16; BLOCK / MASK_LANES]>, i: usize) -> Option<u16> {
    words.map(|words| words[i / 2] >> (i % 2 * LANES) & 0xff)
}

#[inline(always)]
fn add_exp(sum: &mut [f64; LANES], top: &mut [f64; LANES], x: &[f64; LANES], r: f64) {
    for lane in 0..LANES {
        top[lane] = if x[lane] > top[lane] { x[lane] } else { top[lane] };
        let z = x[lane] - r;
        sum[lane] += exp(if EXP_FLOOR > z { EXP_FLOOR } else { z });
    }
}

/// a + b and what its rounding lost.
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let shadow = sum - a;
    (sum, (a - (sum - shadow)) + (b - shadow))
}

/// Lane sums, in order, with what was lost.
#[inline(always)]
fn fold(sums: [f64; LANES], lost: [f64; LANES]) -> f64 {
    let (mut total, mut rest) = (0.0, 0.0);
    for lane in 0..LANES {
        let (sum, error) = two_sum(total, sums[lane]);
        total = sum;
        rest += error + lost[lane];
    }
    total + rest
}
