//! Work over threads, as logitmeter shares it: from a common queue, the calling thread among them.

use std::sync::atomic::{AtomicUsize, Ordering};

/// About so many bytes of rows are one item of work.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Runs `work` once for each number below `chunks`.
pub fn over_chunks(chunks: usize, threads: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let chunk = next.fetch_add(1, Ordering::Relaxed);
            if chunk >= chunks {
                return;
            }
            work(chunk);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
}
