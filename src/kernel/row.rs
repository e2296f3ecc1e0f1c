//! The value of one row, over f32 lanes.
//!
//! For logits x[0..V), label y and a reference r:
//!
//! ```text
//! s = sum over j != y of exp(x[j] - r),   u = ln s,   v = x[y] - r
//! nll = max(u - v, 0) + log1p(exp(-|u - v|)),   lse = r + max(u, v) + log1p(exp(-|u - v|))
//! ```
//!
//! The label's own term stays out of the lanes, so that relative accuracy is kept where the label
//! dominates. One pass over memory, as online softmax (Milakov, Gimelshein, arXiv 1805.02867) but
//! without rescaling: r is guessed from the row's first columns and holds for nearly every row.
//!
//! ```text
//! m0 = max of the first 64 columns of the first block that is not empty, less the label
//! r  = 0 if -40 <= m0 <= 60 or m0 is not finite, else about m0
//! for each block of 512 columns, four accumulators a[0..4] of 16 lanes:
//!     for each vector i of 16 columns:  a[i mod 4] += exp(max(lo, x - r))
//!     lane sums, in f64, += (a0 + a1) + (a2 + a3), in f32
//! s = tree over the 16 lane sums: i + 8, i + 4, i + 2, i + 1
//! m = max of all but the label; unless -40 <= m - r <= 85 and s is finite: once more with r = m
//! ```
//!
//! exp: k = fma(x, log2 e, M) rounds to eighths, n = k - M, f = x - n ln 2, and the value is
//! TABLE[k mod 8] 2^(k div 8) (1 + f (1 + f (c2 + f c3))). A sum reduced with ln 2 in one f32 is a
//! sum of powers of a base off by 2.7e-9; u = ln(s) / (1 + d) cures it but for d H <= 3.2e-8 (H, the
//! entropy, is at most ln V).
//!
//! Costs accepted: columns at -inf, absent ones of a masked vector and the label add 2^-125 of the
//! reference each (relative to s at most 2^18 2^-125 2^58); a row far from its guess is read twice.
//!
//! The bound |error of nll| <= 1e-6 min(1, nll): polynomial 2.6e-8, table 6e-8, its last factor
//! 6e-8, reduction 3.2e-8, ten f32 roundings of a lane 6e-7: 7.8e-7 together.

use super::block::{Block, Constants, full_block, masked_block};
use super::exp::{BASE_CURE, LN2_HI, LN2_LO, LOG2E_F32, exp, ln, log1p};
use super::lanes::{Lanes, Stored};
use super::{Flags, RowScore};
use crate::rows::{BLOCK, BlockKind, LANES, Vocab};

/// The guess stays 0 where the first columns' maximum lies here.
const GUESS: std::ops::RangeInclusive<f32> = -40.0..=60.0;
/// A pass holds where the maximum less the reference lies here: below, clamped columns could count;
/// above, f32 overflows.
const HOLDS: std::ops::RangeInclusive<f64> = -40.0..=85.0;
/// Beyond it the reference itself is subtracted, which is exact wherever it counts (Sterbenz).
const FAR: f32 = 65_536.0;
/// The reference: r = N0 ln 2 + far, of which one part at most is not 0.
///
/// Near 0 an integer N0 is taken from the exponent, which costs one more fma; far away r itself is
/// subtracted.
#[derive(Clone, Copy, PartialEq)]
struct Reference {
    n0: f32,
    far: f32,
}

impl Reference {
    const ZERO: Self = Self { n0: 0.0, far: 0.0 };

    fn guess(m0: f32) -> Self {
        if GUESS.contains(&m0) || !m0.is_finite() { Self::ZERO } else { Self::near(m0) }
    }

    fn near(m: f32) -> Self {
        if m.abs() <= FAR {
            Self { n0: (m * LOG2E_F32).round_ties_even(), far: 0.0 }
        } else {
            Self { n0: 0.0, far: m }
        }
    }

    fn is_zero(self) -> bool {
        self.n0 == 0.0 && self.far == 0.0
    }

    /// r in two parts whose sum it is.
    fn parts(self) -> (f64, f64) {
        let n0 = f64::from(self.n0);
        (n0 * LN2_HI + f64::from(self.far), n0 * LN2_LO)
    }

    /// x - r.
    fn less(self, x: f32) -> f64 {
        let (high, low) = self.parts();
        (f64::from(x) - high) - low
    }

    /// ln of a sum of lanes, in the true base.
    fn ln(self, s: f64) -> f64 {
        if self.is_zero() { ln(s) * BASE_CURE } else { ln(s) }
    }

    fn holds(self, m: f32, s: f64) -> bool {
        s.is_finite() && HOLDS.contains(&self.less(m))
    }
}

/// One row.
///
/// # Safety
/// The features of `L`; `row` has `vocab.size()` elements, `label` lies below it.
#[inline(always)]
pub(super) unsafe fn score<L: Lanes, E: Stored>(row: &[u8], label: Option<usize>, vocab: &Vocab) -> RowScore {
    let invalid = || RowScore::invalid(E::ELEMENT, row, vocab);
    // SAFETY: the label lies inside the row.
    let x = label.map_or(f32::NEG_INFINITY, |y| unsafe { E::get(row.as_ptr().add(y * E::SIZE)) as f32 });
    if x.is_nan() || x == f32::INFINITY {
        return invalid();
    }
    let view = Row::<L, E>::new(row, label, vocab);
    // SAFETY: passed on.
    unsafe {
        let mut rank = Rank::of(label, x);
        let mut r = Reference::guess(view.first_max());
        let mut ranking = label.is_some();
        // Twice at most, in a loop so that the pass is compiled once.
        loop {
            let (s, m) = view.pass(r, ranking.then_some(&mut rank));
            if r.holds(m, s) {
                return rank.finish(r, s);
            }
            if m == f32::NEG_INFINITY && !s.is_nan() {
                return if x.is_finite() { rank.alone() } else { invalid() };
            }
            let next = Reference::near(m);
            if !m.is_finite() || r == next {
                return invalid();
            }
            (r, ranking) = (next, false);
        }
    }
}

/// Where the label stands among the others.
struct Rank {
    label: usize,
    x: f32,
    greater: u32,
    ties: u32,
    ties_before: u32,
}

impl Rank {
    fn of(label: Option<usize>, x: f32) -> Self {
        Self { label: label.unwrap_or(0), x, greater: 0, ties: 0, ties_before: 0 }
    }

    /// Adds one vector of 16 columns that starts at column `at`.
    #[inline(always)]
    fn add(&mut self, greater: u16, equal: u16, at: usize) {
        let before = match self.label.checked_sub(at) {
            None => 0,
            Some(lanes) if lanes >= LANES => u16::MAX,
            Some(lanes) => (1 << lanes) - 1,
        };
        self.greater += greater.count_ones();
        self.ties += equal.count_ones();
        self.ties_before += (equal & before).count_ones();
    }

    /// Adds a block, all of it before the label or all behind it.
    fn add_block(&mut self, greater: u32, equal: u32, at: usize) {
        self.greater += greater;
        self.ties += equal;
        self.ties_before += if at < self.label { equal } else { 0 };
    }

    fn score(&self, nll: f64, lse: f64, flags: Flags) -> RowScore {
        let (greater, ties) = (self.greater, self.ties);
        RowScore { nll, lse, rank: greater + self.ties_before, greater, ties, flags }
    }

    /// No other allowed column is finite.
    fn alone(&self) -> RowScore {
        self.score(0.0, f64::from(self.x), Flags(0))
    }

    fn finish(&self, r: Reference, s: f64) -> RowScore {
        let (u, v) = (r.ln(s), r.less(self.x));
        let (high, low) = r.parts();
        if v == f64::NEG_INFINITY {
            return self.score(f64::INFINITY, (u + high) + low, Flags::NEGINF_LABEL);
        }
        let (nll, above) = combine(u, v);
        self.score(nll, (above + high) + low, Flags(0))
    }
}

/// nll, and lse - r, from u = ln s and `v = x[y] - r`.
#[inline(always)]
pub(super) fn combine(u: f64, v: f64) -> (f64, f64) {
    let gap = u - v;
    let small = log1p(exp(-gap.abs()));
    (gap.max(0.0) + small, u.max(v) + small)
}

/// A row as blocks of columns.
struct Row<'a, L, E> {
    at: *const u8,
    label: Option<usize>,
    vocab: &'a Vocab,
    kind: std::marker::PhantomData<(L, E)>,
}

impl<'a, L: Lanes, E: Stored> Row<'a, L, E> {
    fn new(row: &'a [u8], label: Option<usize>, vocab: &'a Vocab) -> Self {
        Self { at: row.as_ptr(), label, vocab, kind: std::marker::PhantomData }
    }

    fn blocks(&self) -> usize {
        self.vocab.size().div_ceil(BLOCK)
    }

    /// Whether every column of the block is there and allowed, and none is the label.
    #[inline(always)]
    fn is_full(&self, index: usize) -> bool {
        self.vocab.block(index) == BlockKind::Full
            && (index + 1) * BLOCK <= self.vocab.size()
            && self.label.is_none_or(|y| y / BLOCK != index)
    }

    /// The block with its masks: absent columns, the label and the vocabulary's mask left out.
    #[inline(always)]
    unsafe fn block(&self, index: usize) -> Block {
        let columns = (self.vocab.size() - index * BLOCK).min(BLOCK);
        let mut masks = self.vocab.words(index);
        if let Some(y) = self.label.filter(|y| y / BLOCK == index) {
            masks[y % BLOCK / LANES] &= !(1 << (y % LANES));
        }
        // SAFETY: the block starts inside the row.
        let at = unsafe { self.at.add(index * BLOCK * E::SIZE) };
        let (mut tail, whole) = ([0; 64], columns / LANES);
        let rest = (columns % LANES) * E::SIZE;
        // SAFETY: `rest` bytes, fewer than 64, are left in the row behind its whole vectors.
        unsafe {
            std::ptr::copy_nonoverlapping(at.add(whole * LANES * E::SIZE), tail.as_mut_ptr(), rest);
        }
        Block { at, vectors: columns.div_ceil(LANES), masks, tail, partial: whole }
    }

    /// m0: the guess's ground.
    #[inline(always)]
    unsafe fn first_max(&self) -> f32 {
        let first = (0..self.blocks()).find(|&b| self.vocab.block(b) != BlockKind::Empty);
        // SAFETY: passed on.
        unsafe {
            let block = self.block(first.unwrap_or(0));
            let mut top = L::splat(f32::NEG_INFINITY);
            for i in 0..block.vectors.min(4) {
                for stripe in 0..LANES / L::WIDTH {
                    top = L::max(top, block.load::<L, E>(i, stripe));
                }
            }
            horizontal_max::<L>(top)
        }
    }

    /// The sum and the maximum of all but the label; the rank too, if asked for.
    #[inline(always)]
    unsafe fn pass(&self, r: Reference, rank: Option<&mut Rank>) -> (f64, f32) {
        // SAFETY: passed on.
        unsafe { if r.is_zero() { self.pass_by::<false>(r, rank) } else { self.pass_by::<true>(r, rank) } }
    }

    #[inline(always)]
    unsafe fn pass_by<const MOVED: bool>(&self, r: Reference, mut rank: Option<&mut Rank>) -> (f64, f32) {
        let mut sums = [0.0f64; LANES];
        // SAFETY: passed on; each block lies inside the row.
        unsafe {
            let constants = Constants::of::<L>(r.n0, r.far);
            let mut top = L::splat(f32::NEG_INFINITY);
            for index in 0..self.blocks() {
                let (lanes, max) = if self.is_full(index) {
                    let at = self.at.add(index * BLOCK * E::SIZE);
                    full_block::<L, E, MOVED>(at, &constants)
                } else if self.vocab.block(index) == BlockKind::Empty {
                    continue;
                } else {
                    masked_block::<L, E, MOVED>(&self.block(index), &constants)
                };
                for (sum, lane) in sums.iter_mut().zip(lanes) {
                    *sum += f64::from(lane);
                }
                if let Some(rank) = rank.as_deref_mut() {
                    let x = L::splat(rank.x);
                    if L::gt(x, max) != all_lanes(L::WIDTH) {
                        self.recount(index, rank);
                    }
                }
                top = L::max(top, max);
            }
            (tree(sums), horizontal_max::<L>(top))
        }
    }

    /// Counts a block's columns against the label: its maximum reached the label's value.
    #[inline(always)]
    unsafe fn recount(&self, index: usize, rank: &mut Rank) {
        // SAFETY: passed on.
        unsafe {
            if self.is_full(index) {
                return self.recount_full(index, rank);
            }
            let block = self.block(index);
            let x = L::splat(rank.x);
            for i in 0..block.vectors {
                let (mut greater, mut equal) = (0, 0);
                for stripe in 0..LANES / L::WIDTH {
                    let column = block.load_raw::<L, E>(i, stripe);
                    greater |= L::gt(column, x) << (stripe * L::WIDTH);
                    equal |= L::eq(column, x) << (stripe * L::WIDTH);
                }
                let mask = block.masks[i];
                rank.add(greater & mask, equal & mask, index * BLOCK + i * LANES);
            }
        }
    }

    /// The same where every column takes part: counters in lanes.
    #[inline(always)]
    unsafe fn recount_full(&self, index: usize, rank: &mut Rank) {
        let (mut greater, mut equal) = ([0.0; LANES], [0.0; LANES]);
        // SAFETY: the block's 512 columns lie in the row.
        unsafe {
            let x = L::splat(rank.x);
            let (mut above, mut same) = (L::splat(0.0), L::splat(0.0));
            let at = self.at.add(index * BLOCK * E::SIZE);
            for i in 0..BLOCK / L::WIDTH {
                let column = E::load::<L>(at.add(i * L::WIDTH * E::SIZE));
                above = L::count_gt(above, column, x);
                same = L::count_eq(same, column, x);
            }
            L::store(above, &mut greater);
            L::store(same, &mut equal);
        }
        let sum = |lanes: [f32; LANES]| lanes.iter().map(|count| count.to_bits()).sum::<u32>();
        rank.add_block(sum(greater), sum(equal), index * BLOCK);
    }
}

/// A word whose first `width` bits are set.
#[inline(always)]
const fn all_lanes(width: usize) -> u16 {
    (u32::MAX >> (32 - width)) as u16
}

/// The lane sums' fixed tree.
#[inline(always)]
fn tree(mut sums: [f64; LANES]) -> f64 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
    }
    sums[0]
}

#[inline(always)]
unsafe fn horizontal_max<L: Lanes>(x: L::F) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    // SAFETY: passed on.
    unsafe { L::store(x, &mut lanes) };
    lanes.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a })
}
