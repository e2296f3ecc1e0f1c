//! The kernel against a plain f64 oracle, and every tier against the portable one, bit by bit.

mod bounds;
mod fast_exp;
mod functions;
mod tier;
mod widening;

use super::*;
use proptest::prelude::*;

/// Stored logits of one element type.
#[derive(Clone, Debug)]
struct Stored {
    element: Element,
    bytes: Vec<u8>,
    values: Vec<f64>,
}

impl Stored {
    fn new(element: Element, values: &[f64]) -> Self {
        let mut bytes = Vec::new();
        for &x in values {
            match element {
                Element::F64 => bytes.extend(x.to_ne_bytes()),
                Element::F32 => bytes.extend((x as f32).to_ne_bytes()),
                Element::F16 => bytes.extend(half::f16::from_f64(x).to_bits().to_ne_bytes()),
                Element::Bf16 => bytes.extend(half::bf16::from_f64(x).to_bits().to_ne_bytes()),
            }
        }
        let values = (0..values.len()).filter_map(|i| element.get(&bytes, i)).collect();
        Self { element, bytes, values }
    }

    fn score(&self, isa: Isa, precision: Precision, label: usize, vocab: &Vocab) -> RowScore {
        let kernel = Kernel::new(isa, precision, self.element, vocab);
        let row = &self.bytes[..vocab.size() * self.element.size()];
        let mut out = Vec::new();
        kernel.score(&[RowJob { row, label: Some(label as u32) }], &mut out);
        out[0]
    }
}

/// (nll, lse) in f64 with compensated sums, the label apart.
fn oracle(x: &[f64], label: usize, allowed: impl Fn(usize) -> bool) -> (f64, f64) {
    let others = || x.iter().enumerate().filter(|&(j, _)| j != label && allowed(j)).map(|(_, &x)| x);
    let m = others().fold(f64::NEG_INFINITY, f64::max);
    if m == f64::NEG_INFINITY {
        return (0.0, x[label]);
    }
    let (mut sum, mut lost) = (0.0f64, 0.0);
    for x in others() {
        let (y, t) = ((x - m).exp(), sum);
        sum += y;
        lost += if t >= y { (t - sum) + y } else { (y - sum) + t };
    }
    let (u, v) = ((sum + lost).ln(), x[label] - m);
    let small = (-(u - v).abs()).exp().ln_1p();
    ((u - v).max(0.0) + small, m + u.max(v) + small)
}

fn ranks(x: &[f64], label: usize, allowed: impl Fn(usize) -> bool) -> (u32, u32, u32) {
    let others = || x.iter().enumerate().filter(|&(j, _)| j != label && allowed(j));
    let greater = others().filter(|&(_, &o)| o > x[label]).count() as u32;
    let ties = others().filter(|&(_, &o)| o == x[label]).count() as u32;
    let before = others().filter(|&(j, &o)| j < label && o == x[label]).count() as u32;
    (greater + before, greater, ties)
}

fn same_bits(a: &RowScore, b: &RowScore) -> bool {
    let facts = |s: &RowScore| (s.nll.to_bits(), s.lse.to_bits(), s.rank, s.greater, s.ties, s.flags);
    facts(a) == facts(b)
}

/// Checks one row on every tier in both precisions.
fn check(stored: &Stored, label: usize, vocab: &Vocab) {
    let allowed = |j| vocab.allows(j);
    let x = &stored.values[..vocab.size()];
    let (nll, lse) = oracle(x, label, allowed);
    for precision in [Precision::Fast, Precision::Exact] {
        let reference = stored.score(Isa::Portable, precision, label, vocab);
        let exact = precision == Precision::Exact || stored.element == Element::F64;
        let bound =
            if exact { 2e-13 * nll } else { 1e-6 * nll.min(1.0) + nll * f64::EPSILON } + 2f64.powi(-125);
        assert!((reference.nll - nll).abs() <= bound, "{} {nll} {stored:?}", reference.nll);
        let unit = lse.abs() * 1e-15 + if exact { 1e-13 } else { 1e-6 };
        assert!((reference.lse - lse).abs() <= unit, "lse {} {lse}", reference.lse);
        let (rank, greater, ties) = ranks(x, label, allowed);
        assert_eq!((reference.rank, reference.greater, reference.ties), (rank, greater, ties));
        for isa in Isa::tested() {
            let score = stored.score(isa, precision, label, vocab);
            assert!(same_bits(&score, &reference), "{isa:?} {score:?} {reference:?}");
        }
    }
}

/// A small generator of its own, so that rows can be large at no cost to the runner.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Shapes of rows that have broken such kernels.
fn row(kind: u8, len: usize, random: &mut Random) -> Vec<f64> {
    let offset = [0.0, 200.0, -300.0, 1e5, -1e6, 70_000.0, 61.0, -41.0][usize::from(kind) % 8];
    (0..len)
        .map(|j| match kind / 8 % 6 {
            0 => offset + 2.5 * random.normal(),
            1 => offset,
            2 => offset + if j == len / 2 { 60.0 } else { random.normal() },
            3 => offset + (random.normal() * 2.0).round(),
            4 if random.unit() < 0.4 => f64::NEG_INFINITY,
            4 => offset + 3.0 * random.normal(),
            _ => offset - 30.0 * random.unit() * f64::from(u8::from(j % 7 != 0)),
        })
        .collect()
}

const LENGTHS: [usize; 20] =
    [1, 2, 3, 15, 16, 17, 63, 64, 65, 511, 512, 513, 527, 1000, 1023, 1024, 1025, 1536, 2049, 4000];

#[test]
fn rows_of_every_shape_on_every_tier() {
    let mut random = Random(1);
    for element in Element::ALL {
        for (i, &len) in LENGTHS.iter().enumerate() {
            for kind in 0..48 {
                let stored = Stored::new(element, &row(kind, len, &mut random));
                let label = [0, len - 1, len / 2, random.next() as usize % len][(i + usize::from(kind)) % 4];
                let x = stored.values[label];
                let vocab = Vocab::new(len, None, None).unwrap();
                if x.is_finite() && !stored.values.contains(&f64::INFINITY) {
                    check(&stored, label, &vocab);
                }
            }
        }
    }
}

#[test]
fn masks_and_padded_vocabularies() {
    let mut random = Random(2);
    for element in Element::ALL {
        for len in [2, 40, 600, 1100, 3000] {
            for round in 0..12 {
                let values: Vec<f64> = (0..len).map(|_| 2.0 * random.normal()).collect();
                let block = 1 + random.next() as usize % 700;
                let mask: Vec<bool> = (0..len).map(|j| (j / block + round).is_multiple_of(2)).collect();
                let valid = 1 + random.next() as usize % len;
                let Ok(vocab) = Vocab::new(len, Some(valid), Some(&mask)) else { continue };
                let allowed: Vec<usize> = (0..valid).filter(|&j| vocab.allows(j)).collect();
                let label = allowed[random.next() as usize % allowed.len()];
                check(&Stored::new(element, &values), label, &vocab);
                let plain = Vocab::new(len, Some(valid), None).unwrap();
                check(&Stored::new(element, &values), valid - 1, &plain);
            }
        }
    }
}

#[test]
fn a_padded_vocabulary_has_the_bits_of_the_slice() {
    let mut random = Random(3);
    let values: Vec<f64> = (0..1500).map(|_| 3.0 * random.normal()).collect();
    for element in Element::ALL {
        let (long, short) = (Stored::new(element, &values), Stored::new(element, &values[..1111]));
        let a = long.score(Isa::Portable, Precision::Fast, 7, &Vocab::new(1500, Some(1111), None).unwrap());
        let b = short.score(Isa::Portable, Precision::Fast, 7, &Vocab::new(1111, None, None).unwrap());
        assert!(same_bits(&a, &b));
    }
}

#[test]
fn a_bf16_row_has_the_bits_of_its_f32_copy() {
    let mut random = Random(4);
    for len in LENGTHS {
        let values: Vec<f64> = (0..len).map(|_| 3.0 * random.normal()).collect();
        let vocab = Vocab::new(len, None, None).unwrap();
        for element in [Element::Bf16, Element::F16] {
            let half = Stored::new(element, &values);
            let wide = Stored::new(Element::F32, &half.values);
            for isa in Isa::tested() {
                let a = half.score(isa, Precision::Fast, len / 3, &vocab);
                assert!(same_bits(&a, &wide.score(isa, Precision::Fast, len / 3, &vocab)));
            }
        }
    }
}

/// The table of `numerics.md`: what each strange row is worth.
#[test]
fn edge_cases() {
    let inf = f64::INFINITY;
    let big = f64::from(f32::MAX);
    let half = f64::from(half::f16::MAX);
    for element in Element::ALL {
        let max = match element {
            Element::F16 => half,
            _ => big * 0.99,
        };
        for isa in Isa::tested() {
            for precision in [Precision::Fast, Precision::Exact] {
                let of = |x: &[f64], y: usize| {
                    let vocab = Vocab::new(x.len(), None, None).unwrap();
                    Stored::new(element, x).score(isa, precision, y, &vocab)
                };
                assert_eq!(of(&[5.0], 0).nll.to_bits(), 0.0f64.to_bits());
                assert_eq!(of(&[5.0], 0).lse, 5.0);
                assert_eq!(of(&[1.0, -inf, 1.0], 0).nll, of(&[1.0, 1.0], 0).nll);
                let hopeless = of(&[1.0, -inf, 0.0], 1);
                assert_eq!((hopeless.nll, hopeless.rank), (inf, 2));
                assert!(hopeless.flags.has(Flags::NEGINF_LABEL) && !hopeless.flags.invalid());
                assert_eq!(of(&[-inf, 3.0, -inf], 1).nll.to_bits(), 0.0f64.to_bits());
                assert!((of(&[max, max, max], 1).nll - 3f64.ln()).abs() < 1e-6);
                assert!((of(&[-max, -max, -max], 1).nll - 3f64.ln()).abs() < 1e-6);
                let far = of(&[0.0, -1000.0], 1);
                assert_eq!((far.nll, far.rank), (1000.0, 1));
                let sure = of(&[0.0, -40.0], 0).nll;
                assert!((sure / 4.248_354_255_291_589e-18 - 1.0).abs() < 1e-6, "{sure}");
                for (bad, flag) in [
                    (vec![-inf, -inf], Flags::EMPTY),
                    (vec![0.0, inf], Flags::POSINF),
                    (vec![inf, 0.0], Flags::POSINF),
                    (vec![0.0, f64::NAN], Flags::NAN),
                    (vec![f64::NAN, 0.0], Flags::NAN),
                    (vec![-inf, f64::NAN], Flags::NAN),
                ] {
                    let score = of(&bad, 0);
                    assert!(score.flags.has(flag), "{bad:?} {score:?}");
                    assert_eq!(score.nll.to_bits(), f64::NAN.to_bits());
                }
                let zeros = of(&[0.0, -0.0, -1.0], 1);
                assert_eq!((zeros.rank, zeros.ties, zeros.greater), (1, 1, 0));
            }
        }
    }
}

/// A NaN or +inf is found at every lane, in the tail and as the label.
#[test]
fn bad_values_at_every_place() {
    for element in Element::ALL {
        for len in [70, 530, 1024] {
            let vocab = Vocab::new(len, None, None).unwrap();
            for at in (0..len).filter(|j| *j < 80 || j % 61 == 0 || *j > len - 20) {
                for bad in [f64::NAN, f64::INFINITY] {
                    let mut values = vec![0.5; len];
                    values[at] = bad;
                    let stored = Stored::new(element, &values);
                    for isa in Isa::tested() {
                        let score = stored.score(isa, Precision::Fast, 33, &vocab);
                        assert!(score.flags.invalid(), "{element} {len} {at} {bad} {isa:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn alignment_does_not_matter() {
    let mut random = Random(5);
    let values: Vec<f64> = (0..700).map(|_| random.normal()).collect();
    let vocab = Vocab::new(700, None, None).unwrap();
    let stored = Stored::new(Element::F32, &values);
    for shift in 1..8 {
        let mut moved = vec![0u8; shift];
        moved.extend(&stored.bytes);
        let mut out = Vec::new();
        for isa in Isa::tested() {
            let kernel = Kernel::new(isa, Precision::Fast, Element::F32, &vocab);
            kernel.score(&[RowJob { row: &moved[shift..], label: Some(3) }], &mut out);
        }
        let want = stored.score(Isa::Portable, Precision::Fast, 3, &vocab);
        assert!(out.iter().all(|score| same_bits(score, &want)));
    }
}

#[test]
fn log_softmax_and_top_k() {
    let mut random = Random(6);
    let values: Vec<f64> = (0..900).map(|_| (4.0 * random.normal()).round()).collect();
    let mask: Vec<bool> = (0..900).map(|j| j % 3 != 1).collect();
    let vocab = Vocab::new(900, Some(800), Some(&mask)).unwrap();
    for element in Element::ALL {
        let stored = Stored::new(element, &values);
        let row = &stored.bytes[..800 * element.size()];
        for isa in Isa::tested() {
            let kernel = Kernel::new(isa, Precision::Fast, element, &vocab);
            let mut out = Vec::new();
            kernel.score(&[RowJob { row, label: None }], &mut out);
            let mut logprobs = vec![0.0f64; 900];
            kernel.log_softmax(row, out[0].lse, Output::F64(&mut logprobs));
            let total: f64 = logprobs.iter().map(|x| x.exp()).sum();
            assert!((total - 1.0).abs() < 2e-6, "{total}");
            assert!((0..900).all(|j| (logprobs[j] == f64::NEG_INFINITY) != vocab.allows(j)));
            let mut want: Vec<usize> = (0..800).filter(|&j| vocab.allows(j)).collect();
            want.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
            let got: Vec<usize> = kernel.top_k(row, 25).iter().map(|e| e.id as usize).collect();
            assert_eq!(got, want[..25]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn random_bit_patterns_give_the_same_bits(seed: u64, len in 1usize..1200, narrow: bool) {
        let mut random = Random(seed);
        let mut bytes = Vec::new();
        for _ in 0..len {
            // Any finite f32 at all, or one of moderate size.
            let x = f32::from_bits(random.next() as u32);
            let x = if narrow { (random.normal() * 20.0) as f32 } else if x.is_finite() { x } else { 1.0 };
            bytes.extend(x.to_ne_bytes());
        }
        let stored = Stored { element: Element::F32, bytes, values: vec![] };
        let vocab = Vocab::new(len, None, None).unwrap();
        let label = random.next() as usize % len;
        for precision in [Precision::Fast, Precision::Exact] {
            let want = stored.score(Isa::Portable, precision, label, &vocab);
            for isa in Isa::tested() {
                let got = stored.score(isa, precision, label, &vocab);
                prop_assert!(same_bits(&got, &want), "{isa:?} {got:?} {want:?}");
            }
        }
    }
}

/// Which tiers the tests above ran on; `LOGITMETER_REQUIRE_ISA=avx512,avx2` makes one that did not
/// run a failure, so that no log claims more than was tested.
#[test]
fn tiers_that_ran() {
    let required = std::env::var("LOGITMETER_REQUIRE_ISA").unwrap_or_default();
    let ran: Vec<&str> = Isa::tested().map(Isa::name).collect();
    for isa in Isa::ALL {
        println!("tier {}: {}", isa.name(), if ran.contains(&isa.name()) { "ran" } else { "NOT RUN" });
    }
    for name in required.split(',').filter(|name| !name.is_empty()) {
        assert!(ran.contains(&name), "required tier {name} did not run");
    }
    assert!(Isa::named("sse9").is_err());
}
