//! A state's bytes: refused, or read and written again as they were; never a panic.

#![no_main]

mod input;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use logitmeter::meter::Meter;
use std::sync::LazyLock;

/// Bytes as they come, or those of a real state after some changes.
#[derive(Arbitrary, Debug)]
enum Bytes<'a> {
    Any(&'a [u8]),
    Changed { state: usize, changes: Vec<(u16, u8)>, cut: Option<u16>, more: &'a [u8] },
}

/// States of some small inputs.
static STATES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let states = (0..32).filter_map(|seed| input::state_of_seed(seed).ok());
    states.filter(|state| state.len() < 6000).collect()
});

impl Bytes<'_> {
    fn get(&self) -> Vec<u8> {
        match self {
            Self::Any(bytes) => bytes.to_vec(),
            Self::Changed { state, changes, cut, more } => {
                let mut bytes = STATES[state % STATES.len()].clone();
                for &(at, byte) in changes {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] = byte;
                }
                bytes.truncate(cut.map_or(bytes.len(), usize::from));
                bytes.extend_from_slice(more);
                bytes
            }
        }
    }
}

/// Whatever is read is written as it was, can be summed up, and merged into something readable.
fn check(bytes: &[u8]) {
    let Ok(meter) = Meter::from_bytes(bytes) else { return };
    assert_eq!(meter.to_bytes().unwrap(), bytes);
    let _ = meter.summary();
    let mut twice = meter.clone();
    if twice.merge(&meter).is_ok() {
        let merged = twice.to_bytes().unwrap();
        assert_eq!(Meter::from_bytes(&merged).unwrap().to_bytes().unwrap(), merged);
    }
}

fuzz_target!(|bytes: Bytes| {
    let bytes = bytes.get();
    check(&bytes);
    // With the checksum that it should have, so that the fields before it are looked at.
    let body = &bytes[..bytes.len().saturating_sub(4)];
    check(&[body, &crc32fast::hash(body).to_le_bytes()].concat());
});
