//! A block of 512 columns: where its groups lie, and the hot loop over them.

use super::RowJob;
use super::lanes::{Float, Lanes, Stored};
use super::path::{MAX_LANES, Path};
use crate::rows::{BLOCK, GROUP, Vocab};
use std::ops::Range;

/// How far ahead of the reads cache lines are asked for, in bytes that will be read: blocks without an
/// allowed column and rows between two jobs are left out. 4 to 32 KB measured alike.
const PREFETCH: usize = 12 << 10;

/// A row of logits and the columns that take part: those that are there and allowed, less the label.
pub(super) struct Columns<'a, E> {
    pub(super) at: *const u8,
    /// The row's job and those that follow.
    pub(super) jobs: &'a [RowJob<'a>],
    pub(super) label: Option<usize>,
    pub(super) vocab: &'a Vocab,
    pub(super) kind: std::marker::PhantomData<E>,
}

/// Room for a block whose columns do not all take part.
#[repr(C, align(64))]
pub(super) struct Scratch([u8; BLOCK * 8]);

/// A block as groups of 64 columns: in the row or, where some take no part, copied with -inf there.
/// So one hot loop serves every block.
pub(super) struct Block {
    /// Its place in the row.
    pub(super) index: usize,
    row: *const u8,
    copy: *const u8,
    /// What is to be asked for meanwhile.
    ahead: *const u8,
    /// One bit a group: it lies in the copy.
    copied: u8,
    pub(super) groups: usize,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self([0; BLOCK * 8])
    }
}

impl Block {
    /// Where group `index` lies.
    #[inline(always)]
    unsafe fn group<E: Stored>(&self, index: usize) -> *const u8 {
        let base = if self.copied >> index & 1 == 1 { self.copy } else { self.row };
        // SAFETY: each group lies in the row, or in the copy of the block.
        unsafe { base.add(index * GROUP * E::SIZE) }
    }
}

impl<E: Stored> Columns<'_, E> {
    /// What is read a while after the `place`-th block that is not empty: a later one of the row or,
    /// near its end, one of a later row.
    #[inline(always)]
    fn ahead(&self, place: usize) -> *const u8 {
        let (place, blocks) = (place + PREFETCH / (BLOCK * E::SIZE), self.vocab.live_blocks());
        let (row, place) = if place < blocks { (0, place) } else { (place / blocks, place % blocks) };
        let row = self.jobs.get(row).map_or(self.at, |job| job.row.as_ptr());
        row.wrapping_add(self.vocab.live_block(place).index * BLOCK * E::SIZE)
    }

    /// The `place`-th block that is not empty.
    ///
    /// # Safety
    /// The row has the vocabulary's size, the label lies below it, and there is such a block.
    #[inline(always)]
    pub(super) unsafe fn block(&self, place: usize, scratch: &mut Scratch) -> Block {
        let live = self.vocab.live_block(place);
        let (index, mut copied) = (live.index, live.lacking);
        let columns = (self.vocab.size() - index * BLOCK).min(BLOCK);
        if !columns.is_multiple_of(GROUP) {
            copied |= 1 << (columns / GROUP);
        }
        if let Some(y) = self.label.filter(|y| y / BLOCK == index) {
            copied |= 1 << (y % BLOCK / GROUP);
        }
        let mut left = copied;
        while left != 0 {
            // SAFETY: passed on; a set bit is a group of this block.
            unsafe { self.copy_group(index, left.trailing_zeros() as usize, scratch) };
            left &= left - 1;
        }
        // SAFETY: the block starts inside the row.
        let row = unsafe { self.at.add(index * BLOCK * E::SIZE) };
        let groups = columns.div_ceil(GROUP);
        Block { index, row, copy: scratch.0.as_ptr(), ahead: self.ahead(place), copied, groups }
    }

    /// Copies a group; columns that take no part become -inf.
    #[inline(always)]
    unsafe fn copy_group(&self, block: usize, group: usize, scratch: &mut Scratch) {
        let from = block * BLOCK + group * GROUP;
        let there = (self.vocab.size() - from).min(GROUP);
        let to: *mut E::Bits = scratch.0.as_mut_ptr().cast();
        // SAFETY: the scratch has room for 512 of the widest elements and is aligned for them, so its
        // part for this group is a slice; `there` columns are left in the row from `from` on.
        unsafe {
            let to = std::slice::from_raw_parts_mut(to.add(group * GROUP), GROUP);
            let (source, bytes) = (self.at.add(from * E::SIZE), to.as_mut_ptr().cast());
            if there == GROUP {
                std::ptr::copy_nonoverlapping(source, bytes, GROUP * E::SIZE);
            } else {
                to[there..].fill(E::NEG_INFINITY);
                std::ptr::copy_nonoverlapping(source, bytes, there * E::SIZE);
            }
            let allowed = self.vocab.group(from / GROUP);
            if allowed != u64::MAX {
                for (column, slot) in to.iter_mut().enumerate() {
                    *slot = if allowed >> column & 1 == 1 { *slot } else { E::NEG_INFINITY };
                }
            }
            if let Some(y) = self.label.filter(|y| y / GROUP == from / GROUP) {
                to[y % GROUP] = E::NEG_INFINITY;
            }
        }
    }

    /// The maximum of the first 64 columns of the first block that is not empty.
    ///
    /// # Safety
    /// As `block`, and the tier's features.
    #[inline(always)]
    pub(super) unsafe fn first_max<P: Path>(&self, scratch: &mut Scratch) -> f64 {
        // SAFETY: passed on; some column is allowed, so there is a block.
        unsafe {
            let block = self.block(0, scratch);
            let at = block.group::<E>(0);
            let mut top = P::Lanes::splat(<P::Lanes as Lanes>::Scalar::NEG_INFINITY);
            for stripe in 0..P::STRIPES {
                for vector in 0..GROUP / P::LANES {
                    top = P::Lanes::max(top, P::load::<E>(at, vector, stripe));
                }
            }
            horizontal_max::<P::Lanes>(top)
        }
    }
}

/// Lane sums of `exp(x - r)`, and maxima. Each stripe runs over the block on its own, so that narrow
/// tiers keep four accumulators and the constants in registers.
///
/// # Safety
/// The tier's features.
#[inline(always)]
pub(super) unsafe fn sum_block<P: Path, E: Stored, const MOVED: bool>(
    block: &Block,
    constants: &P::Constants,
) -> ([<P::Lanes as Lanes>::Scalar; MAX_LANES], <P::Lanes as Lanes>::F) {
    let mut lanes = [<P::Lanes as Lanes>::Scalar::NEG_INFINITY; MAX_LANES];
    // SAFETY: groups are whole; prefetched addresses need not be valid.
    unsafe {
        let mut top = P::Lanes::splat(<P::Lanes as Lanes>::Scalar::NEG_INFINITY);
        for stripe in 0..P::STRIPES {
            let mut a = [P::Lanes::splat(<P::Lanes as Lanes>::Scalar::narrow(0.0)); 4];
            for index in 0..block.groups {
                let at = block.group::<E>(index);
                if stripe == 0 {
                    let ahead = block.ahead.wrapping_add(index * GROUP * E::SIZE);
                    for line in 0..E::SIZE {
                        P::Lanes::prefetch(ahead.wrapping_add(line * 64));
                    }
                }
                for four in 0..GROUP / P::LANES / 4 {
                    let mut x = [top; 4];
                    for (i, x) in x.iter_mut().enumerate() {
                        *x = P::load::<E>(at, four * 4 + i, stripe);
                        top = P::Lanes::settle(P::Lanes::max(top, *x));
                    }
                    if P::Lanes::STEPWISE {
                        P::add_exp::<MOVED, 4>(constants, &mut a, x);
                    } else {
                        for (sum, x) in a.iter_mut().zip(x) {
                            P::add_exp::<MOVED, 1>(constants, std::array::from_mut(sum), [x]);
                        }
                    }
                }
            }
            let sum = P::Lanes::add(P::Lanes::add(a[0], a[1]), P::Lanes::add(a[2], a[3]));
            P::Lanes::store(sum, &mut lanes[stripe * P::Lanes::WIDTH..]);
        }
        P::order::<E>(&mut lanes);
        (lanes, top)
    }
}

/// How many columns of some groups of a block lie above x, and how many equal it.
///
/// # Safety
/// The tier's features.
#[inline(always)]
pub(super) unsafe fn count<P: Path, E: Stored>(block: &Block, groups: Range<usize>, x: f64) -> (u32, u32) {
    // SAFETY: groups are whole.
    unsafe {
        let x = P::Lanes::splat(<P::Lanes as Lanes>::Scalar::narrow(x));
        let zero = P::Lanes::splat(<P::Lanes as Lanes>::Scalar::narrow(0.0));
        let (mut above, mut equal) = (zero, zero);
        for index in groups {
            let at = block.group::<E>(index);
            for stripe in 0..P::STRIPES {
                for vector in 0..GROUP / P::LANES {
                    let column = P::load::<E>(at, vector, stripe);
                    above = P::Lanes::count_gt(above, column, x);
                    equal = P::Lanes::count_eq(equal, column, x);
                }
            }
        }
        (total::<P::Lanes>(above), total::<P::Lanes>(equal))
    }
}

/// How many columns of a block that take part equal x, of those before the label at `place` in it.
///
/// # Safety
/// The tier's features.
#[inline(always)]
pub(super) unsafe fn count_ties_before<P: Path, E: Stored>(block: &Block, place: usize, x: f64) -> u32 {
    let group = place / GROUP;
    // SAFETY: groups are whole.
    unsafe {
        let at = block.group::<E>(group);
        let beside = (0..place % GROUP).filter(|&column| E::get(at.add(column * E::SIZE)) == x).count();
        count::<P, E>(block, 0..group, x).1 + beside as u32
    }
}

/// The sum of integer counters.
#[inline(always)]
unsafe fn total<L: Lanes>(counters: L::F) -> u32 {
    let mut lanes = [L::Scalar::narrow(0.0); MAX_LANES];
    // SAFETY: passed on.
    unsafe { L::store(counters, &mut lanes) };
    lanes.into_iter().map(Float::count).sum()
}

/// The greatest lane.
///
/// # Safety
/// The tier's features.
#[inline(always)]
pub(super) unsafe fn horizontal_max<L: Lanes>(x: L::F) -> f64 {
    let mut lanes = [L::Scalar::NEG_INFINITY; MAX_LANES];
    // SAFETY: passed on.
    unsafe { L::store(x, &mut lanes) };
    lanes.into_iter().fold(L::Scalar::NEG_INFINITY, |a, b| if b > a { b } else { a }).widen()
}
