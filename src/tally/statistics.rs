//! Statistics from exact sums, in exact integer arithmetic, rounded once at the end.
//!
//! Tokens of one sequence are not independent, so standard errors are clustered by
//! sequence (Miller, "Adding Error Bars to Evals", arXiv 2411.00640). With `S_g` and
//! `n_g` the loss sum and the weight of sequence g, of G sequences with `n_g` > 0,
//!
//! ```text
//! N = Σ n_g    S = Σ S_g    SS = Σ S_g²    SN = Σ S_g n_g    NN = Σ n_g²    m = S/N
//!
//! SE = sqrt(G/(G-1) · Σ (S_g - m n_g)²) / N
//!    = sqrt(G Q / ((G-1) N⁴)),   Q = N² SS - 2 N S SN + S² NN
//! ```
//!
//! In floating point Q loses nearly all its digits when the sequences hardly differ.
//! The sums are exact integers times powers of two ([`ExactSum`]; Neal, arXiv
//! 1505.05571), so here Q is exact, and the quotient and its root are rounded
//! together once, half to even: the results are the same bits everywhere.

use std::ops::{Add, Mul, Sub};

use num_bigint::{BigInt, BigUint, Sign};

use super::exact_sum::{ExactSum, round_half_even};

/// num / den, rounded once. 0/0 is NaN; infinities and NaNs follow IEEE division.
#[must_use]
pub fn ratio(num: &ExactSum, den: &ExactSum) -> f64 {
    times_ratio(1, num, den)
}

/// `times` · num / den for `times` > 0, rounded once; as [`ratio`] otherwise.
#[must_use]
pub fn times_ratio(times: u64, num: &ExactSum, den: &ExactSum) -> f64 {
    match (Dyadic::of(num), Dyadic::of(den)) {
        (Some(num), Some(den)) if !den.is_zero() => (&num * &Dyadic::whole(times)).over(&den),
        _ => one_nan(stand_in(num) / stand_in(den)),
    }
}

/// The standard error of m = S/N, clustered by sequence, rounded once.
///
/// The sums must be over the same `S_g`. Where each `S_g` was rounded to an f64 before
/// it was squared, `s` is the exact sum of the *rounded* `S_g`: with the sum of the
/// unrounded ones Q is no sum of squares, and a Q below 0 (from sums that do not
/// belong together) counts as 0. NaN if `g` < 2, N ≤ 0 or a sum is not finite.
#[must_use]
pub fn clustered_stderr(
    g: u64,
    n: &ExactSum,
    s: &ExactSum,
    ss: &ExactSum,
    sn: &ExactSum,
    nn: &ExactSum,
) -> f64 {
    squared_stderr(g, [n, s, ss, sn, nn].map(Dyadic::of)).map_or(f64::NAN, |(num, den)| num.root_over(&den))
}

/// The effective number of sequences, N² / NN (Kish), rounded once.
///
/// With all weights equal it is their number; NaN without weights.
#[must_use]
pub fn effective_number(n: &ExactSum, nn: &ExactSum) -> f64 {
    match (Dyadic::of(n), Dyadic::of(nn)) {
        (Some(n), Some(nn)) if !nn.is_zero() => (&n * &n).over(&nn),
        _ => one_nan(stand_in(n) * stand_in(n) / stand_in(nn)),
    }
}

/// The 97.5% quantile of Student's t: two-sided 95% intervals are ± this many
/// standard errors. NaN for 0 degrees of freedom.
///
/// Relative error below 1e-15 for every `df`, by +, · and / alone. (statrs 0.18 is
/// off by 3e-13 at 299 degrees and by 6e-5 at a million, and calls the platform's
/// ln and exp, whose last bits differ from one system to the next.)
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "1/df does not notice")]
pub fn student_t_975(df: u64) -> f64 {
    let row = usize::try_from(df).ok().and_then(|df| STUDENT_T_TABLE.get(df.checked_sub(1)?));
    match (df, row) {
        (0, _) => f64::NAN,
        (_, Some(&t)) => t,
        _ => STUDENT_T_SERIES.iter().rev().fold(0.0, |sum, c| sum / df as f64 + c),
    }
}

/// t for 1 to 30 degrees of freedom: computed to 50 digits, rounded to f64.
const STUDENT_T_TABLE: [f64; 30] = [
    12.706_204_736_174_705,
    4.302_652_729_749_464,
    3.182_446_305_283_709_5,
    2.776_445_105_197_794_3,
    2.570_581_835_636_315_5,
    2.446_911_851_144_97,
    2.364_624_251_592_785_3,
    2.306_004_135_204_166_7,
    2.262_157_162_798_205_3,
    2.228_138_851_986_275,
    2.200_985_160_091_639_7,
    2.178_812_829_667_229,
    2.160_368_656_462_792_6,
    2.144_786_687_917_804,
    2.131_449_545_559_775_5,
    2.119_905_299_221_254_6,
    2.109_815_577_833_317,
    2.100_922_040_241_038_7,
    2.093_024_054_408_309_6,
    2.085_963_447_265_865,
    2.079_613_844_727_680_4,
    2.073_873_067_904_026_3,
    2.068_657_610_419_048_6,
    2.063_898_561_628_026,
    2.059_538_552_753_297_7,
    2.055_529_438_642_873,
    2.051_830_516_480_285_5,
    2.048_407_141_795_245,
    2.045_229_642_132_704_3,
    2.042_272_456_301_238,
];

/// Above 30 degrees: the series of Abramowitz and Stegun 26.7.5 in 1/df, which is
/// z + (z³ + z)/4 /df + (5z⁵ + 16z³ + 3z)/96 /df² + ... with z = Φ⁻¹(0.975). They
/// stop at the fourth power; the coefficients above it come from the quantiles
/// themselves, to 60 digits. What is left out is below 7e-16 of t at 31 degrees.
const STUDENT_T_SERIES: [f64; 11] = [
    1.959_963_984_540_054_3,
    2.372_271_230_298_563,
    2.822_498_615_739_611_7,
    2.555_849_679_507_723_2,
    1.589_534_053_393_823_6,
    0.732_898_211_981_605_7,
    0.627_480_460_951_073_6,
    0.128_812_853_596_195_68,
    -1.713_928_182_622_752_4,
    1.942_521_386_734_628_7,
    14.200_506_023_814_983,
];

/// integer · 2^exponent.
struct Dyadic {
    integer: BigInt,
    exponent: i32,
}

impl Dyadic {
    fn of(sum: &ExactSum) -> Option<Self> {
        let (integer, exponent) = sum.to_rational()?;
        Some(Self { integer, exponent })
    }

    fn whole(number: u64) -> Self {
        Self { integer: number.into(), exponent: 0 }
    }

    fn is_zero(&self) -> bool {
        self.integer.sign() == Sign::NoSign
    }

    /// The integer that stands before 2^exponent; `exponent` is not above its own.
    fn integer_at(&self, exponent: i32) -> BigInt {
        &self.integer << (self.exponent - exponent).unsigned_abs()
    }

    /// self / den, for den ≠ 0.
    fn over(&self, den: &Self) -> f64 {
        let magnitude = Quotient::of(self, den, 72, 1).round();
        let negative = !self.is_zero() && self.integer.sign() != den.integer.sign();
        if negative { -magnitude } else { magnitude }
    }

    /// sqrt(self / den), for self ≥ 0 and den > 0.
    fn root_over(&self, den: &Self) -> f64 {
        Quotient::of(self, den, 144, 2).root().round()
    }
}

impl Mul for &Dyadic {
    type Output = Dyadic;

    fn mul(self, other: Self) -> Dyadic {
        let exponent = self.exponent + other.exponent;
        Dyadic { integer: &self.integer * &other.integer, exponent }
    }
}

impl Add for &Dyadic {
    type Output = Dyadic;

    fn add(self, other: Self) -> Dyadic {
        let exponent = self.exponent.min(other.exponent);
        Dyadic { integer: self.integer_at(exponent) + other.integer_at(exponent), exponent }
    }
}

impl Sub for &Dyadic {
    type Output = Dyadic;

    fn sub(self, other: Self) -> Dyadic {
        self + &Dyadic { integer: -&other.integer, exponent: other.exponent }
    }
}

/// The leading bits of a magnitude: (integer + rest) · 2^exponent, 0 ≤ rest < 1,
/// where rest = 0 only if `exact`.
struct Quotient {
    integer: BigUint,
    exponent: i32,
    exact: bool,
}

impl Quotient {
    /// |num / den| to `bits` bits at least, with an exponent divisible by `step`.
    fn of(num: &Dyadic, den: &Dyadic, bits: i32, step: i32) -> Self {
        let (num_integer, den_integer) = (num.integer.magnitude(), den.integer.magnitude());
        let exponent = num.exponent - den.exponent;
        let shift = bits + bits_of(den_integer) - bits_of(num_integer);
        let shift = shift + (exponent - shift).rem_euclid(step);
        let dividend = num_integer << shift.max(0).unsigned_abs();
        let divisor = den_integer << shift.min(0).unsigned_abs();
        let integer = &dividend / &divisor;
        let exact = &integer * &divisor == dividend;
        Self { integer, exponent: exponent - shift, exact }
    }

    /// The square root: the exponent must be even.
    fn root(&self) -> Self {
        let integer = self.integer.sqrt();
        let exact = self.exact && &integer * &integer == self.integer;
        Self { integer, exponent: self.exponent / 2, exact }
    }

    fn round(&self) -> f64 {
        match u128::try_from(&self.integer) {
            Ok(0) | Err(_) => 0.0, // an Err would be a quotient longer than asked for
            Ok(head) => round_half_even(head, self.exponent, !self.exact),
        }
    }
}

/// SE² as a numerator and a denominator: G Q and (G-1) N⁴.
fn squared_stderr(g: u64, sums: [Option<Dyadic>; 5]) -> Option<(Dyadic, Dyadic)> {
    let [Some(n), Some(s), Some(ss), Some(sn), Some(nn)] = sums else {
        return None;
    };
    if g < 2 || n.integer.sign() != Sign::Plus {
        return None;
    }
    let (n2, s2) = (&n * &n, &s * &s);
    let cross = &(&n * &s) * &sn;
    let q = &(&(&n2 * &ss) + &(&s2 * &nn)) - &(&cross * &Dyadic::whole(2));
    let q = if q.integer.sign() == Sign::Minus { Dyadic::whole(0) } else { q };
    Some((&Dyadic::whole(g) * &q, &Dyadic::whole(g - 1) * &(&n2 * &n2)))
}

/// What IEEE division needs to know of a sum: NaN, ±∞, or the sign (1, 0 or -1).
fn stand_in(sum: &ExactSum) -> f64 {
    Dyadic::of(sum).map_or_else(
        || sum.value(),
        |sum| match sum.integer.sign() {
            Sign::Minus => -1.0,
            Sign::NoSign => 0.0,
            Sign::Plus => 1.0,
        },
    )
}

/// The sign of a computed NaN differs from one processor to the next.
fn one_nan(x: f64) -> f64 {
    if x.is_nan() { f64::NAN } else { x }
}

fn bits_of(integer: &BigUint) -> i32 {
    i32::try_from(integer.bits()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
