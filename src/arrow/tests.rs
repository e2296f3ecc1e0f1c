//! What comes through the door, and what does not.

use super::*;
use crate::rows::Vocab;
use crate::selection::{Label, Mark};
use arrow_array::builder::{FixedSizeBinaryBuilder, Float32Builder, ListBuilder};
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int8Type};
use arrow_array::{
    BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array, Int64Array, LargeListArray, ListArray,
    PrimitiveArray, RecordBatchIterator, StringArray, UInt16Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{Field, Schema};
use std::collections::HashMap;
use std::sync::Arc;

const V: i32 = 3;

fn layout() -> Layout {
    Layout {
        columns: Columns::default(),
        element: None,
        null_labels: NullLabels::Raise,
        ignore_index: -100,
        labels: true,
        logits: true,
        row_period: None,
    }
}

fn fixed(values: ArrayRef) -> ArrayRef {
    let field = Arc::new(Field::new("item", values.data_type().clone(), true));
    Arc::new(FixedSizeListArray::new(field, V, values, None))
}

fn numbers(rows: i32) -> ArrayRef {
    fixed(Arc::new((0..rows * V).map(|x| x as f32).collect::<Float32Array>()))
}

fn reader(columns: Vec<(&str, ArrayRef)>, layout: Layout) -> Result<Reader> {
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let schema = batch.schema();
    Reader::new(Box::new(RecordBatchIterator::new(vec![Ok(batch)], schema)), layout)
}

fn read(columns: Vec<(&str, ArrayRef)>, layout: Layout) -> Result<Input> {
    let input = reader(columns, layout)?.next(&mut GroupTable::default())?;
    Ok(input.unwrap())
}

fn with_labels(logits: ArrayRef, layout: Layout) -> Result<Input> {
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![0; logits.len()]));
    read(vec![("logits", logits), ("labels", labels)], layout)
}

fn values(input: &Input) -> Vec<Option<Vec<f64>>> {
    let Some(Rows::Logits(logits)) = &input.rows else { panic!("no logits") };
    let columns = logits.columns().unwrap();
    let vocab = Vocab::new(columns, None, None).unwrap();
    let widen = |row: &[u8]| (0..columns).filter_map(|i| logits.element().get(row, i)).collect();
    (0..logits.rows()).map(|row| logits.row(row, &vocab).map(widen)).collect()
}

const ROWS: [[f64; 3]; 2] = [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]];

fn both() -> Vec<Option<Vec<f64>>> {
    ROWS.iter().map(|row| Some(row.to_vec())).collect()
}

#[test]
fn every_list_type_and_element_type() {
    let flat = |n: usize| (0..n).map(|x| x as f64);
    let f16: PrimitiveArray<Float16Type> = flat(6).map(|x| Some(half::f16::from_f64(x))).collect();
    let f32: PrimitiveArray<Float32Type> = flat(6).map(|x| Some(x as f32)).collect();
    let f64: PrimitiveArray<Float64Type> = flat(6).map(Some).collect();
    for values_of in [Arc::new(f16) as ArrayRef, Arc::new(f32), Arc::new(f64)] {
        let field = Arc::new(Field::new("item", values_of.data_type().clone(), true));
        let short = OffsetBuffer::new(vec![0i32, 3, 6].into());
        let long = OffsetBuffer::new(vec![0i64, 3, 6].into());
        for logits in [
            fixed(Arc::clone(&values_of)),
            Arc::new(ListArray::new(Arc::clone(&field), short, Arc::clone(&values_of), None)),
            Arc::new(LargeListArray::new(field, long, Arc::clone(&values_of), None)),
        ] {
            assert_eq!(values(&with_labels(logits, layout()).unwrap()), both());
        }
    }
}

#[test]
fn bfloat16_only_where_it_is_stated() {
    let words: Vec<u16> = ROWS.iter().flatten().map(|&x| half::bf16::from_f64(x).to_bits()).collect();
    let bf16 = Layout { element: Some(Element::Bf16), ..layout() };
    let list = fixed(Arc::new(UInt16Array::from(words.clone())));
    assert_eq!(values(&with_labels(Arc::clone(&list), bf16.clone()).unwrap()), both());
    assert_eq!(with_labels(list, layout()).map_err(|e| e.kind()).err(), Some(ErrorKind::DType));
    let mut rows = FixedSizeBinaryBuilder::new(6);
    for row in words.chunks(3) {
        let bytes: Vec<u8> = row.iter().flat_map(|word| word.to_ne_bytes()).collect();
        rows.append_value(bytes).unwrap();
    }
    assert_eq!(values(&with_labels(Arc::new(rows.finish()), bf16.clone()).unwrap()), both());
    let wrong = with_labels(numbers(2), bf16).map_err(|e| e.kind()).err();
    assert_eq!(wrong, Some(ErrorKind::DType));
}

#[test]
fn slices_start_where_they_should() {
    let sliced = numbers(5).slice(2, 2);
    let want = vec![Some(vec![6.0, 7.0, 8.0]), Some(vec![9.0, 10.0, 11.0])];
    assert_eq!(values(&with_labels(sliced, layout()).unwrap()), want);
}

#[test]
fn nulls_of_rows_and_of_single_logits() {
    let mut builder = ListBuilder::new(Float32Builder::new());
    builder.append(false); // a null row that takes no room
    builder.append_value((0..3).map(|x| Some(x as f32)));
    builder.append_value([Some(1.0), None, Some(2.0)]);
    let found = values(&with_labels(Arc::new(builder.finish()), layout()).unwrap());
    assert_eq!(found, vec![None, Some(ROWS[0].to_vec()), None]);
    let values_of = Arc::new(Float32Array::from(vec![0.0; 6]));
    let field = Arc::new(Field::new("item", DataType::Float32, true));
    let nulls = NullBuffer::from(vec![false, true]);
    let list = FixedSizeListArray::new(field, V, values_of, Some(nulls));
    assert_eq!(values(&with_labels(Arc::new(list), layout()).unwrap())[0], None);
}

#[test]
fn shapes_that_are_no_rows_of_logits() {
    let mut builder = ListBuilder::new(Float32Builder::new());
    builder.append_value([Some(1.0), Some(2.0)]);
    builder.append_value([Some(1.0)]);
    let varying = with_labels(Arc::new(builder.finish()), layout()).unwrap_err();
    assert_eq!((varying.kind(), varying.got()), (ErrorKind::Shape, Some("1")));
    let metadata = HashMap::from([
        ("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned()),
        ("ARROW:extension:metadata".to_owned(), r#"{"shape":[1,3]}"#.to_owned()),
    ]);
    let array = numbers(2);
    let field = Field::new("logits", array.data_type().clone(), true).with_metadata(metadata);
    let tensor = LogitColumn::new(&field, &array, None).unwrap_err();
    assert_eq!((tensor.kind(), tensor.got()), (ErrorKind::Shape, Some("[1,3]")));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    assert_eq!(with_labels(text, layout()).map_err(|e| e.kind()).err(), Some(ErrorKind::DType));
}

#[test]
fn labels_of_every_kind() {
    let labels: ArrayRef =
        Arc::new(Int64Array::from(vec![Some(5), Some(-100), Some(-1), None, Some(1 << 40)]));
    let columns = || vec![("logits", numbers(5)), ("label", Arc::clone(&labels))];
    let found = read(columns(), layout()).unwrap().piece.labels;
    let want = [Label::Id(5), Label::Ignored, Label::Other(-1), Label::Null, Label::Other(1 << 40)];
    assert_eq!(found, want);
    let ignoring = Layout { null_labels: NullLabels::Ignore, ..layout() };
    assert_eq!(read(columns(), ignoring).unwrap().piece.labels[3], Label::Ignored);
    // 2^64 - 100 is a cast -100, and never equals it.
    let wrapped: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX - 99, 7]));
    let found = read(vec![("logits", numbers(2)), ("labels", wrapped)], layout()).unwrap().piece.labels;
    assert_eq!(found, [Label::Large(u64::MAX - 99), Label::Id(7)]);
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    let wrong = read(vec![("logits", numbers(1)), ("labels", floats)], layout());
    assert_eq!(wrong.map_err(|e| e.kind()).err(), Some(ErrorKind::DType));
}

#[test]
fn masks_ids_and_groups() {
    let of = |array: ArrayRef, name: &'static str| {
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![0; array.len()]));
        vec![("logits", numbers(array.len() as i32)), ("labels", labels), (name, array)]
    };
    let mask = Arc::new(Int64Array::from(vec![Some(1), Some(0), Some(2), None]));
    let marks = read(of(mask, "mask"), layout()).unwrap().piece.marks;
    assert_eq!(marks, Some(vec![Mark::Yes, Mark::No, Mark::Other(Key::Int(2)), Mark::Null]));
    let bools = Arc::new(BooleanArray::from(vec![true, false]));
    assert_eq!(read(of(bools, "mask"), layout()).unwrap().piece.marks, Some(vec![Mark::Yes, Mark::No]));
    let ids = Arc::new(StringArray::from(vec![Some("a"), Some("a"), None, None, Some("b")]));
    let changes = read(of(ids.clone(), "sequence_id"), layout()).unwrap().piece.ids.unwrap();
    assert_eq!(changes.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 2, 3, 4]);
    let by = Columns { by: vec!["task".to_owned()], ..Columns::default() };
    let grouped = Layout { columns: by, ..layout() };
    assert_eq!(read(of(ids, "task"), grouped).unwrap().piece.groups, Some(vec![0, 0, 1, 1, 2]));
}

#[test]
fn scores_in_place_of_logits() {
    let names = ScoreParts {
        nll: "nll".to_owned(),
        nll_high: Some("upper".to_owned()),
        rank: Some("rank".to_owned()),
        ..ScoreParts::default()
    };
    let scored = Layout { columns: Columns { scores: Some(names), ..Columns::default() }, ..layout() };
    let columns = |rank: ArrayRef| {
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![4; 3]));
        let nll: ArrayRef = Arc::new(Float32Array::from(vec![Some(0.5), Some(2.0), None]));
        let upper: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(9), None]));
        vec![("labels", labels), ("nll", nll), ("upper", upper), ("rank", rank)]
    };
    let rank = Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)]));
    let input = read(columns(rank), scored.clone()).unwrap();
    let Some(Rows::Scores(found)) = input.rows else { panic!("no scores") };
    let ends = |i: usize| (found[i].nll, found[i].nll_high, found[i].rank, found[i].rank_high);
    assert_eq!((ends(0), ends(1)), ((0.5, 0.5, 0, 0), (2.0, 9.0, 0, crate::score::NOWHERE)));
    assert!(found[1].is_known() && !found[2].is_known());
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![0.0; 3]));
    let wrong = read(columns(floats), scored.clone());
    assert_eq!(wrong.map_err(|e| e.kind()).err(), Some(ErrorKind::DType));
    let missing = reader(vec![("labels", Arc::new(Int64Array::from(vec![0])))], scored).map(|_| ());
    assert_eq!(
        missing.map_err(|e| e.message().to_owned()).err().as_deref(),
        Some("there is no column \"nll\"; the columns are: labels")
    );
}

#[test]
fn roles_stand_in_place_of_a_mask() {
    let named = Columns { role: Some("part".to_owned()), ..Columns::default() };
    let columns = |roles: ArrayRef| {
        let n = roles.len();
        let labels: ArrayRef = Arc::new(Int64Array::from(vec![0; n]));
        let mask: ArrayRef = Arc::new(BooleanArray::from(vec![false; n]));
        vec![("logits", numbers(n as i32)), ("labels", labels), ("mask", mask), ("part", roles)]
    };
    let texts = ["prompt", "visible", "hidden", "user"];
    let want = [Mark::No, Mark::Yes, Mark::Hidden, Mark::Other(Key::Text("user".into())), Mark::Null];
    let plain: ArrayRef = Arc::new(texts.iter().map(Some).chain([None]).collect::<StringArray>());
    let dictionary: ArrayRef =
        Arc::new(texts.into_iter().map(Some).chain([None]).collect::<DictionaryArray<Int8Type>>());
    for roles in [plain, dictionary] {
        let piece = read(columns(roles), Layout { columns: named.clone(), ..layout() }).unwrap().piece;
        assert_eq!((piece.marks.as_deref(), piece.by_role), (Some(&want[..]), true));
    }
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let wrong = read(columns(numbers), Layout { columns: named, ..layout() });
    assert_eq!(wrong.map_err(|e| e.kind()).err(), Some(ErrorKind::DType));
}

#[test]
fn a_missing_column_lists_those_present() {
    let error = reader(vec![("x", numbers(1))], layout()).map(|_| ()).unwrap_err();
    assert_eq!(error.message(), "there is no column \"logits\"; the columns are: x");
    let named = Columns { mask: Choice::Named("reply".to_owned()), ..Columns::default() };
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    let columns = vec![("logits", numbers(1)), ("labels", labels)];
    assert!(reader(columns, Layout { columns: named, ..layout() }).is_err());
}

#[test]
fn large_batches_are_cut() {
    let rows = 2_500;
    let labels: ArrayRef = Arc::new(Int64Array::from(vec![0; rows as usize]));
    let mut reader = reader(vec![("logits", numbers(rows)), ("labels", labels)], layout()).unwrap();
    let mut sizes = Vec::new();
    while let Some(input) = reader.next(&mut GroupTable::default()).unwrap() {
        sizes.push(input.piece.len());
    }
    assert_eq!(sizes, [1024, 1024, 452]);
}

#[test]
fn an_empty_stream_gives_nothing() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("logits", numbers(0).data_type().clone(), true),
        Field::new("labels", DataType::Int64, true),
    ]));
    let stream = RecordBatchIterator::new(vec![], schema);
    let mut reader = Reader::new(Box::new(stream), layout()).unwrap();
    assert!(reader.next(&mut GroupTable::default()).unwrap().is_none());
    assert!(reader.next(&mut GroupTable::default()).unwrap().is_none());
}
