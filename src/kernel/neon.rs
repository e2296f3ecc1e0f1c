//! Lane operations for AArch64 NEON: four stripes of four lanes.

use super::exp::TABLE_F32;
use super::lanes::Lanes;
#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::aarch64::*;

/// Four lanes in a q register.
pub(super) struct Neon;

super::entry_points!(Neon, "neon");

/// One bit a lane of a comparison's result.
#[inline(always)]
unsafe fn bits(lanes: uint32x4_t) -> u16 {
    // SAFETY: NEON is in aarch64's baseline.
    unsafe {
        let one_bit_each = vld1q_u32([1, 2, 4, 8].as_ptr());
        vaddvq_u32(vandq_u32(lanes, one_bit_each)) as u16
    }
}

/// Adds 1 where a comparison holds, which is to take -1 away.
#[inline(always)]
unsafe fn add_ones(count: float32x4_t, holds: uint32x4_t) -> float32x4_t {
    // SAFETY: NEON is in aarch64's baseline.
    unsafe { vreinterpretq_f32_u32(vsubq_u32(vreinterpretq_u32_f32(count), holds)) }
}

// NEON is in aarch64's baseline; loads read four elements, as their callers promise.
impl Lanes for Neon {
    type F = float32x4_t;
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> float32x4_t {
        // SAFETY: see above; bytes have no alignment to keep.
        unsafe { vreinterpretq_f32_u8(vld1q_u8(from)) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> float32x4_t {
        let wide: float32x4_t;
        // SAFETY: see above. The intrinsic for this conversion is not stable everywhere; the
        // instruction is in the baseline.
        unsafe {
            let half = vld1_u8(from);
            std::arch::asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) half,
                options(pure, nomem, nostack, preserves_flags));
        }
        wide
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let half = vreinterpret_u16_u8(vld1_u8(from));
            vreinterpretq_f32_u32(vshll_n_u16::<16>(half))
        }
    }
    #[inline(always)]
    unsafe fn keep(x: float32x4_t, bits: u16) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let lane = vld1q_u32([1, 2, 4, 8].as_ptr());
            let kept = vtstq_u32(vdupq_n_u32(u32::from(bits)), lane);
            vbslq_f32(kept, x, vdupq_n_f32(f32::NEG_INFINITY))
        }
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
    #[inline(always)]
    unsafe fn gt(a: float32x4_t, b: float32x4_t) -> u16 {
        // SAFETY: see above.
        unsafe { bits(vcgtq_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn eq(a: float32x4_t, b: float32x4_t) -> u16 {
        // SAFETY: see above.
        unsafe { bits(vceqq_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn count_gt(count: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { add_ones(count, vcgtq_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn count_eq(count: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { add_ones(count, vceqq_f32(a, b)) }
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
