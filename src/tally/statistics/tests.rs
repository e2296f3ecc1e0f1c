//! The laws of the statistics, against the hardware's division and root, whole
//! numbers, and Student's t by its finite sum.
#![expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "to the last bit is the law")]

use proptest::prelude::*;

use super::*;

fn sum(values: impl IntoIterator<Item = f64>) -> ExactSum {
    let mut sum = ExactSum::default();
    values.into_iter().for_each(|x| sum.add(x));
    sum
}

fn one(x: f64) -> ExactSum {
    sum([x])
}

/// The standard error of sequences given as (loss sum, weight).
fn stderr(sequences: &[(f64, f64)]) -> f64 {
    let [mut n, mut s, mut ss, mut sn, mut nn] = [(); 5].map(|()| ExactSum::default());
    for &(loss, weight) in sequences {
        n.add(weight);
        s.add(loss);
        ss.add_product(loss, loss);
        sn.add_product(loss, weight);
        nn.add_product(weight, weight);
    }
    clustered_stderr(sequences.len() as u64, &n, &s, &ss, &sn, &nn)
}

fn finite() -> impl Strategy<Value = f64> {
    let any = any::<u64>().prop_map(f64::from_bits);
    prop_oneof![any.prop_filter("finite", |x| x.is_finite()), -100.0..100.0]
}

/// Losses and counts that are whole, so that sums of them are exact.
fn sequences() -> impl Strategy<Value = Vec<(f64, f64)>> {
    let sequence = (-1_000_000..1_000_000, 1..1000).prop_map(|(s, n): (i32, i32)| (s.into(), n.into()));
    prop::collection::vec(sequence, 2..40)
}

proptest! {
    /// IEEE division is rounded once as well, so for single values it is the oracle.
    #[test]
    fn a_ratio_of_values_is_their_division(a in finite(), b in finite()) {
        prop_assume!(a != 0.0 && b != 0.0);
        prop_assert_eq!(ratio(&one(a), &one(b)).to_bits(), (a / b).to_bits());
    }

    /// The product with a whole number is exact, so it can go into the sum.
    #[test]
    fn times_a_ratio_is_rounded_once(a in finite(), b in finite(), k in 1u64..1 << 20) {
        prop_assume!(b != 0.0);
        let (num, den) = (one(a), one(b));
        let mut product = ExactSum::default();
        product.add_product(a, k as f64);
        prop_assert_eq!(times_ratio(k, &num, &den).to_bits(), ratio(&product, &den).to_bits());
    }

    /// No f64 is nearer: twice the error is no more than the gap to either neighbour.
    #[test]
    fn a_ratio_of_sums_is_the_nearest(a: [u128; 3], b: [u128; 2]) {
        let total = |parts: &[u128]| sum(parts.iter().map(|&x| x as f64 * 0.5 + 1.0));
        let (num, den) = (total(&a), total(&b));
        let result = ratio(&num, &den);
        let (num, den) = (Dyadic::of(&num).unwrap(), Dyadic::of(&den).unwrap());
        for neighbour in [result.next_up(), result.next_down()] {
            let middle = &Dyadic::of(&one(result)).unwrap() + &Dyadic::of(&one(neighbour)).unwrap();
            let gap = &(&num * &Dyadic::whole(2)) - &(&middle * &den);
            let above = gap.integer.sign() == Sign::Plus;
            prop_assert!(gap.is_zero() || above == (neighbour < result));
        }
    }

    /// IEEE square roots are rounded once, too.
    #[test]
    fn a_root_of_a_value_is_its_root(x in finite()) {
        let square = Dyadic::of(&one(x.abs())).unwrap();
        let root = square.root_over(&Dyadic::whole(1));
        prop_assert_eq!(root.to_bits(), x.abs().sqrt().to_bits());
    }

    #[test]
    fn the_error_is_the_two_pass_formula(sequences in sequences()) {
        let g = sequences.len() as f64;
        let n: f64 = sequences.iter().map(|x| x.1).sum();
        let m = sequences.iter().map(|x| x.0).sum::<f64>() / n;
        let squares: f64 = sequences.iter().map(|x| (x.0 - m * x.1).powi(2)).sum();
        let expected = (g / (g - 1.0) * squares).sqrt() / n;
        prop_assert!((stderr(&sequences) - expected).abs() <= 1e-12 * expected);
    }

    /// Adding c to every token's loss leaves the error as it is, to the last bit.
    #[test]
    fn the_error_does_not_depend_on_the_mean(sequences in sequences(), c in 0..1_000_000_000) {
        let c = f64::from(c);
        let moved: Vec<_> = sequences.iter().map(|&(s, n)| (s + c * n, n)).collect();
        prop_assert_eq!(stderr(&moved).to_bits(), stderr(&sequences).to_bits());
    }

    #[test]
    fn the_error_scales_with_the_losses(sequences in sequences(), exponent in -400..400) {
        let scale = 2f64.powi(exponent);
        let scaled: Vec<_> = sequences.iter().map(|&(s, n)| (s * scale, n)).collect();
        prop_assert_eq!(stderr(&scaled), stderr(&sequences) * scale);
    }
}

#[test]
fn ratios_keep_what_values_lose() {
    let [mut huge, mut tiny] = [(); 2].map(|()| ExactSum::default());
    huge.add_product(f64::MAX, f64::MAX);
    tiny.add_product(5e-324, 5e-324);
    assert_eq!(ratio(&huge, &huge), 1.0);
    assert_eq!(ratio(&tiny, &tiny), 1.0);
    assert_eq!(ratio(&huge, &tiny), f64::INFINITY);
    assert_eq!(ratio(&tiny, &huge), 0.0);
    assert_eq!(ratio(&one(f64::INFINITY), &huge), f64::INFINITY);
    assert_eq!(ratio(&huge, &one(f64::INFINITY)), 0.0);
}

#[test]
fn ratios_with_zeros_and_infinities_follow_ieee() {
    let special = [0.0, 2.0, -3.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    for (a, b) in special.iter().flat_map(|&a| special.map(|b| (a, b))) {
        let (result, expected) = (ratio(&one(a), &one(b)), a / b);
        assert!(result == expected || result.is_nan() && expected.is_nan(), "{a} / {b}");
        assert!(!result.is_nan() || result.to_bits() == f64::NAN.to_bits());
    }
}

/// Far below the last bit taken there is still more: enough to leave a tie.
#[test]
fn ties_are_exact_ties() {
    let (half, above) = (f64::EPSILON / 2.0, 1.0 + f64::EPSILON);
    assert_eq!(ratio(&sum([1.0, half]), &one(1.0)), 1.0);
    assert_eq!(ratio(&sum([1.0, half, 1e-200]), &one(1.0)), above);

    let square = [1.0, f64::EPSILON, half * half];
    let root = |square: ExactSum| Dyadic::of(&square).unwrap().root_over(&Dyadic::whole(1));
    assert_eq!(root(sum(square)), 1.0);
    for little in [2f64.powi(-140), 1e-200] {
        assert_eq!(root(sum(square.into_iter().chain([little]))), above);
        assert_eq!(root(sum(square.into_iter().chain([-little]))), 1.0);
    }
}

#[test]
fn errors_known_by_hand() {
    assert_eq!(stderr(&[(1.0, 1.0), (3.0, 1.0)]), 1.0);
    assert_eq!(stderr(&[(1.0, 1.0), (6.0, 3.0)]), (2.0 * 2.0 * 0.75f64.powi(2)).sqrt() / 4.0);
    // The second and third sequence sit on the mean of 2.
    let spread = [(0.0, 1.0), (8.0, 4.0), (4.0, 2.0), (4.0, 1.0)];
    assert_eq!(stderr(&spread), (4.0 / 3.0 * 8.0f64).sqrt() / 8.0);
    assert_eq!(stderr(&[(2.5, 1.0); 7]), 0.0);
}

#[test]
fn nearly_equal_sequences_keep_their_error() {
    // Two-pass f64 sees m round to 1e9 and still finds it; sums of squares in f64 do not.
    let (base, step) = (1e9, 2f64.powi(-23));
    let sequences = [(base, 1.0), (base + step, 1.0)];
    assert_eq!(stderr(&sequences), step / 2.0);
}

#[test]
fn sums_that_do_not_belong_together_are_clamped() {
    let inconsistent = [2.0, 10.0, 0.0, 10.0, 2.0].map(one);
    let [n, s, ss, sn, nn] = &inconsistent;
    assert_eq!(clustered_stderr(2, n, s, ss, sn, nn), 0.0);
}

#[test]
fn no_error_without_two_finite_sequences() {
    assert!(stderr(&[(1.0, 1.0)]).is_nan());
    assert!(stderr(&[]).is_nan());
    assert!(stderr(&[(1.0, 0.0), (2.0, 0.0)]).is_nan());
    assert!(stderr(&[(1.0, 1.0), (f64::INFINITY, 1.0)]).is_nan());
    assert!(stderr(&[(1.0, 1.0), (1.0, f64::NAN)]).is_nan());
}

#[test]
fn equal_weights_count_fully() {
    let (n, nn) = (sum([3.0; 250]), sum([9.0; 250]));
    assert_eq!(effective_number(&n, &nn), 250.0);
    assert_eq!(effective_number(&one(4.0), &sum([9.0, 1.0])), 1.6);
    let empty = ExactSum::default();
    assert!(effective_number(&empty, &empty).is_nan());
    assert!(effective_number(&one(f64::NAN), &one(1.0)).is_nan());
}

/// From mpmath 1.3, to 50 digits.
#[test]
fn student_t_known_values() {
    let known = [
        (1, 12.706_204_736_174_705),
        (2, 4.302_652_729_749_464),
        (10, 2.228_138_851_986_275),
        (30, 2.042_272_456_301_238),
        (31, 2.039_513_446_396_408_6),
        (32, 2.036_933_343_460_102),
        (50, 2.008_559_112_100_761),
        (100, 1.983_971_518_523_552_2),
        (299, 1.967_929_669_065_67),
        (1000, 1.962_339_080_826_408_5),
        (12_345, 1.960_156_167_600_567_2),
        (1_000_000, 1.959_966_356_814_107),
        (u64::MAX, 1.959_963_984_540_054),
    ];
    for (df, t) in known {
        assert!((student_t_975(df) / t - 1.0).abs() < 1e-15, "{df}");
    }
    assert!(student_t_975(0).is_nan());
}

/// P(|T| < t), the finite sums of Abramowitz and Stegun 26.7.3 and 26.7.4.
fn probability_within(t: f64, df: u32) -> f64 {
    let theta = (t / f64::from(df).sqrt()).atan();
    let (sin, cos) = theta.sin_cos();
    let odd = df % 2;
    let mut term = if odd == 1 { cos } else { 1.0 };
    let mut series = if df == 1 { 0.0 } else { term };
    for k in (2 + odd..df).step_by(2) {
        term *= cos * cos * f64::from(k - 1) / f64::from(k);
        series += term;
    }
    if odd == 1 { (theta + sin * series) * std::f64::consts::FRAC_2_PI } else { sin * series }
}

#[test]
fn student_t_leaves_five_percent_outside() {
    for df in (1..400).chain([1000, 1001]) {
        let inside = probability_within(student_t_975(df.into()), df);
        assert!((inside - 0.95).abs() < 2e-14, "{df}: {inside}");
    }
}
