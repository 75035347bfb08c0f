//! The number of threads to compute with.

use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    /// The most threads that a training or prediction started on this thread may take.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Calls `f`, in which the kernel takes at most `threads` threads: for several trainings at once, each by a thread of its own. Results do
/// not depend on it.
pub fn with_threads<T>(threads: usize, f: impl FnOnce() -> T) -> T {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(threads.max(1)));
    f()
}

/// The number of threads to compute with: `RAYON_NUM_THREADS`, which Burn's CPU backends obey too, or the number of the CPU's threads,
/// but at most what [`with_threads`] allows.
pub fn threads() -> usize {
    // Asked once: the answer takes reading several files of the system, longer than a small network trains.
    static THREADS: OnceLock<usize> = OnceLock::new();
    let all = THREADS.get_or_init(|| {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    });
    LIMIT.get().min(*all)
}
