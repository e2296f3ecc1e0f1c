//! Lane operations for AVX2 with FMA and F16C: two stripes of eight f32 lanes, or of four f64.

use super::exp::{TABLE, TABLE_F32};
use super::lanes::{Lanes, Lanes32, Lanes64};
#[allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]
use std::arch::x86_64::*;

/// Eight f32 lanes in a ymm register.
pub(super) struct Narrow;

/// Four f64 lanes in a ymm register.
pub(super) struct Wide;

super::entry_points!(Narrow, Wide, "avx2,fma,f16c");

/// Whether this machine has the features.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")
}

/// An empty instruction that the value passes through.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn settled(mut x: __m256) -> __m256 {
    // SAFETY: it does nothing.
    unsafe { std::arch::asm!("/* {0} */", inout(ymm_reg) x, options(nomem, nostack, preserves_flags)) };
    x
}

// Every operation needs the features of `entry_points!`, whose code these are inlined into; loads
// read as many elements as there are lanes, as their callers promise.
impl Lanes for Narrow {
    type Scalar = f32;
    type F = __m256;
    const WIDTH: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_set1_ps(x) }
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
    unsafe fn all_gt(a: __m256, b: __m256) -> bool {
        // SAFETY: see above.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) == 0xff }
    }
    #[inline(always)]
    unsafe fn count_gt(count: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above. A comparison that holds is -1, so taking it away adds 1.
        unsafe {
            let holds = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_GT_OQ>(a, b));
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(count), holds))
        }
    }
    #[inline(always)]
    unsafe fn count_eq(count: __m256, a: __m256, b: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe {
            let holds = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_EQ_OQ>(a, b));
            _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(count), holds))
        }
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
    #[inline(always)]
    unsafe fn settle(x: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe { settled(x) }
    }
}

impl Lanes32 for Narrow {
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
    /// One unpacking, where widening eight neighbours takes three operations: columns 0-3 and 8-11 in
    /// the first stripe, 4-7 and 12-15 in the second.
    #[inline(always)]
    unsafe fn load_bf16(vector: *const u8, stripe: usize) -> __m256 {
        // SAFETY: see above; the vector has 16 elements.
        unsafe {
            let (zero, all) = (_mm256_setzero_si256(), _mm256_loadu_si256(vector.cast()));
            _mm256_castsi256_ps(if stripe == 0 {
                _mm256_unpacklo_epi16(zero, all)
            } else {
                _mm256_unpackhi_epi16(zero, all)
            })
        }
    }
    #[inline(always)]
    fn order_bf16(lanes: &mut [f32; 16]) {
        let (first, second) = lanes.split_at_mut(8);
        first[4..].swap_with_slice(&mut second[..4]);
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
}

impl Lanes for Wide {
    type Scalar = f64;
    type F = __m256d;
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f64) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn max(a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_max_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_sub_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn all_gt(a: __m256d, b: __m256d) -> bool {
        // SAFETY: see above.
        unsafe { _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(a, b)) == 0xf }
    }
    #[inline(always)]
    unsafe fn count_gt(count: __m256d, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe {
            let holds = _mm256_castpd_si256(_mm256_cmp_pd::<_CMP_GT_OQ>(a, b));
            _mm256_castsi256_pd(_mm256_sub_epi64(_mm256_castpd_si256(count), holds))
        }
    }
    #[inline(always)]
    unsafe fn count_eq(count: __m256d, a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe {
            let holds = _mm256_castpd_si256(_mm256_cmp_pd::<_CMP_EQ_OQ>(a, b));
            _mm256_castsi256_pd(_mm256_sub_epi64(_mm256_castpd_si256(count), holds))
        }
    }
    #[inline(always)]
    unsafe fn store(x: __m256d, to: &mut [f64]) {
        let to = &mut to[..4];
        // SAFETY: four doubles.
        unsafe { _mm256_storeu_pd(to.as_mut_ptr(), x) };
    }
    #[inline(always)]
    fn prefetch(at: *const u8) {
        Narrow::prefetch(at);
    }
    #[inline(always)]
    unsafe fn settle(x: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_castps_pd(settled(_mm256_castpd_ps(x))) }
    }
}

impl Lanes64 for Wide {
    #[inline(always)]
    unsafe fn load_f64(from: *const u8) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_loadu_pd(from.cast()) }
    }
    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_cvtps_pd(_mm_loadu_ps(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_cvtps_pd(_mm_cvtph_ps(_mm_loadu_si64(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u8) -> __m256d {
        // SAFETY: see above.
        unsafe {
            let wide = _mm_unpacklo_epi16(_mm_setzero_si128(), _mm_loadu_si64(from.cast()));
            _mm256_cvtps_pd(_mm_castsi128_ps(wide))
        }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256d, b: __m256d) -> __m256d {
        // SAFETY: see above.
        unsafe { _mm256_mul_pd(a, b) }
    }
    /// The table's low and high words are looked up apart: there is no permutation of eight doubles.
    #[inline(always)]
    unsafe fn scale(k: __m256d) -> __m256d {
        // SAFETY: see above; the tables have eight words.
        unsafe {
            let k = _mm256_castpd_si256(k);
            let word = _mm256_shuffle_epi32::<0b10_10_00_00>(k);
            let low = _mm256_permutevar8x32_epi32(_mm256_loadu_si256(LOW.as_ptr().cast()), word);
            let high = _mm256_permutevar8x32_epi32(_mm256_loadu_si256(HIGH.as_ptr().cast()), word);
            let base = _mm256_blend_epi32::<0b1010_1010>(low, high);
            _mm256_castsi256_pd(_mm256_add_epi64(base, _mm256_slli_epi64::<49>(k)))
        }
    }
}

/// The low words of the table, and the high ones.
static LOW: [u32; 8] = words(0);
static HIGH: [u32; 8] = words(32);

const fn words(shift: u32) -> [u32; 8] {
    let mut words = [0; 8];
    let mut j = 0;
    while j < 8 {
        words[j] = (TABLE[j] >> shift) as u32;
        j += 1;
    }
    words
}
