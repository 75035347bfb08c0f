//! Work that is shared among threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
#[doc(hidden)]
pub use perceptra_nn::host::{has_own_memory, threads, with_threads};

/// Calls `work(i)` for each i below `count`, as many calls at once as the CPU has threads, and returns the results in order. Training
/// within a call takes its share of the threads; that does not change results. On a device with memory of its own, calls are made one after
/// another.
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
