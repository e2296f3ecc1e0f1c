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

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use super::*;
    use crate::element::Element;
    use crate::kernel::{Isa, Kernel, Output, Precision, RowJob};
    use crate::rows::Vocab;
    use std::hint::black_box;

    /// Subnormal operands and results become 0.
    #[cfg(target_arch = "x86_64")]
    const FLUSHING: Word = 0x8040;
    #[cfg(target_arch = "aarch64")]
    const FLUSHING: Word = 1 << 24 | 1 << 19;

    /// Words that other code may leave: flushing, another rounding mode, every trap.
    #[cfg(target_arch = "x86_64")]
    const LEFT: [Word; 6] =
        [DEFAULT | FLUSHING, DEFAULT | 0x2000, DEFAULT | 0x4000, DEFAULT | 0x6000, 0, FLUSHING | 0x4000];
    /// The same without traps, which few of these processors have; f16 without infinities; one NaN.
    #[cfg(target_arch = "aarch64")]
    const LEFT: [Word; 6] = [FLUSHING, 1 << 22, 2 << 22, 3 << 22, 1 << 26, 1 << 25 | FLUSHING];

    /// What is not a setting but a record of what happened.
    #[cfg(target_arch = "x86_64")]
    const RECORDS: Word = 0x3f;
    #[cfg(target_arch = "aarch64")]
    const RECORDS: Word = 0;

    /// Whether a subnormal becomes 0. The product passes through a black box and its bits are looked
    /// at, so that the compiler computes nothing in another state.
    fn flushes() -> bool {
        black_box(black_box(1e-40f32) * black_box(1.0)).to_bits() == 0
    }

    #[test]
    fn flush_to_zero_is_lifted_and_put_back() {
        let before = read();
        write(before | FLUSHING);
        let outside = flushes();
        let inside = {
            let _guard = Guard::new();
            flushes()
        };
        let after = flushes();
        write(before);
        assert_eq!((outside, inside, after), (true, false, true));
    }

    #[test]
    fn unwinding_restores() {
        let before = read();
        write(before | FLUSHING);
        let set = read();
        let caught = std::panic::catch_unwind(|| {
            let _guard = Guard::new();
            panic!("on purpose");
        });
        let after = read();
        write(before);
        assert!(caught.is_err());
        assert_eq!(after & !RECORDS, set & !RECORDS);
        assert_ne!(after & !RECORDS, before & !RECORDS);
    }

    /// Bits of a row: everyday numbers, subnormals, and in some rows -inf, +inf or a NaN.
    fn row(element: Element, kind: usize) -> Vec<u8> {
        let infinity: u64 = match element {
            Element::F64 => 0x7ff0_0000_0000_0000,
            Element::F32 => 0x7f80_0000,
            Element::F16 => 0x7c00,
            Element::Bf16 => 0x7f80,
        };
        let size = element.size();
        let sign = 1u64 << (size * 8 - 1);
        let everyday = |i: u64| {
            (infinity / 2 + i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (infinity / 64)) | (sign * (i % 2))
        };
        let bits = (0..700).map(|i| match (kind, i) {
            (1, _) => (i * 7 % 90) | (sign * (i % 2)),
            (2, 5 | 600) => sign | infinity,
            (3, 650) => infinity,
            (4, 3) => infinity + 1,
            _ => everyday(i),
        });
        bits.flat_map(|bits| bits.to_le_bytes()[..size].to_vec()).collect()
    }

    /// Everything that the kernel makes of some rows, as bits.
    fn results(kernel: &Kernel, rows: &[Vec<u8>], columns: usize) -> Vec<u64> {
        let jobs: Vec<RowJob> = rows.iter().map(|row| RowJob { row, label: Some(5) }).collect();
        let (mut scores, mut found) = (Vec::new(), Vec::new());
        kernel.score(&jobs, &mut scores);
        for (row, score) in rows.iter().zip(&scores) {
            let (mut narrow, mut wide) = (vec![0.0f32; columns], vec![0.0f64; columns]);
            kernel.log_softmax(row, score.lse, Output::F32(&mut narrow));
            kernel.log_softmax(row, score.lse, Output::F64(&mut wide));
            found.extend([score.nll.to_bits(), score.lse.to_bits(), score.rank.into(), score.flags.0.into()]);
            found.extend(narrow.iter().map(|x| u64::from(x.to_bits())));
            found.extend(wide.iter().map(|x| x.to_bits()));
        }
        found
    }

    #[test]
    fn nothing_that_was_left_changes_a_bit_on_any_tier() {
        let vocab = Vocab::new(700, None, None).unwrap();
        for element in Element::ALL {
            let rows: Vec<Vec<u8>> = (0..5).map(|kind| row(element, kind)).collect();
            for isa in Isa::tested() {
                for precision in [Precision::Fast, Precision::Exact] {
                    let kernel = Kernel::new(isa, precision, element, &vocab);
                    let want = results(&kernel, &rows, 700);
                    for left in LEFT {
                        let before = read();
                        write(left);
                        let set = read();
                        let found = results(&kernel, &rows, 700);
                        let after = read();
                        write(before);
                        assert_eq!(after & !RECORDS, set & !RECORDS, "{left:#x}");
                        assert!(found == want, "{element} {} {precision:?} {left:#x}", isa.name());
                    }
                }
            }
        }
    }
}
