//! Nanoseconds an element, of rows that lie in a cache: what the kernel's arithmetic costs, apart from
//! memory. `make bench-kernel`.

use bench_kernel::element::Element;
use bench_kernel::kernel::{Isa, Precision};
use bench_kernel::{Rows, Task};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const PATHS: [(&str, Element, Precision); 5] = [
    ("f32", Element::F32, Precision::Fast),
    ("bf16", Element::Bf16, Precision::Fast),
    ("f16", Element::F16, Precision::Fast),
    ("f64", Element::F64, Precision::Exact),
    ("f32 exact", Element::F32, Precision::Exact),
];

/// Every path on every tier that this machine has; 32 KB of f32 at most.
fn paths(criterion: &mut Criterion) {
    for isa in Isa::all_available() {
        for (name, element, precision) in PATHS {
            let task = Task::plain(element, precision, 4_096, 2);
            time(criterion, &format!("paths/{}", isa.name()), name, isa, task);
        }
    }
}

/// What a row costs beside its columns: logarithms, and a start.
fn widths(criterion: &mut Criterion) {
    for vocab in [64, 256, 1_000, 4_096, 32_000] {
        let task = Task::plain(Element::F32, Precision::Fast, vocab, (8_192 / vocab).max(1));
        time(criterion, "widths", &vocab.to_string(), best(), task);
    }
}

/// Rows that are not near 0, and rows whose beginning misleads.
fn ranges(criterion: &mut Criterion) {
    let plain = Task::plain(Element::F32, Precision::Fast, 4_096, 2);
    let tasks = [
        ("near 0", plain),
        ("at 200", Task { offset: 200.0, ..plain }),
        ("at 1e6", Task { offset: 1e6, ..plain }),
        ("two passes", Task { two_passes: true, ..plain }),
    ];
    for (name, task) in tasks {
        time(criterion, "ranges", name, best(), task);
    }
}

fn best() -> Isa {
    Isa::all_available().next().unwrap_or(Isa::Portable)
}

fn time(criterion: &mut Criterion, group: &str, name: &str, isa: Isa, task: Task) {
    let rows = Rows::new(task).expect("the vocabulary is one");
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(rows.elements()));
    group.bench_function(name, |bencher| bencher.iter(|| rows.score(isa)));
    group.finish();
}

criterion_group! {
    name = rows;
    config = Criterion::default().sample_size(30);
    targets = paths, widths, ranges
}
criterion_main!(rows);
