//! The borrowed view of rows of logits, and the vocabulary that a row is scored over.

use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};

/// Columns of one block: the unit of summation, of masks and of the rank's second look.
pub const BLOCK: usize = 512;
/// Columns of one group: a word of a mask, and what is copied where some of them take no part.
pub(crate) const GROUP: usize = 64;

/// Rows of logits in memory that someone else owns: `[rows, columns]` of one element type.
#[derive(Clone, Copy)]
pub struct LogitRows<'a> {
    element: Element,
    bytes: &'a [u8],
    columns: usize,
    starts: Starts<'a>,
}

/// Where each row starts, in elements.
#[derive(Clone, Copy)]
pub enum Starts<'a> {
    /// Rows follow each other.
    Even,
    /// Row i starts at the i-th offset; used where null rows take no room.
    I32(&'a [i32]),
    /// The same with 64-bit offsets.
    I64(&'a [i64]),
}

impl<'a> LogitRows<'a> {
    /// A view; `columns` is the length of every row.
    #[must_use]
    pub fn new(element: Element, bytes: &'a [u8], columns: usize, starts: Starts<'a>) -> Self {
        Self { element, bytes, columns, starts }
    }

    /// The element type.
    #[must_use]
    pub fn element(&self) -> Element {
        self.element
    }

    /// The bytes of the first `size` columns of row `index`; `None` where the row does not lie
    /// wholly inside the buffer.
    #[inline]
    #[must_use]
    pub fn row(&self, index: usize, size: usize) -> Option<&'a [u8]> {
        let start = match self.starts {
            Starts::Even => index.checked_mul(self.columns)?,
            Starts::I32(offsets) => usize::try_from(*offsets.get(index)?).ok()?,
            Starts::I64(offsets) => usize::try_from(*offsets.get(index)?).ok()?,
        };
        let width = self.element.size();
        let from = start.checked_mul(width)?;
        self.bytes.get(from..from.checked_add(size.min(self.columns) * width)?)
    }
}

/// The entries of a row that have a probability: all of the first `size`, or those of a mask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocab {
    size: usize,
    mask: Option<Mask>,
}

/// A word for each group of 64 columns, and the blocks that are read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mask {
    groups: Vec<u64>,
    /// The blocks of 512 that hold an allowed column.
    live: Vec<Block>,
}

/// A block of columns of which some are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its place among all blocks of a row.
    pub(crate) index: usize,
    /// One bit for each group that lacks a column.
    pub(crate) lacking: u8,
}

impl Vocab {
    /// The vocabulary of rows of `columns` logits, of which the first `valid` count and, of those,
    /// the ones that `mask` (one bool a column) allows.
    ///
    /// # Errors
    /// No column, `valid` beyond the row, a mask of another length, a mask that allows nothing.
    pub fn new(columns: usize, valid: Option<usize>, mask: Option<&[bool]>) -> Result<Self> {
        let size = valid.unwrap_or(columns);
        if columns == 0 {
            return Err(Error::new(
                ErrorKind::Shape,
                "the vocabulary is empty: logits have rows of length 0",
            )
            .wanted("at least one logit a row", "0"));
        }
        if columns > u32::MAX as usize {
            return Err(Error::new(ErrorKind::Shape, format!("rows of {columns} logits are too long"))
                .wanted("fewer than 2^32", columns.to_string()));
        }
        if size == 0 || size > columns {
            return Err(Error::new(
                ErrorKind::Settings,
                format!("valid_vocab is {size}, but rows of logits have length {columns}"),
            )
            .wanted(format!("1 to {columns}"), size.to_string()));
        }
        let mask = mask.map(|allowed| Mask::new(allowed, columns, size)).transpose()?;
        Ok(Self { size, mask: mask.flatten() })
    }

    /// The vocabulary where nothing says how long rows are, since all of them are null.
    #[must_use]
    pub fn unknown() -> Self {
        Self { size: u32::MAX as usize, mask: None }
    }

    /// Columns that are looked at: labels must be below it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this entry has a probability.
    #[inline]
    #[must_use]
    pub fn allows(&self, id: usize) -> bool {
        id < self.size && self.mask.as_ref().is_none_or(|m| m.groups[id / GROUP] >> (id % GROUP) & 1 == 1)
    }

    /// How many entries have a probability.
    #[must_use]
    pub fn allowed(&self) -> usize {
        (0..self.size).filter(|&id| self.allows(id)).count()
    }

    /// Whether a mask leaves entries out.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.mask.is_some()
    }

    /// How many blocks hold an allowed column; the others are never read.
    #[inline]
    pub(crate) fn live_blocks(&self) -> usize {
        self.mask.as_ref().map_or(self.size.div_ceil(BLOCK), |m| m.live.len())
    }

    /// Such a block.
    #[inline]
    pub(crate) fn live_block(&self, place: usize) -> Block {
        self.mask.as_ref().map_or(Block { index: place, lacking: 0 }, |m| m.live[place])
    }

    /// The allowed columns of a group, one bit each.
    #[inline]
    pub(crate) fn group(&self, index: usize) -> u64 {
        self.mask.as_ref().map_or(u64::MAX, |m| m.groups[index])
    }
}

impl Mask {
    /// `None` if everything is allowed: then there is nothing to mask.
    fn new(allowed: &[bool], columns: usize, size: usize) -> Result<Option<Self>> {
        if allowed.len() != columns && allowed.len() != size {
            return Err(Error::new(
                ErrorKind::Shape,
                format!("vocab_mask has length {}, but rows of logits have length {columns}", allowed.len()),
            )
            .wanted(columns.to_string(), allowed.len().to_string()));
        }
        let allowed = &allowed[..size];
        if !allowed.contains(&true) {
            return Err(Error::new(ErrorKind::Settings, "vocab_mask allows no entry at all")
                .wanted("at least one true entry", "none"));
        }
        if !allowed.contains(&false) {
            return Ok(None);
        }
        let word =
            |group: &[bool]| group.iter().enumerate().fold(0, |word, (i, &bit)| word | u64::from(bit) << i);
        let live = (0..).zip(allowed.chunks(BLOCK)).filter(|(_, block)| block.contains(&true));
        Ok(Some(Self {
            groups: allowed.chunks(GROUP).map(word).collect(),
            live: live.map(|(index, block)| Block { index, lacking: lacking(block) }).collect(),
        }))
    }
}

/// One bit for each group of a block that lacks a column.
fn lacking(block: &[bool]) -> u8 {
    let bits = block.chunks(GROUP).enumerate().map(|(i, group)| u8::from(group.contains(&false)) << i);
    bits.fold(0, |groups, bit| groups | bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_outside_the_buffer_are_none() {
        let bytes = [0u8; 24];
        let rows = LogitRows::new(Element::F32, &bytes, 3, Starts::Even);
        assert_eq!(rows.row(1, 3).map(<[u8]>::len), Some(12));
        assert_eq!(rows.row(1, 2).map(<[u8]>::len), Some(8));
        assert_eq!(rows.row(2, 3), None);
        assert_eq!(rows.row(usize::MAX, 3), None);
        let offsets = [0, 0, 3, -1];
        let rows = LogitRows::new(Element::F32, &bytes, 3, Starts::I32(&offsets));
        assert!(rows.row(2, 3).is_some() && rows.row(3, 3).is_none());
    }

    #[test]
    fn groups_follow_the_mask() -> Result<()> {
        let mut allowed = vec![true; 530];
        allowed[..512].fill(false);
        allowed[513] = false;
        let masked = Vocab::new(530, Some(520), Some(&allowed))?;
        // The first block is empty, the second lacks a column of its first group.
        assert_eq!((masked.live_blocks(), masked.live_block(0)), (1, Block { index: 1, lacking: 1 }));
        assert_eq!(masked.group(8), 0xfd);
        assert!(masked.allows(512) && !masked.allows(513) && !masked.allows(520));
        Ok(())
    }

    #[test]
    fn what_cannot_be_a_vocabulary() {
        let kind = |r: Result<Vocab>| r.map_err(|e| e.kind()).err();
        assert_eq!(kind(Vocab::new(0, None, None)), Some(ErrorKind::Shape));
        assert_eq!(kind(Vocab::new(4, Some(5), None)), Some(ErrorKind::Settings));
        assert_eq!(kind(Vocab::new(4, None, Some(&[true; 3]))), Some(ErrorKind::Shape));
        assert_eq!(kind(Vocab::new(2, None, Some(&[false; 2]))), Some(ErrorKind::Settings));
        assert_eq!(Vocab::new(2, None, Some(&[true; 2])), Vocab::new(2, None, None));
    }
}
