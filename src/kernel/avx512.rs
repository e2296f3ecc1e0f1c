//! Lane operations for AVX-512 (F, BW, DQ, VL): sixteen f32 lanes at once, or eight f64.

use super::exp::{TABLE, TABLE_F32};
use super::lanes::{Lanes, Lanes32, Lanes64};
#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

/// Sixteen f32 lanes in a zmm register.
pub(super) struct Narrow;

/// Eight f64 lanes in a zmm register.
pub(super) struct Wide;

super::entry_points!(Narrow, Wide, "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c");

/// Whether this machine has the features.
pub(super) fn available() -> bool {
    super::avx2::available()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

// Every operation needs the features of `entry_points!`, whose code these are inlined into; loads
// read as many elements as there are lanes, as their callers promise.
impl Lanes for Narrow {
    type Scalar = f32;
    type F = __m512;
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(x) }
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
    unsafe fn all_gt(a: __m512, b: __m512) -> bool {
        // SAFETY: see above.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) == u16::MAX }
    }
    #[inline(always)]
    unsafe fn count_gt(count: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let (count, holds) = (_mm512_castps_si512(count), _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b));
            _mm512_castsi512_ps(_mm512_mask_add_epi32(count, holds, count, _mm512_set1_epi32(1)))
        }
    }
    #[inline(always)]
    unsafe fn count_eq(count: __m512, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let (count, holds) = (_mm512_castps_si512(count), _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b));
            _mm512_castsi512_ps(_mm512_mask_add_epi32(count, holds, count, _mm512_set1_epi32(1)))
        }
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

impl Lanes32 for Narrow {
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
    unsafe fn load_bf16(vector: *const u8, _: usize) -> __m512 {
        // SAFETY: see above.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(vector.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
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
}

impl Lanes for Wide {
    type Scalar = f64;
    type F = __m512d;
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f64) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn max(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_max_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_sub_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn all_gt(a: __m512d, b: __m512d) -> bool {
        // SAFETY: see above.
        unsafe { _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b) == u8::MAX }
    }
    #[inline(always)]
    unsafe fn count_gt(count: __m512d, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe {
            let (count, holds) = (_mm512_castpd_si512(count), _mm512_cmp_pd_mask::<_CMP_GT_OQ>(a, b));
            _mm512_castsi512_pd(_mm512_mask_add_epi64(count, holds, count, _mm512_set1_epi64(1)))
        }
    }
    #[inline(always)]
    unsafe fn count_eq(count: __m512d, a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe {
            let (count, holds) = (_mm512_castpd_si512(count), _mm512_cmp_pd_mask::<_CMP_EQ_OQ>(a, b));
            _mm512_castsi512_pd(_mm512_mask_add_epi64(count, holds, count, _mm512_set1_epi64(1)))
        }
    }
    #[inline(always)]
    unsafe fn store(x: __m512d, to: &mut [f64]) {
        let to = &mut to[..8];
        // SAFETY: eight doubles.
        unsafe { _mm512_storeu_pd(to.as_mut_ptr(), x) };
    }
    #[inline(always)]
    fn prefetch(at: *const u8) {
        Narrow::prefetch(at);
    }
}

impl Lanes64 for Wide {
    #[inline(always)]
    unsafe fn load_f64(from: *const u8) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_loadu_pd(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_cvtps_pd(_mm256_loadu_ps(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_cvtps_pd(_mm256_cvtph_ps(_mm_loadu_si128(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> __m512d {
        // SAFETY: see above.
        unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()));
            _mm512_cvtps_pd(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide)))
        }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512d, b: __m512d) -> __m512d {
        // SAFETY: see above.
        unsafe { _mm512_mul_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn scale(k: __m512d) -> __m512d {
        // SAFETY: see above; the table has eight words, and the permutation looks at three bits.
        unsafe {
            let k = _mm512_castpd_si512(k);
            let base = _mm512_permutexvar_epi64(k, _mm512_loadu_si512(TABLE.as_ptr().cast()));
            _mm512_castsi512_pd(_mm512_add_epi64(base, _mm512_slli_epi64::<49>(k)))
        }
    }
}
