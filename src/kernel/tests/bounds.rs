//! No byte outside a row is read or written: each row is an allocation of its own, of exactly its
//! size, so that `AddressSanitizer` sees any that is (`make asan`). Scores are compared besides, since
//! a byte too many would also be one that counts.

use super::{Random, same_bits};
use crate::element::Element;
use crate::kernel::{Isa, Kernel, Output, Precision, RowJob, RowScore};
use crate::rows::Vocab;

const LENGTHS: [usize; 24] =
    [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 129, 511, 512, 513, 527, 575, 640, 1023, 1025];

/// A row whose allocation begins and ends with it, at an odd address where `shift` is odd.
struct Exact {
    bytes: Box<[u8]>,
    shift: usize,
}

impl Exact {
    fn new(element: Element, len: usize, shift: usize, random: &mut Random) -> Self {
        let mut bytes = vec![0; shift];
        for _ in 0..len {
            let x = (random.normal() * 3.0) as f32;
            match element {
                Element::F64 => bytes.extend(f64::from(x).to_ne_bytes()),
                Element::F32 => bytes.extend(x.to_ne_bytes()),
                Element::F16 => bytes.extend(half::f16::from_f32(x).to_bits().to_ne_bytes()),
                Element::Bf16 => bytes.extend(half::bf16::from_f32(x).to_bits().to_ne_bytes()),
            }
        }
        Self { bytes: bytes.into_boxed_slice(), shift }
    }

    fn row(&self) -> &[u8] {
        &self.bytes[self.shift..]
    }
}

fn score(
    isa: Isa,
    precision: Precision,
    element: Element,
    vocab: &Vocab,
    row: &[u8],
    label: usize,
) -> RowScore {
    let mut out = Vec::new();
    let job = RowJob { row, label: Some(label as u32) };
    Kernel::new(isa, precision, element, vocab).score(&[job], &mut out);
    out[0]
}

/// All that a kernel does to one row.
fn check(element: Element, vocab: &Vocab, row: &Exact) {
    for label in [0, vocab.size() / 2, vocab.size() - 1].into_iter().filter(|&y| vocab.allows(y)) {
        for precision in [Precision::Fast, Precision::Exact] {
            let want = score(Isa::Portable, precision, element, vocab, row.row(), label);
            for isa in Isa::tested() {
                let got = score(isa, precision, element, vocab, row.row(), label);
                assert!(same_bits(&got, &want), "{isa:?} {element} {got:?} {want:?}");
            }
        }
    }
    for isa in Isa::tested() {
        let kernel = Kernel::new(isa, Precision::Fast, element, vocab);
        let (mut narrow, mut wide) = (vec![0.0f32; vocab.size()], vec![0.0f64; vocab.size()]);
        kernel.log_softmax(row.row(), 1.0, Output::F32(&mut narrow));
        kernel.log_softmax(row.row(), 1.0, Output::F64(&mut wide));
        assert!(narrow.iter().zip(&wide).all(|(&a, &b)| a == b as f32));
        assert_eq!(kernel.top_k(row.row(), 3).len(), vocab.allowed().min(3));
    }
}

#[test]
fn rows_end_where_they_end() {
    let mut random = Random(9);
    for element in Element::ALL {
        for (i, &len) in LENGTHS.iter().enumerate() {
            let row = Exact::new(element, len, i % 3, &mut random);
            check(element, &Vocab::new(len, None, None).unwrap(), &row);
            let mask: Vec<bool> = (0..len).map(|j| (j / 70 + i).is_multiple_of(2) || j % 5 == 0).collect();
            check(element, &Vocab::new(len, None, Some(&mask)).unwrap(), &row);
        }
    }
}
