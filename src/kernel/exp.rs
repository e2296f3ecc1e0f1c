//! exp, ln and log1p from add, mul and integer operations, so that every machine gives the same
//! bits: no libm, no approximate instruction, no fma in f64.
//!
//! | function | method | relative error |
//! |---|---|---|
//! | fast exp (f32 lanes, [`super::path`]) | 8-entry table, degree 3 | 2.6e-8 and its roundings |
//! | [`exp`] (f64) | 8-entry table, degree 6 (minimax) | 3.6e-15 and 3 roundings |
//! | [`ln`] (f64) | 2 atanh(s), s = (m - 1) / (m + 1), odd series to s^21 | under 1 ulp of the sum |
//! | [`log1p`] (f64, 0 <= x <= 1) | ln(1 + x) and what that sum lost, over 1 + x | 1.5 ulp |
//!
//! Reductions follow Cody and Waite: n ln 2 is taken away in two parts, the first of 32 bits, so
//! that its product with n is exact.

/// 2^(j/8) as f32 bits, less j << 20: adding k << 20 then puts j back and the exponent in place.
pub(super) const TABLE_F32: [u32; 8] = {
    let bits: [u32; 8] = [
        0x3f80_0000,
        0x3f8b_95c2,
        0x3f98_37f0,
        0x3fa5_fed7,
        0x3fb5_04f3,
        0x3fc5_672a,
        0x3fd7_44fd,
        0x3fea_c0c7,
    ];
    let mut table = [0; 8];
    let mut j = 0;
    while j < 8 {
        table[j] = bits[j] - ((j as u32) << 20);
        j += 1;
    }
    table
};

/// log2(e) in f32; it only chooses n.
pub(super) const LOG2E_F32: f32 = f32::from_bits(0x3fb8_aa3b);
/// 1.5 * 2^20: adding it leaves three fractional bits, the table's index.
pub(super) const MAGIC_F32: f32 = 1_572_864.0;
/// ln 2 in f32.
pub(super) const LN2_F32: f32 = f32::from_bits(0x3f31_7218);
/// ln 2 - `LN2_F32`.
pub(super) const LN2_LO_F32: f32 = f32::from_bits(0xb102_e308);
/// e^f = 1 + f (1 + f (c2 + f c3)) for |f| <= ln 2 / 16.
pub(super) const C2_F32: f32 = f32::from_bits(0x3f00_043a);
pub(super) const C3_F32: f32 = f32::from_bits(0x3e2a_ab30);
/// 1 / (1 + d): a sum reduced with `LN2_F32` alone is one of powers of a base off by d = -2.7478e-9.
pub(super) const BASE_CURE: f64 = 1.000_000_002_747_835_3;

/// ln 2, its first 32 bits and the rest.
pub(super) const LN2_HI: f64 = f64::from_bits(0x3fe6_2e42_fef0_0000);
pub(super) const LN2_LO: f64 = f64::from_bits(0x3dd4_73de_6af2_78ed);
pub(super) const LOG2E: f64 = std::f64::consts::LOG2_E;
/// 1.5 * 2^49: three fractional bits again.
pub(super) const MAGIC: f64 = 844_424_930_131_968.0;

/// 2^(j/8) as f64 bits, less j << 49.
pub(super) const TABLE: [u64; 8] = {
    let bits: [u64; 8] = [
        0x3ff0_0000_0000_0000,
        0x3ff1_72b8_3c7d_517b,
        0x3ff3_06fe_0a31_b715,
        0x3ff4_bfda_d536_2a27,
        0x3ff6_a09e_667f_3bcd,
        0x3ff8_ace5_422a_a0db,
        0x3ffa_e89f_995a_d3ad,
        0x3ffd_5818_dcfb_a487,
    ];
    let mut table = [0; 8];
    let mut j = 0;
    while j < 8 {
        table[j] = bits[j].wrapping_sub((j as u64) << 49);
        j += 1;
    }
    table
};

/// (e^f - 1 - f) / f^2 for |f| <= ln 2 / 16, minimax of degree 4.
pub(super) const EXP: [f64; 5] = [
    0.5,
    f64::from_bits(0x3fc5_5555_54dd_37c3),
    f64::from_bits(0x3fa5_5555_5519_46a6),
    f64::from_bits(0x3f81_114f_8e10_4197),
    f64::from_bits(0x3f56_c1aa_93ab_420e),
];

/// The smallest argument of [`exp`]; below it the result stays e^-708, about 2^-1021.4.
pub(super) const EXP_FLOOR: f64 = -708.0;

/// e^x for x <= 700; NaN stays NaN.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let x = if EXP_FLOOR > x { EXP_FLOOR } else { x };
    let k = x * LOG2E + MAGIC;
    let n = k - MAGIC;
    let f = (x - n * LN2_HI) - n * LN2_LO;
    let bits = k.to_bits();
    let scale = f64::from_bits(TABLE[(bits & 7) as usize].wrapping_add(bits << 49));
    // After Estrin: a shorter chain of dependent steps than Horner's.
    let square = f * f;
    let (low, high) = (EXP[0] + f * EXP[1], (EXP[2] + f * EXP[3]) + square * EXP[4]);
    scale + scale * (f + square * (low + square * high))
}

/// 2 atanh(s) = 2s (1 + s^2/3 + ... + s^20/21) for |s| <= 0.1716; what is left out is below 1e-18.
#[inline(always)]
fn two_atanh(s: f64) -> f64 {
    let z = s * s;
    let mut sum = 1.0 / 21.0;
    for odd in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = 1.0 / odd + z * sum;
    }
    2.0 * s + 2.0 * s * (z * sum)
}

/// ln x for finite x > 0 that are normal numbers.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    /// 2^52, whose last bits count ones.
    const ONES: f64 = 4_503_599_627_370_496.0;
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF);
    // n, as what vectors can do: there is no arithmetic shift of 64 bits, and no conversion.
    let n = f64::from_bits((shifted.wrapping_add(1024 << 52) >> 52) | ONES.to_bits()) - (ONES + 1024.0);
    // m in [sqrt(1/2), sqrt(2)), so that near x = 1 nothing cancels.
    let m = f64::from_bits((shifted & ((1 << 52) - 1)).wrapping_add(SQRT_HALF));
    let part = two_atanh((m - 1.0) / (m + 1.0));
    n * LN2_HI + (part + n * LN2_LO)
}

/// ln(1 + x) for 0 <= x <= 1. u = 1 + x is rounded; what it lost comes back in the first order, so
/// that small x keep their relative accuracy. Without a branch, which rows would take at random.
#[inline(always)]
pub(super) fn log1p(x: f64) -> f64 {
    let u = 1.0 + x;
    ln(u) + (x - (u - 1.0)) / u
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(got: f64, want: f64) -> f64 {
        if got == want { 0.0 } else { ((got - want) / want).abs() }
    }

    #[test]
    fn f64_functions_agree_with_libm() {
        for i in 0..200_000 {
            let t = f64::from(i) / 200_000.0;
            let x = -708.0 + 1408.0 * t;
            assert!(relative(exp(x), x.exp()) < 5e-15, "exp {x}");
            let y = (x * 0.9).exp();
            assert!(relative(ln(y), y.ln()) < 4e-16, "ln {y}");
            let near = 1.0 + (t - 0.5) * 1e-3;
            assert!(relative(ln(near), near.ln()) < 5e-16, "ln {near}");
            assert!(relative(log1p(t), t.ln_1p()) < 6e-16, "log1p {t}");
            assert!(relative(log1p(y.min(1.0)), y.min(1.0).ln_1p()) < 6e-16);
        }
    }

    #[test]
    fn ends_of_the_range() {
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(f64::NEG_INFINITY), exp(EXP_FLOOR));
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(log1p(0.0), 0.0);
        assert_eq!(log1p(1e-300), 1e-300);
    }
}
