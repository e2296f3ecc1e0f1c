//! One digest: the bytes of a state of a fixed corpus, on every tier that runs here, and so under the
//! emulators of the others. `tests/test_same_bits.py` holds the states that Python makes to the
//! same values.

mod corpus;

use super::*;
use crate::element::Element;
use crate::kernel::{Isa, NUMERIC_VERSION};
use crate::parallel::Control;
use corpus::{Corpus, SETTINGS, Setting};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;

/// `numeric version N`, then a line a state: `ELEMENT, SETTING: SHA-256`.
const PINNED: &str = include_str!("../../tests/data/state_digests.txt");

/// Watches nothing.
struct Silent;

impl Control for Silent {
    fn tick(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Observer for Silent {
    fn wants_progress(&self) -> bool {
        false
    }
    fn progress(&mut self, _: Read, _: f64) {}
}

/// The state after reading a corpus in batches, on some threads of a tier.
fn state(corpus: &Corpus, setting: &Setting, isa: Isa, threads: usize, batch: usize) -> Vec<u8> {
    let settings = setting.settings();
    let mut scorer = Scorer::on(isa, settings.precision, threads);
    let mut reader = corpus.reader(setting, batch);
    let mut meter = Meter::new(settings);
    let update = Update { reader: &mut reader, scorer: Some(&mut scorer), by: &[], last: true };
    meter.update(update, &mut Silent).unwrap();
    meter.to_bytes().unwrap()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn every_tier_gives_the_pinned_digests() {
    // A test's standard output is shown only if it fails; which tiers ran is for every log.
    let ran: Vec<&str> = Isa::tested().map(Isa::name).collect();
    writeln!(std::io::stderr(), "one digest: tiers {}", ran.join(", ")).unwrap();
    for isa in Isa::tested() {
        let mut found = format!("numeric version {NUMERIC_VERSION}\n");
        for element in [Element::F32, Element::F16, Element::Bf16, Element::F64] {
            let corpus = Corpus::new(element);
            for setting in &SETTINGS {
                let digest = hexadecimal(&Sha256::digest(state(&corpus, setting, isa, 3, 515)));
                writeln!(found, "{}, {}: {digest}", element.name(), setting.name).unwrap();
            }
        }
        assert_eq!(found, PINNED, "{}", isa.name());
    }
}
