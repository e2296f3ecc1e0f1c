//! The door: a stream of Arrow record batches becomes pieces, checked before anything is read.
//!
//! A piece is at most `PIECE_BYTES` of logits and `PIECE_ROWS` rows, so that memory stays
//! constant however large the stream's batches are; cutting is free, since slices share buffers.

mod columns;
mod logits;
mod scores;
#[cfg(test)]
mod tests;

use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::fpstate::Guard;
use crate::key::{GroupKey, GroupTable, Key};
use crate::score::Score;
use crate::selection::Piece;
use crate::settings::NullLabels;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader};
use arrow_schema::{DataType, SchemaRef};

pub use logits::LogitColumn;
pub use scores::ScoreParts;

/// A piece holds at most this many bytes of logits (one row at least).
const PIECE_BYTES: usize = 64 << 20;
/// A piece holds at most this many rows.
const PIECE_ROWS: usize = 1024;

/// Which column plays a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Choice {
    /// The one of the canonical name, if there is one.
    #[default]
    Canonical,
    /// None.
    Absent,
    /// This one; it must be there.
    Named(String),
}

/// Which columns play which parts.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// The logits; `logits` unless named.
    pub logits: Choice,
    /// Scores in place of logits; never found by a name.
    pub scores: Option<ScoreParts<String>>,
    /// Over how many entries those were made, if that is known.
    pub vocab_size: Option<usize>,
    /// The labels; `labels` or `label` unless named.
    pub labels: Choice,
    /// The mask.
    pub mask: Choice,
    /// The roles, in place of the mask; never found by a name.
    pub role: Option<String>,
    /// The weights.
    pub weight: Choice,
    /// The sequence ids.
    pub sequence_id: Choice,
    /// A column whose change ends a sequence and opens a new scope of ids; never found by a name.
    pub scope: Option<String>,
    /// Whether a batch ends with its scope.
    pub scope_ends_batch: bool,
    /// The batches; never found by a name.
    pub batch_id: Option<String>,
    /// Group columns.
    pub by: Vec<String>,
    /// Columns to pass through.
    pub keep: Vec<String>,
}

/// How a stream is to be read.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Its columns.
    pub columns: Columns,
    /// The element type, where the stream's own type does not say it.
    pub element: Option<Element>,
    /// What a null label means.
    pub null_labels: NullLabels,
    /// Labels of this value do not count.
    pub ignore_index: i64,
    /// Whether labels are needed.
    pub labels: bool,
    /// Whether logits, or the scores in their place, are needed.
    pub logits: bool,
    /// One row in so many is a placeholder without logits.
    pub row_period: Option<u64>,
}

/// Columns as places in the schema.
#[derive(Debug, Clone)]
struct Places {
    logits: Option<usize>,
    scores: Option<ScoreParts<usize>>,
    labels: Option<usize>,
    mask: Option<usize>,
    role: Option<usize>,
    weight: Option<usize>,
    ids: Option<usize>,
    scope: Option<usize>,
    batches: Option<usize>,
    by: Vec<usize>,
    keep: Vec<usize>,
}

/// What scores the tokens of a piece.
#[derive(Debug)]
pub enum Rows {
    /// Rows of logits.
    Logits(LogitColumn),
    /// Scores that were made elsewhere, one a row.
    Scores(Vec<Score>),
}

/// A piece of the stream.
#[derive(Debug)]
pub struct Input {
    /// What scores the tokens, unless it was not asked for.
    pub rows: Option<Rows>,
    /// All other columns, decoded.
    pub piece: Piece,
    /// Columns to pass through.
    pub keep: RecordBatch,
}

/// Reads a stream as pieces.
pub struct Reader {
    stream: Box<dyn RecordBatchReader + Send>,
    layout: Layout,
    places: Places,
    schema: SchemaRef,
    keep_schema: SchemaRef,
    batch: Option<RecordBatch>,
    offset: usize,
    ended: bool,
}

impl Reader {
    /// A reader; the schema is checked at once.
    ///
    /// # Errors
    /// A column that is missing; those present are listed.
    pub fn new(stream: Box<dyn RecordBatchReader + Send>, layout: Layout) -> Result<Self> {
        let schema = stream.schema();
        let places = Places::find(&schema, &layout)?;
        let keep_schema = schema.project(&places.keep).map_err(|e| stream_error(&e))?.into();
        Ok(Self { stream, layout, places, schema, keep_schema, batch: None, offset: 0, ended: false })
    }

    /// The columns that are passed through.
    #[must_use]
    pub fn keep_schema(&self) -> &SchemaRef {
        &self.keep_schema
    }

    /// The type of the sequence ids, if there are any.
    #[must_use]
    pub fn id_type(&self) -> Option<&DataType> {
        self.places.ids.map(|i| self.schema.field(i).data_type())
    }

    /// One row in so many is a placeholder without logits.
    #[must_use]
    pub fn row_period(&self) -> Option<u64> {
        self.layout.row_period
    }

    /// Whether there are scores in place of logits.
    #[must_use]
    pub fn has_scores(&self) -> bool {
        self.places.scores.is_some()
    }

    /// Over how many entries scores were made, if that is known.
    #[must_use]
    pub fn vocab_size(&self) -> Option<usize> {
        self.layout.columns.vocab_size.filter(|_| self.has_scores())
    }

    /// Whether there is a mask that decides.
    #[must_use]
    pub fn has_mask(&self) -> bool {
        self.places.mask.is_some() && !self.has_roles()
    }

    /// Whether there are roles, which decide in place of a mask.
    #[must_use]
    pub fn has_roles(&self) -> bool {
        self.places.role.is_some()
    }

    /// Whether there are batches.
    #[must_use]
    pub fn has_batches(&self) -> bool {
        self.places.batches.is_some()
    }

    /// Whether there are weights.
    #[must_use]
    pub fn has_weight(&self) -> bool {
        self.places.weight.is_some()
    }

    /// The length of rows and their element type, from the batch that comes next; nothing is taken.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn look(&mut self) -> Result<(usize, Option<Element>)> {
        self.fill()?;
        let (Some(batch), Some(at)) = (&self.batch, self.places.logits) else { return Ok((0, None)) };
        let logits = LogitColumn::new(self.schema.field(at), batch.column(at), self.layout.element)?;
        Ok((logits.columns().unwrap_or(0), Some(logits.element())))
    }

    /// The next piece; groups are numbered in `groups`.
    ///
    /// # Errors
    /// The stream's own errors, and columns of a type or shape that cannot be used.
    pub fn next(&mut self, groups: &mut GroupTable) -> Result<Option<Input>> {
        self.fill()?;
        if self.batch.is_some() { self.cut(groups).map(Some) } else { Ok(None) }
    }

    /// Has a batch at hand with rows left, unless the stream has ended.
    fn fill(&mut self) -> Result<()> {
        while !self.ended && self.batch.as_ref().is_none_or(|batch| self.offset >= batch.num_rows()) {
            self.batch = self.stream.next().transpose().map_err(|e| stream_error(&e))?;
            self.ended = self.batch.is_none();
            self.offset = 0;
        }
        Ok(())
    }

    /// Cuts a piece from the batch at hand.
    fn cut(&mut self, groups: &mut GroupTable) -> Result<Input> {
        let batch = self.batch.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "no batch"))?;
        let rest = batch.num_rows() - self.offset;
        let rows = match self.places.logits {
            Some(at) => (PIECE_BYTES / logits::row_bytes(batch.column(at)).max(1)).clamp(1, PIECE_ROWS),
            None => PIECE_ROWS,
        }
        .min(rest);
        let slice = batch.slice(self.offset, rows);
        self.offset += rows;
        self.decode(&slice, groups)
    }

    fn decode(&self, batch: &RecordBatch, groups: &mut GroupTable) -> Result<Input> {
        let _state = Guard::new();
        let (places, layout) = (&self.places, &self.layout);
        let column =
            |at: Option<usize>| at.map(|at| (self.schema.field(at).name().as_str(), batch.column(at)));
        let rows = match (places.logits, &places.scores) {
            (Some(at), _) => {
                let logits = LogitColumn::new(self.schema.field(at), batch.column(at), layout.element)?;
                Some(Rows::Logits(logits))
            }
            (None, Some(at)) => Some(Rows::Scores(scores::scores(batch, at)?)),
            (None, None) => None,
        };
        let labels = match column(places.labels) {
            Some((name, array)) => columns::labels(name, array, layout.ignore_index, layout.null_labels)?,
            None => Vec::new(),
        };
        let piece = Piece {
            labels,
            marks: match (column(places.role), column(places.mask)) {
                (Some((name, array)), _) => Some(columns::roles(name, array)?),
                (None, Some((name, array))) => Some(columns::mask(name, array)?),
                (None, None) => None,
            },
            by_role: places.role.is_some(),
            weight: column(places.weight).map(|(name, array)| columns::weight(name, array)).transpose()?,
            ids: column(places.ids).map(|(name, array)| columns::changes(name, array)).transpose()?,
            scopes: column(places.scope).map(|(name, array)| columns::scopes(name, array)).transpose()?,
            batches: column(places.batches).map(|(name, array)| columns::changes(name, array)).transpose()?,
            scope_ends_batch: layout.columns.scope_ends_batch,
            groups: (!places.by.is_empty()).then(|| self.groups(batch, groups)).transpose()?,
        };
        let keep = batch.project(&places.keep).map_err(|e| stream_error(&e))?;
        Ok(Input { rows, piece, keep })
    }

    /// The number of each row's group.
    fn groups(&self, batch: &RecordBatch, table: &mut GroupTable) -> Result<Vec<u32>> {
        let mut changes: Vec<std::iter::Peekable<_>> = Vec::new();
        for &at in &self.places.by {
            let found: Vec<(usize, Option<Key>)> =
                columns::changes(self.schema.field(at).name(), batch.column(at))?;
            changes.push(found.into_iter().peekable());
        }
        let mut key: GroupKey = vec![None; changes.len()];
        let mut numbers = Vec::with_capacity(batch.num_rows());
        let mut number = 0;
        for row in 0..batch.num_rows() {
            let mut changed = false;
            for (part, changes) in key.iter_mut().zip(&mut changes) {
                if let Some((_, value)) = changes.next_if(|(at, _)| *at == row) {
                    *part = value;
                    changed = true;
                }
            }
            if changed {
                number = table.number(&key);
            }
            numbers.push(number);
        }
        Ok(numbers)
    }
}

impl Places {
    fn find(schema: &SchemaRef, layout: &Layout) -> Result<Self> {
        let columns = &layout.columns;
        let named = |name: &str| {
            schema.index_of(name).map_err(|_| {
                let present: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
                let message = format!("there is no column {name:?}; the columns are: {present}");
                Error::new(ErrorKind::Settings, message).wanted(name, present)
            })
        };
        let choose = |choice: &Choice, names: &[&str]| match choice {
            Choice::Absent => Ok(None),
            Choice::Named(name) => named(name).map(Some),
            Choice::Canonical => Ok(names.iter().find_map(|name| schema.index_of(name).ok())),
        };
        let require = |choice: &Choice, names: &[&str]| match choose(choice, names)? {
            Some(at) => Ok(Some(at)),
            None => named(names[0]).map(Some),
        };
        let scores = columns.scores.as_ref().filter(|_| layout.logits);
        let logits = layout.logits && scores.is_none();
        Ok(Self {
            logits: if logits { require(&columns.logits, &["logits"])? } else { None },
            scores: scores.map(|scores| scores.find(|name| named(name))).transpose()?,
            labels: if layout.labels { require(&columns.labels, &["labels", "label"])? } else { None },
            mask: choose(&columns.mask, &["mask"])?,
            role: columns.role.as_deref().map(named).transpose()?,
            weight: choose(&columns.weight, &["weight"])?,
            ids: choose(&columns.sequence_id, &["sequence_id"])?,
            scope: columns.scope.as_deref().map(named).transpose()?,
            batches: columns.batch_id.as_deref().map(named).transpose()?,
            by: columns.by.iter().map(|name| named(name)).collect::<Result<_>>()?,
            keep: columns.keep.iter().map(|name| named(name)).collect::<Result<_>>()?,
        })
    }
}

/// The stream's own message.
fn stream_error(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Stream, error.to_string())
}

/// A type that a column cannot have.
fn wrong_type(name: &str, array: &ArrayRef, expected: &str) -> Error {
    let got = array.data_type().to_string();
    let message = format!("column {name:?} has type {got}; expected {expected}");
    Error::new(ErrorKind::DType, message).wanted(expected, got)
}
