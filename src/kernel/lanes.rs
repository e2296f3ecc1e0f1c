//! The lane operations that a tier provides, and how each element type is loaded into them.

use crate::element::{Element, bf16_to_f32, f16_to_f32};

/// The number in a lane.
pub(super) trait Float: Copy + PartialOrd {
    const NEG_INFINITY: Self;
    /// As f64, exactly.
    fn widen(self) -> f64;
    /// The nearest; exact for what was stored as this type.
    fn narrow(x: f64) -> Self;
    /// The bits, as the integer that counters keep there.
    fn count(self) -> u32;
}

impl Float for f32 {
    const NEG_INFINITY: Self = Self::NEG_INFINITY;
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x as Self
    }
    #[inline(always)]
    fn count(self) -> u32 {
        self.to_bits()
    }
}

impl Float for f64 {
    const NEG_INFINITY: Self = Self::NEG_INFINITY;
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn narrow(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn count(self) -> u32 {
        self.to_bits() as u32
    }
}

/// A vector of `WIDTH` lanes.
///
/// All are IEEE operations on each lane, so that every tier gives the same bits.
///
/// # Safety
/// Every operation needs the tier's target features.
pub(super) trait Lanes {
    /// The number in each.
    type Scalar: Float;
    /// The vector.
    type F: Copy;
    /// Lanes of a vector.
    const WIDTH: usize;
    /// Whether a formula runs over four vectors step by step, or over one after the other, which is
    /// better where a vector is no register.
    const STEPWISE: bool = true;

    unsafe fn splat(x: Self::Scalar) -> Self::F;
    /// a > b ? a : b, so that a NaN in b stays; NEON keeps a NaN in a as well, which no result sees.
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F;
    /// Whether a > b in every lane.
    unsafe fn all_gt(a: Self::F, b: Self::F) -> bool;
    /// With the bits of `count` as integers: count + 1 where a > b.
    unsafe fn count_gt(count: Self::F, a: Self::F, b: Self::F) -> Self::F;
    /// The same where a == b.
    unsafe fn count_eq(count: Self::F, a: Self::F, b: Self::F) -> Self::F;
    /// Writes the lanes to the first `WIDTH` numbers of `to`.
    unsafe fn store(x: Self::F, to: &mut [Self::Scalar]);
    /// Asks for a cache line; the address need not be valid.
    fn prefetch(at: *const u8);

    /// The same value, which the compiler must have ready here. A tier with few registers says so for
    /// the running maximum and between the steps of a formula: else all loads of the hot loop are moved
    /// to its top, and spilled, and each vector's steps are put one after the other.
    #[inline(always)]
    unsafe fn settle(x: Self::F) -> Self::F {
        x
    }
}

/// f32 lanes. Column c of a row belongs to lane c mod 16 in every tier: one of narrower vectors runs
/// over a block in 16 / `WIDTH` stripes.
///
/// # Safety
/// As [`Lanes`]; loads read at any alignment.
pub(super) trait Lanes32: Lanes<Scalar = f32> {
    /// `WIDTH` elements.
    unsafe fn load_f32(from: *const u8) -> Self::F;
    unsafe fn load_f16(from: *const u8) -> Self::F;
    /// Of the 16 elements at `vector` those of a stripe.
    unsafe fn load_bf16(vector: *const u8, stripe: usize) -> Self::F;
    /// Puts the lanes of all stripes into the order of columns, where `load_bf16` has another.
    #[inline(always)]
    fn order_bf16(_: &mut [f32; 16]) {}
    /// a b + c, rounded once.
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// With the bits of k as integers: float(TABLE[k & 7] + (k << 20)).
    unsafe fn scale(k: Self::F) -> Self::F;
}

/// f64 lanes. Column c of a row belongs to lane c mod 8.
///
/// # Safety
/// As [`Lanes`]; loads read `WIDTH` elements at any alignment, and widen them.
pub(super) trait Lanes64: Lanes<Scalar = f64> {
    unsafe fn load_f64(from: *const u8) -> Self::F;
    unsafe fn load_f32(from: *const u8) -> Self::F;
    unsafe fn load_f16(from: *const u8) -> Self::F;
    unsafe fn load_bf16(from: *const u8) -> Self::F;
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// With the bits of k as integers: double(TABLE[k & 7] + (k << 49)).
    unsafe fn scale(k: Self::F) -> Self::F;
}

/// An element type as a type, so that loops are compiled for each.
pub(super) trait Stored {
    const ELEMENT: Element;
    const SIZE: usize = Self::ELEMENT.size();
    /// The element's bits as an integer.
    type Bits: Copy;
    /// -inf.
    const NEG_INFINITY: Self::Bits;

    /// Of the 16 elements at `vector` those of a stripe, in f32 lanes.
    ///
    /// # Safety
    /// As [`Lanes32`]. f64 has no f32 lanes and is never loaded so.
    unsafe fn load32<L: Lanes32>(vector: *const u8, stripe: usize) -> L::F;

    /// Puts lanes that `load32` filled into the order of columns.
    #[inline(always)]
    fn order32<L: Lanes32>(_: &mut [f32; 16]) {}

    /// Loads `WIDTH` elements into f64 lanes.
    ///
    /// # Safety
    /// As [`Lanes64`].
    unsafe fn load64<L: Lanes64>(from: *const u8) -> L::F;

    /// Loads one element as f64.
    ///
    /// # Safety
    /// `from` is valid for a read of `SIZE` bytes, at any alignment.
    unsafe fn get(from: *const u8) -> f64;
}

pub(super) struct F32;
impl Stored for F32 {
    const ELEMENT: Element = Element::F32;
    type Bits = u32;
    const NEG_INFINITY: u32 = 0xff80_0000;
    #[inline(always)]
    unsafe fn load32<L: Lanes32>(vector: *const u8, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_f32(vector.add(stripe * L::WIDTH * Self::SIZE)) }
    }
    #[inline(always)]
    unsafe fn load64<L: Lanes64>(from: *const u8) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_f32(from) }
    }
    #[inline(always)]
    unsafe fn get(from: *const u8) -> f64 {
        // SAFETY: passed on.
        f64::from(unsafe { from.cast::<f32>().read_unaligned() })
    }
}

pub(super) struct F16;
impl Stored for F16 {
    const ELEMENT: Element = Element::F16;
    type Bits = u16;
    const NEG_INFINITY: u16 = 0xfc00;
    #[inline(always)]
    unsafe fn load32<L: Lanes32>(vector: *const u8, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_f16(vector.add(stripe * L::WIDTH * Self::SIZE)) }
    }
    #[inline(always)]
    unsafe fn load64<L: Lanes64>(from: *const u8) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_f16(from) }
    }
    #[inline(always)]
    unsafe fn get(from: *const u8) -> f64 {
        // SAFETY: passed on.
        f64::from(f16_to_f32(unsafe { from.cast::<u16>().read_unaligned() }))
    }
}

pub(super) struct Bf16;
impl Stored for Bf16 {
    const ELEMENT: Element = Element::Bf16;
    type Bits = u16;
    const NEG_INFINITY: u16 = 0xff80;
    #[inline(always)]
    unsafe fn load32<L: Lanes32>(vector: *const u8, stripe: usize) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_bf16(vector, stripe) }
    }
    #[inline(always)]
    fn order32<L: Lanes32>(lanes: &mut [f32; 16]) {
        L::order_bf16(lanes);
    }
    #[inline(always)]
    unsafe fn load64<L: Lanes64>(from: *const u8) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_bf16(from) }
    }
    #[inline(always)]
    unsafe fn get(from: *const u8) -> f64 {
        // SAFETY: passed on.
        f64::from(bf16_to_f32(unsafe { from.cast::<u16>().read_unaligned() }))
    }
}

/// f64 takes the exact path alone.
pub(super) struct F64;
impl Stored for F64 {
    const ELEMENT: Element = Element::F64;
    type Bits = u64;
    const NEG_INFINITY: u64 = 0xfff0_0000_0000_0000;
    unsafe fn load32<L: Lanes32>(_: *const u8, _: usize) -> L::F {
        unreachable!("f64 rows take the exact path")
    }
    #[inline(always)]
    unsafe fn load64<L: Lanes64>(from: *const u8) -> L::F {
        // SAFETY: passed on.
        unsafe { L::load_f64(from) }
    }
    #[inline(always)]
    unsafe fn get(from: *const u8) -> f64 {
        // SAFETY: passed on.
        unsafe { from.cast::<f64>().read_unaligned() }
    }
}
