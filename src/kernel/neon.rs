//! Lane operations for AArch64 NEON: four stripes of four f32 lanes, or of two f64.

use super::exp::{TABLE, TABLE_F32};
use super::lanes::{Lanes, Lanes32, Lanes64};
#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::aarch64::*;

/// Four f32 lanes in a q register.
pub(super) struct Narrow;

/// Two f64 lanes in a q register.
pub(super) struct Wide;

super::entry_points!(Narrow, Wide, "neon");

/// Four f16, widened. The intrinsic for this conversion is not stable everywhere; the instruction is
/// in the baseline.
#[inline(always)]
unsafe fn widen_f16(from: *const u8) -> float32x4_t {
    let wide: float32x4_t;
    // SAFETY: the caller promises four elements.
    unsafe {
        let half = vld1_u8(from);
        std::arch::asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) half,
            options(pure, nomem, nostack, preserves_flags));
    }
    wide
}

// NEON is in aarch64's baseline; loads read as many elements as there are lanes, as their callers
// promise. Bytes have no alignment to keep.
impl Lanes for Narrow {
    type Scalar = f32;
    type F = float32x4_t;
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn all_gt(a: float32x4_t, b: float32x4_t) -> bool {
        // SAFETY: see above.
        unsafe { vminvq_u32(vcgtq_f32(a, b)) == u32::MAX }
    }
    #[inline(always)]
    unsafe fn count_gt(count: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above. A comparison that holds is -1, so taking it away adds 1.
        unsafe { vreinterpretq_f32_u32(vsubq_u32(vreinterpretq_u32_f32(count), vcgtq_f32(a, b))) }
    }
    #[inline(always)]
    unsafe fn count_eq(count: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_u32(vsubq_u32(vreinterpretq_u32_f32(count), vceqq_f32(a, b))) }
    }
    #[inline(always)]
    unsafe fn store(x: float32x4_t, to: &mut [f32]) {
        let to = &mut to[..4];
        // SAFETY: four floats.
        unsafe { vst1q_f32(to.as_mut_ptr(), x) };
    }
    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch never faults.
        unsafe { std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at, options(readonly, nostack)) };
    }
}

impl Lanes32 for Narrow {
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_u8(vld1q_u8(from)) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> float32x4_t {
        // SAFETY: see above.
        unsafe { widen_f16(from) }
    }
    #[inline(always)]
    unsafe fn load_bf16(vector: *const u8, stripe: usize) -> float32x4_t {
        // SAFETY: see above; the vector has 16 elements.
        unsafe {
            let half = vreinterpret_u16_u8(vld1_u8(vector.add(stripe * 8)));
            vreinterpretq_f32_u32(vshll_n_u16::<16>(half))
        }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn scale(k: float32x4_t) -> float32x4_t {
        // SAFETY: see above; the table has 32 bytes.
        unsafe {
            let k = vreinterpretq_u32_f32(k);
            let bytes: *const u8 = TABLE_F32.as_ptr().cast();
            let table = uint8x16x2_t(vld1q_u8(bytes), vld1q_u8(bytes.add(16)));
            // Word j of the table is its bytes 4j to 4j + 3.
            let word = vandq_u32(k, vdupq_n_u32(7));
            let index = vmlaq_u32(vdupq_n_u32(0x0302_0100), word, vdupq_n_u32(0x0404_0404));
            let base = vreinterpretq_u32_u8(vqtbl2q_u8(table, vreinterpretq_u8_u32(index)));
            vreinterpretq_f32_u32(vaddq_u32(base, vshlq_n_u32::<20>(k)))
        }
    }
}

impl Lanes for Wide {
    type Scalar = f64;
    type F = float64x2_t;
    const WIDTH: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f64) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f64(x) }
    }
    #[inline(always)]
    unsafe fn max(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vmaxq_f64(a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vaddq_f64(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vsubq_f64(a, b) }
    }
    #[inline(always)]
    unsafe fn all_gt(a: float64x2_t, b: float64x2_t) -> bool {
        // SAFETY: see above.
        unsafe { vminvq_u32(vreinterpretq_u32_u64(vcgtq_f64(a, b))) == u32::MAX }
    }
    #[inline(always)]
    unsafe fn count_gt(count: float64x2_t, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f64_u64(vsubq_u64(vreinterpretq_u64_f64(count), vcgtq_f64(a, b))) }
    }
    #[inline(always)]
    unsafe fn count_eq(count: float64x2_t, a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f64_u64(vsubq_u64(vreinterpretq_u64_f64(count), vceqq_f64(a, b))) }
    }
    #[inline(always)]
    unsafe fn store(x: float64x2_t, to: &mut [f64]) {
        let to = &mut to[..2];
        // SAFETY: two doubles.
        unsafe { vst1q_f64(to.as_mut_ptr(), x) };
    }
    #[inline(always)]
    fn prefetch(at: *const u8) {
        Narrow::prefetch(at);
    }
}

impl Lanes64 for Wide {
    #[inline(always)]
    unsafe fn load_f64(from: *const u8) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f64_u8(vld1q_u8(from)) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vcvt_f64_f32(vreinterpret_f32_u8(vld1_u8(from))) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> float64x2_t {
        // SAFETY: see above; two elements are four bytes, and the other two lanes are not used.
        unsafe {
            let pair = [from.cast::<u32>().read_unaligned(), 0];
            vcvt_f64_f32(vget_low_f32(widen_f16(pair.as_ptr().cast())))
        }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> float64x2_t {
        // SAFETY: see above; as for f16.
        unsafe {
            let pair = [from.cast::<u32>().read_unaligned(), 0];
            let half = vreinterpret_u16_u8(vld1_u8(pair.as_ptr().cast()));
            vcvt_f64_f32(vget_low_f32(vreinterpretq_f32_u32(vshll_n_u16::<16>(half))))
        }
    }
    #[inline(always)]
    unsafe fn mul(a: float64x2_t, b: float64x2_t) -> float64x2_t {
        // SAFETY: see above.
        unsafe { vmulq_f64(a, b) }
    }
    #[inline(always)]
    unsafe fn scale(k: float64x2_t) -> float64x2_t {
        // SAFETY: see above; the table has eight words.
        unsafe {
            let k = vreinterpretq_u64_f64(k);
            let (first, second) = (vgetq_lane_u64::<0>(k) & 7, vgetq_lane_u64::<1>(k) & 7);
            let base = vcombine_u64(vcreate_u64(TABLE[first as usize]), vcreate_u64(TABLE[second as usize]));
            vreinterpretq_f64_u64(vaddq_u64(base, vshlq_n_u64::<49>(k)))
        }
    }
}
