//! Ctrl-C and its like: the first asks for an orderly end, the second ends the program at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

struct Signals {
    came: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// A write beyond the limit on the size of files fails like others, instead of ending the program.
pub(crate) fn files_too_large_are_errors() {
    #[cfg(unix)]
    // If that cannot be had, the program ends as it would have.
    let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// From now on the first SIGINT or SIGTERM sets [`came`], and the second ends the program.
pub(crate) fn watch() {
    SIGNALS.get_or_init(|| {
        let signals = Signals { came: Arc::default(), which: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset. Where a handler cannot be set, the signal ends the program
            // as it would without it.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.came));
            let _ = flag::register_usize(signal, Arc::clone(&signals.which), signal as usize);
            let _ = flag::register(signal, Arc::clone(&signals.came));
        }
        signals
    });
}

/// Whether a signal came, once they are watched for.
pub(crate) fn came() -> Option<&'static AtomicBool> {
    SIGNALS.get().map(|signals| &*signals.came)
}

/// As if SIGINT had come: a terminal in raw mode sends none.
pub(crate) fn interrupt() {
    if let Some(signals) = SIGNALS.get() {
        signals.which.store(SIGINT as usize, Ordering::Relaxed);
        signals.came.store(true, Ordering::Relaxed);
    }
}

/// The number and the name of the signal that came.
pub(crate) fn which() -> Option<(u8, &'static str)> {
    let signals = SIGNALS.get().filter(|signals| signals.came.load(Ordering::Relaxed))?;
    Some(match signals.which.load(Ordering::Relaxed) as i32 {
        SIGTERM => (SIGTERM as u8, "SIGTERM"),
        _ => (SIGINT as u8, "SIGINT"),
    })
}
