//! What llama.cpp computes for a row when it measures a perplexity, in a rendering of our own: the
//! maximum, then the sum of exp(x - maximum) in double precision, then the logarithm.
//!
//! As its sources stand the loop calls `expf` once a logit. Here exp is a vector one of the kind that
//! ggml has (range reduction by a magic number, a polynomial of degree five), and the compiler may
//! make vectors of all three steps: the loop at its best.

/// Logits taken at once: 512 bits, which narrower machines split.
const LANES: usize = 16;

/// The negative log-likelihood of a label with logit `label`.
pub fn nll(x: &[f32], label: f32) -> f64 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has the features.
            return unsafe { by_avx512(x, label) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: as above.
            return unsafe { by_avx2(x, label) };
        }
    }
    nll_of::<{ cfg!(target_arch = "aarch64") }>(x, label)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn by_avx512(x: &[f32], label: f32) -> f64 {
    nll_of::<true>(x, label)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn by_avx2(x: &[f32], label: f32) -> f64 {
    nll_of::<true>(x, label)
}

#[inline(always)]
#[allow(clippy::inline_always)] // so that it takes on the features of its caller
fn nll_of<const FMA: bool>(x: &[f32], label: f32) -> f64 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut tops = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (top, &x) in tops.iter_mut().zip(block) {
            *top = if x > *top { x } else { *top };
        }
    }
    let top = tops.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0f64; LANES];
    for block in blocks {
        for (sum, &x) in sums.iter_mut().zip(block) {
            *sum += f64::from(exp::<FMA>(x - top));
        }
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(exp::<FMA>(x - top))).sum();
    (sums.iter().sum::<f64>() + rest).ln() - f64::from(label - top)
}

/// e^x for x <= 0, to about 1.5 units in the last place; what would underflow is about 2^-125.
#[inline(always)]
#[allow(clippy::inline_always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOG2E: f32 = std::f32::consts::LOG2_E;
    const MAGIC: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to an integer
    const LN2_HIGH: f32 = 0.693_145_75;
    const LN2_LOW: f32 = 1.428_606_8e-6;
    let fma = |a: f32, b: f32, c: f32| if FMA { a.mul_add(b, c) } else { a * b + c };
    let x = if x > -87.0 { x } else { -87.0 };
    let shifted = fma(x, LOG2E, MAGIC);
    let n = shifted - MAGIC;
    let f = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let q = fma(f, 0.008_289_72, 0.041_898_79);
    let q = fma(f, q, 0.166_676_48);
    let q = fma(f, q, 0.499_991_5);
    let q = fma(f, q, 0.999_999_7);
    fma(power, f * q, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_good_to_a_few_units() {
        for i in 0..870_000 {
            let x = -(i as f32) * 1e-4;
            for (y, bound) in [(exp::<true>(x), 4e-7), (exp::<false>(x), 4e-7)] {
                assert!((f64::from(y) / f64::from(x).exp() - 1.0).abs() < bound, "{x}: {y}");
            }
        }
        assert!(exp::<true>(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn nll_of_a_row_that_is_known() {
        // 2^j, j = 0..36: the sum is 2^37 - 1.
        let x: Vec<f32> = (0..37).map(|j| j as f32 * std::f32::consts::LN_2).collect();
        let expected = (2f64.powi(37) - 1.0).ln() - 36.0 * std::f64::consts::LN_2;
        assert!((nll(&x, x[36]) - expected).abs() < 2e-6);
    }
}
