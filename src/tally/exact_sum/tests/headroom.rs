//! Sums of more than 1e12 values, had by merging a sum with itself.

use super::*;

/// 2^41 is above 2e12.
const DOUBLINGS: i32 = 41;

fn doubled(mut total: ExactSum) -> ExactSum {
    for _ in 0..DOUBLINGS {
        let same = total.clone();
        total.merge(&same);
    }
    total
}

#[test]
fn two_trillion_values_are_one_product() {
    for x in [f64::MAX, f64::MIN, TINY, -TINY, 0.1, -20.0 / 3.0] {
        let mut product = ExactSum::default();
        product.add_product(x, 2f64.powi(DOUBLINGS));
        let total = doubled(sum(&[x]));
        assert_eq!(bytes(&total), bytes(&product));
        let mut read = &bytes(&total)[..];
        assert_eq!(ExactSum::read(&mut read), Some(total));
    }
}

#[test]
fn two_trillion_squares_are_exact() {
    for x in [f64::MAX, TINY, 1.0 + f64::EPSILON, 1e-200 / 3.0] {
        let mut square = ExactSum::default();
        square.add_product(x, x);
        let total = doubled(square);
        let (integer, exponent) = total.to_rational().unwrap();
        assert_eq!(integer << (exponent + 2176), (whole(x) * whole(x)) << (28 + DOUBLINGS));
        let mut read = &bytes(&total)[..];
        assert_eq!(ExactSum::read(&mut read), Some(total));
    }
}

/// The largest values of both signs in turn: whatever is held back cancels in the end.
#[test]
fn opposite_trillions_cancel() {
    let mut total = doubled(sum(&[f64::MAX, 1.0, -TINY]));
    total.merge(&doubled(sum(&[f64::MIN, TINY])));
    assert_eq!(total.value(), 2f64.powi(DOUBLINGS));
    total.merge(&doubled(sum(&[-1.0])));
    assert!(total.is_zero());
}
