//! One block of 512 columns: loading it with its masks, and the hot loop over it.

use super::exp::{C2_F32, C3_F32, LN2_F32, LN2_LO_F32, LOG2E_F32, MAGIC_F32};
use super::lanes::{Lanes, Stored};
use crate::rows::{LANES, WORDS};

/// How far ahead of the reads cache lines are asked for; 6 to 64 KB measured alike.
const PREFETCH: usize = 12 << 10;

/// The columns of one block and which of them take part.
pub(super) struct Block {
    pub(super) at: *const u8,
    /// Vectors of 16 columns, the last one perhaps partial.
    pub(super) vectors: usize,
    pub(super) masks: [u16; WORDS],
    /// The last vector's columns, copied where the row ends within it.
    pub(super) tail: [u8; 64],
    /// Which vector that is.
    pub(super) partial: usize,
}

/// Constants in lanes.
#[derive(Clone, Copy)]
pub(super) struct Constants<F> {
    lo: F,
    far: F,
    log2e: F,
    magic: F,
    minus_ln2: F,
    minus_ln2_lo: F,
    one: F,
    c2: F,
    c3: F,
}

impl Block {
    /// Vector `i`, as stored.
    #[inline(always)]
    pub(super) unsafe fn load_raw<L: Lanes, E: Stored>(&self, i: usize, stripe: usize) -> L::F {
        let lane = stripe * L::WIDTH * E::SIZE;
        // SAFETY: whole vectors lie in the row; the partial one was copied to a buffer of 64 bytes.
        unsafe {
            let at = if i == self.partial { self.tail.as_ptr() } else { self.at.add(i * LANES * E::SIZE) };
            E::load::<L>(at.add(lane))
        }
    }

    /// Vector `i`; columns that take no part are -inf.
    #[inline(always)]
    pub(super) unsafe fn load<L: Lanes, E: Stored>(&self, i: usize, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe { L::keep(self.load_raw::<L, E>(i, stripe), self.masks[i] >> (stripe * L::WIDTH)) }
    }

    /// The same for a vector that lies wholly in the row.
    #[inline(always)]
    unsafe fn load_whole<L: Lanes, E: Stored>(&self, i: usize, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe {
            let at = self.at.add((i * LANES + stripe * L::WIDTH) * E::SIZE);
            L::keep(E::load::<L>(at), self.masks[i] >> (stripe * L::WIDTH))
        }
    }
}

impl<F: Copy> Constants<F> {
    /// For the reference r = n0 ln 2 + far.
    #[inline(always)]
    pub(super) unsafe fn of<L: Lanes<F = F>>(n0: f32, far: f32) -> Self {
        // x - r never goes below -125 ln 2, so that the exponent stays in range.
        let lo = ((f64::from(n0) - 125.0) * std::f64::consts::LN_2) as f32;
        // SAFETY: passed on.
        unsafe {
            Self {
                lo: L::splat(lo),
                far: L::splat(far),
                log2e: L::splat(LOG2E_F32),
                magic: L::splat(MAGIC_F32 - n0),
                minus_ln2: L::splat(-LN2_F32),
                minus_ln2_lo: L::splat(-LN2_LO_F32),
                one: L::splat(1.0),
                c2: L::splat(C2_F32),
                c3: L::splat(C3_F32),
            }
        }
    }

    /// `sum + exp(x - r)`; r is 0 unless it is `MOVED`.
    #[inline(always)]
    pub(super) unsafe fn add_exp<L: Lanes<F = F>, const MOVED: bool>(&self, sum: F, x: F) -> F {
        // SAFETY: passed on.
        unsafe {
            let x = if MOVED { L::sub(x, self.far) } else { x };
            let x = L::max(self.lo, x);
            let k = L::fma(x, self.log2e, self.magic);
            let n = L::sub(k, self.magic);
            let mut f = L::fma(n, self.minus_ln2, x);
            if MOVED {
                f = L::fma(n, self.minus_ln2_lo, f);
            }
            let q = L::fma(f, self.c3, self.c2);
            let q = L::fma(f, q, self.one);
            let q = L::fma(f, q, self.one);
            L::fma(L::scale(k), q, sum)
        }
    }
}

/// A whole block: the hot loop. Each stripe runs over the 2 KB on its own, so that narrow tiers
/// keep four accumulators and the constants in registers.
#[inline(always)]
pub(super) unsafe fn full_block<L: Lanes, E: Stored, const MOVED: bool>(
    at: *const u8,
    constants: &Constants<L::F>,
) -> ([f32; LANES], L::F) {
    let mut lanes = [0.0; LANES];
    // SAFETY: the block's 512 columns lie in the row; prefetched addresses need not be valid.
    unsafe {
        let mut top = L::splat(f32::NEG_INFINITY);
        for stripe in 0..LANES / L::WIDTH {
            let mut a = [L::splat(0.0); 4];
            let mut max = [L::splat(f32::NEG_INFINITY); 2];
            let at = at.add(stripe * L::WIDTH * E::SIZE);
            for group in 0..WORDS / 4 {
                let at = at.add(group * 4 * LANES * E::SIZE);
                if stripe == 0 {
                    for line in 0..E::SIZE {
                        L::prefetch(at.wrapping_add(PREFETCH + line * 64));
                    }
                }
                for (i, sum) in a.iter_mut().enumerate() {
                    let x = E::load::<L>(at.add(i * LANES * E::SIZE));
                    max[i % 2] = L::max(max[i % 2], x);
                    *sum = constants.add_exp::<L, MOVED>(*sum, x);
                }
            }
            let sum = L::add(L::add(a[0], a[1]), L::add(a[2], a[3]));
            L::store(sum, &mut lanes[stripe * L::WIDTH..]);
            top = L::max(top, L::max(max[0], max[1]));
        }
        (lanes, top)
    }
}

/// A block of which some columns take no part. The same order of sums: vector i to a[i mod 4].
#[inline(always)]
pub(super) unsafe fn masked_block<L: Lanes, E: Stored, const MOVED: bool>(
    block: &Block,
    constants: &Constants<L::F>,
) -> ([f32; LANES], L::F) {
    let mut lanes = [0.0; LANES];
    let groups = block.partial / 4;
    // SAFETY: passed on.
    unsafe {
        let mut top = L::splat(f32::NEG_INFINITY);
        for stripe in 0..LANES / L::WIDTH {
            let mut a = [L::splat(0.0); 4];
            for group in 0..groups {
                for (i, sum) in a.iter_mut().enumerate() {
                    let x = block.load_whole::<L, E>(group * 4 + i, stripe);
                    top = L::max(top, x);
                    *sum = constants.add_exp::<L, MOVED>(*sum, x);
                }
            }
            for (i, sum) in a.iter_mut().enumerate() {
                if groups * 4 + i < block.vectors {
                    let x = block.load::<L, E>(groups * 4 + i, stripe);
                    top = L::max(top, x);
                    *sum = constants.add_exp::<L, MOVED>(*sum, x);
                }
            }
            let sum = L::add(L::add(a[0], a[1]), L::add(a[2], a[3]));
            L::store(sum, &mut lanes[stripe * L::WIDTH..]);
        }
        (lanes, top)
    }
}
