//! A piece's rows over threads.

use crate::arrow::LogitColumn;
use crate::element::Element;
use crate::error::Result;
use crate::kernel::{Flags, Isa, Kernel, Precision, RowJob, RowScore};
use crate::parallel::{Control, Threads};
use crate::rows::Vocab;

/// Threads work on about this many bytes of rows at a time.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// A row of a piece and its label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// The row's index in its piece.
    pub row: u32,
    /// Its label; `None` for the lse alone.
    pub label: Option<u32>,
}

/// How rows are scored: what stays the same for a whole stream.
pub struct Scorer {
    isa: Isa,
    precision: Precision,
    pub(crate) threads: Threads,
}

/// The score of a row that is null.
pub(crate) const MISSING: RowScore =
    RowScore { nll: f64::NAN, lse: f64::NAN, rank: 0, greater: 0, ties: 0, flags: Flags::MISSING };

impl Scorer {
    /// A scorer on the best tier, or the forced one.
    ///
    /// # Errors
    /// `LOGITMETER_ISA` names a tier that is unknown or absent.
    pub fn new(precision: Precision, threads: usize) -> Result<Self> {
        Ok(Self::on(Isa::choose()?, precision, threads))
    }

    /// A scorer on this tier, or on the portable one where the machine lacks it.
    #[must_use]
    pub fn on(isa: Isa, precision: Precision, threads: usize) -> Self {
        Self { isa, precision, threads: Threads::new(threads) }
    }

    /// One score a job, in their order.
    ///
    /// # Errors
    /// What the control says.
    pub fn score(
        &mut self,
        logits: &LogitColumn,
        vocab: &Vocab,
        jobs: &[Job],
        control: &mut dyn Control,
    ) -> Result<Vec<RowScore>> {
        let mut scores = vec![MISSING; jobs.len()];
        let kernel = self.kernel_of(logits.element(), vocab);
        let chunk = (CHUNK_BYTES / logits.row_bytes().max(1)).clamp(1, 1024);
        let items = jobs.chunks(chunk).zip(scores.chunks_mut(chunk));
        let alone = jobs.len() <= chunk;
        self.threads.for_each(items, alone, control, |(jobs, scores)| {
            score_chunk(&kernel, logits, vocab, jobs, scores);
        })?;
        Ok(scores)
    }

    /// The kernel for rows of this element type.
    #[must_use]
    pub fn kernel_of<'a>(&self, element: Element, vocab: &'a Vocab) -> Kernel<'a> {
        Kernel::new(self.isa, self.precision, element, vocab)
    }
}

/// Null rows keep their mark; the others go to the kernel in one go.
pub(crate) fn score_chunk(
    kernel: &Kernel,
    logits: &LogitColumn,
    vocab: &Vocab,
    jobs: &[Job],
    scores: &mut [RowScore],
) {
    let mut present = Vec::with_capacity(jobs.len());
    let mut places = Vec::with_capacity(jobs.len());
    for (place, job) in jobs.iter().enumerate() {
        if let Some(row) = logits.row(job.row as usize, vocab) {
            present.push(RowJob { row, label: job.label });
            places.push(place);
        }
    }
    let mut found = Vec::with_capacity(present.len());
    kernel.score(&present, &mut found);
    for (place, score) in places.into_iter().zip(found) {
        scores[place] = score;
    }
}
