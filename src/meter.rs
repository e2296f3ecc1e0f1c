//! The line as a value that can be fed, merged and asked: what `evaluate` and `Meter` stand on.
//!
//! One stream may feed several meters ([`update_all`]): it is read once, and each row is scored
//! once. What each counts, and which error comes first, is as if it were alone.

mod feed;
#[cfg(test)]
mod tests;

use crate::arrow::Reader;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::fpstate::Guard;
use crate::key::GroupTable;
use crate::parallel::Control;
use crate::pipeline::{Carry, Pipeline, Portion, Read, Scored};
use crate::scoring::Scorer;
use crate::settings::Settings;
use crate::tally::{Open, Summary, Tally};
use crate::warnings::{Looks, Warning};

/// A tally with the state of counting that carries over batch borders.
#[derive(Debug, Clone)]
pub struct Meter {
    tally: Tally,
    open: Open,
    carry: Carry,
    groups: GroupTable,
    known: bool,
    by_role: bool,
}

pub use feed::{Failed, update_all};

/// Watches a run from the calling thread: may stop it, and is told how far it is.
pub trait Observer: Control {
    /// Whether it wants to be told now.
    fn wants_progress(&self) -> bool;

    /// Told after a piece: what was read, and the loss so far.
    fn progress(&mut self, read: Read, loss: f64);
}

/// How one update reads its stream.
pub struct Update<'a> {
    /// The stream.
    pub reader: &'a mut Reader,
    /// Who scores; `None` looks at labels and selection only.
    pub scorer: Option<&'a mut Scorer>,
    /// Names of the group columns.
    pub by: &'a [String],
    /// Whether the input ends with it.
    pub last: bool,
}

impl Meter {
    /// An empty meter.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let carry = Carry::new(&settings);
        Self::of(Tally::new(settings), carry)
    }

    fn of(tally: Tally, carry: Carry) -> Self {
        let (open, groups) = (Open::default(), GroupTable::default());
        Self { tally, open, carry, groups, known: true, by_role: false }
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        self.tally.settings()
    }

    /// Whether a sequence is still open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.carry.selector.is_open()
    }

    /// States the length of rows, where no logits will say it.
    ///
    /// # Errors
    /// A length that the settings do not fit.
    pub fn set_vocab(&mut self, columns: usize) -> Result<()> {
        self.carry.vocab(columns, &self.settings().clone()).map(|_| ())
    }

    /// Reads a stream to its end.
    ///
    /// # Errors
    /// The first error of the stream, of counting or of scoring; all before it is in the tally.
    pub fn update(&mut self, update: Update, observer: &mut dyn Observer) -> Result<()> {
        update_all(std::slice::from_mut(self), update, observer).map_err(|failed| failed.error)
    }

    /// Looks at a stream before it is read.
    fn begin(&mut self, reader: &Reader) -> Result<()> {
        self.check_marks(reader)?;
        self.check_units(reader)?;
        self.known = reader.id_type().is_some();
        Ok(())
    }

    /// Counts a portion of a stream. An error that has a position is given back, since another
    /// meter may yet find an earlier one.
    fn advance(
        &mut self,
        reader: &Reader,
        portion: &mut Portion,
        scorer: Option<&mut Scorer>,
        by: &[String],
        groups: &GroupTable,
        control: &mut dyn Control,
    ) -> Result<Option<Error>> {
        let settings = self.settings().clone();
        let mut line = Pipeline::new(reader, &mut self.carry, scorer, &settings);
        let scored = line.advance(portion, control)?;
        self.absorb(scored, by, groups)
    }

    /// Whether this stream can be counted by the settings, and go on with what is open.
    fn check_marks(&mut self, reader: &Reader) -> Result<()> {
        let claims = self.settings().leading + self.settings().trailing > 0;
        let by_role = reader.has_roles();
        let (message, wanted, got) = if claims && by_role && self.settings().profile.is_none() {
            ("roles say which tokens are hidden: leading and trailing must be 0", "0", "another number")
        } else if claims && !by_role && !reader.has_mask() {
            let message = "leading and trailing tokens need a mask: keep the token ids as labels and \
                           pass mask = labels != -100";
            (message, "a mask", "none")
        } else if self.is_open() && self.by_role != by_role {
            let message = "the open sequence began with a role, and goes on without, or the other way \
                           round; end it first (close(), or final=True)";
            (message, "one way to select tokens in a sequence", "two")
        } else {
            self.by_role = by_role;
            return Ok(());
        };
        Err(Error::new(ErrorKind::Settings, message).wanted(wanted, got))
    }

    /// Whether this stream tells apart what is pooled.
    fn check_units(&self, reader: &Reader) -> Result<()> {
        let (what, name) = if self.settings().by_sequence() && reader.id_type().is_none() {
            ("sequences", "sequence_id")
        } else if self.settings().pooling.by_batch() && !reader.has_batches() {
            ("batches", "batch_id")
        } else {
            return Ok(());
        };
        let message = format!("means over {what} need to know them: pass {name}");
        Err(Error::new(ErrorKind::Settings, message).wanted(name, "none"))
    }

    /// Ends the open sequence, and the input; nothing if none is open.
    ///
    /// # Errors
    /// The first error that was not settled before.
    pub fn close(&mut self) -> Result<()> {
        let groups = std::mem::take(&mut self.groups);
        let closed = self.close_with(&groups);
        self.groups = groups;
        closed?.map_or(Ok(()), Err)
    }

    fn close_with(&mut self, groups: &GroupTable) -> Result<Option<Error>> {
        let settings = self.settings().clone();
        let scored = self.carry.finish(&settings)?;
        let by = self.tally.by().to_vec();
        self.absorb(scored, &by, groups)
    }

    fn absorb(&mut self, scored: Scored, by: &[String], groups: &GroupTable) -> Result<Option<Error>> {
        let _state = Guard::new();
        self.tally.see(&scored.seen, by)?;
        self.tally.add_counts(&scored.counts);
        let mut tokens = scored.tokens.as_slice();
        let mut added = 0;
        for end in &scored.ends {
            let (ended, others) = tokens.split_at(end.after - added);
            self.tally.add(ended, &mut self.open, groups);
            self.tally.end_sequence(end.id.is_some(), end.batch_ends, &mut self.open, groups);
            (tokens, added) = (others, end.after);
        }
        self.tally.add(tokens, &mut self.open, groups);
        Ok(scored.failure)
    }

    /// The summary of all that is decided.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let _state = Guard::new();
        let open = self.is_open().then_some((&self.open, &self.groups, self.known));
        self.tally.summary(open)
    }

    /// What there is to warn of.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let _state = Guard::new();
        let mut warnings = self.carry.watch.warnings(self.settings());
        if self.tally.counts_nothing() && !self.is_open() {
            let message = "nothing counted: no token is visible or hidden, so every figure is nan";
            warnings.push(("NothingCountedWarning", message.to_owned()));
        }
        warnings
    }

    /// What was looked at beside the figures.
    #[must_use]
    pub fn looks(&self) -> Looks {
        self.carry.watch.looks()
    }

    /// Adds another meter.
    ///
    /// # Errors
    /// One of the two is open, or their settings differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let _state = Guard::new();
        self.must_be_closed("merge")?;
        other.must_be_closed("merge")?;
        self.tally.merge(&other.tally)?;
        self.carry.watch.merge(&other.carry.watch);
        Ok(())
    }

    /// The canonical bytes of its state.
    ///
    /// # Errors
    /// It is open.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.must_be_closed("to_bytes")?;
        Ok(self.tally.to_bytes())
    }

    /// A meter of such bytes.
    ///
    /// # Errors
    /// Bytes that are damaged or of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let _state = Guard::new();
        let tally = Tally::from_bytes(bytes)?;
        let carry = Carry::new(tally.settings());
        Ok(Self::of(tally, carry))
    }

    fn must_be_closed(&self, what: &str) -> Result<()> {
        if self.is_open() {
            let message =
                format!("{what} on an open meter: the last update had final=False; call close() first");
            return Err(Error::new(ErrorKind::Settings, message));
        }
        Ok(())
    }
}
