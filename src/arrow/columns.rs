//! Labels, masks, weights, ids and groups: Arrow columns decoded into plain values.

use super::wrong_type;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Key, KeyRef};
use crate::selection::{Label, Mark};
use crate::settings::NullLabels;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

/// Runs a generic function for the integer type of an array.
macro_rules! for_integers {
    ($array:expr, $run:ident($($arg:expr),*), $other:expr) => {
        match $array.data_type() {
            DataType::Int8 => $run::<Int8Type, _>($array, $($arg),*),
            DataType::Int16 => $run::<Int16Type, _>($array, $($arg),*),
            DataType::Int32 => $run::<Int32Type, _>($array, $($arg),*),
            DataType::Int64 => $run::<Int64Type, _>($array, $($arg),*),
            DataType::UInt8 => $run::<UInt8Type, _>($array, $($arg),*),
            DataType::UInt16 => $run::<UInt16Type, _>($array, $($arg),*),
            DataType::UInt32 => $run::<UInt32Type, _>($array, $($arg),*),
            DataType::UInt64 => $run::<UInt64Type, _>($array, $($arg),*),
            _ => $other,
        }
    };
}

/// Each value of a primitive array, null as None.
fn map<T: ArrowPrimitiveType, O>(array: &ArrayRef, one: impl Fn(Option<T::Native>) -> O) -> Vec<O> {
    let array = array.as_primitive::<T>();
    if array.null_count() == 0 {
        return array.values().iter().map(|&x| one(Some(x))).collect();
    }
    array.iter().map(one).collect()
}

fn map_integers<T: ArrowPrimitiveType<Native: Into<i128>>, O>(
    array: &ArrayRef,
    one: impl Fn(Option<i128>) -> O,
) -> Vec<O> {
    map::<T, O>(array, |x| one(x.map(Into::into)))
}

/// Labels of any integer type.
pub(super) fn labels(name: &str, array: &ArrayRef, ignore: i64, nulls: NullLabels) -> Result<Vec<Label>> {
    let null = if nulls == NullLabels::Ignore { Label::Ignored } else { Label::Null };
    let ignore = i128::from(ignore);
    let one = |x: Option<i128>| match x {
        None => null,
        Some(x) if x == ignore => Label::Ignored,
        Some(x) => u32::try_from(x)
            .map_or_else(|_| i64::try_from(x).map_or(Label::Large(x as u64), Label::Other), Label::Id),
    };
    Ok(for_integers!(
        array,
        map_integers(one),
        match array.data_type() {
            DataType::Null => vec![null; array.len()],
            _ => return Err(wrong_type(name, array, "integers")),
        }
    ))
}

/// A mask: booleans, or integers 0 and 1.
pub(super) fn mask(name: &str, array: &ArrayRef) -> Result<Vec<Mark>> {
    if let Some(array) = array.as_boolean_opt() {
        let mark = |x| if x { Mark::Yes } else { Mark::No };
        return Ok(array.iter().map(|x| x.map_or(Mark::Null, mark)).collect());
    }
    let one = |x: Option<i128>| match x {
        None => Mark::Null,
        Some(0) => Mark::No,
        Some(1) => Mark::Yes,
        Some(x) => Mark::Other(Key::Int(x)),
    };
    let wrong = || wrong_type(name, array, "booleans, or integers 0 and 1");
    Ok(for_integers!(array, map_integers(one), return Err(wrong())))
}

/// Roles: strings, of which three are known.
pub(super) fn roles(name: &str, array: &ArrayRef) -> Result<Vec<Mark>> {
    let flat = flat(array)?;
    if !matches!(flat.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
    {
        return Err(wrong_type(name, array, "strings"));
    }
    let mark = |role: Option<KeyRef>| match role {
        None => Mark::Null,
        Some(KeyRef::Text("prompt")) => Mark::No,
        Some(KeyRef::Text("visible")) => Mark::Yes,
        Some(KeyRef::Text("hidden")) => Mark::Hidden,
        Some(other) => Mark::Other(other.to_key()),
    };
    Ok(values(name, &flat)?.map(mark).collect())
}

/// Weights of any number type; null is NaN, which is an error where it counts.
pub(super) fn weight(name: &str, array: &ArrayRef) -> Result<Vec<f64>> {
    Ok(reals(name, array)?.into_iter().map(|x| x.unwrap_or(f64::NAN)).collect())
}

/// Numbers of any type, null as None.
pub(super) fn reals(name: &str, array: &ArrayRef) -> Result<Vec<Option<f64>>> {
    match array.data_type() {
        DataType::Float64 => Ok(map::<Float64Type, _>(array, |x| x)),
        DataType::Float32 => Ok(map::<Float32Type, _>(array, |x| x.map(f64::from))),
        DataType::Float16 => Ok(map::<Float16Type, _>(array, |x| x.map(f64::from))),
        DataType::Null => Ok(vec![None; array.len()]),
        _ => {
            let one = |x: Option<i128>| x.map(|x| x as f64);
            Ok(for_integers!(array, map_integers(one), return Err(wrong_type(name, array, "numbers"))))
        }
    }
}

/// Integers, null as None; what an i64 cannot hold becomes its largest.
pub(super) fn wholes(name: &str, array: &ArrayRef) -> Result<Vec<Option<i64>>> {
    let one = |x: Option<i128>| x.map(|x| i64::try_from(x).unwrap_or(i64::MAX));
    Ok(for_integers!(
        array,
        map_integers(one),
        match array.data_type() {
            DataType::Null => vec![None; array.len()],
            _ => return Err(wrong_type(name, array, "integers")),
        }
    ))
}

/// Scopes: an integer column of our own making.
pub(super) fn scopes(name: &str, array: &ArrayRef) -> Result<Vec<(usize, i64)>> {
    let values = array.as_primitive_opt::<Int64Type>().ok_or_else(|| wrong_type(name, array, "int64"))?;
    let mut found: Vec<(usize, i64)> = Vec::new();
    for (i, &scope) in values.values().iter().enumerate() {
        if found.last().is_none_or(|(_, last)| *last != scope) {
            found.push((i, scope));
        }
    }
    Ok(found)
}

/// Where the value differs from the one before, each null, and always the first place.
pub(super) fn changes(name: &str, array: &ArrayRef) -> Result<Vec<(usize, Option<Key>)>> {
    let flat = flat(array)?;
    let mut found = Vec::new();
    let mut last: Option<KeyRef> = None;
    for (i, value) in values(name, &flat)?.enumerate() {
        if i == 0 || value.is_none() || value != last {
            found.push((i, value.map(KeyRef::to_key)));
        }
        last = value;
    }
    Ok(found)
}

/// A dictionary's values in full.
fn flat(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return Ok(array.clone()) };
    arrow_select::take::take(dictionary.values(), dictionary.keys(), None)
        .map_err(|e| Error::new(ErrorKind::Corrupt, format!("a dictionary column: {e}")))
}

type Values<'a> = Box<dyn Iterator<Item = Option<KeyRef<'a>>> + 'a>;

/// Integers, strings and booleans, borrowed.
fn values<'a>(name: &str, array: &'a ArrayRef) -> Result<Values<'a>> {
    Ok(match array.data_type() {
        DataType::Boolean => Box::new(array.as_boolean().iter().map(|x| x.map(KeyRef::Bool))),
        DataType::Utf8 => Box::new(array.as_string::<i32>().iter().map(|x| x.map(KeyRef::Text))),
        DataType::LargeUtf8 => Box::new(array.as_string::<i64>().iter().map(|x| x.map(KeyRef::Text))),
        DataType::Utf8View => Box::new(array.as_string_view().iter().map(|x| x.map(KeyRef::Text))),
        DataType::Null => Box::new(std::iter::repeat_n(None, array.len())),
        _ => for_integers!(array, integers(()), return Err(wrong_type(name, array, "integers or strings"))),
    })
}

fn integers<T: ArrowPrimitiveType<Native: Into<i128>>, U>(array: &ArrayRef, _: U) -> Values<'_> {
    Box::new(array.as_primitive::<T>().iter().map(|x| x.map(|x| KeyRef::Int(x.into()))))
}
