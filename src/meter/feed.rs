//! One stream into one or several meters.

use super::{Meter, Observer, Update};
use crate::error::Error;
use crate::kernel::fpstate::Guard;
use crate::key::GroupTable;
use crate::pipeline::{Portion, Read};

/// What went wrong, and for which of the meters.
#[derive(Debug)]
pub struct Failed {
    /// The place of the meter.
    pub meter: usize,
    /// The error.
    pub error: Error,
}

/// Reads a stream to its end, for all meters at once; of several none may be open.
///
/// # Errors
/// Settings that need another reading of the rows; the error at the smallest position, of the first
/// meter that finds it there; or one of the stream. All before it is in the tallies.
pub fn update_all(meters: &mut [Meter], update: Update, observer: &mut dyn Observer) -> Result<(), Failed> {
    // One stream, one numbering of its groups; a meter that is open goes on with its own.
    let mut groups = meters.first_mut().map(|first| std::mem::take(&mut first.groups)).unwrap_or_default();
    let fed = feed(meters, update, &mut groups, observer);
    if let Some((first, others)) = meters.split_first_mut() {
        for meter in others {
            meter.groups.clone_from(&groups);
        }
        first.groups = groups;
    }
    fed
}

fn feed(
    meters: &mut [Meter],
    update: Update,
    groups: &mut GroupTable,
    observer: &mut dyn Observer,
) -> Result<(), Failed> {
    let Update { reader, mut scorer, by, last } = update;
    for (i, meter) in meters.iter().enumerate().skip(1) {
        meters[0].settings().readable_with(meter.settings()).map_err(of(i))?;
    }
    if meters.len() > 1 {
        meters.iter().try_for_each(|meter| meter.must_be_closed("an update with others")).map_err(of(0))?;
    }
    for (i, meter) in meters.iter_mut().enumerate() {
        meter.begin(reader).map_err(of(i))?;
    }
    let mut read = Read::default();
    let mut failures = Failures::default();
    while let Some(mut portion) = Portion::read(reader, groups, &mut read, &mut *observer).map_err(of(0))? {
        for (i, meter) in meters.iter_mut().enumerate() {
            if failures.has(i) {
                continue;
            }
            let scorer = scorer.as_deref_mut();
            let failure = meter.advance(reader, &mut portion, scorer, by, groups, &mut *observer);
            failures.note(i, failure.map_err(of(i))?);
        }
        failures.settled(meters)?;
        if observer.wants_progress() {
            observer.progress(read, running_loss(meters));
        }
    }
    // The last word, however soon after the one before.
    observer.progress(read, running_loss(meters));
    if last {
        for (i, meter) in meters.iter_mut().enumerate() {
            if failures.has(i) {
                continue;
            }
            let failure = meter.close_with(groups).map_err(of(i))?;
            failures.note(i, failure);
        }
    }
    failures.first()
}

/// Puts the meter's place to an error.
fn of(meter: usize) -> impl Fn(Error) -> Failed {
    move |error| Failed { meter, error }
}

fn running_loss(meters: &[Meter]) -> f64 {
    let _state = Guard::new();
    meters.first().map_or(f64::NAN, |meter| meter.tally.running_loss(&meter.open))
}

/// The errors so far, one a meter; such a meter is fed no more.
#[derive(Default)]
struct Failures(Vec<Failed>);

impl Failures {
    fn has(&self, meter: usize) -> bool {
        self.0.iter().any(|failed| failed.meter == meter)
    }

    fn note(&mut self, meter: usize, error: Option<Error>) {
        self.0.extend(error.map(of(meter)));
    }

    /// Raises the first one, once no other meter can find an earlier one.
    fn settled(&mut self, meters: &[Meter]) -> Result<(), Failed> {
        let Some(position) = self.0.iter().filter_map(|failed| failed.error.position()).min() else {
            return Ok(());
        };
        let live = meters.iter().enumerate().filter(|(i, _)| !self.has(*i));
        let settled = live.map(|(_, meter)| meter.carry.selector.horizon()).all(|horizon| horizon > position);
        if settled { self.first() } else { Ok(()) }
    }

    /// Raises the one at the smallest position, if there is any; of equal ones the first meter's.
    fn first(&mut self) -> Result<(), Failed> {
        let errors = std::mem::take(&mut self.0);
        let first = errors.into_iter().min_by_key(|failed| (failed.error.position(), failed.meter));
        first.map_or(Ok(()), Err)
    }
}
