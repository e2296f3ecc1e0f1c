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
        let mut rank = Rank { label: label.unwrap_or(0), x, ..Rank::default() };
        let mut ranking = label.is_some();
        // Twice at most, in a loop so that the pass is compiled once.
        loop {
            let (s, m) = view.pass(r, ranking.then_some(&mut rank));
            if s.is_finite() && HOLDS.contains(&(m - r)) {
                return rank.finish(r, ln(s));
            }
            if m == f64::NEG_INFINITY && !s.is_nan() {
                return if x.is_finite() { rank.score(0.0, x, Flags(0)) } else { invalid() };
            }
            if !m.is_finite() || m == r {
                return invalid();
            }
            (r, ranking) = (m, false);
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

    /// Eight columns, all of which take part.
    #[inline(always)]
    unsafe fn load_full(&self, at: usize) -> [f64; LANES] {
        // SAFETY: the caller says that all eight lie in the row.
        std::array::from_fn(|lane| unsafe { self.get(at + lane) })
    }

    /// Eight columns; those that take no part are -inf.
    #[inline(always)]
    unsafe fn load(&self, at: usize, mask: u16) -> [f64; LANES] {
        let mut x = [f64::NEG_INFINITY; LANES];
        for (lane, x) in x.iter_mut().enumerate() {
            if mask >> lane & 1 == 1 {
                // SAFETY: a set bit is a column of the row.
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
            let mask = masks.as_ref().map_or(0xff, |masks| half(masks, i));
            // SAFETY: passed on.
            for x in unsafe { self.load(first * BLOCK + i * LANES, mask) } {
                top = if x > top { x } else { top };
            }
        }
        top
    }

    /// The sum, and the maximum, of all but the label; the rank too, if asked for.
    #[inline(always)]
    unsafe fn pass(&self, r: f64, mut rank: Option<&mut Rank>) -> (f64, f64) {
        let (mut sums, mut lost) = ([0.0; LANES], [0.0; LANES]);
        let mut m = f64::NEG_INFINITY;
        for block in 0..self.blocks() {
            if self.vocab.block(block) == BlockKind::Empty {
                continue;
            }
            // SAFETY: passed on.
            let (lanes, top) = unsafe { self.sum_block(block, r) };
            for lane in 0..LANES {
                let (total, error) = two_sum(sums[lane], lanes[lane]);
                sums[lane] = total;
                lost[lane] += error;
            }
            if let Some(rank) = rank.as_deref_mut().filter(|rank| top >= rank.x) {
                // SAFETY: passed on.
                unsafe { self.recount(block, rank) };
            }
            m = if top > m { top } else { m };
        }
        (fold(sums, lost), m)
    }

    /// Lane sums and the maximum of one block.
    #[inline(always)]
    unsafe fn sum_block(&self, block: usize, r: f64) -> ([f64; LANES], f64) {
        let (mut a, mut top) = ([[0.0; LANES]; 4], [f64::NEG_INFINITY; LANES]);
        let at = block * BLOCK;
        // SAFETY: passed on.
        unsafe {
            match self.masks(block) {
                None => {
                    for group in 0..BLOCK / LANES / 4 {
                        for (i, sum) in a.iter_mut().enumerate() {
                            let x = self.load_full(at + (group * 4 + i) * LANES);
                            add_exp(sum, &mut top, &x, r);
                        }
                    }
                }
                Some(masks) => {
                    let columns = (self.vocab.size() - at).min(BLOCK);
                    for i in 0..columns.div_ceil(LANES) {
                        let x = self.load(at + i * LANES, half(&masks, i));
                        add_exp(&mut a[i % 4], &mut top, &x, r);
                    }
                }
            }
        }
        let sum = std::array::from_fn(|lane| (a[0][lane] + a[1][lane]) + (a[2][lane] + a[3][lane]));
        (sum, top.into_iter().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a }))
    }

    /// Counts a block's columns against the label: its maximum reached the label's value.
    #[inline(always)]
    unsafe fn recount(&self, block: usize, rank: &mut Rank) {
        let at = block * BLOCK;
        let Some(masks) = self.masks(block) else {
            let (mut greater, mut equal) = ([0; LANES], [0; LANES]);
            for i in 0..BLOCK / LANES {
                // SAFETY: passed on.
                let x = unsafe { self.load_full(at + i * LANES) };
                for lane in 0..LANES {
                    greater[lane] += u32::from(x[lane] > rank.x);
                    equal[lane] += u32::from(x[lane] == rank.x);
                }
            }
            return rank.add(greater.iter().sum(), equal.iter().sum(), at);
        };
        for column in at..(at + BLOCK).min(self.vocab.size()) {
            if masks[(column - at) / MASK_LANES] >> (column % MASK_LANES) & 1 == 1 {
                // SAFETY: passed on.
                let x = unsafe { self.get(column) };
                rank.add(u32::from(x > rank.x), u32::from(x == rank.x), column);
            }
        }
    }
}

/// Where the label stands among the others.
#[derive(Default)]
struct Rank {
    label: usize,
    x: f64,
    greater: u32,
    ties: u32,
    ties_before: u32,
}

impl Rank {
    /// Adds columns, all of them before the label or all behind it.
    fn add(&mut self, greater: u32, equal: u32, at: usize) {
        self.greater += greater;
        self.ties += equal;
        self.ties_before += if at < self.label { equal } else { 0 };
    }

    fn score(&self, nll: f64, lse: f64, flags: Flags) -> RowScore {
        let (greater, ties) = (self.greater, self.ties);
        RowScore { nll, lse, rank: greater + self.ties_before, greater, ties, flags }
    }

    fn finish(&self, r: f64, u: f64) -> RowScore {
        if self.x == f64::NEG_INFINITY {
            return self.score(f64::INFINITY, r + u, Flags::NEGINF_LABEL);
        }
        let (nll, above) = combine(u, self.x - r);
        self.score(nll, r + above, Flags(0))
    }
}

/// The eight bits of vector `i` among words of sixteen.
#[inline(always)]
fn half(words: &[u16; BLOCK / MASK_LANES], i: usize) -> u16 {
    words[i / 2] >> (i % 2 * LANES) & 0xff
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
