//! Threads that work in step.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How often a thread looks at a barrier before it lets others run: some 5 µs, longer than most waits.
const SPINS: u32 = 256;
/// How often a thread without a job looks for one before it sleeps.
const LOOKS: u32 = 4096;

/// Lets all of a number of threads pass when the last has come. Made for waits of microseconds: it spins.
pub(super) struct Barrier {
    threads: usize,
    waiting: AtomicUsize,
    round: AtomicUsize,
    /// A thread has panicked and will not come.
    broken: AtomicBool,
}

impl Barrier {
    fn new(threads: usize) -> Self {
        Self { threads, waiting: AtomicUsize::new(0), round: AtomicUsize::new(0), broken: AtomicBool::new(false) }
    }

    /// Waits for the others. What they wrote before is visible after.
    #[inline]
    pub(super) fn wait(&self) {
        if self.threads == 1 {
            return;
        }
        let round = self.round.load(Ordering::Relaxed);
        if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == self.threads {
            self.waiting.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut spins = 0;
        while self.round.load(Ordering::Acquire) == round {
            assert!(!self.broken.load(Ordering::Relaxed), "another thread of the team panicked");
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                // Somebody else needs the processor: the thread that is waited for, perhaps.
                std::thread::yield_now();
            }
        }
    }
}

type Job<'a> = dyn Fn(usize, &Barrier) + Sync + 'a;

#[derive(Default)]
struct State {
    /// The job of this round, with its lifetime taken away: see [`Team::run`].
    job: Option<&'static Job<'static>>,
    round: usize,
    running: usize,
    panic: Option<Box<dyn Any + Send>>,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    /// The round, to be looked at without the lock.
    announced: AtomicUsize,
    changed: Condvar,
    barrier: Barrier,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number of threads, the caller's among them, that run one job together.
pub(super) struct Team {
    shared: Arc<Shared>,
    others: Vec<JoinHandle<()>>,
}

impl Team {
    /// A team of `threads`, at least one. Where the system gives fewer threads, the team is smaller.
    pub(super) fn new(threads: usize) -> Self {
        let new = |threads| {
            let barrier = Barrier::new(threads);
            Arc::new(Shared {
                state: Mutex::default(),
                announced: AtomicUsize::new(0),
                changed: Condvar::new(),
                barrier,
            })
        };
        let shared = new(threads.max(1));
        let mut others = Vec::new();
        for number in 1..threads {
            let own = Arc::clone(&shared);
            match std::thread::Builder::new().name(format!("perceptra-{number}")).spawn(move || work(number, &own)) {
                Ok(thread) => others.push(thread),
                Err(_) => {
                    close(&shared, &mut others);
                    return Self { shared: new(1), others };
                }
            }
        }
        Self { shared, others }
    }

    pub(super) fn threads(&self) -> usize {
        self.others.len() + 1
    }

    /// Runs `job(number, barrier)` on every thread, and returns when all have ended; panics if one of them did.
    pub(super) fn run(&mut self, job: &Job<'_>) {
        if self.others.is_empty() {
            return job(0, &self.shared.barrier);
        }
        // SAFETY: only the lifetime changes. The others use the job from here until `running` is 0, and this function
        // neither returns nor unwinds before: it catches its own panic.
        let job_static = unsafe { std::mem::transmute::<&Job<'_>, &'static Job<'static>>(job) };
        {
            let mut state = self.shared.lock();
            state.job = Some(job_static);
            state.round = state.round.wrapping_add(1);
            state.running = self.others.len();
            self.shared.announced.store(state.round, Ordering::Release);
        }
        self.shared.changed.notify_all();
        self.shared.part(0, job);
        let mut state = self.shared.lock();
        while state.running > 0 {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.job = None;
        if let Some(panic) = state.panic.take() {
            drop(state);
            std::panic::resume_unwind(panic);
        }
    }
}

impl Shared {
    /// A thread's part of the job; keeps the first panic.
    fn part(&self, number: usize, job: &Job<'_>) {
        if let Err(panic) = std::panic::catch_unwind(AssertUnwindSafe(|| job(number, &self.barrier))) {
            self.lock().panic.get_or_insert(panic);
            self.barrier.broken.store(true, Ordering::Relaxed);
        }
    }
}

fn work(number: usize, shared: &Shared) {
    let mut done = 0;
    loop {
        // The next job often comes at once: waking up would take longer than this.
        for _ in 0..LOOKS {
            if shared.announced.load(Ordering::Acquire) != done {
                break;
            }
            std::hint::spin_loop();
        }
        let job = {
            let mut state = shared.lock();
            loop {
                match state.job {
                    _ if state.closed => return,
                    Some(job) if state.round != done => {
                        done = state.round;
                        break job;
                    }
                    _ => state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                }
            }
        };
        shared.part(number, job);
        let mut state = shared.lock();
        state.running -= 1;
        if state.running == 0 {
            shared.changed.notify_all();
        }
    }
}

fn close(shared: &Shared, threads: &mut Vec<JoinHandle<()>>) {
    shared.lock().closed = true;
    shared.changed.notify_all();
    for thread in threads.drain(..) {
        // A thread that panicked has been reported by the panic hook.
        let _ = thread.join();
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        close(&self.shared, &mut self.others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_sees_what_the_others_wrote_before_the_barrier() {
        for threads in [1, 2, 5] {
            let mut team = Team::new(threads);
            assert_eq!(team.threads(), threads);
            let cells: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for round in 1..200 {
                team.run(&|number, barrier| {
                    for step in 0..20 {
                        cells[number].store(round * 100 + step, Ordering::Relaxed);
                        barrier.wait();
                        assert!(cells.iter().all(|c| c.load(Ordering::Relaxed) == round * 100 + step));
                        barrier.wait();
                    }
                });
            }
        }
    }

    #[test]
    fn a_panic_of_one_thread_ends_the_job_of_all() {
        for culprit in 0..3 {
            let mut team = Team::new(3);
            let result = std::panic::catch_unwind(AssertUnwindSafe(|| {
                team.run(&|number, barrier| {
                    barrier.wait();
                    assert!(number != culprit, "this one");
                    barrier.wait();
                });
            }));
            assert!(result.is_err());
        }
    }
}
