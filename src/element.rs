//! f64, f32, f16, bf16: how a stored logit widens. Exact, every one of them.

use std::fmt;

/// The element type of stored logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// IEEE binary64.
    F64,
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
}

impl Element {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 4] = [Self::F64, Self::F32, Self::F16, Self::Bf16];

    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The name that `NumPy` (and `ml_dtypes`) prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    /// The element type of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Its code in a state's bytes.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::F64 => 0,
            Self::F32 => 1,
            Self::F16 => 2,
            Self::Bf16 => 3,
        }
    }

    /// Element `index` of a row, widened; `None` past its end.
    #[must_use]
    pub fn get(self, row: &[u8], index: usize) -> Option<f64> {
        let size = self.size();
        let at = index.checked_mul(size)?;
        let bytes = row.get(at..at.checked_add(size)?)?;
        Some(match self {
            Self::F64 => f64::from_ne_bytes(bytes.try_into().ok()?),
            Self::F32 => f64::from(f32::from_ne_bytes(bytes.try_into().ok()?)),
            Self::F16 => f64::from(f16_to_f32(u16::from_ne_bytes(bytes.try_into().ok()?))),
            Self::Bf16 => f64::from(bf16_to_f32(u16::from_ne_bytes(bytes.try_into().ok()?))),
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// bf16 is the upper half of an f32.
#[inline(always)]
#[must_use]
pub const fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits((bits as u32) << 16)
}

/// f16 to f32 by integers and one exact subtraction.
///
/// A normal value moves its fields and rebiases the exponent by 112; infinity and NaN rebias by
/// another 112; a subnormal is a small integer times 2^-24, had by giving it the exponent of
/// 2^-14 and taking 2^-14 away, which is exact.
#[inline(always)]
#[must_use]
pub const fn f16_to_f32(bits: u16) -> f32 {
    const REBIAS: u32 = 112 << 23;
    let sign = ((bits & 0x8000) as u32) << 16;
    let magnitude = ((bits & 0x7fff) as u32) << 13;
    let wide = match magnitude >> 23 {
        0 => (f32::from_bits(magnitude + REBIAS + (1 << 23)) - f32::from_bits(REBIAS + (1 << 23))).to_bits(),
        31 => magnitude + 2 * REBIAS,
        _ => magnitude + REBIAS,
    };
    f32::from_bits(sign | wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_and_bf16_widens_exactly() {
        for bits in 0..=u16::MAX {
            let (f, b) = (half::f16::from_bits(bits), half::bf16::from_bits(bits));
            if f.is_nan() {
                assert!(f16_to_f32(bits).is_nan());
            } else {
                assert_eq!(f16_to_f32(bits).to_bits(), f.to_f32().to_bits(), "{bits:#x}");
            }
            assert!(
                bf16_to_f32(bits).to_bits() == b.to_f32().to_bits()
                    || (b.is_nan() && bf16_to_f32(bits).is_nan())
            );
        }
    }

    #[test]
    fn names_and_ends() {
        for element in Element::ALL {
            assert_eq!(Element::from_name(element.name()), Some(element));
            assert_eq!(element.get(&[0; 8], 8 / element.size()), None);
            assert_eq!(element.get(&[0; 8], 0), Some(0.0));
        }
        assert_eq!(Element::from_name("int8"), None);
    }
}
