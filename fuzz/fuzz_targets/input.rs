//! Streams of record batches out of a fuzzer's bytes: valid Arrow, whatever its types and values.

use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, FixedSizeListArray,
    GenericListArray, Int8Array, LargeStringArray, NullArray, OffsetSizeTrait, PrimitiveArray, RecordBatch,
    RecordBatchIterator, StringArray, StringViewArray, StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{Field, Schema};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use logitmeter::arrow::{Columns, Layout, Reader, ScoreParts};
use logitmeter::element::Element;
use logitmeter::error::{Error, Result as Checked};
use logitmeter::kernel::Precision;
use logitmeter::meter::{Meter, Observer, Update};
use logitmeter::parallel::Control;
use logitmeter::pipeline::Read;
use logitmeter::scoring::Scorer;
use logitmeter::settings::{Accuracy, NonFinite, NullLabels, OnShort, Pooling, Profile, Settings};
use std::sync::Arc;

const MOST_ROWS: usize = 12;

/// An input and how it is to be read.
pub struct Input {
    pub batch: RecordBatch,
    pub settings: Settings,
    pub layout: Layout,
}

impl Input {
    pub fn draw(u: &mut Unstructured) -> Result<Self> {
        let rows = u.int_in_range(0..=MOST_ROWS)?;
        let vocab = *u.choose(&[0, 1, 2, 3, 3, 3, 8, 65])?;
        let named = named(u, vocab)?;
        let mut columns = vec![("logits".to_owned(), logits(u, rows, vocab)?)];
        for name in names(&named) {
            columns.push((name.to_owned(), side(u, name, rows, vocab)?));
        }
        for name in ["mask", "weight", "sequence_id"] {
            if u.ratio(1, 3)? {
                columns.push((name.to_owned(), side(u, name, rows, vocab)?));
            }
        }
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).expect("columns of one length");
        let layout = Layout {
            columns: named,
            element: *u.choose(&[None, None, Some(Element::Bf16), Some(Element::F16), Some(Element::F32)])?,
            null_labels: if u.arbitrary()? { NullLabels::Raise } else { NullLabels::Ignore },
            ignore_index: *u.choose(&[-100, -100, 0])?,
            labels: true,
            logits: true,
            row_period: None,
        };
        let settings = settings(u, &batch, &layout, vocab)?;
        Ok(Self { batch, settings, layout })
    }

    /// The state after reading the batch in parts; the last one may end anywhere.
    pub fn state(&self, cuts: &[usize], threads: usize) -> Checked<Vec<u8>> {
        let mut places = vec![0, self.batch.num_rows()];
        places.extend(cuts.iter().map(|cut| cut % (self.batch.num_rows() + 1)));
        places.sort_unstable();
        let parts: Vec<_> = places.windows(2).map(|p| Ok(self.batch.slice(p[0], p[1] - p[0]))).collect();
        let stream = RecordBatchIterator::new(parts, self.batch.schema());
        let mut reader = Reader::new(Box::new(stream), self.layout.clone())?;
        let mut scorer = Scorer::new(self.settings.precision, threads)?;
        let mut meter = Meter::new(self.settings.clone());
        let by = &self.layout.columns.by;
        let update = Update { reader: &mut reader, scorer: Some(&mut scorer), by, last: true };
        meter.update(update, &mut Silent)?;
        meter.to_bytes()
    }
}

/// The state of an input drawn from a number.
#[allow(dead_code, reason = "one of the two targets needs it")]
pub fn state_of_seed(seed: u64) -> Checked<Vec<u8>> {
    let mut word = seed;
    let mut next = || {
        word = (word ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(29);
        word.to_le_bytes()
    };
    let bytes: Vec<u8> = (0..400).flat_map(|_| next()).collect();
    Input::draw(&mut Unstructured::new(&bytes)).expect("bytes enough").state(&[], 1)
}

/// Watches nothing.
struct Silent;

impl Control for Silent {
    fn tick(&mut self) -> std::result::Result<(), Error> {
        Ok(())
    }
}

impl Observer for Silent {
    fn wants_progress(&self) -> bool {
        false
    }
    fn progress(&mut self, _: Read, _: f64) {}
}

/// Columns that are never found by a name, each now and then.
fn named(u: &mut Unstructured, vocab: usize) -> Result<Columns> {
    let mut name = |name: &str| Ok(u.ratio(1, 4)?.then(|| name.to_owned()));
    let (role, batch_id, by) = (name("role")?, name("batch_id")?, name("group")?);
    let scores = match name("nll")? {
        None => None,
        Some(nll) => Some(ScoreParts {
            nll,
            nll_high: name("nll_high")?,
            rank: name("rank")?,
            rank_high: name("rank_high")?,
            ..ScoreParts::default()
        }),
    };
    let vocab_size = u.ratio(1, 2)?.then_some(vocab);
    Ok(Columns { role, batch_id, by: by.into_iter().collect(), scores, vocab_size, ..Columns::default() })
}

/// The columns that must be there.
fn names(columns: &Columns) -> impl Iterator<Item = &str> {
    let scores = columns.scores.as_ref();
    let parts = scores.map(|s| [Some(&s.nll), s.nll_high.as_ref(), s.rank.as_ref(), s.rank_high.as_ref()]);
    let named = [columns.role.as_ref(), columns.batch_id.as_ref(), columns.by.first()];
    let found = named.into_iter().chain(parts.into_iter().flatten()).flatten().map(String::as_str);
    ["labels"].into_iter().chain(found)
}

fn settings(u: &mut Unstructured, batch: &RecordBatch, layout: &Layout, vocab: usize) -> Result<Settings> {
    let masked = batch.column_by_name("mask").is_some();
    let hidden = |u: &mut Unstructured| if masked { u.int_in_range(0..=3) } else { Ok(0) };
    // Only a profile may have both roles and hidden tokens beside a mask.
    let profile = Profile { name: "mine".to_owned(), source: "a fuzzer".to_owned() };
    Ok(Settings {
        ignore_index: layout.ignore_index,
        shift: u.arbitrary()?,
        leading: hidden(u)?,
        trailing: hidden(u)?,
        on_short: if u.ratio(3, 4)? { OnShort::Count } else { OnShort::Raise },
        valid_vocab: if u.ratio(1, 4)? { Some(u.int_in_range(0..=vocab + 1)?) } else { None },
        vocab_mask: if u.ratio(1, 4)? {
            Some((0..vocab).map(|_| u.ratio(3, 4)).collect::<Result<Vec<bool>>>()?.into())
        } else {
            None
        },
        hidden: u.arbitrary()?,
        pooling: *u.choose(&[
            Pooling::Tokens,
            Pooling::Tokens,
            Pooling::Sequences,
            Pooling::Batches,
            Pooling::Samples,
        ])?,
        accuracy: if u.ratio(3, 4)? { Accuracy::Tokens } else { Accuracy::Sequences },
        profile: u.ratio(1, 4)?.then_some(profile),
        nonfinite: *u.choose(&[NonFinite::Raise, NonFinite::Omit, NonFinite::Propagate])?,
        precision: *u.choose(&[Precision::Fast, Precision::Exact])?,
    })
}

/// Rows of logits as lists of some kind; now and then something that is none.
fn logits(u: &mut Unstructured, rows: usize, vocab: usize) -> Result<ArrayRef> {
    let ragged = u.ratio(1, 16)?;
    let (kind, nulls) = (u.int_in_range(0..=9)?, nulls(u, rows, 8)?);
    match kind {
        // Lists of length 0 do not say how many they are, unless they are null.
        0..=3 if vocab == 0 => {
            let field = Field::new("item", Float32Type::DATA_TYPE, true);
            Ok(Arc::new(FixedSizeListArray::new_null(Arc::new(field), 0, rows)))
        }
        0..=3 => {
            let values = values(u, rows * vocab)?;
            let field = Arc::new(Field::new("item", values.data_type().clone(), true));
            let list = FixedSizeListArray::try_new(field, vocab as i32, values, nulls);
            Ok(Arc::new(list.expect("whole lists")))
        }
        4..=5 => list::<i32>(u, rows, vocab, ragged, nulls),
        6..=7 => list::<i64>(u, rows, vocab, ragged, nulls),
        8 if vocab > 0 => {
            let width = vocab * 2 + usize::from(ragged);
            let bytes: Vec<u8> = (0..rows * width).map(|_| u.arbitrary()).collect::<Result<_>>()?;
            let binary = FixedSizeBinaryArray::try_new(width as i32, Buffer::from_vec(bytes), nulls);
            Ok(Arc::new(binary.expect("whole rows")))
        }
        _ => side(u, "anything", rows, vocab),
    }
}

/// Lists of one length, or nearly so, anywhere in their values; null ones of any length.
fn list<O: OffsetSizeTrait>(
    u: &mut Unstructured,
    rows: usize,
    vocab: usize,
    ragged: bool,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let before = u.int_in_range(0..=3)?;
    let mut offsets = vec![before];
    for row in 0..rows {
        let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let length = if ragged || null { u.int_in_range(0..=vocab + 1)? } else { vocab };
        offsets.push(offsets[row] + length);
    }
    let behind = u.int_in_range(0..=2)?;
    let values = values(u, offsets[rows] + behind)?;
    let offsets: Vec<O> = offsets.into_iter().map(O::usize_as).collect();
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(GenericListArray::<O>::try_new(field, offsets, values, nulls).expect("offsets that fit")))
}

/// Logits: everyday ones, special ones, any bits; single ones null now and then.
fn values(u: &mut Unstructured, count: usize) -> Result<ArrayRef> {
    let kind = u.int_in_range(0..=9)?;
    let mut one = |u: &mut Unstructured| -> Result<f64> {
        Ok(match u.int_in_range(0..=15u8)? {
            0 => *u.choose(&[f64::NAN, f64::INFINITY, -0.0, 1e-40, 5e-324, 3.4e38, -3.4e38, 1e6])?,
            1..=2 => f64::NEG_INFINITY,
            3 => f64::from_bits(u.arbitrary()?),
            _ => f64::from(u.arbitrary::<i8>()?) / 4.0,
        })
    };
    match kind {
        0..=3 => exact::<Float32Type>(u, count, |u| one(u).map(|x| x as f32)),
        4..=5 => exact::<Float64Type>(u, count, &mut one),
        6..=7 => exact::<Float16Type>(u, count, |u| one(u).map(half::f16::from_f64)),
        8 => exact::<UInt16Type>(u, count, |u| one(u).map(|x| half::bf16::from_f64(x).to_bits())),
        _ => exact::<Int32Type>(u, count, |u| u.arbitrary()),
    }
}

/// A column beside the logits: what it should be most of the time, anything else sometimes.
fn side(u: &mut Unstructured, name: &str, rows: usize, vocab: usize) -> Result<ArrayRef> {
    let wild = name == "anything" || u.ratio(1, 16)?;
    if wild {
        return anything(u, rows);
    }
    match name {
        "labels" => {
            let most = vocab.saturating_sub(1).min(100) as i64;
            let label = |u: &mut Unstructured| {
                Ok(if u.ratio(1, 16)? {
                    *u.choose(&[-100, -1, 0, 99, i64::MAX])?
                } else {
                    u.int_in_range(0..=most)?
                })
            };
            match u.int_in_range(0..=3)? {
                0 => exact::<Int32Type>(u, rows, |u| label(u).map(|y| y as i32)),
                1 => exact::<UInt64Type>(u, rows, |u| label(u).map(|y| y as u64)),
                2 => exact::<Int8Type>(u, rows, |u| label(u).map(|y| y as i8)),
                _ => exact::<Int64Type>(u, rows, label),
            }
        }
        "mask" => Ok(Arc::new(BooleanArray::new(
            (0..rows).map(|_| u.arbitrary()).collect::<Result<Vec<bool>>>()?.into(),
            nulls(u, rows, 16)?,
        ))),
        "weight" => exact::<Float64Type>(u, rows, |u| {
            Ok(*u.choose(&[1.0, 1.0, 0.5, 0.0, 1e300, 5e-324, 0.1, 2.0, 1.0, 1.0, f64::NAN, -1.0])?)
        }),
        "role" => {
            let known = ["prompt", "visible", "visible", "hidden"];
            let roles = (0..rows).map(|_| u.choose(&known).copied()).collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StringArray::from(roles)))
        }
        "nll" | "nll_high" => exact::<Float64Type>(u, rows, |u| {
            Ok(*u.choose(&[0.0, 0.1, 1.5, 2.0, 7.25, 1e300, f64::INFINITY, 5e-324, 3.0, f64::NAN])?)
        }),
        "rank" | "rank_high" => {
            exact::<Int32Type>(u, rows, |u| Ok(*u.choose(&[0, 0, 1, 2, 3, 50, i32::MAX, 0, 1, -1])?))
        }
        // Ids that stay or rise, so that few of them come back.
        _ => {
            let mut id = 0i64;
            exact::<Int64Type>(u, rows, |u| {
                id += i64::from(u.ratio(1, 3)?);
                Ok(id)
            })
        }
    }
}

/// A column of any type.
fn anything(u: &mut Unstructured, rows: usize) -> Result<ArrayRef> {
    Ok(match u.int_in_range(0..=13)? {
        0 => exact::<Int16Type>(u, rows, |u| u.arbitrary())?,
        1 => exact::<Int64Type>(u, rows, |u| u.arbitrary())?,
        2 => exact::<UInt8Type>(u, rows, |u| u.arbitrary())?,
        3 => exact::<UInt32Type>(u, rows, |u| u.arbitrary())?,
        4 => exact::<UInt64Type>(u, rows, |u| u.arbitrary())?,
        5 => exact::<Float64Type>(u, rows, |u| u.arbitrary())?,
        6 => exact::<Float16Type>(u, rows, |u| u.arbitrary().map(half::f16::from_bits))?,
        7 => Arc::new(StringArray::from(texts(u, rows)?)),
        8 => Arc::new(LargeStringArray::from(texts(u, rows)?)),
        9 => Arc::new(StringViewArray::from(texts(u, rows)?)),
        10 => Arc::new(NullArray::new(rows)),
        11 => Arc::new(BooleanArray::new(
            (0..rows).map(|_| u.arbitrary()).collect::<Result<Vec<bool>>>()?.into(),
            nulls(u, rows, 4)?,
        )),
        12 => {
            let keys = (0..rows).map(|_| u.int_in_range(0..=2)).collect::<Result<Vec<i8>>>()?;
            let keys = Int8Array::new(keys.into(), nulls(u, rows, 4)?);
            let values: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
            Arc::new(DictionaryArray::<Int8Type>::try_new(keys, values).expect("keys below three"))
        }
        _ => {
            let inner = exact::<Float32Type>(u, rows, |u| u.arbitrary())?;
            Arc::new(StructArray::from(vec![(
                Arc::new(Field::new("x", Float32Type::DATA_TYPE, true)),
                inner,
            )]))
        }
    })
}

fn texts<'a>(u: &mut Unstructured<'a>, rows: usize) -> Result<Vec<Option<&'a str>>> {
    (0..rows).map(|_| if u.ratio(1, 8)? { Ok(None) } else { u.arbitrary().map(Some) }).collect()
}

/// A primitive column whose buffer ends with its last value, so that a read behind it is seen; then
/// a part of it, so that it may begin anywhere.
fn exact<T: ArrowPrimitiveType>(
    u: &mut Unstructured,
    count: usize,
    mut one: impl FnMut(&mut Unstructured) -> Result<T::Native>,
) -> Result<ArrayRef> {
    let skipped = u.int_in_range(0..=2)?;
    let mut values = Vec::with_capacity(count + skipped);
    for _ in 0..count + skipped {
        values.push(one(u)?);
    }
    let nulls = nulls(u, values.len(), 32)?;
    let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls);
    Ok(Arc::new(array.slice(skipped, count)))
}

/// Now and then some places are null, one in so many.
fn nulls(u: &mut Unstructured, count: usize, one_in: u8) -> Result<Option<NullBuffer>> {
    if !u.ratio(1, 4)? {
        return Ok(None);
    }
    Ok(Some((0..count).map(|_| u.ratio(one_in - 1, one_in)).collect::<Result<Vec<bool>>>()?.into()))
}
