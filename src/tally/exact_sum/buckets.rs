//! Many values at once: integers summed by exponent, handed to an exact sum at the end.
//!
//! Source: Zhu and Hayes, "Algorithm 908: Online exact summation of floating-point streams", ACM TOMS
//! 37(3), 2010. A value m 2^e adds m to the bucket of e, and m^2 to another; so there is neither a
//! shift nor a carry a value. Exact integers, hence the same sum in any order and any division.

use super::{ExactSum, MANTISSA_BITS, PRODUCT_POSITION, VALUE_POSITION, split};

/// The exponents with a bucket: 2^-54 <= x < 2^10, where nearly all losses and reciprocals lie.
const LEAST: u64 = 1023 - 54;
const BUCKETS: usize = 64;

/// Values of at least 0, and perhaps their squares.
pub(in crate::tally) struct Buckets {
    values: [u64; BUCKETS],
    squares: [u128; BUCKETS],
    /// One bit a bucket that holds something.
    used: u64,
    room: u32,
}

impl Default for Buckets {
    fn default() -> Self {
        Self { values: [0; BUCKETS], squares: [0; BUCKETS], used: 0, room: Self::ROOM }
    }
}

impl Buckets {
    /// How many values fit: a bucket's sum stays below 2^62, and that of squares below 2^115.
    pub(in crate::tally) const ROOM: u32 = 512;

    /// Adds a value; false, with nothing added, where it has no bucket or there is no more room.
    #[inline]
    #[must_use]
    pub(in crate::tally) fn add(&mut self, x: f64) -> bool {
        let Some((at, mantissa)) = self.place(x) else { return x == 0.0 };
        self.values[at] += mantissa;
        true
    }

    /// Adds a value and its square; false as for `add`.
    #[inline]
    #[must_use]
    pub(in crate::tally) fn add_with_square(&mut self, x: f64) -> bool {
        let Some((at, mantissa)) = self.place(x) else { return x == 0.0 };
        self.values[at] += mantissa;
        self.squares[at] += u128::from(mantissa) * u128::from(mantissa);
        true
    }

    #[inline]
    fn place(&mut self, x: f64) -> Option<(usize, u64)> {
        // A sign makes the exponent huge; subnormals, infinities and NaNs lie beyond as well.
        let exponent = x.to_bits() >> (MANTISSA_BITS - 1);
        let at = exponent.wrapping_sub(LEAST) as usize;
        if at >= BUCKETS || self.room == 0 {
            return None;
        }
        self.room -= 1;
        self.used |= 1 << at;
        let one = 1 << (MANTISSA_BITS - 1);
        Some((at, x.to_bits() & (one - 1) | one))
    }

    /// Adds the sum of the values to a sum.
    pub(in crate::tally) fn add_values_to(&self, sum: &mut ExactSum) {
        for at in self.used() {
            sum.add_integer(self.values[at].cast_signed(), position(at) + VALUE_POSITION);
        }
    }

    /// Adds the sum of the squares to a sum.
    pub(in crate::tally) fn add_squares_to(&self, sum: &mut ExactSum) {
        for at in self.used() {
            let (high, low) = split(self.squares[at].cast_signed());
            let position = 2 * position(at) + PRODUCT_POSITION;
            sum.add_integer(low, position);
            sum.add_integer(high, position + MANTISSA_BITS);
        }
    }

    fn used(&self) -> impl Iterator<Item = usize> + use<> {
        let mut left = self.used;
        std::iter::from_fn(move || {
            let at = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (at < BUCKETS).then_some(at)
        })
    }
}

/// Where the last bit of a bucket's values stands above 2^-1074.
fn position(at: usize) -> u32 {
    LEAST as u32 - 1 + at as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_one_by_one(bits in proptest::collection::vec(any::<u64>(), 0..700), near in any::<bool>()) {
            let (mut values, mut squares) = (ExactSum::default(), ExactSum::default());
            let (mut expected, mut expected_squares) = (ExactSum::default(), ExactSum::default());
            let mut buckets = Buckets::default();
            for bits in bits {
                // Half of the runs where the buckets are, and just outside.
                let exponent = if near { (LEAST - 2 + bits % 68) << 52 } else { bits & !(u64::MAX >> 12) };
                let x = f64::from_bits(exponent | bits >> 12);
                if !buckets.add_with_square(x) {
                    values.add(x);
                    squares.add_product(x, x);
                }
                expected.add(x);
                expected_squares.add_product(x, x);
            }
            buckets.add_values_to(&mut values);
            buckets.add_squares_to(&mut squares);
            prop_assert_eq!(values, expected);
            prop_assert_eq!(squares, expected_squares);
        }
    }

    #[test]
    fn the_largest_values_fill_the_room_and_no_more() {
        let most = 1024.0f64.next_down();
        let mut buckets = Buckets::default();
        let added = (0..1000).filter(|_| buckets.add_with_square(most)).count();
        assert_eq!(added, Buckets::ROOM as usize);
        let (mut values, mut squares) = (ExactSum::default(), ExactSum::default());
        buckets.add_values_to(&mut values);
        buckets.add_squares_to(&mut squares);
        assert_eq!(values.value(), most * 512.0);
        assert_eq!(squares.value(), most * most * 512.0);
    }

    #[test]
    fn what_has_no_bucket_is_refused() {
        let mut buckets = Buckets::default();
        for x in [-1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, 1024.0, 5.5e-17] {
            assert!(!buckets.add(x), "{x}");
        }
        assert!([0.0, -0.0, 5.6e-17, 1023.9].into_iter().all(|x| buckets.add(x)));
    }
}
