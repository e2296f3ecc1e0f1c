//! The lane operations that a tier provides, and how each element type is loaded into them.

use crate::element::{Element, bf16_to_f32, f16_to_f32};

/// A vector of `WIDTH` f32 lanes. Column c of a row belongs to lane c mod 16 in every tier; a tier
/// with narrower vectors runs over a block in 16 / `WIDTH` stripes.
///
/// All are IEEE operations on each lane, so that every tier gives the same bits.
///
/// # Safety
/// Every operation needs the tier's target features; loads read `WIDTH` elements at any alignment.
pub(super) trait Lanes {
    /// The vector.
    type F: Copy;
    /// Lanes of a vector; a divisor of 16.
    const WIDTH: usize;

    unsafe fn splat(x: f32) -> Self::F;
    unsafe fn load_f32(from: *const u8) -> Self::F;
    unsafe fn load_f16(from: *const u8) -> Self::F;
    unsafe fn load_bf16(from: *const u8) -> Self::F;
    /// Lanes whose bit is set; the others become -inf.
    unsafe fn keep(x: Self::F, bits: u16) -> Self::F;
    /// a > b ? a : b, so that a NaN in b stays; NEON keeps a NaN in a as well, which no result sees.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// a b + c, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// With the bits of k as integers: float(TABLE[k & 7] + (k << 20)).
    unsafe fn scale(k: Self::F) -> Self::F;
    /// One bit a lane: a > b.
    unsafe fn gt(a: Self::F, b: Self::F) -> u16;
    /// One bit a lane: a == b.
    unsafe fn eq(a: Self::F, b: Self::F) -> u16;
    /// With the bits of `count` as integers: count + 1 where a > b.
    unsafe fn count_gt(count: Self::F, a: Self::F, b: Self::F) -> Self::F;
    /// The same where a == b.
    unsafe fn count_eq(count: Self::F, a: Self::F, b: Self::F) -> Self::F;
    /// Writes the lanes to the first `WIDTH` floats of `to`.
    unsafe fn store(x: Self::F, to: &mut [f32]);
    /// Asks for a cache line; the address need not be valid.
    fn prefetch(at: *const u8);
}

/// An element type as a type, so that loops are compiled for each.
pub(super) trait Stored {
    const ELEMENT: Element;
    const SIZE: usize = Self::ELEMENT.size();

    /// Loads `WIDTH` elements into f32 lanes.
    ///
    /// # Safety
    /// As [`Lanes`]. f64 has no f32 lanes and is never loaded so.
    unsafe fn load<L: Lanes>(from: *const u8) -> L::F;

    /// Loads one element as f64.
    ///
    /// # Safety
    /// `from` is valid for a read of `SIZE` bytes, at any alignment.
    unsafe fn get(from: *const u8) -> f64;
}

macro_rules! stored {
    ($name:ident, $load:ident, $bits:ty, $widen:expr) => {
        pub(super) struct $name;
        impl Stored for $name {
            const ELEMENT: Element = Element::$name;
            #[inline(always)]
            unsafe fn load<L: Lanes>(from: *const u8) -> L::F {
                // SAFETY: passed on.
                unsafe { L::$load(from) }
            }
            #[inline(always)]
            unsafe fn get(from: *const u8) -> f64 {
                // SAFETY: passed on.
                f64::from($widen(unsafe { from.cast::<$bits>().read_unaligned() }))
            }
        }
    };
}
stored!(F32, load_f32, f32, |x: f32| x);
stored!(F16, load_f16, u16, f16_to_f32);
stored!(Bf16, load_bf16, u16, bf16_to_f32);

/// f64 takes the exact path, which loads single elements.
pub(super) struct F64;
impl Stored for F64 {
    const ELEMENT: Element = Element::F64;
    unsafe fn load<L: Lanes>(_: *const u8) -> L::F {
        unreachable!("f64 rows take the exact path")
    }
    #[inline(always)]
    unsafe fn get(from: *const u8) -> f64 {
        // SAFETY: passed on.
        unsafe { from.cast::<f64>().read_unaligned() }
    }
}
