//! Lane operations in plain Rust, for every machine, and the reference that others must equal.

use super::exp::{TABLE, TABLE_F32};
use super::lanes::{Float, Lanes, Lanes32, Lanes64};
use crate::element::{bf16_to_f32, f16_to_f32};
use std::array::from_fn;

const WIDTH: usize = 8;

/// Eight lanes of f32 or f64 as an array.
pub(super) struct Portable<T>(std::marker::PhantomData<T>);

super::entry_points!(Portable<f32>, Portable<f64>);

/// Loads eight values of `T` and widens them.
#[inline(always)]
unsafe fn load<T: Copy, W>(from: *const u8, widen: impl Fn(T) -> W) -> [W; WIDTH] {
    // SAFETY: the caller promises eight elements, at any alignment.
    from_fn(|i| widen(unsafe { from.cast::<T>().add(i).read_unaligned() }))
}

macro_rules! lanes {
    ($scalar:ty, $integer:ty) => {
        impl Lanes for Portable<$scalar> {
            type Scalar = $scalar;
            type F = [$scalar; WIDTH];
            const WIDTH: usize = WIDTH;
            const STEPWISE: bool = false;

            #[inline(always)]
            unsafe fn splat(x: $scalar) -> Self::F {
                [x; WIDTH]
            }
            #[inline(always)]
            unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
                from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
            }
            #[inline(always)]
            unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
                from_fn(|i| a[i] + b[i])
            }
            #[inline(always)]
            unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
                from_fn(|i| a[i] - b[i])
            }
            #[inline(always)]
            unsafe fn all_gt(a: Self::F, b: Self::F) -> bool {
                (0..WIDTH).fold(true, |all, i| all & (a[i] > b[i]))
            }
            #[inline(always)]
            unsafe fn count_gt(count: Self::F, a: Self::F, b: Self::F) -> Self::F {
                from_fn(|i| <$scalar>::from_bits(count[i].to_bits() + <$integer>::from(a[i] > b[i])))
            }
            #[inline(always)]
            unsafe fn count_eq(count: Self::F, a: Self::F, b: Self::F) -> Self::F {
                from_fn(|i| <$scalar>::from_bits(count[i].to_bits() + <$integer>::from(a[i] == b[i])))
            }
            #[inline(always)]
            unsafe fn store(x: Self::F, to: &mut [$scalar]) {
                to[..WIDTH].copy_from_slice(&x);
            }
            #[inline(always)]
            fn prefetch(_: *const u8) {}
        }
    };
}
lanes!(f32, u32);
lanes!(f64, u64);

impl Lanes32 for Portable<f32> {
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(from, |x: f32| x) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(from, f16_to_f32) }
    }
    #[inline(always)]
    unsafe fn load_bf16(vector: *const u8, stripe: usize) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(vector.add(stripe * WIDTH * 2), bf16_to_f32) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        from_fn(|i| fma(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn scale(k: Self::F) -> Self::F {
        from_fn(|i| {
            let k = k[i].to_bits();
            f32::from_bits(TABLE_F32[(k & 7) as usize].wrapping_add(k << 20))
        })
    }
}

impl Lanes64 for Portable<f64> {
    #[inline(always)]
    unsafe fn load_f64(from: *const u8) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(from, |x: f64| x) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(from, f32::widen) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(from, |bits| f16_to_f32(bits).widen()) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> Self::F {
        // SAFETY: passed on.
        unsafe { load(from, |bits| bf16_to_f32(bits).widen()) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn scale(k: Self::F) -> Self::F {
        from_fn(|i| {
            let k = k[i].to_bits();
            f64::from_bits(TABLE[(k & 7) as usize].wrapping_add(k << 49))
        })
    }
}

/// a b + c, rounded once. Where the machine has no such instruction: the product is exact in f64,
/// and the sum is rounded there and again to f32. The second rounding can differ from a single one
/// only if the f64 lies halfway between two f32, or among f32's subnormals; then the sum is redone
/// with round to odd (Boldo, Melquiond, 2008), which keeps the lost part visible.
#[inline(always)]
fn fma(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        return a.mul_add(b, c);
    }
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    let halfway = sum.to_bits() & 0x1fff_ffff == 0x1000_0000;
    if halfway || sum.abs() < f64::from(f32::MIN_POSITIVE) {
        return round_to_odd(product, c, sum) as f32;
    }
    sum as f32
}

/// The sum, made odd if it is not exact.
#[cold]
fn round_to_odd(a: f64, b: f64, sum: f64) -> f64 {
    let shadow = sum - a;
    let error = (a - (sum - shadow)) + (b - shadow);
    if !sum.is_finite() || error == 0.0 || sum.to_bits() & 1 == 1 {
        return sum;
    }
    // Towards the error's side; the neighbour of an even number is odd.
    let outward = (error > 0.0) == (sum > 0.0);
    f64::from_bits(if outward { sum.to_bits() + 1 } else { sum.to_bits() - 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn emulated_fma_is_rounded_once(a: f32, b: f32, c: f32, halfway: u16, near: bool) {
            let c = if near { -a * b * (1.0 + f32::from(halfway) * 1e-7) } else { c };
            let want = a.mul_add(b, c);
            let got = fma(a, b, c);
            prop_assert!(got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()), "{a} {b} {c}");
        }

        #[test]
        fn halfway_cases(m: u32, n: u32, e in 90u32..160, tiny in 1u32..80) {
            // A product with 24 + 24 bits against an addend that decides the tie.
            let a = f32::from_bits(0x3f80_0000 | m & 0x7f_ffff);
            let b = f32::from_bits(e << 23 | n & 0x7f_ffff);
            for c in [f32::from_bits(tiny << 23), -f32::from_bits(tiny << 23), 0.0, f32::from_bits(1)] {
                prop_assert_eq!(fma(a, b, c).to_bits(), a.mul_add(b, c).to_bits());
            }
        }
    }
}
