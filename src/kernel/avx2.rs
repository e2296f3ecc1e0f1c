//! Lane operations for AVX2 with FMA and F16C: two stripes of eight lanes.

use super::exp::TABLE_F32;
use super::lanes::Lanes;
#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

/// Eight lanes in a ymm register.
pub(super) struct Avx2;

super::entry_points!(Avx2, "avx2,fma,f16c");

/// Whether this machine has the features.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

/// Adds 1 where a comparison holds, which is to take -1 away.
#[inline(always)]
unsafe fn add_ones(count: __m256, holds: __m256) -> __m256 {
    // SAFETY: as every operation below.
    unsafe { _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(count), _mm256_castps_si256(holds))) }
}

// Every operation needs the features of `entry_points!`, whose code these are inlined into; loads
// read eight elements, as their callers promise.
impl Lanes for Avx2 {
    type F = __m256;
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_loadu_ps(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn keep(x: __m256, bits: u16) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let set = _mm256_and_si256(_mm256_set1_epi32(i32::from(bits)), lane);
            let kept = _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lane));
            _mm256_blendv_ps(_mm256_set1_ps(f32::NEG_INFINITY), x, kept)
        }
    }
    #[inline(always)]
    unsafe fn max(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn scale(k: __m256) -> __m256 {
        // SAFETY: see above; the table has eight words.
        unsafe {
            let k = _mm256_castps_si256(k);
            // The permutation looks at the low three bits of each lane alone.
            let table = _mm256_loadu_si256(TABLE_F32.as_ptr().cast());
            let base = _mm256_permutevar8x32_epi32(table, k);
            _mm256_castsi256_ps(_mm256_add_epi32(base, _mm256_slli_epi32::<20>(k)))
        }
    }
    #[inline(always)]
    unsafe fn gt(a: __m256, b: __m256) -> u16 {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) as u16 }
    }
    #[inline(always)]
    unsafe fn eq(a: __m256, b: __m256) -> u16 {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)) as u16 }
    }
    #[inline(always)]
    unsafe fn count_gt(count: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { add_ones(count, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn count_eq(count: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { add_ones(count, _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b)) }
    }
    #[inline(always)]
    unsafe fn store(x: __m256, to: &mut [f32]) {
        let to = &mut to[..8];
        // SAFETY: eight floats.
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), x) };
    }
    #[inline(always)]
    fn prefetch(at: *const u8) {
        // SAFETY: a prefetch never faults; SSE is in x86_64's baseline.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
}
