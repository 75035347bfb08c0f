//! Observers, which watch a training run and can stop it.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use crate::choices::Engine;
use crate::history::{Epoch, History};
use crate::state::Snapshot;

/// An event of a training run, as an [`Observer`] receives it.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The training begins.
    Started {
        /// Maximum number of epochs.
        epochs: usize,
        /// Number of training rows.
        rows: usize,
        /// Number of training steps per epoch.
        steps: usize,
        /// The engine that trains.
        engine: Engine,
        /// Why the automatic choice was not the fused engine; `None` if it was, or if the engine was requested.
        obstacle: Option<&'a str>,
    },
    /// An epoch has ended.
    Epoch {
        /// The epoch that has ended.
        epoch: &'a Epoch,
        /// Whether it is the best so far.
        improved: bool,
        /// The state of the run after the epoch; `None` if the epoch was cut short.
        run: Option<Snapshot<'a>>,
    },
    /// A checkpoint was written, or could not be written.
    Checkpoint {
        /// The checkpoint's file.
        path: &'a Path,
        /// Why it could not be written, in which case the run continues; `None` if it was written.
        error: Option<&'a str>,
    },
    /// The training has ended.
    Stopped {
        /// The history of the whole run.
        history: &'a History,
        /// The state of the run at its end; `None` if the last epoch was cut short.
        run: Option<Snapshot<'a>>,
    },
}

/// An [`Observer`]'s answer to the end of an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Control {
    /// Continue.
    Continue,
    /// Continue, with the schedule's learning rates multiplied by this factor from now on. The factors of several answers multiply; a
    /// resumed run forgets them.
    Scale(f64),
    /// Stop now and keep the best weights.
    Stop,
}

/// Observes a training run: for progress bars, logs and checkpoints.
///
/// `()` observes nothing, `Some(&flag)` only interrupts the run once the flag is set, and every `FnMut(&Event) -> Control` is an observer.
pub trait Observer {
    /// Receives an event. The answer counts for [`Event::Epoch`] only.
    fn observe(&mut self, event: &Event<'_>) -> Control;

    /// A flag that ends the run after the current batch once it is set, for example by a signal handler.
    fn interrupt(&self) -> Option<&AtomicBool> {
        None
    }
}

impl Observer for () {
    fn observe(&mut self, _: &Event<'_>) -> Control {
        Control::Continue
    }
}

impl<F: FnMut(&Event<'_>) -> Control> Observer for F {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        self(event)
    }
}

impl Observer for Option<&AtomicBool> {
    fn observe(&mut self, _: &Event<'_>) -> Control {
        Control::Continue
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        *self
    }
}
