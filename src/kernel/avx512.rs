//! Lane operations for AVX-512 (F, BW, DQ, VL): sixteen lanes at once.

use super::exp::TABLE_F32;
use super::lanes::Lanes;
#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

/// Sixteen lanes in a zmm register.
pub(super) struct Avx512;

super::entry_points!(Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");

/// Whether this machine has the features.
pub(super) fn available() -> bool {
    super::avx2::available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// Adds 1 where a bit is set.
#[inline(always)]
unsafe fn add_ones(count: __m512, bits: u16) -> __m512 {
    // SAFETY: as every operation below.
    unsafe {
        let count = _mm512_castps_si512(count);
        _mm512_castsi512_ps(_mm512_mask_add_epi32(count, bits, count, _mm512_set1_epi32(1)))
    }
}

// Every operation needs the features of `entry_points!`, whose code these are inlined into; loads
// read sixteen elements, as their callers promise.
impl Lanes for Avx512 {
    type F = __m512;
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn keep(x: __m512, bits: u16) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mask_mov_ps(_mm512_set1_ps(f32::NEG_INFINITY), bits, x) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn scale(k: __m512) -> __m512 {
        // SAFETY: see above; the table has eight words.
        unsafe {
            let k = _mm512_castps_si512(k);
            // Twice the table: the permutation looks at four bits, of which k mod 8 is three.
            let table = _mm512_broadcast_i32x8(_mm256_loadu_si256(TABLE_F32.as_ptr().cast()));
            let base = _mm512_permutexvar_epi32(k, table);
            _mm512_castsi512_ps(_mm512_add_epi32(base, _mm512_slli_epi32::<20>(k)))
        }
    }
    #[inline(always)]
    unsafe fn gt(a: __m512, b: __m512) -> u16 {
        // SAFETY: see above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn eq(a: __m512, b: __m512) -> u16 {
        // SAFETY: see above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
    }
    #[inline(always)]
    unsafe fn count_gt(count: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { add_ones(count, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn count_eq(count: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { add_ones(count, _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn store(x: __m512, to: &mut [f32]) {
        let to = &mut to[..16];
        // SAFETY: sixteen floats.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) };
    }
    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch never faults; SSE is in x86_64's baseline.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
}
