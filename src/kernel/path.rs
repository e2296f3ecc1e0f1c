//! The two ways to sum a row: f32 lanes with a fast exp, f64 lanes with an exact one. What they
//! share is the algorithm in `row.rs`.

use super::exp::{
    BASE_CURE, C2_F32, C3_F32, EXP, EXP_FLOOR, LN2_F32, LN2_HI, LN2_LO, LN2_LO_F32, LOG2E, LOG2E_F32, MAGIC,
    MAGIC_F32,
};
use super::lanes::{Lanes, Lanes32, Lanes64, Stored};
use std::marker::PhantomData;

/// Lanes of the widest path.
pub(super) const MAX_LANES: usize = 16;

/// A way to sum a row.
pub(super) trait Path {
    /// Its vectors.
    type Lanes: Lanes;
    /// What is taken from every logit before exp.
    type Reference: Reference;
    /// The reference and the numbers of the formula, in lanes.
    type Constants: Copy;
    /// Sums of the blocks so far.
    type Total: Total<<Self::Lanes as Lanes>::Scalar>;
    /// Column c belongs to lane c mod `LANES`.
    const LANES: usize;
    /// Vectors of a tier that hold the lanes together.
    const STRIPES: usize = Self::LANES / Self::Lanes::WIDTH;

    /// # Safety
    /// The tier's features.
    unsafe fn constants(r: Self::Reference) -> Self::Constants;
    /// Of vector `index` at `at` the lanes of a stripe.
    ///
    /// # Safety
    /// The tier's features, and a whole vector.
    unsafe fn load<E: Stored>(at: *const u8, index: usize, stripe: usize) -> <Self::Lanes as Lanes>::F;
    /// Puts the stored lanes of all stripes into the order of columns.
    fn order<E: Stored>(lanes: &mut [<Self::Lanes as Lanes>::Scalar; MAX_LANES]);
    /// `sums + exp(x - r)`; r is 0 unless it is `MOVED`. Several vectors at once, step by step: a step
    /// then finds its operands ready, where one vector's chain of steps would hold up the others.
    ///
    /// # Safety
    /// The tier's features.
    unsafe fn add_exp<const MOVED: bool, const N: usize>(
        constants: &Self::Constants,
        sums: &mut [<Self::Lanes as Lanes>::F; N],
        x: [<Self::Lanes as Lanes>::F; N],
    );
}

/// The reference r of a row.
pub(super) trait Reference: Copy + PartialEq {
    const ZERO: Self;
    /// At m, or near it.
    fn near(m: f64) -> Self;
    /// r in two parts whose sum it is.
    fn parts(self) -> (f64, f64);
    /// What a logarithm of the sum is multiplied by.
    fn cure(self) -> f64;

    /// x - r.
    #[inline(always)]
    fn less(self, x: f64) -> f64 {
        let (high, low) = self.parts();
        (x - high) - low
    }
}

/// A sum over blocks, lane by lane, folded in a fixed order.
pub(super) trait Total<T>: Default {
    fn add(&mut self, lanes: &[T; MAX_LANES]);
    fn value(self) -> f64;
}

/// f32 lanes: |error of nll| <= 1e-6 min(1, nll).
///
/// k = fma(x, log2 e, M) rounds to eighths, n = k - M, f = x - n ln 2, and exp is
/// TABLE[k mod 8] 2^(k div 8) (1 + f (1 + f (c2 + f c3))). A sum reduced with ln 2 in one f32 is a
/// sum of powers of a base off by d = 2.7e-9; u = ln(s) / (1 + d) cures it but for d H <= 3.2e-8 (H,
/// the entropy, is at most ln V).
///
/// The bound: polynomial 2.6e-8, table 6e-8, its last factor 6e-8, reduction 3.2e-8, ten f32
/// roundings of a lane 6e-7: 7.8e-7 together.
pub(super) struct Fast<L>(PhantomData<L>);

/// f64 lanes, exp good to 4e-15 and block sums added without error: nll good to 1e-13 relative.
/// Add, mul and integer operations only: there is no f64 fma in any tier.
pub(super) struct Exact<L>(PhantomData<L>);

/// r = n0 ln 2 + far, of which one part at most is not 0. Near 0 the integer n0 is taken from the
/// exponent, which costs one more fma; beyond 65,536 r itself is subtracted, which is exact wherever
/// it counts (Sterbenz).
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Moved {
    pub(super) n0: f32,
    pub(super) far: f32,
}

impl Moved {
    const FAR: f32 = 65_536.0;
}

impl Reference for Moved {
    const ZERO: Self = Self { n0: 0.0, far: 0.0 };

    fn near(m: f64) -> Self {
        let m = m as f32;
        if m.abs() <= Self::FAR {
            Self { n0: (m * LOG2E_F32).round_ties_even(), far: 0.0 }
        } else {
            Self { n0: 0.0, far: m }
        }
    }

    #[inline(always)]
    fn parts(self) -> (f64, f64) {
        let n0 = f64::from(self.n0);
        (n0 * LN2_HI + f64::from(self.far), n0 * LN2_LO)
    }

    #[inline(always)]
    fn cure(self) -> f64 {
        if self == Self::ZERO { BASE_CURE } else { 1.0 }
    }
}

impl Reference for f64 {
    const ZERO: Self = 0.0;

    fn near(m: f64) -> Self {
        m
    }

    #[inline(always)]
    fn parts(self) -> (f64, f64) {
        (self, 0.0)
    }

    #[inline(always)]
    fn cure(self) -> f64 {
        1.0
    }
}

/// Constants of [`Fast`].
#[derive(Clone, Copy)]
pub(super) struct Constants32<F> {
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

impl<L: Lanes32> Path for Fast<L> {
    type Lanes = L;
    type Reference = Moved;
    type Constants = Constants32<L::F>;
    type Total = Tree;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn constants(r: Moved) -> Constants32<L::F> {
        // x - r never goes below -125 ln 2, so that the exponent stays in range.
        let lo = ((f64::from(r.n0) - 125.0) * std::f64::consts::LN_2) as f32;
        // SAFETY: passed on.
        unsafe {
            Constants32 {
                lo: L::splat(lo),
                far: L::splat(r.far),
                log2e: L::splat(LOG2E_F32),
                magic: L::splat(MAGIC_F32 - r.n0),
                minus_ln2: L::splat(-LN2_F32),
                minus_ln2_lo: L::splat(-LN2_LO_F32),
                one: L::splat(1.0),
                c2: L::splat(C2_F32),
                c3: L::splat(C3_F32),
            }
        }
    }

    #[inline(always)]
    unsafe fn load<E: Stored>(at: *const u8, index: usize, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe { E::load32::<L>(at.add(index * Self::LANES * E::SIZE), stripe) }
    }

    #[inline(always)]
    fn order<E: Stored>(lanes: &mut [f32; MAX_LANES]) {
        E::order32::<L>(lanes);
    }

    #[inline(always)]
    unsafe fn add_exp<const MOVED: bool, const N: usize>(
        c: &Constants32<L::F>,
        sums: &mut [L::F; N],
        mut x: [L::F; N],
    ) {
        let (mut k, mut q) = (x, x);
        // SAFETY: passed on.
        unsafe {
            for x in &mut x {
                *x = L::settle(L::max(c.lo, if MOVED { L::sub(*x, c.far) } else { *x }));
            }
            for i in 0..N {
                k[i] = L::settle(L::fma(x[i], c.log2e, c.magic));
            }
            for i in 0..N {
                let n = L::sub(k[i], c.magic);
                let f = L::fma(n, c.minus_ln2, x[i]);
                x[i] = L::settle(if MOVED { L::fma(n, c.minus_ln2_lo, f) } else { f });
            }
            for i in 0..N {
                let sum = L::fma(x[i], c.c3, c.c2);
                let sum = L::fma(x[i], sum, c.one);
                q[i] = L::settle(L::fma(x[i], sum, c.one));
            }
            for i in 0..N {
                sums[i] = L::settle(L::fma(L::scale(k[i]), q[i], sums[i]));
            }
        }
    }
}

/// f64 sums of f32 lanes, added in the tree i + 8, i + 4, i + 2, i + 1.
#[derive(Default)]
pub(super) struct Tree([f64; 16]);

impl Total<f32> for Tree {
    #[inline(always)]
    fn add(&mut self, lanes: &[f32; MAX_LANES]) {
        for (sum, &lane) in self.0.iter_mut().zip(lanes) {
            *sum += f64::from(lane);
        }
    }

    #[inline(always)]
    fn value(mut self) -> f64 {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                self.0[i] += self.0[i + half];
            }
        }
        self.0[0]
    }
}

/// Constants of [`Exact`].
#[derive(Clone, Copy)]
pub(super) struct Constants64<F> {
    r: F,
    floor: F,
    log2e: F,
    magic: F,
    ln2_hi: F,
    ln2_lo: F,
    p: [F; 5],
}

impl<L: Lanes64> Path for Exact<L> {
    type Lanes = L;
    type Reference = f64;
    type Constants = Constants64<L::F>;
    type Total = Compensated;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn constants(r: f64) -> Constants64<L::F> {
        // SAFETY: passed on.
        unsafe {
            Constants64 {
                r: L::splat(r),
                floor: L::splat(EXP_FLOOR),
                log2e: L::splat(LOG2E),
                magic: L::splat(MAGIC),
                ln2_hi: L::splat(LN2_HI),
                ln2_lo: L::splat(LN2_LO),
                p: [L::splat(EXP[0]), L::splat(EXP[1]), L::splat(EXP[2]), L::splat(EXP[3]), L::splat(EXP[4])],
            }
        }
    }

    #[inline(always)]
    unsafe fn load<E: Stored>(at: *const u8, index: usize, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe { E::load64::<L>(at.add((index * Self::LANES + stripe * L::WIDTH) * E::SIZE)) }
    }

    #[inline(always)]
    fn order<E: Stored>(_: &mut [f64; MAX_LANES]) {}

    /// As `exp` of `exp.rs`, operation by operation.
    #[inline(always)]
    unsafe fn add_exp<const MOVED: bool, const N: usize>(
        c: &Constants64<L::F>,
        sums: &mut [L::F; N],
        mut x: [L::F; N],
    ) {
        let (mut k, mut rest) = (x, x);
        // SAFETY: passed on.
        unsafe {
            for x in &mut x {
                *x = L::settle(L::max(c.floor, if MOVED { L::sub(*x, c.r) } else { *x }));
            }
            for i in 0..N {
                k[i] = L::settle(L::add(L::mul(x[i], c.log2e), c.magic));
            }
            for i in 0..N {
                let n = L::sub(k[i], c.magic);
                x[i] = L::settle(L::sub(L::sub(x[i], L::mul(n, c.ln2_hi)), L::mul(n, c.ln2_lo)));
            }
            for i in 0..N {
                let (f, square) = (x[i], L::mul(x[i], x[i]));
                let low = L::add(c.p[0], L::mul(f, c.p[1]));
                let high = L::add(L::add(c.p[2], L::mul(f, c.p[3])), L::mul(square, c.p[4]));
                rest[i] = L::settle(L::add(f, L::mul(square, L::add(low, L::mul(square, high)))));
            }
            for k in &mut k {
                *k = L::settle(L::scale(*k));
            }
            for i in 0..N {
                sums[i] = L::settle(L::add(sums[i], L::add(k[i], L::mul(k[i], rest[i]))));
            }
        }
    }
}

/// f64 sums with what their roundings lost.
#[derive(Default)]
pub(super) struct Compensated {
    sums: [f64; 8],
    lost: [f64; 8],
}

impl Total<f64> for Compensated {
    #[inline(always)]
    fn add(&mut self, lanes: &[f64; MAX_LANES]) {
        for (i, &lane) in lanes[..8].iter().enumerate() {
            let (total, error) = two_sum(self.sums[i], lane);
            self.sums[i] = total;
            self.lost[i] += error;
        }
    }

    #[inline(always)]
    fn value(self) -> f64 {
        let (mut total, mut rest) = (0.0, 0.0);
        for (&sum, &lost) in self.sums.iter().zip(&self.lost) {
            let (next, error) = two_sum(total, sum);
            total = next;
            rest += error + lost;
        }
        total + rest
    }
}

/// a + b and what its rounding lost (Knuth).
#[inline(always)]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let shadow = sum - a;
    (sum, (a - (sum - shadow)) + (b - shadow))
}
