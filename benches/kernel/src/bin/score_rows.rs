//! Scores rows a given number of times: what `tools/count_instructions.sh` runs under callgrind. Two
//! numbers of times differ by the kernel's instructions alone.
//!
//! Exit status 3: this machine (or valgrind) lacks the tier.

use bench_kernel::element::Element;
use bench_kernel::kernel::{Isa, Precision};
use bench_kernel::{Rows, Task};
use std::process::ExitCode;

const USAGE: &str = "usage: score_rows ISA ELEMENT fast|exact VOCAB ROWS TIMES";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((isa, task, times)) = parsed(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if !isa.available() {
        return ExitCode::from(3);
    }
    match Rows::new(task) {
        Ok(rows) => {
            let total: f64 = (0..times).flat_map(|_| rows.score(isa)).map(|score| score.nll).sum();
            println!("{total}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parsed(arguments: &[String]) -> Option<(Isa, Task, usize)> {
    let [isa, element, precision, vocab, rows, times] = arguments else { return None };
    let isa = Isa::ALL.into_iter().find(|known| known.name() == isa)?;
    let precision = match precision.as_str() {
        "fast" => Precision::Fast,
        "exact" => Precision::Exact,
        _ => return None,
    };
    let task = Task::plain(Element::from_name(element)?, precision, vocab.parse().ok()?, rows.parse().ok()?);
    Some((isa, task, times.parse().ok()?))
}
