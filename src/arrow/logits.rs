//! The logits column: which bytes a row has, whatever list type holds them.

use super::wrong_type;
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::rows::{LogitRows, Starts, Vocab};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type, Int16Type, UInt16Type};
use arrow_array::{Array, ArrayRef, GenericListArray, OffsetSizeTrait};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field};

/// Logits of one piece, sharing the stream's buffers.
#[derive(Debug, Clone)]
pub struct LogitColumn {
    element: Element,
    /// Unknown where every row is null.
    columns: Option<usize>,
    rows: usize,
    bytes: Buffer,
    starts: OwnedStarts,
    /// Rows that are null.
    row_nulls: Option<NullBuffer>,
    /// Single logits that are null.
    nulls: Option<NullBuffer>,
}

#[derive(Debug, Clone)]
enum OwnedStarts {
    Even,
    I32(OffsetBuffer<i32>),
    I64(OffsetBuffer<i64>),
}

/// Flat values of a list column.
struct Flat {
    element: Element,
    bytes: Buffer,
    nulls: Option<NullBuffer>,
}

impl LogitColumn {
    /// Looks at a column; nothing is read but lengths and offsets.
    pub(super) fn new(field: &Field, array: &ArrayRef, stated: Option<Element>) -> Result<Self> {
        let name = field.name();
        check_tensor(field)?;
        match array.data_type() {
            DataType::FixedSizeList(inner, size) => {
                let list = array.as_fixed_size_list();
                let flat = Flat::new(name, inner, list.values(), stated)?;
                Ok(Self::even(array, flat, usize::try_from(*size).unwrap_or(0)))
            }
            DataType::List(inner) => {
                Self::uniform(name, inner, array.as_list::<i32>(), stated, OwnedStarts::I32)
            }
            DataType::LargeList(inner) => {
                Self::uniform(name, inner, array.as_list::<i64>(), stated, OwnedStarts::I64)
            }
            DataType::FixedSizeBinary(width) => Self::binary(name, array, *width, stated),
            _ => Err(wrong_type(
                name,
                array,
                "a list of float16, float32, float64 (or bfloat16 stated by dtype) of the vocabulary's length",
            )),
        }
    }

    /// The element type.
    #[must_use]
    pub fn element(&self) -> Element {
        self.element
    }

    /// Logits a row; `None` where every row is a null list, which says nothing of its length.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of one row.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.columns.unwrap_or(0) * self.element.size()
    }

    /// The first `vocab.size()` logits of a row; `None` where the row, or a logit that is looked
    /// at, is null.
    #[must_use]
    pub fn row(&self, index: usize, vocab: &Vocab) -> Option<&[u8]> {
        if self.row_nulls.as_ref().is_some_and(|nulls| nulls.is_null(index)) {
            return None;
        }
        let starts = match &self.starts {
            OwnedStarts::Even => Starts::Even,
            OwnedStarts::I32(offsets) => Starts::I32(offsets),
            OwnedStarts::I64(offsets) => Starts::I64(offsets),
        };
        if let Some(nulls) = &self.nulls {
            let start = match &self.starts {
                OwnedStarts::Even => index * self.columns?,
                OwnedStarts::I32(offsets) => usize::try_from(offsets[index]).ok()?,
                OwnedStarts::I64(offsets) => usize::try_from(offsets[index]).ok()?,
            };
            if (0..vocab.size()).any(|id| nulls.is_null(start + id) && vocab.allows(id)) {
                return None;
            }
        }
        LogitRows::new(self.element, &self.bytes, self.columns?, starts).row(index, vocab.size())
    }

    fn even(array: &ArrayRef, flat: Flat, columns: usize) -> Self {
        Self {
            element: flat.element,
            columns: Some(columns),
            rows: array.len(),
            bytes: flat.bytes,
            starts: OwnedStarts::Even,
            row_nulls: array.nulls().filter(|n| n.null_count() > 0).cloned(),
            nulls: flat.nulls,
        }
    }

    /// Lists that all have one length; null ones may have any.
    fn uniform<O: OffsetSizeTrait>(
        name: &str,
        inner: &Field,
        list: &GenericListArray<O>,
        stated: Option<Element>,
        starts: impl Fn(OffsetBuffer<O>) -> OwnedStarts,
    ) -> Result<Self> {
        // First, so that lists of lists are named as such.
        let flat = Flat::new(name, inner, list.values(), stated)?;
        let lengths = (0..list.len()).map(|i| (i, list.value_length(i).as_usize()));
        let mut columns = None;
        for (row, length) in lengths.filter(|(row, _)| list.is_valid(*row)) {
            let first = *columns.get_or_insert(length);
            if length != first {
                let message = format!(
                    "column {name:?} has lists of varying length: {first} logits in the first, {length} in row {row} of the batch"
                );
                return Err(Error::new(ErrorKind::Shape, message)
                    .wanted(format!("{first} logits in every row"), length.to_string()));
            }
        }
        Ok(Self {
            element: flat.element,
            columns,
            rows: list.len(),
            bytes: flat.bytes,
            starts: starts(list.offsets().clone()),
            row_nulls: list.nulls().filter(|n| n.null_count() > 0).cloned(),
            nulls: flat.nulls,
        })
    }

    /// Rows as opaque bytes; the element type must be stated.
    fn binary(name: &str, array: &ArrayRef, width: i32, stated: Option<Element>) -> Result<Self> {
        let element = stated.ok_or_else(|| must_state(name, array.data_type()))?;
        let width = usize::try_from(width).unwrap_or(0);
        if width % element.size() != 0 {
            let message = format!(
                "column {name:?} has rows of {width} bytes, which is no whole number of {element} ({} bytes each)",
                element.size()
            );
            return Err(Error::new(ErrorKind::Shape, message)
                .wanted(format!("a multiple of {} bytes", element.size()), width.to_string()));
        }
        let bytes = array.as_fixed_size_binary().values().clone();
        Ok(Self::even(array, Flat { element, bytes, nulls: None }, width / element.size()))
    }
}

impl Flat {
    fn new(name: &str, inner: &Field, values: &ArrayRef, stated: Option<Element>) -> Result<Self> {
        let (own, bytes) = match values.data_type() {
            DataType::Float64 => {
                (Some(Element::F64), values.as_primitive::<Float64Type>().values().inner().clone())
            }
            DataType::Float32 => {
                (Some(Element::F32), values.as_primitive::<Float32Type>().values().inner().clone())
            }
            DataType::Float16 => {
                (Some(Element::F16), values.as_primitive::<Float16Type>().values().inner().clone())
            }
            DataType::UInt16 => (None, values.as_primitive::<UInt16Type>().values().inner().clone()),
            DataType::Int16 => (None, values.as_primitive::<Int16Type>().values().inner().clone()),
            DataType::FixedSizeBinary(2) => {
                (bf16_extension(inner), values.as_fixed_size_binary().values().clone())
            }
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
                let message = format!(
                    "column {name:?} has type list of {}: rows that hold whole sequences cannot be read yet; \
                     one row a position is expected",
                    values.data_type()
                );
                return Err(Error::new(ErrorKind::Shape, message)
                    .wanted("one row a position", values.data_type().to_string()));
            }
            _ => {
                return Err(wrong_type(
                    name,
                    values,
                    "float16, float32, float64, or bfloat16 as 16-bit words",
                ));
            }
        };
        let element = match (own, stated) {
            (Some(own), Some(stated)) if own != stated => {
                let message = format!("dtype says {stated}, but column {name:?} holds {own}");
                return Err(Error::new(ErrorKind::DType, message).wanted(stated.name(), own.name()));
            }
            (None, Some(stated)) if stated.size() == 2 => stated,
            (Some(own), _) => own,
            (None, Some(stated)) => {
                let message = format!("dtype says {stated}, but column {name:?} holds 16-bit words");
                return Err(Error::new(ErrorKind::DType, message).wanted(stated.name(), "16-bit words"));
            }
            (None, None) => return Err(must_state(name, values.data_type())),
        };
        Ok(Self { element, bytes, nulls: values.nulls().filter(|n| n.null_count() > 0).cloned() })
    }
}

/// `lance.bfloat16` says what its two bytes are.
fn bf16_extension(field: &Field) -> Option<Element> {
    field.extension_type_name().filter(|name| *name == "lance.bfloat16").map(|_| Element::Bf16)
}

fn must_state(name: &str, got: &DataType) -> Error {
    let message = format!(
        "column {name:?} holds {got}, which does not say what its 16-bit words are: \
         state it, for example dtype=\"bfloat16\""
    );
    Error::new(ErrorKind::DType, message).wanted("a stated dtype", got.to_string())
}

/// A tensor in a row must be a vector.
fn check_tensor(field: &Field) -> Result<()> {
    let metadata = field.metadata();
    let tensor = field.extension_type_name() == Some("arrow.fixed_shape_tensor");
    let shape = metadata.get("ARROW:extension:metadata").filter(|_| tensor);
    let shape = shape.and_then(|text| text.split_once("\"shape\"")?.1.split_once('[')?.1.split_once(']'));
    match shape {
        Some((dimensions, _)) if dimensions.contains(',') => {
            let message = format!(
                "column {:?} holds tensors of shape [{dimensions}] in each row; one row a position is expected",
                field.name()
            );
            Err(Error::new(ErrorKind::Shape, message).wanted("[V]", format!("[{dimensions}]")))
        }
        _ => Ok(()),
    }
}

/// Bytes of one row, near enough to cut pieces by.
pub(super) fn row_bytes(array: &ArrayRef) -> usize {
    let width = |inner: &ArrayRef| inner.data_type().primitive_width().unwrap_or(2);
    match array.data_type() {
        DataType::FixedSizeList(_, size) => {
            usize::try_from(*size).unwrap_or(0) * width(array.as_fixed_size_list().values())
        }
        DataType::List(_) => mean(array.as_list::<i32>().values(), array.len(), width),
        DataType::LargeList(_) => mean(array.as_list::<i64>().values(), array.len(), width),
        DataType::FixedSizeBinary(size) => usize::try_from(*size).unwrap_or(0),
        _ => 0,
    }
}

fn mean(values: &ArrayRef, rows: usize, width: impl Fn(&ArrayRef) -> usize) -> usize {
    values.len() / rows.max(1) * width(values)
}
