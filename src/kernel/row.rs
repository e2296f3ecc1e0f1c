//! The value of one row: the algorithm, over the lanes of a path (`path.rs`).
//!
//! For logits x[0..V), label y and a reference r:
//!
//! ```text
//! s = sum over j != y of exp(x[j] - r),   u = ln s,   v = x[y] - r
//! nll = max(u - v, 0) + log1p(exp(-|u - v|)),   lse = max(r + u, x[y]) + log1p(exp(-|u - v|))
//! ```
//!
//! The label's own term stays out of the lanes, so that relative accuracy is kept where the label
//! dominates. One pass over memory, as online softmax (Milakov, Gimelshein, arXiv 1805.02867) but
//! without rescaling: r is guessed from the row's first columns and holds for nearly every row.
//!
//! ```text
//! m0 = max of the first 64 columns of the first block that is not empty, less the label
//! r  = 0 if -40 <= m0 <= 60 or m0 is not finite, else about m0
//! for each block of 512 columns, four accumulators a[0..4] of 16 f32 or 8 f64 lanes:
//!     for each vector i of the block:  a[i mod 4] += exp(max(lo, x - r))
//!     lane totals += (a0 + a1) + (a2 + a3)
//! s = the lane totals, added in a fixed order
//! m = max of all but the label; unless -40 <= m - r <= 85 and s is finite: once more with r = m
//! ```
//!
//! Costs accepted: columns at -inf, the label, and absent ones of a group of 64 that is not whole add
//! 2^-125 of the reference each (relative to s at most 2^18 2^-125 2^58; f64 lanes e^-708); a row far
//! from its guess is read twice.
use super::block::{Block, Columns, Scratch, count, count_ties_before, horizontal_max, sum_block};
use super::exp::{exp, ln, log1p};
use super::lanes::{Float, Lanes, Stored};
use super::path::{Path, Reference, Total};
use super::{Flags, RowJob, RowScore};
use crate::rows::{BLOCK, Vocab};
use std::cmp::Ordering;

/// The guess stays 0 where the first columns' maximum lies here.
const GUESS: std::ops::RangeInclusive<f64> = -40.0..=60.0;
/// A pass holds where the maximum less the reference lies here: below, clamped columns could count;
/// above, f32 overflows.
const HOLDS: std::ops::RangeInclusive<f64> = -40.0..=85.0;
/// Rows summed before their logarithms are taken, in vectors.
const BATCH: usize = 16;

/// Appends one score a job.
///
/// # Safety
/// The features of the path's lanes; rows have `vocab.size()` elements, labels lie below it.
#[inline(always)]
pub(super) unsafe fn score<P: Path, E: Stored>(jobs: &[RowJob], vocab: &Vocab, out: &mut Vec<RowScore>) {
    let mut scratch = Scratch::new();
    let mut sums = [const { None }; BATCH];
    for (batch, start) in jobs.chunks(BATCH).zip((0..).step_by(BATCH)) {
        for (i, (sum, job)) in sums.iter_mut().zip(batch).enumerate() {
            let label = job.label.map(|y| y as usize);
            let (kind, jobs) = (std::marker::PhantomData, &jobs[start + i..]);
            let row = Row::<E>(Columns { at: job.row.as_ptr(), jobs, label, vocab, kind });
            // SAFETY: passed on.
            *sum = unsafe { row.sum::<P>(&mut scratch) };
        }
        let logs = Logs::of(&sums);
        for (i, (sum, job)) in sums.iter().zip(batch).enumerate() {
            out.push(match sum {
                Some(sum) => sum.score(logs.u[i], logs.small[i]),
                None => RowScore::invalid(E::ELEMENT, job.row, vocab),
            });
        }
    }
}

/// The sum of a row that has a distribution.
#[derive(Clone, Copy)]
struct RowSum {
    /// Of all but the label; `None` if no other allowed column is finite.
    s: Option<f64>,
    /// The reference, in two parts, and what ln s is multiplied by.
    r: (f64, f64),
    cure: f64,
    /// `x[y] - r`.
    v: f64,
    rank: Rank,
}

/// Of each row of a batch u = ln s and log1p(exp(-|u - v|)).
struct Logs {
    u: [f64; BATCH],
    small: [f64; BATCH],
}

impl Logs {
    /// One operation on all rows after the other, so that the compiler makes vectors of them; rows
    /// without a sum are 1 and see no use.
    #[inline(always)]
    fn of(sums: &[Option<RowSum>; BATCH]) -> Self {
        let (mut s, mut cure, mut v) = ([1.0; BATCH], [1.0; BATCH], [0.0; BATCH]);
        for (i, sum) in sums.iter().enumerate() {
            if let Some(sum) = sum {
                (s[i], cure[i], v[i]) = (sum.s.unwrap_or(1.0), sum.cure, sum.v);
            }
        }
        let (mut u, mut small) = ([0.0; BATCH], [0.0; BATCH]);
        for i in 0..BATCH {
            u[i] = ln(s[i]) * cure[i];
        }
        for i in 0..BATCH {
            small[i] = exp(-(u[i] - v[i]).abs());
        }
        for x in &mut small {
            *x = log1p(*x);
        }
        Self { u, small }
    }
}

impl RowSum {
    #[inline(always)]
    fn score(&self, u: f64, small: f64) -> RowScore {
        let (gap, (high, low)) = (u - self.v, self.r);
        if self.s.is_none() {
            return self.rank.score(0.0, self.rank.x, Flags(0));
        }
        if self.v == f64::NEG_INFINITY {
            return self.rank.score(f64::INFINITY, (u + high) + low, Flags::NEGINF_LABEL);
        }
        // Where the label dominates its own logit is the better start: r may be far away.
        let lse = if gap > 0.0 { ((u + small) + high) + low } else { self.rank.x + small };
        self.rank.score(gap.max(0.0) + small, lse, Flags(0))
    }
}

/// Where the label stands among the others.
#[derive(Clone, Copy)]
struct Rank {
    label: usize,
    x: f64,
    greater: u32,
    ties: u32,
    ties_before: u32,
}

impl Rank {
    fn score(&self, nll: f64, lse: f64, flags: Flags) -> RowScore {
        let (greater, ties) = (self.greater, self.ties);
        RowScore { nll, lse, rank: greater + self.ties_before, greater, ties, flags }
    }
}

/// A row, and how it is summed.
struct Row<'a, E>(Columns<'a, E>);

impl<E: Stored> Row<'_, E> {
    /// `None` if the row has no distribution.
    #[inline(always)]
    unsafe fn sum<P: Path>(&self, scratch: &mut Scratch) -> Option<RowSum> {
        let label = self.0.label;
        // SAFETY: passed on; the label lies inside the row.
        unsafe {
            let x = label.map_or(f64::NEG_INFINITY, |y| self.get(y));
            if x.is_nan() || x == f64::INFINITY {
                return None;
            }
            let mut rank = Rank { label: label.unwrap_or(0), x, greater: 0, ties: 0, ties_before: 0 };
            let m0 = self.0.first_max::<P>(scratch);
            let at_zero = GUESS.contains(&m0) || !m0.is_finite();
            let mut r = if at_zero { P::Reference::ZERO } else { P::Reference::near(m0) };
            let mut ranking = label.is_some();
            // Twice at most, in a loop so that the pass is compiled once.
            loop {
                let (s, m) = self.pass::<P>(r, scratch, ranking.then_some(&mut rank));
                let sum = RowSum { s: Some(s), r: r.parts(), cure: r.cure(), v: r.less(x), rank };
                if s.is_finite() && HOLDS.contains(&r.less(m)) {
                    return Some(sum);
                }
                if m == f64::NEG_INFINITY && !s.is_nan() {
                    return x.is_finite().then_some(RowSum { s: None, ..sum });
                }
                let next = P::Reference::near(m);
                if !m.is_finite() || r == next {
                    return None;
                }
                (r, ranking) = (next, false);
            }
        }
    }

    #[inline(always)]
    unsafe fn get(&self, column: usize) -> f64 {
        // SAFETY: passed on.
        unsafe { E::get(self.0.at.add(column * E::SIZE)) }
    }

    /// The sum and the maximum of all but the label; the rank too, if asked for.
    #[inline(always)]
    unsafe fn pass<P: Path>(
        &self,
        r: P::Reference,
        scratch: &mut Scratch,
        rank: Option<&mut Rank>,
    ) -> (f64, f64) {
        // SAFETY: passed on.
        unsafe {
            if r == P::Reference::ZERO {
                self.pass_by::<P, false>(r, scratch, rank)
            } else {
                self.pass_by::<P, true>(r, scratch, rank)
            }
        }
    }

    #[inline(always)]
    unsafe fn pass_by<P: Path, const MOVED: bool>(
        &self,
        r: P::Reference,
        scratch: &mut Scratch,
        mut rank: Option<&mut Rank>,
    ) -> (f64, f64) {
        let mut total = P::Total::default();
        // SAFETY: passed on.
        unsafe {
            let constants = P::constants(r);
            let mut top = P::Lanes::splat(<P::Lanes as Lanes>::Scalar::NEG_INFINITY);
            for place in 0..self.0.vocab.live_blocks() {
                let block = self.0.block(place, scratch);
                let (lanes, max) = sum_block::<P, E, MOVED>(&block, &constants);
                total.add(&lanes);
                if let Some(rank) = rank.as_deref_mut() {
                    let x = P::Lanes::splat(<P::Lanes as Lanes>::Scalar::narrow(rank.x));
                    if !P::Lanes::all_gt(x, max) {
                        self.count::<P>(&block, rank);
                    }
                }
                top = P::Lanes::max(top, max);
            }
            (total.value(), horizontal_max::<P::Lanes>(top))
        }
    }

    /// A second look at a block whose maximum reached the label's value.
    #[inline(always)]
    unsafe fn count<P: Path>(&self, block: &Block, rank: &mut Rank) {
        // SAFETY: passed on.
        unsafe {
            let (greater, equal) = count::<P, E>(block, 0..block.groups, rank.x);
            rank.greater += greater;
            if equal == 0 {
                return;
            }
            // Left-out columns are -inf in the copy, so they tie with a label at -inf.
            if rank.x == f64::NEG_INFINITY {
                return self.add_ties_one_by_one(block.index, rank);
            }
            rank.ties += equal;
            rank.ties_before += match block.index.cmp(&(rank.label / BLOCK)) {
                Ordering::Less => equal,
                Ordering::Equal => count_ties_before::<P, E>(block, rank.label % BLOCK, rank.x),
                Ordering::Greater => 0,
            };
        }
    }

    #[cold]
    unsafe fn add_ties_one_by_one(&self, index: usize, rank: &mut Rank) {
        let columns = index * BLOCK..((index + 1) * BLOCK).min(self.0.vocab.size());
        for column in columns.filter(|&j| self.0.vocab.allows(j) && Some(j) != self.0.label) {
            // SAFETY: the column lies inside the row.
            let ties = u32::from(unsafe { self.get(column) } == rank.x);
            rank.ties += ties;
            rank.ties_before += if column < rank.label { ties } else { 0 };
        }
    }
}
