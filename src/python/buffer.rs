//! The NumPy border: a writable array as a slice.

use crate::error::{Error, ErrorKind, Result};
use pyo3::buffer::{Element, PyBuffer};
use pyo3::prelude::*;

/// A writable, C-contiguous buffer of floats that Python keeps alive while this lives.
pub(super) struct Output<T: Element>(PyBuffer<T>);

impl<T: Element> Output<T> {
    /// The buffer of an object, if it holds this type.
    pub(super) fn get(object: &Bound<'_, PyAny>) -> Option<Self> {
        PyBuffer::<T>::get(object).ok().map(Self)
    }

    /// All of it.
    pub(super) fn as_mut_slice(&mut self) -> Result<&mut [T]> {
        if self.0.readonly() || !self.0.is_c_contiguous() {
            let message = "the output must be a writable, C-contiguous array";
            return Err(Error::new(ErrorKind::Shape, message));
        }
        if self.0.item_count() == 0 {
            return Ok(&mut []);
        }
        // SAFETY: the buffer is writable, contiguous and aligned (PyBuffer checks the format and
        // the alignment), has so many items, and stays exported while `self` lives. The array was
        // made for this call alone by the Python layer, so nobody else reads or writes it.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.buf_ptr().cast::<T>(), self.0.item_count()) })
    }
}
