//! What is timed and counted is the right answer.

use bench_kernel::element::Element;
use bench_kernel::kernel::{Isa, Precision};
use bench_kernel::{Rows, Task};

#[test]
fn losses_are_those_of_the_rows() {
    for element in Element::ALL {
        let rows = Rows::new(Task::plain(element, Precision::Exact, 1_000, 3)).unwrap();
        let scores = rows.score(Isa::Portable);
        assert_eq!(scores.len(), 3);
        for (i, score) in scores.iter().enumerate() {
            let lse = (0..1_000).map(|j| rows.get(i, j).unwrap().exp()).sum::<f64>().ln();
            let label = rows.get(i, rows.label(i).unwrap() as usize).unwrap();
            assert!((score.nll - (lse - label)).abs() < 1e-9, "{element} row {i}: {score:?}");
        }
    }
}
