//! Ctrl-C and progress, looked after from the calling thread.

use crate::error::{Error, ErrorKind, Result};
use crate::meter::Observer;
use crate::parallel::Control;
use crate::pipeline::Read;
use pyo3::prelude::*;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Signals are looked for this often: well within 0.2 s.
const SIGNALS: Duration = Duration::from_millis(50);
/// Progress is told at most this often.
const PROGRESS: Duration = Duration::from_millis(100);

/// The exception that stopped a run, whichever layer met it.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<Mutex<Option<PyErr>>>);

impl Stop {
    /// Looks for signals; an exception of their handlers is kept.
    pub(super) fn check_signals(&self) -> Result<()> {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "a lifetime the method alone lacks")]
        let checked = Python::attach(|py| py.check_signals());
        checked.map_err(|error| self.keep(error))
    }

    fn keep(&self, error: PyErr) -> Error {
        if let Ok(mut slot) = self.0.lock() {
            *slot = Some(error);
        }
        Error::new(ErrorKind::Cancelled, "interrupted")
    }

    /// The exception, if one stopped the run.
    pub(super) fn take(&self) -> Option<PyErr> {
        self.0.lock().ok()?.take()
    }
}

/// Watches one call.
pub(super) struct PyObserver {
    pub(super) stop: Stop,
    progress: Option<Py<PyAny>>,
    looked: Instant,
    told: Option<Instant>,
}

impl PyObserver {
    pub(super) fn new(stop: Stop, progress: Option<Py<PyAny>>) -> Self {
        Self { stop, progress, looked: Instant::now(), told: None }
    }

    /// Tells how far the run is, whenever it was last told.
    pub(super) fn tell(&mut self, read: Read, loss: f64) {
        let Some(progress) = &self.progress else { return };
        self.told = Some(Instant::now());
        let called = Python::attach(|py| progress.call1(py, (read.rows, read.bytes, loss)).map(|_| ()));
        if let Err(error) = called {
            // The next tick stops the run.
            self.stop.keep(error);
        }
    }
}

impl Control for PyObserver {
    fn tick(&mut self) -> Result<()> {
        if self.looked.elapsed() < SIGNALS {
            return Ok(());
        }
        self.looked = Instant::now();
        if self.stop.0.lock().is_ok_and(|slot| slot.is_some()) {
            return Err(Error::new(ErrorKind::Cancelled, "interrupted"));
        }
        self.stop.check_signals()
    }
}

impl Observer for PyObserver {
    fn wants_progress(&self) -> bool {
        self.progress.is_some() && self.told.is_none_or(|told| told.elapsed() >= PROGRESS)
    }

    fn progress(&mut self, read: Read, loss: f64) {
        self.tell(read, loss);
    }
}
