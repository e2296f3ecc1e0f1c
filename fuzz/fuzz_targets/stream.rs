//! Record batches of any types and values: a named error or a state; never a panic, and the same state
//! however the stream is cut and however many threads read it.

#![no_main]

mod input;

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::{Corpus, fuzz_target};
use logitmeter::meter::Meter;

fn check(data: &[u8]) -> Result<()> {
    let mut u = Unstructured::new(data);
    let cuts: [usize; 3] = u.arbitrary()?;
    let input = input::Input::draw(&mut u)?;
    match (input.state(&[], 1), input.state(&cuts, 3)) {
        (Ok(whole), Ok(cut)) => {
            assert_eq!(whole, cut);
            assert_eq!(Meter::from_bytes(&whole).unwrap().to_bytes().unwrap(), whole);
        }
        // Errors with a position are the same ones; those of a batch's type or shape have none, and
        // which of them comes first depends on where batches begin.
        (Err(whole), Err(cut)) => {
            if whole.position().is_some() && cut.position().is_some() {
                assert_eq!((whole.kind(), whole.position()), (cut.kind(), cut.position()));
            }
        }
        (Ok(_), Err(error)) | (Err(error), Ok(_)) => {
            panic!("only one of two cuts is an error: {error}");
        }
    }
    Ok(())
}

fuzz_target!(|data: &[u8]| -> Corpus { if check(data).is_ok() { Corpus::Keep } else { Corpus::Reject } });
