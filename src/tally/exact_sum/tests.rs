//! The laws of an exact sum, against whole numbers that know nothing of digits.
#![expect(clippy::float_cmp, clippy::cast_precision_loss, reason = "to the last bit is the law")]

mod headroom;

use num_bigint::{BigInt, BigUint, Sign};
use proptest::prelude::*;

use super::*;

const TINY: f64 = 5e-324;

fn sum(values: &[f64]) -> ExactSum {
    let mut sum = ExactSum::default();
    for &x in values {
        sum.add(x);
    }
    sum
}

fn bytes(sum: &ExactSum) -> Vec<u8> {
    let mut out = Vec::new();
    sum.write(&mut out);
    out
}

/// The oracle: x · 2^1074 as a whole number, from the fields of the f64.
fn whole(x: f64) -> BigInt {
    let (bits, sign) = (x.to_bits() << 1 >> 1, if x < 0.0 { -1 } else { 1 });
    let (field, fraction) = (bits >> 52, bits % (1 << 52));
    let magnitude = match field {
        0 => BigInt::from(fraction),
        _ => BigInt::from(fraction + (1 << 52)) << (field - 1),
    };
    magnitude * sign
}

/// The oracle: whole · 2^-scale rounded to f64, by remainder and by multiplication.
fn rounded(whole: &BigInt, scale: u64) -> f64 {
    let magnitude = whole.magnitude();
    let dropped = magnitude.bits().saturating_sub(53).max(scale - 1074);
    let unit = BigUint::from(1u32) << dropped;
    let (quotient, twice) = (magnitude / &unit, (magnitude % &unit) * 2u32);
    let quotient = u64::try_from(quotient).unwrap();
    let up = twice > unit || (twice == unit && quotient % 2 == 1);
    let exponent = i32::try_from(dropped).unwrap() - i32::try_from(scale).unwrap();
    // Each factor is exact, and so is each product but one that overflows.
    let half = exponent / 2;
    let result = (quotient + u64::from(up)) as f64 * power(half) * power(exponent - half);
    if whole.sign() == Sign::Minus { -result } else { result }
}

fn power(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(exponent + 1023).unwrap() << 52)
}

/// Every bit pattern that is a number: subnormals, both ends of the range.
fn any_finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |x| x.is_finite())
}

/// Values that meet: of one size, or opposite, or of the extremes.
fn hostile() -> impl Strategy<Value = f64> {
    let extremes = [0.0, -0.0, TINY, -TINY, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 1.0, -1.0];
    prop_oneof![
        any_finite(),
        -20.0..20.0,
        proptest::sample::select(extremes.to_vec()),
        (0..1u64 << 60).prop_map(f64::from_bits),
        (-1075..1024).prop_map(|exponent| 2f64.powi(exponent)),
    ]
}

/// Any f64 at all, with more infinities and NaNs than chance would give.
fn any_value() -> impl Strategy<Value = f64> {
    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![9 => hostile(), 1 => proptest::sample::select(special.to_vec())]
}

proptest! {
    #[test]
    fn a_sum_is_the_oracles(values in prop::collection::vec(hostile(), 0..60)) {
        let total: BigInt = values.iter().map(|&x| whole(x)).sum();
        prop_assert_eq!(sum(&values).value().to_bits(), rounded(&total, 1074).to_bits());
    }

    #[test]
    fn a_sum_of_products_is_the_oracles(
        pairs in prop::collection::vec((hostile(), hostile()), 0..40),
        values in prop::collection::vec(hostile(), 0..5),
    ) {
        let mut exact = sum(&values);
        for &(a, b) in &pairs {
            exact.add_product(a, b);
        }
        let total: BigInt = pairs.iter().map(|&(a, b)| whole(a) * whole(b)).sum();
        let total = total + (values.iter().map(|&x| whole(x)).sum::<BigInt>() << 1074);
        prop_assert_eq!(exact.value().to_bits(), rounded(&total, 2148).to_bits());

        let (integer, exponent) = exact.to_rational().unwrap();
        prop_assert_eq!(integer << (exponent + 2176), total << 28);
    }

    #[test]
    fn what_cancels_leaves_nothing(
        values in prop::collection::vec(hostile(), 0..60),
        rest in any_finite(),
    ) {
        let mut exact = sum(&values);
        exact.add(rest);
        values.iter().rev().for_each(|x| exact.add(-x));
        prop_assert_eq!(exact.value(), rest);
        prop_assert_eq!(bytes(&exact), bytes(&sum(&[rest])));
        exact.add(-rest);
        prop_assert!(exact.is_zero() && exact == ExactSum::default());
        prop_assert_eq!(exact.value().to_bits(), 0);
    }

    #[test]
    fn merging_is_adding(
        left in prop::collection::vec(any_value(), 0..30),
        right in prop::collection::vec(any_value(), 0..30),
    ) {
        let (mut ab, mut ba) = (sum(&left), sum(&right));
        ab.merge(&sum(&right));
        ba.merge(&sum(&left));
        let all = sum(&[left, right].concat());
        prop_assert_eq!(bytes(&ab), bytes(&all));
        prop_assert_eq!(bytes(&ba), bytes(&all));
        prop_assert_eq!(ab, all);
    }

    #[test]
    fn carries_change_nothing(
        values in prop::collection::vec((hostile(), any::<bool>()), 0..60),
    ) {
        let mut exact = ExactSum::default();
        for &(x, soon) in &values {
            exact.pending = if soon { CARRY_EVERY - 1 } else { exact.pending };
            exact.add(x);
            prop_assert!(exact.pending < CARRY_EVERY);
        }
        let plain = sum(&values.iter().map(|value| value.0).collect::<Vec<_>>());
        prop_assert_eq!(bytes(&exact), bytes(&plain));
    }

    #[test]
    fn bytes_come_back(values in prop::collection::vec(any_value(), 0..30), more: Vec<u8>) {
        let exact = sum(&values);
        let written = bytes(&exact);
        let input = [&written[..], &more].concat();
        let mut rest = &input[..];
        let read = ExactSum::read(&mut rest).unwrap();
        prop_assert_eq!(rest, &more[..]);
        prop_assert_eq!(bytes(&read), written);
        prop_assert_eq!(read.value().to_bits(), exact.value().to_bits());
        prop_assert_eq!(read, exact);
    }

    #[test]
    fn only_canonical_bytes_are_read(
        values in prop::collection::vec(any_value(), 0..4),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        length: prop::sample::Index,
    ) {
        let mut input = bytes(&sum(&values));
        for (index, byte) in changes {
            let index = index.index(input.len());
            input[index] = byte;
        }
        input.truncate(length.index(input.len() + 1));
        read_is_inverse(&input)?;
    }

    #[test]
    fn any_bytes_are_survived(
        head in [0u8..5, 0..200, 0..200],
        tail in prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..700),
    ) {
        read_is_inverse(&[&head[..], &tail].concat())?;
    }
}

/// Whatever `read` accepts, `write` gives back; what it refuses stays unread.
fn read_is_inverse(input: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = input;
    if let Some(read) = ExactSum::read(&mut rest) {
        prop_assert_eq!(bytes(&read), &input[..input.len() - rest.len()]);
    } else {
        prop_assert_eq!(rest, input);
    }
    Ok(())
}

#[test]
fn an_empty_sum_is_positive_zero() {
    let empty = ExactSum::default();
    assert_eq!(empty.value().to_bits(), 0);
    assert_eq!(sum(&[-0.0, -0.0]).value().to_bits(), 0);
    assert_eq!(bytes(&empty), [0, 0, 0]);
    assert_eq!(empty.to_rational().unwrap(), (BigInt::ZERO, -2176));
    assert_eq!(sum(&[0.0, -0.0]).digits.capacity(), 0);
}

#[test]
fn ties_go_to_even() {
    let half = f64::EPSILON / 2.0;
    assert_eq!(sum(&[1.0, half]).value(), 1.0);
    assert_eq!(sum(&[1.0, half, TINY]).value(), 1.0 + f64::EPSILON);
    assert_eq!(sum(&[1.0, f64::EPSILON, half]).value(), 1.0 + 2.0 * f64::EPSILON);
    assert_eq!(sum(&[-1.0, -half]).value(), -1.0);
    assert_eq!(sum(&[-1.0, -half, -TINY]).value(), -1.0 - f64::EPSILON);
}

#[test]
fn the_ends_of_the_range_round_as_ieee_does() {
    let half_unit = 2f64.powi(970);
    assert_eq!(sum(&[f64::MAX, half_unit]).value(), f64::INFINITY);
    assert_eq!(sum(&[f64::MAX, half_unit, -TINY]).value(), f64::MAX);
    assert_eq!(sum(&[f64::MIN, f64::MIN]).value(), f64::NEG_INFINITY);
    assert_eq!(sum(&[f64::MAX, f64::MAX, f64::MIN]).value(), f64::MAX);
    assert!(sum(&[f64::MAX, f64::MAX]).is_finite());
    assert_eq!(sum(&[f64::MIN_POSITIVE, -TINY]).value(), f64::MIN_POSITIVE - TINY);
    for (a, b, expected) in [(TINY, 0.5, 0.0), (TINY, 0.75, TINY), (3.0 * TINY, 0.5, 2.0 * TINY)] {
        let mut exact = ExactSum::default();
        exact.add_product(a, b);
        assert_eq!(exact.value(), expected);
    }
}

#[test]
fn products_neither_underflow_nor_overflow() {
    let mut exact = ExactSum::default();
    exact.add_product(TINY, TINY);
    assert_eq!((exact.value(), exact.is_zero()), (0.0, false));
    exact.add_product(f64::MAX, f64::MAX);
    assert_eq!(exact.value(), f64::INFINITY);
    exact.add_product(f64::MIN, f64::MAX);
    exact.add_product(TINY, -TINY);
    assert!(exact.is_zero());
}

#[test]
fn infinities_and_nans_are_counted_apart() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert_eq!(sum(&[inf, 1.0, inf]).value(), inf);
    assert_eq!(sum(&[-inf, f64::MAX]).value(), -inf);
    for values in [[inf, -inf], [nan, 1.0], [inf, -nan]] {
        assert_eq!(sum(&values).value().to_bits(), nan.to_bits());
    }
    assert!(!sum(&[inf]).is_zero() && !sum(&[inf]).is_finite());
    assert_eq!(sum(&[nan]).to_rational(), None);
    assert_ne!(sum(&[inf]), sum(&[inf, inf]));
}

#[test]
fn products_of_infinities_follow_ieee() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    for (a, b) in [(inf, 0.0), (inf, -2.0), (-inf, -inf), (nan, 0.0), (1e300, inf)] {
        let mut exact = ExactSum::default();
        exact.add_product(a, b);
        exact.add_product(3.0, 5.0);
        assert_eq!(exact, sum(&[a * b, 15.0]));
    }
}

#[test]
fn a_million_equal_values_are_one_product() {
    for x in [0.1, -1e-300, TINY, f64::MAX, -1.0 / 3.0] {
        let mut product = ExactSum::default();
        product.add_product(x, 1e6);
        assert_eq!(sum(&vec![x; 1_000_000]), product);
    }
}

#[test]
fn an_alternating_series_telescopes() {
    let mut exact = ExactSum::default();
    for k in 1..100_000u32 {
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        exact.add(sign / f64::from(k));
        exact.add(-sign / f64::from(k + 1) * 1e300);
    }
    for k in (1..100_000u32).rev() {
        let sign = if k % 2 == 0 { -1.0 } else { 1.0 };
        exact.add(-sign / f64::from(k + 1) * 1e300);
        exact.add(sign / f64::from(k));
    }
    assert!(exact.is_zero());
}

#[test]
fn digits_hold_until_carries_are_passed() {
    for (sign, pending) in [1, -1].into_iter().flat_map(|s| [(s, 0), (s, 77), (s, CARRY_EVERY - 1)]) {
        // As large as after `pending` additions of the largest pieces.
        let piece = (sign << DIGIT_BITS) * i64::from(pending + 1);
        let (digits, base) = (vec![piece; 3], 60);
        let full = ExactSum { digits, base, pending, ..ExactSum::default() };
        let mut merged = full.clone();
        for _ in 0..9 {
            merged.merge(&full);
            assert!(merged.pending < CARRY_EVERY);
            let bound = (i64::from(merged.pending) + 1) << DIGIT_BITS;
            assert!(merged.digits.iter().all(|digit| digit.abs() <= bound));
        }
        let expected = BigInt::from(piece) * 10 * ((BigInt::from(1) << 64) + (1u64 << 32) + 1);
        let (integer, exponent) = merged.to_rational().unwrap();
        assert_eq!(integer << (exponent - (60 * 32 - 2176)), expected);
    }
}

#[test]
fn carries_do_not_lengthen_a_sum() {
    let mut exact = sum(&[-1.0]);
    let length = exact.digits.len();
    (0..100).for_each(|_| exact.pass_carries());
    assert_eq!(exact.digits.len(), length);
    assert_eq!(exact.value(), -1.0);
}

#[test]
fn everyday_sums_are_small() {
    let losses: Vec<f64> = (1..100_000).map(|k| 20.0 / f64::from(k)).collect();
    let exact = sum(&losses);
    assert!(exact.digits.len() <= 5, "{} digits", exact.digits.len());
    assert!(bytes(&exact).len() <= 23);
}

/// Splitmix: the shuffles below need no more.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[test]
fn a_thousand_merge_trees_give_the_same_bytes() {
    let mut state = 1;
    let values: Vec<f64> = (0..200).map(|_| f64::from_bits(random(&mut state))).collect();
    let values: Vec<f64> = values.into_iter().filter(|x| x.is_finite()).collect();
    let expected = bytes(&sum(&values));
    for _ in 0..1000 {
        let mut forest: Vec<ExactSum> = values.iter().map(|&x| sum(&[x])).collect();
        while let [_, _, ..] = forest[..] {
            let tree = forest.swap_remove(pick(&mut state, &forest));
            let other = pick(&mut state, &forest);
            forest[other].merge(&tree);
        }
        assert_eq!(bytes(&forest[0]), expected);
    }
}

fn pick(state: &mut u64, forest: &[ExactSum]) -> usize {
    usize::try_from(random(state) % forest.len() as u64).unwrap()
}

#[test]
fn each_fault_in_the_bytes_is_refused() {
    let one = bytes(&sum(&[1.0]));
    assert_eq!(one, [0, 68, 1, 1, 0, 0, 0]);
    let infinite = bytes(&sum(&[f64::INFINITY]));
    assert_eq!(infinite.len(), 3 + 24);
    let faults: [&[u8]; 10] = [
        &[],
        &one[..6],                                  // cut short
        &[4, 68, 1, 1, 0, 0, 0],                    // an unknown flag
        &[1, 0, 0],                                 // minus zero
        &[0, 1, 0],                                 // zero with an index
        &[0, 68, 1, 0, 0, 0, 0],                    // a zero digit
        &[0, 67, 2, 0, 0, 0, 0, 1, 0, 0, 0],        // zero at the lower end
        &[0, 68, 2, 1, 0, 0, 0, 0, 0, 0, 0],        // zero at the upper end
        &infinite[..26],                            // counts cut short
        &[[2, 0, 0].as_slice(), &[0; 24]].concat(), // counts of nothing
    ];
    for fault in faults {
        assert_eq!(ExactSum::read(&mut &fault[..]), None, "{fault:?}");
    }
    let wide = |count: u8| [&[0, 100, count][..], &[1; 4 * 61]].concat();
    assert!(ExactSum::read(&mut &wide(60)[..]).is_some());
    assert!(ExactSum::read(&mut &wide(61)[..]).is_none());
}
