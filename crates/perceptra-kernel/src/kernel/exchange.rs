//! Gradients on their way between the two threads that take halves of a batch.

use std::sync::atomic::Ordering;

use super::buffer::Buffer;

/// Values on their way from one thread to another.
///
/// The last place of every cache line carries none: the reader writes there before it reads the line, which makes the line its own. To
/// hand such a line from one core to another costs a few nanoseconds; a line that both have only read must be invalidated before it is
/// written, which costs ten times that (measured: 4 and 41 ns a line, Zen 4).
pub(super) struct Mail {
    lines: Buffer,
    len: usize,
}

/// Values in a line of 16.
const CARRIED: usize = 15;

impl Mail {
    pub(super) fn new(len: usize) -> Self {
        Self { lines: Buffer::zeros(len.div_ceil(CARRIED) * 16), len }
    }

    /// # Safety
    ///
    /// Nobody else uses this mail meanwhile.
    #[inline(always)]
    pub(super) unsafe fn send(&self, from: &[f32]) {
        // SAFETY: the caller's promise.
        let lines = unsafe { self.lines.write(0..self.lines.len()) };
        let mut numbers = from.chunks_exact(CARRIED);
        let mut lines = lines.chunks_exact_mut(16);
        for (numbers, line) in (&mut numbers).zip(&mut lines) {
            line[..CARRIED].copy_from_slice(numbers);
        }
        if let Some(line) = lines.next() {
            line[..numbers.remainder().len()].copy_from_slice(numbers.remainder());
        }
    }

    /// # Safety
    ///
    /// As for [`Mail::send`].
    #[inline(always)]
    pub(super) unsafe fn receive(&self, to: &mut [f32]) {
        debug_assert_eq!(to.len(), self.len);
        // SAFETY: the caller's promise.
        let lines = unsafe { self.lines.write(0..self.lines.len()) };
        for line in lines.chunks_exact_mut(16) {
            line[CARRIED] = 1.0;
        }
        // The compiler must not join the loops.
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        let mut numbers = to.chunks_exact_mut(CARRIED);
        let mut lines = lines.chunks_exact(16);
        for (numbers, line) in (&mut numbers).zip(&mut lines) {
            numbers.copy_from_slice(&line[..CARRIED]);
        }
        let rest = numbers.into_remainder();
        if let Some(line) = lines.next() {
            rest.copy_from_slice(&line[..rest.len()]);
        }
    }
}
