//! Reading bytes once with a maximum: eight vectors in flight, an unsigned maximum of bytes, whatever
//! the bytes mean. Nothing that looks at every byte can be faster, so this is the roof.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm256_max_epu8, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm512_loadu_si512, _mm512_max_epu8, _mm512_setzero_si512, _mm512_storeu_si512,
};

/// Bytes that the software prefetch runs ahead.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 12 << 10;

/// The greatest byte, by the widest loads of the machine.
pub fn max(bytes: &[u8], prefetch: bool) -> u8 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") {
            // SAFETY: the machine has the feature.
            return unsafe { if prefetch { by_512::<true>(bytes) } else { by_512::<false>(bytes) } };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { if prefetch { by_256::<true>(bytes) } else { by_256::<false>(bytes) } };
        }
    }
    let _ = prefetch; // the processor's own
    plain(bytes)
}

/// Bits of one load.
pub fn load_bits() -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") {
            return 512;
        }
        if is_x86_feature_detected!("avx2") {
            return 256;
        }
    }
    128
}

/// The compiler makes 128-bit loads of it, which is all that NEON and SSE2 have.
fn plain(bytes: &[u8]) -> u8 {
    let (blocks, rest) = bytes.as_chunks::<128>();
    let mut top = [0u8; 128];
    for block in blocks {
        for (top, &x) in top.iter_mut().zip(block) {
            *top = (*top).max(x);
        }
    }
    top.iter().chain(rest).copied().max().unwrap_or(0)
}

/// The reader of one vector width.
#[cfg(target_arch = "x86_64")]
macro_rules! by_vectors {
    ($name:ident, $feature:literal, $bytes:literal, $zero:ident, $load:ident, $max:ident, $store:ident) => {
        #[target_feature(enable = $feature)]
        fn $name<const PREFETCH: bool>(bytes: &[u8]) -> u8 {
            let (blocks, rest) = bytes.as_chunks::<{ 8 * $bytes }>();
            let mut top = [$zero(); 8];
            for block in blocks {
                if PREFETCH {
                    for line in (0..block.len()).step_by(64) {
                        // A prefetch of an address that is not there does nothing.
                        _mm_prefetch::<_MM_HINT_T0>(block.as_ptr().wrapping_add(AHEAD + line).cast());
                    }
                }
                for (i, top) in top.iter_mut().enumerate() {
                    // SAFETY: vector i lies inside the block.
                    let x = unsafe { $load(block.as_ptr().add(i * $bytes).cast()) };
                    *top = $max(*top, x);
                }
            }
            let mut lanes = [0u8; $bytes];
            for top in top {
                let mut these = [0u8; $bytes];
                // SAFETY: as many bytes as the vector has.
                unsafe { $store(these.as_mut_ptr().cast(), top) };
                for (lane, this) in lanes.iter_mut().zip(these) {
                    *lane = (*lane).max(this);
                }
            }
            lanes.iter().chain(rest).copied().max().unwrap_or(0)
        }
    };
}

#[cfg(target_arch = "x86_64")]
by_vectors!(
    by_512,
    "avx512f,avx512bw",
    64,
    _mm512_setzero_si512,
    _mm512_loadu_si512,
    _mm512_max_epu8,
    _mm512_storeu_si512
);

#[cfg(target_arch = "x86_64")]
by_vectors!(
    by_256,
    "avx2",
    32,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_max_epu8,
    _mm256_storeu_si256
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_byte_wherever_it_stands() {
        for length in [0, 1, 127, 128, 129, 511, 512, 513, 1500] {
            for at in 0..length {
                let mut bytes = vec![3; length];
                bytes[at] = 200;
                assert_eq!(
                    [max(&bytes, true), max(&bytes, false), plain(&bytes)],
                    [200; 3],
                    "{at} of {length}"
                );
            }
        }
        assert_eq!(max(&[], true), 0);
    }
}
