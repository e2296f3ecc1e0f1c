//! An exact sum of f64 values: no rounding until it is read, so no order.
//!
//! Source: Neal, "Fast exact summation using small and large superaccumulators",
//! arXiv 1505.05571. Every finite f64, and every product of two, is an integer
//! multiple of 2^-2176, so a sum is one wide integer, kept as signed digits:
//!
//! ```text
//! sum = Σ digits[k] · 2^(32 (base + k) - 2176),   |digits[k]| ≤ 2^32 (pending + 1)
//! ```
//!
//! Adding a value adds three 32-bit pieces to three neighbouring i64 digits and
//! passes no carry; merging adds digit to digit. Both are integer additions, hence
//! associative and commutative. The value is rounded once, when it is asked for.
//!
//! Departures from the paper:
//! 1. The window of digits grows as values arrive (Neal keeps 67): an empty sum
//!    allocates nothing, a sum of everyday losses holds about five digits.
//! 2. Three pieces that do not overlap instead of two that do: carries are passed
//!    on every 2^29 additions, not every 2^11.
//! 3. The range covers exact products as well: 2^-2148 up to 2^2048.
//! 4. Infinities and NaNs are counted apart; they never touch the digits.
//!
//! Headroom: passing carries restores |digit| ≤ 2^32 and appends a digit when the
//! top one is full, so digits never limit the number of additions. The bytes allow
//! for a total of 2^2944: 2^896 times the largest product.

use num_bigint::{BigInt, BigUint};

pub(super) use buckets::Buckets;
use canonical::Canonical;
pub(super) use canonical::round_half_even;

mod buckets;
mod canonical;

/// Bits in a digit; the other half of its i64 is room for carries.
const DIGIT_BITS: u32 = 32;
/// The low half of a digit.
const DIGIT_MASK: i64 = 0xffff_ffff;
/// Bits in the mantissa of an f64.
const MANTISSA_BITS: u32 = 53;
/// Where the last bit of the least subnormal, 2^-1074, stands above 2^-2176.
const VALUE_POSITION: u32 = 1102;
/// Where the last bit of its square, 2^-2148, stands.
const PRODUCT_POSITION: u32 = 28;
/// Additions between carries. `merge` joins two sums below it and so reaches
/// `pending` < 2^30, hence digits within 2^62.
const CARRY_EVERY: u32 = 1 << 29;

/// An exact, order-free sum of f64 values.
///
/// `Default` is the empty sum. Two sums are equal when their exact values are, and
/// they met as many infinities and NaNs.
#[derive(Clone, Default)]
pub struct ExactSum {
    digits: Vec<i64>,
    /// Index of `digits[0]`, counted from the digit that weighs 2^-2176.
    base: u32,
    /// Additions since carries were last passed on; below `CARRY_EVERY` at rest.
    pending: u32,
    nonfinite: NonFinite,
}

/// How many of the values were no numbers.
#[derive(Clone, Copy, Default, PartialEq)]
struct NonFinite {
    nan: u64,
    posinf: u64,
    neginf: u64,
}

impl ExactSum {
    /// Adds one value, exactly.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if !x.is_finite() {
            return self.nonfinite.count(x);
        }
        let (integer, position) = decode(x);
        self.add_integer(integer, position + VALUE_POSITION);
    }

    /// Adds the product `a · b`, exactly: nothing is rounded, over- or underflows.
    ///
    /// Infinities and NaNs follow the IEEE product, so ∞ · 0 counts as a NaN.
    #[inline]
    pub fn add_product(&mut self, a: f64, b: f64) {
        if !(a.is_finite() && b.is_finite()) {
            return self.nonfinite.count(a * b);
        }
        let ((x, x_position), (y, y_position)) = (decode(a), decode(b));
        let position = x_position + y_position + PRODUCT_POSITION;
        let (high, low) = split(i128::from(x) * i128::from(y));
        self.add_integer(low, position);
        self.add_integer(high, position + MANTISSA_BITS);
    }

    /// Adds another sum: associative and commutative, to the bit of what is written.
    pub fn merge(&mut self, other: &Self) {
        if !other.digits.is_empty() {
            self.cover(other.base, other.digits.len());
        }
        let offset = other.base.saturating_sub(self.base) as usize;
        let window = self.digits.iter_mut().skip(offset);
        for (digit, more) in window.zip(&other.digits) {
            *digit += more;
        }
        self.count_additions(other.pending + 1);
        self.nonfinite.merge(other.nonfinite);
    }

    /// The sum, rounded once, half to even; beyond the largest f64 it is infinite.
    ///
    /// An exact zero is +0.0. One NaN, or infinities of both signs, give NaN.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.nonfinite.value().unwrap_or_else(|| self.canonical().round())
    }

    /// Whether the sum is exactly zero, and no infinity or NaN was added.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.is_finite() && self.canonical().digits.is_empty()
    }

    /// Whether no infinity or NaN was added (`value` may still overflow).
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.nonfinite == NonFinite::default()
    }

    /// The exact sum as `(integer, exponent)`, meaning integer · 2^exponent; None
    /// if it is not finite.
    #[must_use]
    pub fn to_rational(&self) -> Option<(BigInt, i32)> {
        let sum = self.is_finite().then(|| self.canonical())?;
        let magnitude = BigInt::from(BigUint::new(sum.digits));
        let integer = if sum.negative { -magnitude } else { magnitude };
        Some((integer, canonical::exponent_of(sum.first)))
    }

    /// Appends the canonical bytes: equal sums give equal bytes.
    ///
    /// Little-endian: u8 flags (1 negative, 2 counts follow), u8 index of the first
    /// digit, u8 number of digits, the u32 digits of the magnitude without zeros at
    /// either end, and, if any is not zero, the u64 counts of NaN, +∞ and -∞.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.canonical().write(out);
    }

    /// Reads what `write` wrote and moves `input` past it.
    ///
    /// None, with `input` unmoved, for anything that `write` would not have written.
    #[must_use]
    pub fn read(input: &mut &[u8]) -> Option<Self> {
        Canonical::read(input).map(|sum| Self {
            digits: sum.signed_digits(),
            base: sum.first,
            pending: 0,
            nonfinite: sum.nonfinite,
        })
    }

    /// Adds integer · 2^(position - 2176).
    #[inline]
    fn add_integer(&mut self, integer: i64, position: u32) {
        if integer == 0 {
            return; // no digit is worth opening for it
        }
        let (first, shift) = (position / DIGIT_BITS, position % DIGIT_BITS);
        let offset = first.wrapping_sub(self.base) as usize; // huge if below the window
        let window = self.digits.get_mut(offset..).and_then(<[i64]>::first_chunk_mut);
        let Some([low, middle, high]) = window else {
            return self.add_outside(integer, position);
        };
        // In two's complement: of a negative number only the high piece is negative.
        let above = integer >> (DIGIT_BITS - shift);
        *low += (integer << shift) & DIGIT_MASK;
        *middle += above & DIGIT_MASK;
        *high += above >> DIGIT_BITS;
        self.count_additions(1);
    }

    #[cold]
    fn add_outside(&mut self, integer: i64, position: u32) {
        self.cover(position / DIGIT_BITS, 3);
        self.add_integer(integer, position);
    }

    /// Grows the window so that it holds the `count` digits from `first` on.
    fn cover(&mut self, first: u32, count: usize) {
        if self.digits.is_empty() {
            self.base = first;
        }
        let below = self.base.saturating_sub(first);
        self.digits.splice(0..0, std::iter::repeat_n(0, below as usize));
        self.base -= below;
        let needed = (first - self.base) as usize + count;
        self.digits.resize(needed.max(self.digits.len()), 0);
    }

    #[inline]
    fn count_additions(&mut self, additions: u32) {
        self.pending += additions;
        if self.pending >= CARRY_EVERY {
            self.pass_carries();
        }
    }

    /// Brings every digit into 0..2^32, but for a negative top digit.
    #[cold]
    fn pass_carries(&mut self) {
        let mut carry = 0;
        for digit in &mut self.digits {
            carry += *digit;
            *digit = carry & DIGIT_MASK;
            carry >>= DIGIT_BITS;
        }
        self.pending = 0;
        match (carry, self.digits.last_mut()) {
            (0, _) => {}
            // A mere sign gets no digit of its own: it would be -1 time and again.
            (-1, Some(top)) => *top -= 1 << DIGIT_BITS,
            _ => self.digits.push(carry),
        }
    }

    fn canonical(&self) -> Canonical {
        let mut sum = self.clone();
        sum.pass_carries();
        // The digits below the top are now ≥ 0, and together weigh less than it.
        let negative = sum.digits.last().is_some_and(|&top| top < 0);
        if negative {
            sum.digits.iter_mut().for_each(|digit| *digit = -*digit);
            sum.pass_carries();
        }
        Canonical::new(negative, sum.base, &sum.digits, sum.nonfinite)
    }
}

impl NonFinite {
    #[cold]
    fn count(&mut self, x: f64) {
        self.merge(Self {
            nan: x.is_nan().into(),
            posinf: (x == f64::INFINITY).into(),
            neginf: (x == f64::NEG_INFINITY).into(),
        });
    }

    /// Saturating addition of counts is associative, too.
    fn merge(&mut self, other: Self) {
        self.nan = self.nan.saturating_add(other.nan);
        self.posinf = self.posinf.saturating_add(other.posinf);
        self.neginf = self.neginf.saturating_add(other.neginf);
    }

    /// What the sum is if anything was counted.
    fn value(self) -> Option<f64> {
        match (self.nan, self.posinf, self.neginf) {
            (0, 0, 0) => None,
            (0, _, 0) => Some(f64::INFINITY),
            (0, 0, _) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }
}

impl PartialEq for ExactSum {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for ExactSum {}

impl std::fmt::Debug for ExactSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ExactSum").field(&self.value()).finish()
    }
}

/// A finite x as (integer, position): integer · 2^(position - 1074).
#[inline]
fn decode(x: f64) -> (i64, u32) {
    let bits = x.abs().to_bits();
    let field = (bits >> 52) as u32;
    let normal = u32::from(field != 0);
    let fraction = bits & ((1 << 52) - 1);
    let integer = (fraction | u64::from(normal) << 52).cast_signed();
    (if x.is_sign_negative() { -integer } else { integer }, field - normal)
}

/// A product of two mantissas as (high, low): high · 2^53 + low, 0 ≤ low < 2^53.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "neither half has more than 54 bits")]
fn split(product: i128) -> (i64, i64) {
    let low = product & ((1 << MANTISSA_BITS) - 1);
    ((product >> MANTISSA_BITS) as i64, low as i64)
}

#[cfg(test)]
mod tests;
