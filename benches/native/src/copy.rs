//! Copying a row: by the library's copy, or past the caches.

/// Copies `from` to `to`, which are of one length; `streaming` writes past the caches.
pub fn copy(from: &[u8], to: &mut [u8], streaming: bool) {
    #[cfg(target_arch = "x86_64")]
    if streaming && is_x86_feature_detected!("avx2") {
        // SAFETY: the machine has the feature.
        return unsafe { stream(from, to) };
    }
    let _ = streaming; // elsewhere the library's copy decides
    to.copy_from_slice(from);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn stream(from: &[u8], to: &mut [u8]) {
    use std::arch::x86_64::{__m256i, _mm_sfence, _mm256_loadu_si256, _mm256_stream_si256};
    // Streaming stores need aligned targets: the bytes before the first are copied apart.
    let head = to.as_ptr().align_offset(size_of::<__m256i>()).min(to.len());
    let (first, rest) = to.split_at_mut(head);
    first.copy_from_slice(&from[..head]);
    let (targets, tail) = rest.as_chunks_mut::<32>();
    let (sources, last) = from[head..].as_chunks::<32>();
    for (target, source) in targets.iter_mut().zip(sources) {
        // SAFETY: 32 bytes each, and the target is aligned.
        unsafe {
            _mm256_stream_si256(target.as_mut_ptr().cast(), _mm256_loadu_si256(source.as_ptr().cast()));
        }
    }
    tail.copy_from_slice(last);
    _mm_sfence(); // other threads see what was written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_any_alignment() {
        let from: Vec<u8> = (0..=255).cycle().take(400).collect();
        for (start, length) in [(0, 400), (1, 399), (31, 33), (5, 10), (7, 0)] {
            for streaming in [false, true] {
                let mut to = vec![0; 400];
                copy(&from[..length], &mut to[start..start + length], streaming);
                assert_eq!(to[start..start + length], from[..length]);
            }
        }
    }
}
