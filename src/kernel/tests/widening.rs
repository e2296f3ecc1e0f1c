//! Every f16 and bf16 value widens exactly: in each lane of each tier's load, and in whole rows,
//! where a tier may take a shorter way, at each lane of a full block, of a masked block and of the
//! tail, and as the label.

use super::tier::{Work, on};
use super::{Stored, same_bits};
use crate::element::{Element, bf16_to_f32, f16_to_f32};
use crate::kernel::lanes::{self, Bf16, F16, Lanes32, Lanes64};
use crate::kernel::{Isa, Precision};
use crate::rows::Vocab;

const HALVES: [Element; 2] = [Element::F16, Element::Bf16];

/// Widened by the lanes of a tier: the f32 lanes, and the f64 lanes of the exact path.
struct Widen<'a> {
    element: Element,
    bits: &'a [u16],
    narrow: &'a mut [f32],
    wide: &'a mut [f64],
}

impl Work for Widen<'_> {
    #[inline(always)]
    unsafe fn run<L: Lanes32, W: Lanes64>(&mut self) {
        let out = self.narrow.as_chunks_mut().0.iter_mut().zip(self.wide.as_chunks_mut().0);
        for (bits, (narrow, wide)) in self.bits.as_chunks().0.iter().zip(out) {
            // SAFETY: passed on.
            unsafe {
                match self.element {
                    Element::F16 => widen::<L, W, F16>(bits, narrow, wide),
                    _ => widen::<L, W, Bf16>(bits, narrow, wide),
                }
            }
        }
    }
}

/// Sixteen columns, in the order that the hot loop puts them.
#[inline(always)]
unsafe fn widen<L: Lanes32, W: Lanes64, E: lanes::Stored>(
    bits: &[u16; 16],
    narrow: &mut [f32; 16],
    wide: &mut [f64; 16],
) {
    for stripe in 0..16 / L::WIDTH {
        // SAFETY: the caller has the features; there are 16 elements.
        unsafe { L::store(E::load32::<L>(bits.as_ptr().cast(), stripe), &mut narrow[stripe * L::WIDTH..]) };
    }
    E::order32::<L>(narrow);
    for (bits, wide) in bits.chunks_exact(W::WIDTH).zip(wide.chunks_exact_mut(W::WIDTH)) {
        // SAFETY: the caller has the features; a chunk has the vector's length.
        unsafe { W::store(E::load64::<W>(bits.as_ptr().cast()), wide) };
    }
}

/// The oracle: by the crate half.
fn widened(element: Element, bits: u16) -> f32 {
    match element {
        Element::F16 => half::f16::from_bits(bits).to_f32(),
        _ => half::bf16::from_bits(bits).to_f32(),
    }
}

/// A NaN need only stay one: its payload reaches no result.
fn same_value(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Whether an f64 is a widened f32.
fn is_f32(y: f64) -> bool {
    y.is_nan() || f64::from(y as f32) == y
}

#[test]
fn every_16_bit_value_widens_exactly_in_every_lane() {
    for isa in Isa::tested() {
        for element in HALVES {
            for shift in 0..16 {
                let bits: Vec<u16> = (0..=u16::MAX).map(|bits| bits.wrapping_add(shift)).collect();
                let (mut narrow, mut wide) = (vec![0.0; bits.len()], vec![0.0; bits.len()]);
                on(isa, &mut Widen { element, bits: &bits, narrow: &mut narrow, wide: &mut wide });
                for ((&bits, &x), &y) in bits.iter().zip(&narrow).zip(&wide) {
                    let want = widened(element, bits);
                    let exact = same_value(x, want) && same_value(y as f32, want) && is_f32(y);
                    assert!(exact, "{isa:?} {element} {bits:#06x}: {x} {y}");
                }
            }
        }
    }
}

/// A full block, then the label's: 64 columns and a tail of nine.
const COLUMNS: usize = 585;
const LABEL: usize = 552;

/// Where a value stands: a column of the full block, beside the label, or of the tail.
fn places(lane: usize) -> [usize; 3] {
    [16 * (lane + 3) + lane, 512 + lane, 576 + lane % 9]
}

/// These at every lane, and the label.
fn every_place() -> impl Iterator<Item = usize> {
    (0..16).flat_map(places).chain([LABEL])
}

/// A row of zeros, but for one value: it must score as the row of its f32 copy does.
fn check(element: Element, bits: u16, column: usize, vocab: &Vocab) {
    let mut bytes = vec![0; COLUMNS * 2];
    bytes[column * 2..column * 2 + 2].copy_from_slice(&bits.to_ne_bytes());
    let half = Stored { element, bytes, values: vec![] };
    let mut bytes = vec![0; COLUMNS * 4];
    bytes[column * 4..column * 4 + 4].copy_from_slice(&widened(element, bits).to_ne_bytes());
    let wide = Stored { element: Element::F32, bytes, values: vec![] };
    for precision in [Precision::Fast, Precision::Exact] {
        let want = wide.score(Isa::Portable, precision, LABEL, vocab);
        for isa in Isa::tested() {
            let got = half.score(isa, precision, LABEL, vocab);
            assert!(same_bits(&got, &want), "{isa:?} {element} {bits:#06x} at {column}: {got:?} {want:?}");
        }
    }
}

/// Zeros, subnormals, the ends of the normal numbers, infinities and NaNs, of both signs.
fn special(element: Element) -> impl Iterator<Item = u16> {
    let (least_normal, infinity) = if element == Element::F16 { (0x400, 0x7c00) } else { (0x80, 0x7f80) };
    let centres = [0u16, least_normal, infinity, infinity | 0x7f, 0x7fff];
    let near = centres.into_iter().flat_map(|bits| (0..3).map(move |i| bits.wrapping_add(i).wrapping_sub(1)));
    near.flat_map(|bits| [bits, bits ^ 0x8000])
}

#[test]
fn special_16_bit_values_at_every_place_of_a_row() {
    let vocab = Vocab::new(COLUMNS, None, None).unwrap();
    for element in HALVES {
        for bits in special(element) {
            for column in every_place() {
                check(element, bits, column, &vocab);
            }
        }
        for bits in (0..=u16::MAX).step_by(29) {
            check(element, bits, places(usize::from(bits) % 16)[usize::from(bits) / 16 % 3], &vocab);
        }
    }
}

#[test]
#[ignore = "minutes: make prove"]
fn prove_every_16_bit_value_at_every_place_of_a_row() {
    let vocab = Vocab::new(COLUMNS, None, None).unwrap();
    for element in HALVES {
        for bits in 0..=u16::MAX {
            for column in every_place() {
                check(element, bits, column, &vocab);
            }
        }
    }
}

/// One entry is taken for another's equal or neighbour only if it is.
#[test]
fn neighbours_of_16_bit_values_rank_as_numbers() {
    let vocab = Vocab::new(COLUMNS, None, None).unwrap();
    for element in HALVES {
        let widen = if element == Element::F16 { f16_to_f32 } else { bf16_to_f32 };
        for bits in (0..=u16::MAX).step_by(5).filter(|&bits| widen(bits).is_finite()) {
            let lane = usize::from(bits) % 16;
            let mut values = vec![bits; COLUMNS];
            for (i, column) in places(lane).iter().enumerate() {
                values[*column] = bits.wrapping_add([1, 0xffff, 1][i]);
            }
            let x = widen(bits);
            let others: Vec<f32> = places(lane).iter().map(|&column| widen(values[column])).collect();
            if others.iter().any(|other| !other.is_finite()) {
                continue;
            }
            let greater = others.iter().filter(|&&other| other > x).count() as u32;
            let equal = others.iter().filter(|&&other| other == x).count() as u32;
            let bytes = values.iter().flat_map(|bits| bits.to_ne_bytes()).collect();
            let row = Stored { element, bytes, values: vec![] };
            for isa in Isa::tested() {
                let score = row.score(isa, Precision::Fast, LABEL, &vocab);
                assert_eq!((score.greater, score.ties), (greater, COLUMNS as u32 - 4 + equal), "{bits:#06x}");
            }
        }
    }
}
