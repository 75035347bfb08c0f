//! Ctrl-C and SIGTERM: the first signal ends the program with its work saved, the second ends it at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

struct Signals {
    arrived: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

static SIGNALS: OnceLock<Signals> = OnceLock::new();

/// Makes a write beyond the limit on file sizes an error instead of the end of the program.
pub(crate) fn files_too_large_are_errors() {
    #[cfg(unix)]
    // If no handler can be set, the signal ends the program as it would without one.
    let _ = flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// From now on the first SIGINT or SIGTERM sets [`came`], and the second ends the program.
pub(crate) fn watch() {
    SIGNALS.get_or_init(|| {
        let signals = Signals { arrived: Arc::default(), which: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the first signal must find the flag unset. If a handler cannot be set, the signal ends the
            // program as it would without one.
            let _ = flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&signals.arrived));
            let _ = flag::register_usize(signal, Arc::clone(&signals.which), signal as usize);
            let _ = flag::register(signal, Arc::clone(&signals.arrived));
        }
        signals
    });
}

/// Flag that tells whether a signal has arrived; `None` before [`watch`].
pub(crate) fn came() -> Option<&'static AtomicBool> {
    SIGNALS.get().map(|signals| &*signals.arrived)
}

/// Acts as if SIGINT had arrived, which a terminal in raw mode does not send.
pub(crate) fn interrupt() {
    if let Some(signals) = SIGNALS.get() {
        signals.which.store(SIGINT as usize, Ordering::Relaxed);
        signals.arrived.store(true, Ordering::Relaxed);
    }
}

/// The number and the name of the signal that has arrived; `None` if none has.
pub(crate) fn which() -> Option<(u8, &'static str)> {
    let signals = SIGNALS.get().filter(|signals| signals.arrived.load(Ordering::Relaxed))?;
    Some(match signals.which.load(Ordering::Relaxed) as i32 {
        SIGTERM => (SIGTERM as u8, "SIGTERM"),
        _ => (SIGINT as u8, "SIGINT"),
    })
}
