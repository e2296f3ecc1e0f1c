//! The tiers that tests run, and lane code of a test on one of them, compiled with its features as
//! the kernel's own is.

use crate::kernel::lanes::{Lanes32, Lanes64};
use crate::kernel::{Isa, portable};
use std::sync::LazyLock;

#[cfg(target_arch = "aarch64")]
use crate::kernel::neon;
#[cfg(target_arch = "x86_64")]
use crate::kernel::{avx2, avx512};

/// Read once: a test asks for every row.
static TESTED: LazyLock<Vec<Isa>> = LazyLock::new(|| match std::env::var(Isa::VARIABLE) {
    Ok(name) if !name.is_empty() => vec![Isa::choose().unwrap()],
    _ => Isa::all_available().collect(),
});

impl Isa {
    /// The tiers that tests compare with the portable one: all that this machine runs, or the one
    /// that `LOGITMETER_ISA` names (under an emulator each of them costs minutes).
    pub(crate) fn tested() -> impl Iterator<Item = Self> {
        TESTED.iter().copied()
    }
}

/// Something to do with lanes; `run` must be `#[inline(always)]`.
pub(super) trait Work {
    /// # Safety
    /// The machine has the features of `L` and `W`.
    unsafe fn run<L: Lanes32, W: Lanes64>(&mut self);
}

/// Does it on this tier.
pub(super) fn on(isa: Isa, work: &mut impl Work) {
    assert!(isa.available());
    // SAFETY: the machine has the tier, as was just checked.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => with_avx512(work),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => with_avx2(work),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => work.run::<neon::Narrow, neon::Wide>(),
            _ => work.run::<portable::Portable<f32>, portable::Portable<f64>>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
unsafe fn with_avx512(work: &mut impl Work) {
    // SAFETY: passed on.
    unsafe { work.run::<avx512::Narrow, avx512::Wide>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn with_avx2(work: &mut impl Work) {
    // SAFETY: passed on.
    unsafe { work.run::<avx2::Narrow, avx2::Wide>() }
}
