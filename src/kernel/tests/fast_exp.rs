//! The fast exp on f32 of every bit pattern: its error, and one digest for every tier.
//!
//! What is judged is the kernel's own [`Fast::add_exp`](Path::add_exp), added to 0. The reference follows the
//! reduction and nothing else: with L = `LN2_F32`, for r = 0
//!
//! ```text
//! k = fma(x, LOG2E_F32, M),   n = k - M,   e(x) = 2^n exp(x - n L)
//! ```
//!
//! (a power of the base exp(L) to 2, whose distance from e is cured in u = ln s and budgeted there),
//! and for another reference simply exp(x - r). It is computed in f64; its own relative error is
//! at most 2e-15 for r = 0:
//!
//! - n has at most 11 bits and L has 24, so n L is exact; x - n L is rounded once, |f| < 0.06: an
//!   absolute error below 2^-57.
//! - exp(f) is Taylor's polynomial of degree 13, Horner's way: what is left out is below
//!   0.06^14 / 14! < 1e-28, and a rounding reaches the result times |f|^i: 1.1 * 2^-52 together.
//! - 2^(j/8) comes from square roots, which IEEE rounds correctly: at most four roundings.
//! - The rest is exact (powers of two) or one product: 2^-53.
//!
//! For other references x - r is rounded in f64 to 2^-53 of 2^17: 2e-11.

use super::tier::{Work, on};
use crate::kernel::Isa;
use crate::kernel::exp::{LN2_F32, LN2_HI, LN2_LO, LOG2E_F32, MAGIC_F32};
use crate::kernel::lanes::{Lanes32, Lanes64};
use crate::kernel::path::{Fast, Moved, Path};
use sha2::{Digest, Sha256};

/// The largest relative error over all arguments from the clamp to 85, and where it is.
const LARGEST: Worst = Worst(1.637_067_581_494_733_3e-7, 0x3e5d_bbf4);
/// The same for every other reference that was tried.
const LARGEST_MOVED: f64 = 1.65e-7;

/// SHA-256 of the results for [`sample`], as the bytes of little-endian f32.
const DIGEST: &str = "68366985331ff413fceca31bc7f6d0b9a19420d815d8f0c4607d38df55817ba9";
/// The same for all 2^32 arguments in the order of their bits.
const DIGEST_OF_ALL: &str = "4dfb7a29e3e68d697164e7e49e4839cb6d5cade3b60ba12eee24ba3f3a68931d";

/// Arguments at once.
const CHUNK: usize = 1 << 16;
/// Just above the clamp, -125 ln 2.
const LOWEST: f64 = -86.64;
/// A pass holds only if no argument less the reference is above it.
const HIGHEST: f64 = 85.0;

/// r = n0 ln 2 + far.
#[derive(Clone, Copy, Debug)]
struct Reference {
    n0: f32,
    far: f32,
}

impl Reference {
    fn is_zero(self) -> bool {
        self.n0 == 0.0 && self.far == 0.0
    }
}

const ZERO: Reference = Reference { n0: 0.0, far: 0.0 };

/// References near and far: 94,548 is that of 65,536, beyond which the logit itself is subtracted.
const MOVED: [Reference; 12] = {
    const fn near(n0: f32) -> Reference {
        Reference { n0, far: 0.0 }
    }
    const fn far(far: f32) -> Reference {
        Reference { n0: 0.0, far }
    }
    [
        near(-58.0),
        near(87.0),
        near(289.0),
        near(-433.0),
        near(10_001.0),
        near(-54_321.0),
        near(94_548.0),
        near(-94_548.0),
        far(65_537.0),
        far(-131_071.5),
        far(1e6),
        far(f32::MAX),
    ]
};

/// exp of every argument, by the kernel.
struct Exp<'a> {
    x: &'a [f32],
    r: Reference,
    out: &'a mut [f32],
}

impl Work for Exp<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes32, W: Lanes64>(&mut self) {
        let vectors = self.x.chunks_exact(L::WIDTH).zip(self.out.chunks_exact_mut(L::WIDTH));
        // SAFETY: the caller has the features; a chunk has the vector's length.
        unsafe {
            let constants = Fast::<L>::constants(Moved { n0: self.r.n0, far: self.r.far });
            for (x, out) in vectors {
                let (x, mut sum) = ([L::load_f32(x.as_ptr().cast())], [L::splat(0.0)]);
                if self.r.is_zero() {
                    Fast::<L>::add_exp::<false, 1>(&constants, &mut sum, x);
                } else {
                    Fast::<L>::add_exp::<true, 1>(&constants, &mut sum, x);
                }
                L::store(sum[0], out);
            }
        }
    }
}

/// Every NaN is one: its bits beyond that are the processor's own.
fn exp(isa: Isa, x: &[f32], r: Reference, out: &mut [f32]) {
    assert!(x.len().is_multiple_of(16));
    on(isa, &mut Exp { x, r, out });
    out.iter_mut().filter(|y| y.is_nan()).for_each(|y| *y = f32::NAN);
}

/// e^f for |f| < 0.06.
fn exp_near_0(f: f64) -> f64 {
    (1..=13).rev().fold(1.0, |sum, i| 1.0 + f / f64::from(i) * sum)
}

/// 2^n for n a multiple of 1/8.
fn power_of_2(n: f32) -> f64 {
    let eighths = (n * 8.0) as i32;
    let root = |x: f64, bit: i32| if eighths >> bit & 1 == 1 { x } else { 1.0 };
    let (half, quarter) = (2f64.sqrt(), 2f64.sqrt().sqrt());
    root(half, 2) * root(quarter, 1) * root(quarter.sqrt(), 0) * 2f64.powi(eighths >> 3)
}

/// e(x), see above; `None` where the argument is outside the kernel's range.
fn reference(x: f32, r: Reference) -> Option<f64> {
    if r.is_zero() {
        if !(LOWEST..=HIGHEST).contains(&f64::from(x)) {
            return None;
        }
        let n = x.mul_add(LOG2E_F32, MAGIC_F32) - MAGIC_F32;
        return Some(power_of_2(n) * exp_near_0(f64::from(x) - f64::from(n) * f64::from(LN2_F32)));
    }
    let n0 = f64::from(r.n0);
    let z = (f64::from(x) - f64::from(r.far) - n0 * LN2_HI) - n0 * LN2_LO;
    if !(LOWEST..=HIGHEST).contains(&z) {
        return None;
    }
    let n = (z * std::f64::consts::LOG2_E * 8.0).round() / 8.0;
    Some(power_of_2(n as f32) * exp_near_0((z - n * LN2_HI) - n * LN2_LO))
}

/// The largest relative error, and its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worst(f64, u32);

impl Worst {
    fn look(&mut self, x: &[f32], r: Reference, y: &[f32]) {
        for (&x, &y) in x.iter().zip(y) {
            let Some(want) = reference(x, r) else { continue };
            let error = (f64::from(y) / want - 1.0).abs();
            // A NaN is an error beyond all others.
            if error > self.0 || error.is_nan() {
                *self = Self(error, x.to_bits());
            }
        }
    }
}

/// What holds outside the range: NaN stays, and below the clamp all is one value.
fn check_outside(x: &[f32], y: &[f32]) {
    for (x, y) in x.iter().zip(y) {
        assert!(!x.is_nan() || y.is_nan(), "exp of NaN {:#x} is {y}", x.to_bits());
        assert!(*x >= -86.7 || x.is_nan() || (*y > 0.0 && *y <= 2f32.powi(-124)), "exp of {x} is {y}");
    }
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn update(digest: &mut Sha256, y: &[f32]) {
    let bytes: Vec<u8> = y.iter().flat_map(|y| y.to_bits().to_le_bytes()).collect();
    digest.update(&bytes);
}

/// Every 65,537-th argument, and those about the ends: zeros, subnormals, the clamp, ties of the
/// reduction, overflow, infinities and NaNs.
fn sample() -> Vec<f32> {
    let edges = [
        0.0f32,
        1e-45,
        f32::MIN_POSITIVE,
        1e-8,
        86.64,
        86.643_4,
        85.0,
        88.72,
        88.73,
        127.0,
        1e30,
        f32::MAX,
        f32::INFINITY,
        f32::NAN,
    ];
    let near =
        edges.into_iter().flat_map(|x| (0..8).map(move |i| x.to_bits().wrapping_add(i).wrapping_sub(4)));
    let ties = (-2000..2000).map(|i| ((f64::from(i) + 0.5) / 16.0 * std::f64::consts::LN_2) as f32);
    let mut x: Vec<f32> = (0..=u32::MAX).step_by(65_537).map(f32::from_bits).collect();
    x.extend(near.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)]));
    x.extend(ties);
    x.resize(x.len().next_multiple_of(16), 0.0);
    x
}

#[test]
fn a_sample_has_one_digest_and_keeps_its_bound() {
    let x = sample();
    for (i, isa) in Isa::tested().enumerate() {
        let mut digest = Sha256::new();
        let mut y = vec![0.0; x.len()];
        for r in [ZERO].into_iter().chain(MOVED) {
            exp(isa, &x, r, &mut y);
            update(&mut digest, &y);
            // The digests are equal, so that one tier's errors are all tiers'.
            if i == 0 {
                check_outside(if r.is_zero() { &x } else { &[] }, &y);
                let mut worst = Worst(0.0, 0);
                worst.look(&x, r, &y);
                let bound = if r.is_zero() { LARGEST.0 } else { LARGEST_MOVED };
                assert!(worst.0 <= bound, "{isa:?} {r:?}: {worst:?}");
            }
        }
        let digest = hex(digest);
        println!("fast exp, sample of {} x {}, {}: {digest}", x.len(), MOVED.len() + 1, isa.name());
        assert_eq!(digest, DIGEST, "{isa:?}");
    }
}

/// Calls `look` with all f32 whose distance from r is within the range, some at a time; but not those
/// below 2^-26, whose n is 0 and f is x, as for r = 0.
fn window(r: Reference, mut look: impl FnMut(&[f32])) {
    let middle = f64::from(r.n0) * std::f64::consts::LN_2 + f64::from(r.far);
    let (low, high) = ((middle - 87.0) as f32, (middle + 86.0).min(f64::from(f32::MAX)) as f32);
    // By magnitude, both signs at once, so that bits are in order and no f32 is left out.
    let nearest = if low <= 0.0 && high >= 0.0 { 2f32.powi(-26) } else { low.abs().min(high.abs()) };
    let last = low.abs().max(high.abs()).to_bits();
    for start in (nearest.to_bits()..=last).step_by(CHUNK / 2) {
        let bits = start..=(start + CHUNK as u32 / 2 - 1).min(last);
        let both = bits.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)]);
        let mut x: Vec<f32> = both.filter(|x| (low..=high).contains(x)).collect();
        x.resize(x.len().next_multiple_of(16), middle as f32);
        look(&x);
    }
}

#[test]
#[ignore = "minutes: make prove"]
fn prove_every_argument() {
    let (mut x, mut y) = (vec![0.0; CHUNK], vec![0.0; CHUNK]);
    let mut worst = Worst(0.0, 0);
    for (i, isa) in Isa::tested().enumerate() {
        let mut digest = Sha256::new();
        for start in (0..=u32::MAX).step_by(CHUNK) {
            (start..).zip(&mut x).for_each(|(bits, x)| *x = f32::from_bits(bits));
            exp(isa, &x, ZERO, &mut y);
            update(&mut digest, &y);
            // The digests are equal, so that one tier's errors are all tiers'.
            if i == 0 {
                check_outside(&x, &y);
                worst.look(&x, ZERO, &y);
            }
        }
        let digest = hex(digest);
        println!("fast exp, all 2^32, {}: {digest}", isa.name());
        assert_eq!(digest, DIGEST_OF_ALL, "{isa:?}");
    }
    println!("fast exp, largest relative error: {:e} at {:e}", worst.0, f32::from_bits(worst.1));
    assert_eq!(worst, LARGEST);
}

#[test]
#[ignore = "minutes: make prove"]
fn prove_other_references() {
    for r in MOVED {
        let (mut worst, mut arguments) = (Worst(0.0, 0), 0);
        window(r, |x| {
            let results = Isa::tested().map(|isa| {
                let mut y = vec![0.0; x.len()];
                exp(isa, x, r, &mut y);
                y
            });
            let results: Vec<Vec<f32>> = results.collect();
            assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{r:?}");
            worst.look(x, r, &results[0]);
            arguments += x.len();
        });
        println!("fast exp, {r:?}: {arguments} arguments, {:e} at {:e}", worst.0, f32::from_bits(worst.1));
        assert!(worst.0 <= LARGEST_MOVED, "{r:?}: {worst:?}");
    }
}
