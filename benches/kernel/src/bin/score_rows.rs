//! Scores rows on the portable tier, a given number of times: what `tools/count_instructions.sh` runs
//! under callgrind. Two numbers of times differ by the kernel's instructions alone.

use bench_kernel::element::Element;
use bench_kernel::kernel::{Isa, Precision};
use bench_kernel::{Rows, Task};
use std::process::ExitCode;

const USAGE: &str = "usage: score_rows ELEMENT fast|exact VOCAB ROWS TIMES";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((task, times)) = parsed(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match Rows::new(task) {
        Ok(rows) => {
            let total: f64 = (0..times).flat_map(|_| rows.score(Isa::Portable)).map(|score| score.nll).sum();
            println!("{total}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn parsed(arguments: &[String]) -> Option<(Task, usize)> {
    let [element, precision, vocab, rows, times] = arguments else { return None };
    let precision = match precision.as_str() {
        "fast" => Precision::Fast,
        "exact" => Precision::Exact,
        _ => return None,
    };
    let task = Task::plain(Element::from_name(element)?, precision, vocab.parse().ok()?, rows.parse().ok()?);
    Some((task, times.parse().ok()?))
}
