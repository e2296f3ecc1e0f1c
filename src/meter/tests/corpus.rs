//! The corpus of `tests/same_bits.py`, made here a second time: of integers alone, so that it is the
//! same on every machine.

use crate::arrow::{Columns, Layout, Reader};
use crate::element::Element;
use crate::kernel::Precision;
use crate::settings::{NonFinite, NullLabels, OnShort, Settings};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float16Array, Float32Array, Float64Array, Int64Array,
    RecordBatch, RecordBatchIterator, UInt16Array,
};
use arrow_schema::Field;
use std::sync::Arc;

const ROWS: usize = 1031;
const COLUMNS: usize = 601;

/// Options of a meter, and which columns go with them.
pub(super) struct Setting {
    pub(super) name: &'static str,
    sides: &'static [&'static str],
    change: fn(Settings) -> Settings,
}

const IDS: &[&str] = &["labels", "sequence_id"];

pub(super) const SETTINGS: [Setting; 6] = [
    Setting { name: "plain", sides: IDS, change: |settings| settings },
    Setting {
        name: "hidden, shifted, weighted",
        sides: &["labels", "mask", "weight", "sequence_id"],
        change: |settings| Settings {
            leading: 1,
            trailing: 2,
            on_short: OnShort::Count,
            shift: true,
            ..settings
        },
    },
    Setting {
        name: "exact, omit",
        sides: IDS,
        change: |settings| Settings { precision: Precision::Exact, nonfinite: NonFinite::Omit, ..settings },
    },
    Setting {
        name: "masked vocabulary",
        sides: IDS,
        change: |settings| Settings {
            vocab_mask: Some((0..COLUMNS).map(|column| column % 3 != 1).collect()),
            nonfinite: NonFinite::Omit,
            ..settings
        },
    },
    Setting { name: "unknown sequences", sides: &["labels", "weight"], change: |settings| settings },
    Setting { name: "unknown sequences, masked", sides: &["labels", "mask"], change: |settings| settings },
];

impl Setting {
    pub(super) fn settings(&self) -> Settings {
        (self.change)(Settings::default())
    }
}

/// The numbers of splitmix64, counted from a seed.
fn integers(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    (1..=count as u64).map(move |i| {
        let z = (i + (seed << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// A logit: spread, far from 0, -inf, the row's one number, or its peak. Each is a whole number of
/// 2^-13 below 2^23 of them, so an f32.
fn logit(row: usize, column: usize, drawn: u64) -> f32 {
    let part = |shift: u32| f64::from((drawn >> shift) as u16);
    let mut x = (part(0) + part(16)) / 8192.0 - 8.0;
    match row % 7 {
        1 => x += if row % 2 == 1 { 300.0 } else { -700.0 },
        2 if drawn.is_multiple_of(5) => x = f64::NEG_INFINITY,
        _ => {}
    }
    if row % 11 == 3 {
        x = 2.0;
    }
    if row % 7 == 4 && column == row % COLUMNS {
        x = 40.0;
    }
    if row % 13 == 5 && column >= 64 {
        x += 100.0;
    }
    x as f32
}

/// Rows of logits and what goes with them.
pub(super) struct Corpus {
    element: Element,
    logits: ArrayRef,
}

impl Corpus {
    pub(super) fn new(element: Element) -> Self {
        let drawn = integers(1, ROWS * COLUMNS).enumerate();
        let values = drawn.map(|(i, drawn)| logit(i / COLUMNS, i % COLUMNS, drawn));
        let values: ArrayRef = match element {
            Element::F32 => Arc::new(values.collect::<Float32Array>()),
            // In software: an emulated processor's own conversion was seen to round otherwise.
            Element::F16 => Arc::new(Float16Array::from_iter_values(values.map(half::f16::from_f32_const))),
            Element::F64 => Arc::new(values.map(f64::from).collect::<Float64Array>()),
            Element::Bf16 => {
                Arc::new(values.map(|x| half::bf16::from_f32(x).to_bits()).collect::<UInt16Array>())
            }
        };
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        Self { element, logits: Arc::new(FixedSizeListArray::new(field, COLUMNS as i32, values, None)) }
    }

    /// It as a stream of batches of so many rows.
    pub(super) fn reader(&self, setting: &Setting, batch: usize) -> Reader {
        let sides = setting.sides.iter().map(|&name| (name, side(name)));
        let whole =
            RecordBatch::try_from_iter([("logits", Arc::clone(&self.logits))].into_iter().chain(sides));
        let whole = whole.unwrap();
        let parts: Vec<_> =
            (0..ROWS).step_by(batch).map(|at| Ok(whole.slice(at, batch.min(ROWS - at)))).collect();
        let layout = Layout {
            columns: Columns::default(),
            element: (self.element == Element::Bf16).then_some(Element::Bf16),
            null_labels: NullLabels::Raise,
            ignore_index: -100,
            labels: true,
            logits: true,
            row_period: None,
        };
        Reader::new(Box::new(RecordBatchIterator::new(parts, whole.schema())), layout).unwrap()
    }
}

/// A column beside the logits.
fn side(name: &str) -> ArrayRef {
    let drawn = integers(2, ROWS);
    match name {
        "labels" => Arc::new(labels().collect::<Int64Array>()),
        "mask" => Arc::new(drawn.map(|drawn| Some(drawn >> 20 & 3 > 0)).collect::<BooleanArray>()),
        "weight" => Arc::new(drawn.map(|drawn| (drawn >> 30 & 7) as f64 / 10.0).collect::<Float64Array>()),
        _ => Arc::new(sequences().collect::<Int64Array>()),
    }
}

/// Half of them where peaks are, all of them allowed by the vocabulary's mask; some are at -inf.
fn labels() -> impl Iterator<Item = i64> {
    let peaks = (0..ROWS).map(|row| row % COLUMNS).zip(integers(4, ROWS));
    integers(2, ROWS).zip(peaks).map(|(drawn, (peak, coin))| {
        let label = if coin.is_multiple_of(2) { peak } else { (drawn % COLUMNS as u64) as usize };
        (label - usize::from(label % 3 == 1)) as i64
    })
}

/// Ids of sequences of 1 to 23 tokens.
fn sequences() -> impl Iterator<Item = i64> {
    let lengths = integers(3, ROWS).map(|drawn| (drawn % 23) as usize + 1);
    (0..).zip(lengths).flat_map(|(id, length)| std::iter::repeat_n(id, length)).take(ROWS)
}
