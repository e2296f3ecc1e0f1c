//! Rows of logits to rows of something else: log-softmax, or the k best entries.

use super::internal;
use crate::arrow::{Input, LogitColumn, Reader, Rows};
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::fpstate::Guard;
use crate::kernel::{Entry, Flags, Kernel, Output, RowScore};
use crate::key::GroupTable;
use crate::parallel::Control;
use crate::rows::Vocab;
use crate::scoring::{CHUNK_BYTES, Job, MISSING, Scorer, score_chunk};
use crate::selection::Mark;
use arrow_array::types::{ArrowPrimitiveType, Float32Type, Float64Type, Int64Type};
use arrow_array::{ArrayRef, FixedSizeListArray, PrimitiveArray, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use std::sync::{Arc, Mutex};

/// What is the same for all rows.
pub struct RowReader {
    reader: Reader,
    scorer: Scorer,
    valid: Option<usize>,
    mask: Option<Arc<[bool]>>,
    /// A row without a distribution is an error; otherwise it becomes NaN.
    raise: bool,
    start: u64,
    columns: Option<usize>,
}

/// A piece of rows and which of them are wanted.
struct Piece {
    logits: LogitColumn,
    columns: usize,
    vocab: Vocab,
    wanted: Vec<bool>,
    start: u64,
}

/// What a row's numbers are stored as.
pub trait Number: Copy + Send + 'static {
    /// Not a number.
    const NAN: Self;
    /// A row of them, for the kernel.
    fn output(row: &mut [Self]) -> Output<'_>;
}

impl Number for f32 {
    const NAN: Self = Self::NAN;
    fn output(row: &mut [Self]) -> Output<'_> {
        Output::F32(row)
    }
}

impl Number for f64 {
    const NAN: Self = Self::NAN;
    fn output(row: &mut [Self]) -> Output<'_> {
        Output::F64(row)
    }
}

impl RowReader {
    /// A reader of rows.
    #[must_use]
    pub fn new(
        reader: Reader,
        scorer: Scorer,
        valid: Option<usize>,
        mask: Option<Arc<[bool]>>,
        raise: bool,
    ) -> Self {
        Self { reader, scorer, valid, mask, raise, start: 0, columns: None }
    }

    /// The length of rows, 0 if there are none, and whether they are float64.
    ///
    /// # Errors
    /// Errors of the stream.
    pub fn look(&mut self) -> Result<(i32, bool)> {
        let (columns, element) = self.reader.look()?;
        let columns = i32::try_from(columns).map_err(|e| internal(&e))?;
        Ok((columns, element == Some(Element::F64)))
    }

    fn next(&mut self) -> Result<Option<Piece>> {
        let input = self.reader.next(&mut GroupTable::default())?;
        let Some(Input { rows: Some(Rows::Logits(logits)), piece, .. }) = input else { return Ok(None) };
        let start = self.start;
        self.start += logits.rows() as u64;
        let wanted = match &piece.marks {
            None => vec![true; logits.rows()],
            Some(marks) => wanted(marks, start)?,
        };
        // A piece of null lists alone says nothing of their length.
        let columns = logits.columns().or(self.columns).unwrap_or(0);
        if self.columns.is_some_and(|before| before != columns) {
            let message = format!("rows of {columns} logits follow rows of another length");
            return Err(
                Error::new(ErrorKind::Shape, message).wanted("one vocabulary an input", columns.to_string())
            );
        }
        self.columns = Some(columns);
        let vocab = Vocab::new(columns, self.valid, self.mask.as_deref())?;
        Ok(Some(Piece { logits, columns, vocab, wanted, start }))
    }

    /// Log-softmax of the next piece into rows of `out`, which begin where the last piece ended;
    /// false at the end of the stream.
    ///
    /// # Errors
    /// Errors of the stream, of its rows and of the control; `out` of another size.
    pub fn log_softmax_into<T: Number>(&mut self, out: &mut [T], control: &mut dyn Control) -> Result<bool> {
        let Some(piece) = self.next()? else { return Ok(false) };
        let columns = piece.columns;
        let from = piece.start as usize * columns;
        let into = out.get_mut(from..from + piece.logits.rows() * columns);
        let into =
            into.ok_or_else(|| Error::new(ErrorKind::Shape, "the output has fewer rows than the logits"))?;
        self.softmax(&piece, into, control)?;
        Ok(true)
    }

    /// Log-softmax of the next piece as a record batch.
    ///
    /// # Errors
    /// As [`RowReader::log_softmax_into`].
    pub fn log_softmax(&mut self, wide: bool, control: &mut dyn Control) -> Result<Option<RecordBatch>> {
        if wide {
            self.log_softmax_as::<Float64Type>(control)
        } else {
            self.log_softmax_as::<Float32Type>(control)
        }
    }

    fn log_softmax_as<T: ArrowPrimitiveType<Native: Number>>(
        &mut self,
        control: &mut dyn Control,
    ) -> Result<Option<RecordBatch>> {
        let Some(piece) = self.next()? else { return Ok(None) };
        let columns = piece.columns;
        let mut out = vec![<T::Native as Number>::NAN; piece.logits.rows() * columns];
        self.softmax(&piece, &mut out, control)?;
        let list = list::<T>(out, columns, &piece.wanted)?;
        batch(vec![("logprobs", list)]).map(Some)
    }

    fn softmax<T: Number>(&mut self, piece: &Piece, out: &mut [T], control: &mut dyn Control) -> Result<()> {
        let kernel = self.scorer.kernel_of(piece.logits.element(), &piece.vocab);
        let (columns, rows) = (piece.columns, piece.chunk());
        let failures = Failures::new(self.raise, piece.start);
        let items = out.chunks_mut(rows * columns).enumerate();
        self.scorer.threads.for_each(items, piece.wanted.len() <= rows, control, |(chunk, out)| {
            let scores = piece.lse(&kernel, chunk * rows, out.len() / columns);
            for ((job, score), out) in scores.iter().zip(out.chunks_mut(columns)) {
                match job.as_ref().and_then(|job| piece.logits.row(job.row as usize, &piece.vocab)) {
                    Some(row) if !score.flags.invalid() => kernel.log_softmax(row, score.lse, T::output(out)),
                    _ => out.fill(T::NAN),
                }
            }
            failures.note(&scores);
        })?;
        failures.first()
    }

    /// The `k` best entries of the next piece's rows.
    ///
    /// # Errors
    /// As [`RowReader::log_softmax_into`]; fewer than `k` entries that are allowed.
    pub fn top_k(&mut self, k: usize, control: &mut dyn Control) -> Result<Option<RecordBatch>> {
        let Some(piece) = self.next()? else { return Ok(None) };
        let allowed = piece.vocab.allowed();
        if k == 0 || k > allowed {
            let message = format!("k is {k}, but {allowed} entries have a probability");
            return Err(
                Error::new(ErrorKind::Settings, message).wanted(format!("1 to {allowed}"), k.to_string())
            );
        }
        let rows = piece.wanted.len();
        let (mut logprobs, mut ids) = (vec![f64::NAN; rows * k], vec![-1i64; rows * k]);
        let kernel = self.scorer.kernel_of(piece.logits.element(), &piece.vocab);
        let (failures, step) = (Failures::new(self.raise, piece.start), piece.chunk());
        let items = logprobs.chunks_mut(step * k).zip(ids.chunks_mut(step * k)).enumerate();
        self.scorer.threads.for_each(items, rows <= step, control, |(chunk, (logprobs, ids))| {
            let _state = Guard::new();
            let scores = piece.lse(&kernel, chunk * step, ids.len() / k);
            for ((job, score), (logprobs, ids)) in
                scores.iter().zip(logprobs.chunks_mut(k).zip(ids.chunks_mut(k)))
            {
                let row = job.as_ref().and_then(|job| piece.logits.row(job.row as usize, &piece.vocab));
                if let Some(row) = row.filter(|_| !score.flags.invalid()) {
                    write_entries(&kernel.top_k(row, k), score.lse, logprobs, ids);
                }
            }
            failures.note(&scores);
        })?;
        failures.first()?;
        let logprobs = list::<Float64Type>(logprobs, k, &piece.wanted)?;
        let ids = list::<Int64Type>(ids, k, &piece.wanted)?;
        batch(vec![("logprobs", logprobs), ("ids", ids)]).map(Some)
    }
}

fn write_entries(entries: &[Entry], lse: f64, logprobs: &mut [f64], ids: &mut [i64]) {
    for (entry, (logprob, id)) in entries.iter().zip(logprobs.iter_mut().zip(ids)) {
        *logprob = entry.value - lse;
        *id = i64::from(entry.id);
    }
}

fn wanted(marks: &[Mark], start: u64) -> Result<Vec<bool>> {
    let one = |(i, mark): (usize, &Mark)| match mark {
        Mark::Yes | Mark::Absent => Ok(true),
        // Roles do not come here.
        Mark::No | Mark::Hidden => Ok(false),
        Mark::Null | Mark::Other(_) => {
            let row = start as i64 + i as i64;
            let got = if let Mark::Other(x) = mark { x.to_string() } else { "null".to_owned() };
            Err(Error::new(ErrorKind::Label, format!("mask is {got} at row {row}"))
                .wanted("true or false, 1 or 0", got)
                .at(row, Some(row)))
        }
    };
    marks.iter().enumerate().map(one).collect()
}

impl Piece {
    /// Rows that a thread works on at a time.
    fn chunk(&self) -> usize {
        (CHUNK_BYTES / self.logits.row_bytes().max(1)).clamp(1, 1024)
    }

    /// The lse of each wanted row from `from` on; others have no job.
    fn lse(&self, kernel: &Kernel, from: usize, count: usize) -> Vec<(Option<Job>, RowScore)> {
        let job = |row: usize| self.wanted[row].then_some(Job { row: row as u32, label: None });
        let places: Vec<Option<Job>> = (from..from + count).map(job).collect();
        let jobs: Vec<Job> = places.iter().flatten().copied().collect();
        let mut scores = vec![MISSING; jobs.len()];
        score_chunk(kernel, &self.logits, &self.vocab, &jobs, &mut scores);
        let mut scores = scores.into_iter();
        places.into_iter().map(|job| (job, job.and_then(|_| scores.next()).unwrap_or(MISSING))).collect()
    }
}

/// The first row that cannot be turned, whichever thread finds it.
struct Failures {
    raise: bool,
    start: u64,
    first: Mutex<Option<(u32, Flags)>>,
}

impl Failures {
    fn new(raise: bool, start: u64) -> Self {
        Self { raise, start, first: Mutex::new(None) }
    }

    fn note(&self, scores: &[(Option<Job>, RowScore)]) {
        let bad = scores.iter().find_map(|(job, score)| {
            let counts = score.flags.invalid() && (self.raise || score.flags.has(Flags::MISSING));
            job.filter(|_| counts).map(|job| (job.row, score.flags))
        });
        if let (Some(bad), Ok(mut first)) = (bad, self.first.lock()) {
            *first = Some(first.map_or(bad, |old| if bad.0 < old.0 { bad } else { old }));
        }
    }

    fn first(self) -> Result<()> {
        let Some((row, flags)) = self.first.into_inner().ok().flatten() else { return Ok(()) };
        let row = self.start as i64 + i64::from(row);
        let what = flags.fault();
        let message =
            format!("row {row} of the logits holds {what}; nonfinite=\"propagate\" turns such rows into nan");
        Err(Error::new(ErrorKind::NonFinite, message)
            .wanted("finite logits or -inf", what)
            .at(row, Some(row)))
    }
}

fn list<T: ArrowPrimitiveType>(values: Vec<T::Native>, size: usize, wanted: &[bool]) -> Result<ArrayRef> {
    let values: ArrayRef = Arc::new(PrimitiveArray::<T>::new(values.into(), None));
    let size = i32::try_from(size).map_err(|e| internal(&e))?;
    let field = Arc::new(Field::new("item", T::DATA_TYPE, true));
    let nulls = wanted.contains(&false).then(|| NullBuffer::from(wanted.to_vec()));
    let list = FixedSizeListArray::try_new(field, size, values, nulls).map_err(|e| internal(&e))?;
    Ok(Arc::new(list))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|e| internal(&e))
}

/// The schema of log-softmax rows.
#[must_use]
pub fn log_softmax_schema(columns: i32, wide: bool) -> SchemaRef {
    let kind = if wide { DataType::Float64 } else { DataType::Float32 };
    schema(&[("logprobs", kind)], columns)
}

/// The schema of the k best.
#[must_use]
pub fn top_k_schema(k: i32) -> SchemaRef {
    schema(&[("logprobs", DataType::Float64), ("ids", DataType::Int64)], k)
}

fn schema(columns: &[(&str, DataType)], size: i32) -> SchemaRef {
    let field = |(name, kind): &(&str, DataType)| {
        let item = Arc::new(Field::new("item", kind.clone(), true));
        Field::new(*name, DataType::FixedSizeList(item, size), true)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}
