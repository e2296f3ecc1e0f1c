//! Work over threads, scoped to a call.
//!
//! A pool of the call's own, made at its first large piece of work and gone with it: no global
//! pool, whose threads a fork would lose. The calling thread works too, and between two items asks
//! its [`Control`] whether to go on, so that Ctrl-C is answered within one item's time.

use crate::error::{Error, ErrorKind, Result};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Asked now and then on the calling thread; an error stops the work.
pub trait Control {
    /// Whether to go on.
    ///
    /// # Errors
    /// The reason to stop.
    fn tick(&mut self) -> Result<()>;
}

/// Never stops.
pub struct Unhindered;

impl Control for Unhindered {
    fn tick(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The threads of one call.
pub struct Threads {
    wanted: usize,
    pool: Option<rayon_core::ThreadPool>,
}

impl Threads {
    /// So many, the calling one among them; at least one.
    #[must_use]
    pub fn new(wanted: usize) -> Self {
        Self { wanted: wanted.max(1), pool: None }
    }

    /// Runs `work` on every item, on all threads; with `alone` on the calling one only.
    ///
    /// # Errors
    /// What the control says, or a thread that cannot be started.
    pub fn for_each<T: Send>(
        &mut self,
        items: impl Iterator<Item = T> + Send,
        alone: bool,
        control: &mut dyn Control,
        work: impl Fn(T) + Sync,
    ) -> Result<()> {
        if alone || self.wanted == 1 {
            for item in items {
                control.tick()?;
                work(item);
            }
            return Ok(());
        }
        let queue = Mutex::new(items);
        let stopped = AtomicBool::new(false);
        let take = || if stopped.load(Ordering::Relaxed) { None } else { queue.lock().ok()?.next() };
        let helpers = self.wanted - 1;
        self.pool()?.in_place_scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|_| {
                    while let Some(item) = take() {
                        work(item);
                    }
                });
            }
            while let Some(item) = take() {
                if let Err(error) = control.tick() {
                    stopped.store(true, Ordering::Relaxed);
                    return Err(error);
                }
                work(item);
            }
            Ok(())
        })
    }

    fn pool(&mut self) -> Result<&rayon_core::ThreadPool> {
        if self.pool.is_none() {
            let pool = rayon_core::ThreadPoolBuilder::new()
                .num_threads(self.wanted - 1)
                .thread_name(|i| format!("logitmeter-{i}"))
                .build()
                .map_err(|e| Error::new(ErrorKind::Internal, format!("no threads: {e}")))?;
            self.pool = Some(pool);
        }
        self.pool.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "no threads"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_item_once_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let mut done = vec![0u32; 1000];
            Threads::new(threads).for_each(done.iter_mut(), false, &mut Unhindered, |x| *x += 1).unwrap();
            assert!(done.iter().all(|&x| x == 1));
        }
    }

    #[test]
    fn the_control_stops_all_threads() {
        struct Third(usize);
        impl Control for Third {
            fn tick(&mut self) -> Result<()> {
                self.0 += 1;
                if self.0 < 3 { Ok(()) } else { Err(Error::new(ErrorKind::Cancelled, "enough")) }
            }
        }
        for threads in [1, 3] {
            let done = AtomicUsize::new(0);
            let slow = |_| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                done.fetch_add(1, Ordering::Relaxed);
            };
            let stopped = Threads::new(threads).for_each(0..10_000, false, &mut Third(0), slow);
            assert_eq!(stopped.map_err(|e| e.kind()), Err(ErrorKind::Cancelled));
            assert!(done.load(Ordering::Relaxed) < 100);
        }
    }
}
