//! The one form of an exact sum, from which its value, its bytes and its equality
//! are read.

use super::{DIGIT_BITS, NonFinite};

/// Digit 0 weighs 2^-2176: the largest multiple of 32 below the least product, 2^-2148.
const ORIGIN: i32 = -2176;
/// Digits that `read` accepts: up to 2^(32 · 160 - 2176) = 2^2944.
const MAX_DIGITS: usize = 160;
/// Bit of the first byte: the sum is negative.
const NEGATIVE: u8 = 1;
/// Bit of the first byte: the counts of infinities and NaNs follow the digits.
const NONFINITE: u8 = 2;

/// Sign and magnitude. Neither end digit is zero; the sum zero is not negative, has
/// no digits, and its `first` is 0.
#[derive(PartialEq)]
pub(super) struct Canonical {
    pub(super) negative: bool,
    /// Index of `digits[0]`.
    pub(super) first: u32,
    pub(super) digits: Vec<u32>,
    pub(super) nonfinite: NonFinite,
}

impl Canonical {
    /// From digits that lie within 0..2^32.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..2^32")]
    pub(super) fn new(negative: bool, base: u32, digits: &[i64], nonfinite: NonFinite) -> Self {
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        let digits = digits.iter().skip(zeros).map(|&digit| digit as u32);
        let mut sum = Self { negative, first: base + zeros as u32, digits: digits.collect(), nonfinite };
        while sum.digits.pop_if(|top| *top == 0).is_some() {}
        if sum.digits.is_empty() {
            sum.first = 0;
        }
        sum
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let counted = self.nonfinite != NonFinite::default();
        // Past a byte, which is beyond 2^5900, `read` refuses what is written.
        let byte = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        out.push(u8::from(self.negative) * NEGATIVE + u8::from(counted) * NONFINITE);
        out.extend([byte(self.first as usize), byte(self.digits.len())]);
        out.extend(self.digits.iter().flat_map(|digit| digit.to_le_bytes()));
        if counted {
            self.nonfinite.write(out);
        }
    }

    pub(super) fn read(input: &mut &[u8]) -> Option<Self> {
        let mut rest = *input;
        let [flags, first, count] = take(&mut rest)?;
        if flags > NEGATIVE + NONFINITE || usize::from(first) + usize::from(count) > MAX_DIGITS {
            return None;
        }
        let digits = (0..count).map(|_| take(&mut rest).map(u32::from_le_bytes));
        let digits: Vec<u32> = digits.collect::<Option<_>>()?;
        let counted = (flags & NONFINITE != 0).then(|| NonFinite::read(&mut rest));
        let nonfinite = counted.unwrap_or(Some(NonFinite::default()))?;
        let sum = Self { negative: flags & NEGATIVE != 0, first: first.into(), digits, nonfinite };
        sum.has_form(flags).then(|| *input = rest)?;
        Some(sum)
    }

    /// Whether these are the digits and counts that `write` puts after these flags.
    fn has_form(&self, flags: u8) -> bool {
        let trimmed = match *self.digits {
            [] => !self.negative && self.first == 0,
            [only] => only != 0,
            [bottom, .., top] => bottom != 0 && top != 0,
        };
        trimmed && (flags & NONFINITE != 0) == (self.nonfinite != NonFinite::default())
    }

    pub(super) fn signed_digits(&self) -> Vec<i64> {
        let sign = if self.negative { -1 } else { 1 };
        self.digits.iter().map(|&digit| sign * i64::from(digit)).collect()
    }

    /// The f64 nearest to the digits, half to even.
    #[expect(clippy::cast_possible_truncation, reason = "there are few digits")]
    pub(super) fn round(&self) -> f64 {
        let Some((&top, rest)) = self.digits.split_last() else {
            return 0.0;
        };
        // The top three digits hold more bits than an f64 does; of the digits below
        // only one thing matters: whether they are all zero.
        let mut below = rest.iter().rev();
        let mut next = || u128::from(below.next().copied().unwrap_or(0));
        let head = u128::from(top) << 64 | next() << 32 | next();
        let inexact = below.any(|&digit| digit != 0);
        let exponent = exponent_of(self.first + rest.len() as u32) - 64;
        let magnitude = round_half_even(head, exponent, inexact);
        if self.negative { -magnitude } else { magnitude }
    }
}

impl NonFinite {
    fn write(self, out: &mut Vec<u8>) {
        let counts = [self.nan, self.posinf, self.neginf];
        out.extend(counts.iter().flat_map(|count| count.to_le_bytes()));
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        let mut next = || take(input).map(u64::from_le_bytes);
        Some(Self { nan: next()?, posinf: next()?, neginf: next()? })
    }
}

/// The f64 nearest to head · 2^exponent, half to even; `inexact` says that the true
/// number lies a little above that. The head is within 2^64..2^127.
#[expect(clippy::cast_possible_truncation, reason = "53 bits are kept")]
pub(in crate::tally) fn round_half_even(head: u128, exponent: i32, inexact: bool) -> f64 {
    let length = (128 - head.leading_zeros()).cast_signed();
    // The exponent of the result's last bit: it has 53 bits, a subnormal fewer.
    let last = (exponent + length - 53).max(-1074);
    let dropped = last - exponent; // at least 12, so the mark below meets no kept bit
    if last > 971 {
        return f64::INFINITY;
    }
    if dropped > 127 {
        return 0.0; // less than half of 2^-1074
    }
    let half = 1 << (dropped - 1);
    let remainder = (head | u128::from(inexact)) & (2 * half - 1);
    let kept = (head >> dropped) as u64;
    let up = remainder > half || (remainder == half && kept % 2 == 1);
    // The leading bit of a normal number adds 1 to the exponent field, and a carry
    // out of the mantissa 1 more: up to infinity, where it belongs.
    let field = u64::from((last + 1074).cast_unsigned());
    f64::from_bits((field << 52) + kept + u64::from(up))
}

/// The power of two that a digit weighs.
pub(super) fn exponent_of(index: u32) -> i32 {
    ORIGIN + (DIGIT_BITS * index).cast_signed()
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*head)
}
