//! The package's kernel, and rows for it to score, the same on every run.
//!
//! The kernel depends on no crate, so its files are compiled here by themselves: the whole package would
//! take a minute to build, for Arrow that nothing here reads.

#[path = "../../../src/element.rs"]
pub mod element;
#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/kernel/mod.rs"]
pub mod kernel;
#[path = "../../../src/rows.rs"]
pub mod rows;

use element::Element;
use error::Result;
use kernel::{Isa, Kernel, Precision, RowJob, RowScore};
use rows::Vocab;

/// What is scored, and how.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// As what logits are stored.
    pub element: Element,
    /// How rows are summed.
    pub precision: Precision,
    /// Columns.
    pub vocab: usize,
    /// Rows.
    pub rows: usize,
    /// What all logits are offset by.
    pub offset: f32,
    /// Whether only a later look finds a row's maximum far above its beginning.
    pub two_passes: bool,
}

impl Task {
    /// Plain rows.
    #[must_use]
    pub const fn plain(element: Element, precision: Precision, vocab: usize, rows: usize) -> Self {
        Self { element, precision, vocab, rows, offset: 0.0, two_passes: false }
    }
}

/// Rows in memory and their labels.
pub struct Rows {
    task: Task,
    vocab: Vocab,
    bytes: Vec<u8>,
    labels: Vec<u32>,
}

impl Rows {
    /// Noise of mean -2 and deviation 2.5; the labels are any tokens.
    ///
    /// # Errors
    /// A vocabulary that cannot be one.
    pub fn new(task: Task) -> Result<Self> {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut bytes = Vec::with_capacity(task.vocab * task.rows * task.element.size());
        let mut labels = Vec::with_capacity(task.rows);
        for _ in 0..task.rows {
            for column in 0..task.vocab {
                // The sum of twelve uniform numbers is nearly normal.
                let sum: f32 = (0..12).map(|_| rng.f32()).sum();
                let above = task.two_passes && column + 2 >= task.vocab; // two: one may be the label
                let x = if above { 200.0 } else { (sum - 6.0) * 2.5 - 2.0 + task.offset };
                push(&mut bytes, task.element, x);
            }
            labels.push(rng.u32(0..u32::try_from(task.vocab).unwrap_or(u32::MAX)));
        }
        Ok(Self { task, vocab: Vocab::new(task.vocab, None, None)?, bytes, labels })
    }

    /// Logit `column` of row `row`.
    #[must_use]
    pub fn get(&self, row: usize, column: usize) -> Option<f64> {
        self.task.element.get(&self.bytes, row * self.task.vocab + column)
    }

    /// The label of row `row`.
    #[must_use]
    pub fn label(&self, row: usize) -> Option<u32> {
        self.labels.get(row).copied()
    }

    /// How many logits there are.
    #[must_use]
    pub fn elements(&self) -> u64 {
        (self.task.vocab * self.task.rows) as u64
    }

    /// Scores all rows.
    #[must_use]
    pub fn score(&self, isa: Isa) -> Vec<RowScore> {
        let row_bytes = self.task.vocab * self.task.element.size();
        let rows = self.bytes.chunks_exact(row_bytes).zip(&self.labels);
        let jobs: Vec<RowJob> = rows.map(|(row, &y)| RowJob { row, label: Some(y) }).collect();
        let mut scores = Vec::with_capacity(jobs.len());
        Kernel::new(isa, self.task.precision, self.task.element, &self.vocab).score(&jobs, &mut scores);
        scores
    }
}

fn push(bytes: &mut Vec<u8>, element: Element, x: f32) {
    match element {
        Element::F64 => bytes.extend(f64::from(x).to_ne_bytes()),
        Element::F32 => bytes.extend(x.to_ne_bytes()),
        Element::F16 => bytes.extend(half::f16::from_f32(x).to_ne_bytes()),
        Element::Bf16 => bytes.extend(half::bf16::from_f32(x).to_ne_bytes()),
    }
}
