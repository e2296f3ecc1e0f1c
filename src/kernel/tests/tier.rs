//! Runs lane code of a test on a tier, compiled with its features as the kernel's own is.

use crate::kernel::lanes::Lanes32;
use crate::kernel::{Isa, portable};

#[cfg(target_arch = "aarch64")]
use crate::kernel::neon;
#[cfg(target_arch = "x86_64")]
use crate::kernel::{avx2, avx512};

/// Something to do with lanes; `run` must be `#[inline(always)]`.
pub(super) trait Work {
    /// # Safety
    /// The machine has the features of `L`.
    unsafe fn run<L: Lanes32>(&mut self);
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
            Isa::Neon => work.run::<neon::Narrow>(),
            _ => work.run::<portable::Portable<f32>>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
unsafe fn with_avx512(work: &mut impl Work) {
    // SAFETY: passed on.
    unsafe { work.run::<avx512::Narrow>() }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn with_avx2(work: &mut impl Work) {
    // SAFETY: passed on.
    unsafe { work.run::<avx2::Narrow>() }
}
