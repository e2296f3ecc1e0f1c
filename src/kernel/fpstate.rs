//! The floating-point state: saved, set to the default, restored.
//!
//! Another library may have switched on flush-to-zero, another rounding mode or traps
//! (`torch.set_flush_denormal(True)` does the first, and new threads inherit it). Whatever computes
//! with floats holds a [`Guard`] meanwhile: every scoring thread, and what selects, adds up and sums
//! up. Code that is not ours (a stream's, an observer's) runs outside of it, in its caller's state.
//! A guard restores on unwinding too.

/// While it lives, the thread computes in IEEE's default state.
pub(crate) struct Guard(Word);

impl Guard {
    /// Saves the thread's state and sets the default.
    pub(crate) fn new() -> Self {
        let saved = read();
        write(DEFAULT);
        Self(saved)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        write(self.0);
    }
}

#[cfg(target_arch = "x86_64")]
mod control {
    pub(super) type Word = u32;
    /// All exceptions masked, round to nearest even, no flushing.
    pub(super) const DEFAULT: Word = 0x1f80;

    pub(super) fn read() -> Word {
        let mut word: Word = 0;
        // SAFETY: stmxcsr writes four bytes to the address of a local u32; SSE is in x86_64's baseline.
        unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
        word
    }

    pub(super) fn write(word: Word) {
        // SAFETY: ldmxcsr reads four bytes from a local u32; the word is the default or one that
        // stmxcsr gave, so no reserved bit is set.
        unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod control {
    pub(super) type Word = u64;
    /// Round to nearest even, no flushing, no traps.
    pub(super) const DEFAULT: Word = 0;

    pub(super) fn read() -> Word {
        let word: Word;
        // SAFETY: reads FPCR, which every aarch64 process may read.
        unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack)) };
        word
    }

    pub(super) fn write(word: Word) {
        // SAFETY: writes FPCR with the default or with a word that was read from it.
        unsafe { std::arch::asm!("msr fpcr, {}", in(reg) word, options(nostack)) };
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod control {
    pub(super) type Word = ();
    pub(super) const DEFAULT: Word = ();
    pub(super) fn read() -> Word {}
    pub(super) fn write((): Word) {}
}

use control::{DEFAULT, Word, read, write};

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn flush_to_zero_is_lifted_and_put_back() {
        let before = read();
        write(before | 0x8040);
        let flushed = black_box(1e-40f32) * black_box(1.0) == 0.0;
        let inside = {
            let _guard = Guard::new();
            black_box(1e-40f32) * black_box(1.0) > 0.0
        };
        let after = read();
        write(before);
        assert!(flushed && inside);
        assert_eq!(after & 0x8040, 0x8040);
    }

    #[test]
    fn unwinding_restores() {
        let before = read();
        write(before | 0x8000);
        let caught = std::panic::catch_unwind(|| {
            let _guard = Guard::new();
            panic!("on purpose");
        });
        let after = read();
        write(before);
        assert!(caught.is_err());
        assert_eq!(after & 0x8000, 0x8000);
    }
}
