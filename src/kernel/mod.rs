//! Scores rows of logits. Knows neither Arrow nor Python, and depends on no crate.
//!
//! The algorithm stands once, in `row.rs`, over the two paths of `path.rs` (f32 lanes and f64 lanes); the
//! files of the instruction sets hold only lane operations. A tier is chosen once a batch by a match on [`Isa`].
//! Every tier gives the same bits.

mod block;
mod exp;
pub(crate) mod fpstate;
mod lanes;
mod path;
mod portable;
mod row;
mod softmax;
mod top_k;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

#[cfg(test)]
mod tests;

use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::rows::Vocab;

pub use softmax::Output;
pub use top_k::Entry;

/// Changes whenever a change of this kernel changes a bit of a result; a part of every state.
pub const NUMERIC_VERSION: u32 = 2;

/// What one row gives; every metric is derived from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowScore {
    /// Negative log-likelihood of the label, in nats.
    pub nll: f64,
    /// ln of the sum of exp over all allowed entries.
    pub lse: f64,
    /// Entries above the label, and equal ones at a lower index: 0 is best.
    pub rank: u32,
    /// Entries above the label.
    pub greater: u32,
    /// Other entries equal to the label.
    pub ties: u32,
    /// Facts about the row.
    pub flags: Flags,
}

/// Facts about a row, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// An allowed entry is NaN.
    pub const NAN: Self = Self(1);
    /// An allowed entry is +inf.
    pub const POSINF: Self = Self(2);
    /// Every allowed entry is -inf.
    pub const EMPTY: Self = Self(4);
    /// The label's logit is -inf.
    pub const NEGINF_LABEL: Self = Self(8);

    /// There is no row: it is null.
    pub const MISSING: Self = Self(16);

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it holds any of `other`.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What an invalid row holds, in the words of errors.
    #[must_use]
    pub const fn fault(self) -> &'static str {
        if self.has(Self::MISSING) {
            "null"
        } else if self.has(Self::NAN) {
            "NaN"
        } else if self.has(Self::POSINF) {
            "+inf"
        } else {
            "-inf in every allowed entry"
        }
    }

    /// Whether the row has no distribution at all.
    #[must_use]
    pub const fn invalid(self) -> bool {
        self.has(Self(Self::NAN.0 | Self::POSINF.0 | Self::EMPTY.0 | Self::MISSING.0))
    }
}

/// A row to score: the bytes of its first `vocab.size()` columns, and its label.
#[derive(Clone, Copy)]
pub struct RowJob<'a> {
    /// The stored logits.
    pub row: &'a [u8],
    /// The label; without one only `lse` has a meaning.
    pub label: Option<u32>,
}

/// How a row is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32 lanes: |error of nll| <= 1e-6 min(1, nll). f64 input takes the exact path all the same.
    Fast,
    /// f64: 1e-13 relative.
    Exact,
}

/// An instruction-set tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, on every machine.
    Portable,
    /// AVX2, FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// NEON, on every aarch64 machine.
    Neon,
}

impl Isa {
    /// All of them, the widest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
    /// The environment variable that forces one.
    pub const VARIABLE: &'static str = "LOGITMETER_ISA";

    /// Its name, as the variable spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Neon => "neon",
        }
    }

    /// Whether this machine can run it.
    #[must_use]
    pub fn available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::available(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::available(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            _ => false,
        }
    }

    /// Those that this machine can run, the widest first.
    pub fn all_available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.available())
    }

    /// The widest one, or the one that `LOGITMETER_ISA` names.
    ///
    /// # Errors
    /// A name that is unknown, or that this machine lacks: never a silent substitute.
    pub fn choose() -> Result<Self> {
        match std::env::var(Self::VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name),
            _ => Ok(Self::all_available().next().unwrap_or(Self::Portable)),
        }
    }

    /// The available tier of that name.
    fn named(name: &str) -> Result<Self> {
        let listed = Self::all_available().map(Self::name).collect::<Vec<_>>().join(", ");
        Self::all_available().find(|isa| isa.name() == name).ok_or_else(|| {
            let known = Self::ALL.iter().any(|isa| isa.name() == name);
            let why = if known { "this machine lacks it" } else { "no tier has that name" };
            Error::new(
                ErrorKind::Settings,
                format!("{} is {name:?}, but {why}; this machine has {listed}", Self::VARIABLE),
            )
            .wanted(listed, name)
        })
    }
}

/// How rows are read and what is asked of them.
#[derive(Clone, Copy)]
pub struct Kernel<'a> {
    isa: Isa,
    precision: Precision,
    element: Element,
    vocab: &'a Vocab,
}

/// Runs a generic function under the target features of a tier.
macro_rules! dispatch {
    ($isa:expr, $run:ident($($arg:expr),*)) => {
        match $isa {
            // SAFETY: `Kernel::new` has checked that this machine has the tier's features, and
            // `Kernel::check` that each row has the vocabulary's length and its label lies below it.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::$run($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::$run($($arg),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::$run($($arg),*) },
            // SAFETY: as above; the portable tier needs no feature.
            _ => unsafe { portable::$run($($arg),*) },
        }
    };
}

/// The entry points of one tier: the generic code, compiled with its features.
macro_rules! entry_points {
    ($narrow:ty, $wide:ty $(, $feature:literal)?) => {
        /// # Safety
        /// The machine has the tier's features; every row has `vocab.size()` elements and every
        /// label lies below it.
        $(#[target_feature(enable = $feature)])?
        pub(super) unsafe fn score(
            precision: super::Precision,
            element: crate::element::Element,
            vocab: &crate::rows::Vocab,
            jobs: &[super::RowJob],
            out: &mut Vec<super::RowScore>,
        ) {
            // SAFETY: passed on.
            unsafe { super::score_with::<$narrow, $wide>(precision, element, vocab, jobs, out) }
        }

        /// # Safety
        /// The machine has the tier's features; `row` has `vocab.size()` elements.
        $(#[target_feature(enable = $feature)])?
        pub(super) unsafe fn log_softmax(
            element: crate::element::Element,
            vocab: &crate::rows::Vocab,
            row: &[u8],
            lse: f64,
            out: super::Output,
        ) {
            super::softmax::write(element, vocab, row, lse, out);
        }
    };
}
use entry_points;

impl<'a> Kernel<'a> {
    /// A kernel; the tier falls back to the portable one where the machine lacks it.
    #[must_use]
    pub fn new(isa: Isa, precision: Precision, element: Element, vocab: &'a Vocab) -> Self {
        let isa = if isa.available() { isa } else { Isa::Portable };
        Self { isa, precision, element, vocab }
    }

    /// Appends one score a job.
    ///
    /// # Panics
    /// If a row or a label does not fit the vocabulary: the callers have checked both.
    pub fn score(&self, jobs: &[RowJob], out: &mut Vec<RowScore>) {
        for job in jobs {
            self.check(job);
        }
        let _state = fpstate::Guard::new();
        dispatch!(self.isa, score(self.precision, self.element, self.vocab, jobs, out));
    }

    /// Writes x - lse for every entry of a row, -inf for those that are not allowed.
    pub fn log_softmax(&self, row: &[u8], lse: f64, out: Output) {
        self.check(&RowJob { row, label: None });
        let _state = fpstate::Guard::new();
        dispatch!(self.isa, log_softmax(self.element, self.vocab, row, lse, out));
    }

    /// The `k` greatest allowed entries, by value, then by lower index.
    #[must_use]
    pub fn top_k(&self, row: &[u8], k: usize) -> Vec<Entry> {
        self.check(&RowJob { row, label: None });
        top_k::top_k(self.element, self.vocab, row, k)
    }

    fn check(&self, job: &RowJob) {
        assert_eq!(job.row.len(), self.vocab.size() * self.element.size());
        assert!(job.label.is_none_or(|y| (y as usize) < self.vocab.size()));
    }
}

/// The same for every tier: which path an element type takes.
///
/// # Safety
/// The machine has the features of the lanes; rows and labels fit the vocabulary.
#[inline(always)]
unsafe fn score_with<L: lanes::Lanes32, W: lanes::Lanes64>(
    precision: Precision,
    element: Element,
    vocab: &Vocab,
    jobs: &[RowJob],
    out: &mut Vec<RowScore>,
) {
    use lanes::{Bf16, F16, F32, F64};
    use path::{Exact, Fast};
    // SAFETY: passed on.
    unsafe {
        match (precision, element) {
            (Precision::Fast, Element::F32) => row::score::<Fast<L>, F32>(jobs, vocab, out),
            (Precision::Fast, Element::F16) => row::score::<Fast<L>, F16>(jobs, vocab, out),
            (Precision::Fast, Element::Bf16) => row::score::<Fast<L>, Bf16>(jobs, vocab, out),
            (_, Element::F64) => row::score::<Exact<W>, F64>(jobs, vocab, out),
            (_, Element::F32) => row::score::<Exact<W>, F32>(jobs, vocab, out),
            (_, Element::F16) => row::score::<Exact<W>, F16>(jobs, vocab, out),
            (_, Element::Bf16) => row::score::<Exact<W>, Bf16>(jobs, vocab, out),
        }
    }
}

impl RowScore {
    /// The score of a row that has no distribution: why is found by looking at every entry.
    #[cold]
    fn invalid(element: Element, row: &[u8], vocab: &Vocab) -> Self {
        let allowed = (0..vocab.size()).filter(|&i| vocab.allows(i));
        let flags = allowed.filter_map(|i| element.get(row, i)).fold(Flags(0), |flags, x| {
            if x.is_nan() {
                flags.with(Flags::NAN)
            } else if x == f64::INFINITY {
                flags.with(Flags::POSINF)
            } else {
                flags
            }
        });
        let flags = if flags == Flags(0) { Flags::EMPTY } else { flags };
        Self { nll: f64::NAN, lse: f64::NAN, rank: 0, greater: 0, ties: 0, flags }
    }
}
