//! What the benches measure logitmeter against: the speed of memory, and llama.cpp's loop.
//!
//! - [`read`] reads bytes once with the widest loads of the machine and keeps their maximum: the
//!   roofline.
//! - [`copy`] reads a row, reads it again from the cache and writes it: the roofline of log-softmax.
//! - [`llama`] is a rendering of what llama.cpp computes for a perplexity.
//!
//! All of them share work between threads as logitmeter does: about a mebibyte at a time, taken from
//! a common queue.

mod copy;
mod llama;
mod read;
mod share;

use share::{CHUNK_BYTES, over_chunks};
use std::slice;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Bits of the loads that [`bench_read`] uses here.
#[unsafe(no_mangle)]
pub extern "C" fn bench_load_bits() -> u32 {
    read::load_bits()
}

/// Reads `bytes` bytes once and gives the greatest.
///
/// # Safety
/// `at` points to `bytes` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bench_read(at: *const u8, bytes: usize, threads: usize, prefetch: bool) -> u8 {
    // SAFETY: as the caller says.
    let all = unsafe { slice::from_raw_parts(at, bytes) };
    let top = AtomicU8::new(0);
    over_chunks(bytes.div_ceil(CHUNK_BYTES), threads, |chunk| {
        let from = chunk * CHUNK_BYTES;
        let part = &all[from..bytes.min(from + CHUNK_BYTES)];
        top.fetch_max(read::max(part, prefetch), Ordering::Relaxed);
    });
    top.into_inner()
}

/// For each row: reads it if `first_read`, and copies it to the same place of `to`.
///
/// # Safety
/// `from` and `to` point to `rows * row_bytes` bytes each, readable and writable, that do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bench_copy_rows(
    from: *const u8,
    to: *mut u8,
    rows: usize,
    row_bytes: usize,
    threads: usize,
    first_read: bool,
    streaming: bool,
) -> u8 {
    let top = AtomicU8::new(0);
    let (from, to) = (from as usize, to as usize); // addresses cross threads, pointers do not
    let step = (CHUNK_BYTES / row_bytes).max(1);
    over_chunks(rows.div_ceil(step), threads, |chunk| {
        for row in chunk * step..rows.min((chunk + 1) * step) {
            let at = row * row_bytes;
            // SAFETY: the row lies inside both, and no other thread has it.
            let (source, target) = unsafe {
                (
                    slice::from_raw_parts((from + at) as *const u8, row_bytes),
                    slice::from_raw_parts_mut((to + at) as *mut u8, row_bytes),
                )
            };
            if first_read {
                top.fetch_max(read::max(source, true), Ordering::Relaxed);
            }
            copy::copy(source, target, streaming);
        }
    });
    top.into_inner()
}

/// llama.cpp's loss of each row, into `out`; 0 if all is well, else the number of labels outside the
/// vocabulary.
///
/// # Safety
/// `logits` points to `rows * vocab` numbers, `labels` and `out` to `rows` each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bench_llama_nll(
    logits: *const f32,
    labels: *const i64,
    out: *mut f64,
    rows: usize,
    vocab: usize,
    threads: usize,
) -> usize {
    // SAFETY: as the caller says.
    let (logits, labels) =
        unsafe { (slice::from_raw_parts(logits, rows * vocab), slice::from_raw_parts(labels, rows)) };
    let (out, wrong) = (out as usize, AtomicUsize::new(0));
    let step = (CHUNK_BYTES / (vocab * size_of::<f32>())).max(1);
    over_chunks(rows.div_ceil(step), threads, |chunk| {
        for row in chunk * step..rows.min((chunk + 1) * step) {
            let x = &logits[row * vocab..(row + 1) * vocab];
            let label = usize::try_from(labels[row]).ok().and_then(|y| x.get(y));
            let Some(&label) = label else {
                wrong.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            // SAFETY: the row's own place, which no other thread has.
            unsafe { *(out as *mut f64).add(row) = llama::nll(x, label) };
        }
    });
    wrong.into_inner()
}
