//! The threads to compute with, and work that is shared among them.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;

thread_local! {
    /// The most threads that a training started on this thread may take.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Calls `f`, in which the fused engine takes at most `threads` threads: for several trainings at once, each by a thread of its own.
/// Results do not depend on it.
#[doc(hidden)]
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
#[doc(hidden)]
pub fn threads() -> usize {
    // Asked once: the answer takes reading several files of the system, longer than a small network trains.
    static THREADS: OnceLock<usize> = OnceLock::new();
    let all = THREADS.get_or_init(|| {
        let asked = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    });
    LIMIT.get().min(*all)
}

/// Whether a device has memory of its own, as GPUs do; the CPU computes in the host's memory.
#[doc(hidden)]
pub fn has_own_memory(device: &Device) -> bool {
    // Only such devices report a memory pool.
    device.memory_pool_usage().is_some()
}

/// Does `count` pieces of work, as many at once as the CPU has threads, and returns their results in order. Training within a piece
/// takes its share of the threads; that does not change results. On a device with memory of its own, pieces are done one after another.
#[doc(hidden)]
pub fn parallel<T: Send>(device: &Device, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let workers = if has_own_memory(device) { 1 } else { threads().min(count) };
    if workers <= 1 {
        return (0..count).map(work).collect();
    }
    let (share, next) = (threads() / workers, AtomicUsize::new(0));
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return done;
                }
                done.push((i, with_threads(share, || work(i))));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}
