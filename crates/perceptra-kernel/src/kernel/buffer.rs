//! Memory that the threads of a step share, and how matrices lie in it.

use std::cell::UnsafeCell;
use std::ops::Range;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Zeroed numbers, aligned to cache lines, of which threads read and write parts at the same time.
pub(super) struct Buffer {
    lines: Box<[UnsafeCell<Line>]>,
}

// SAFETY: a `Buffer` hands out references only through `unsafe` functions whose callers promise that no part is written
// while it is read or written by another thread.
unsafe impl Sync for Buffer {}

impl Buffer {
    pub(super) fn zeros(len: usize) -> Self {
        Self { lines: (0..len.div_ceil(16)).map(|_| UnsafeCell::new(Line([0.0; 16]))).collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len() * 16
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All numbers.
    pub(super) fn all(&mut self) -> &mut [f32] {
        let len = self.len();
        // SAFETY: `&mut self` excludes every other reference.
        unsafe { self.write(0..len) }
    }

    /// Where the numbers begin. Reading through it is subject to the rules of [`Buffer::read`].
    #[inline(always)]
    pub(super) fn as_ptr(&self) -> *const f32 {
        self.lines.as_ptr().cast()
    }

    /// Numbers to read.
    ///
    /// # Safety
    ///
    /// While the result lives no thread writes any of `range`.
    #[inline(always)]
    pub(super) unsafe fn read(&self, range: Range<usize>) -> &[f32] {
        assert!(range.start <= range.end && range.end <= self.len());
        // SAFETY: the range lies within the lines, which are plain f32 in a row; the caller rules out writers.
        unsafe { std::slice::from_raw_parts(self.as_ptr().add(range.start), range.len()) }
    }

    /// Numbers to write.
    ///
    /// # Safety
    ///
    /// While the result lives nobody else reads or writes any of `range`.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn write(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len());
        // SAFETY: as in `read`; writing through the shared reference is what `UnsafeCell` permits.
        unsafe {
            let start = UnsafeCell::raw_get(self.lines.as_ptr()).cast::<f32>().add(range.start);
            std::slice::from_raw_parts_mut(start, range.len())
        }
    }
}

/// Columns of a panel.
pub(super) const PANEL: usize = 64;

/// A matrix cut into panels of 64 columns, one after another, each stored row by row. The last panel is as wide as its
/// columns need, in steps of 16; columns beyond the matrix are 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panels {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Panels {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns }
    }

    pub(super) fn len(self) -> usize {
        self.rows * self.columns.next_multiple_of(16)
    }

    /// Panels.
    #[inline(always)]
    pub(super) fn count(self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// Columns that panel `p` stores.
    #[inline(always)]
    pub(super) fn width(self, p: usize) -> usize {
        (self.columns.next_multiple_of(16) - p * PANEL).min(PANEL)
    }

    /// Columns of the matrix in panel `p`.
    #[inline(always)]
    pub(super) fn used(self, p: usize) -> usize {
        (self.columns - p * PANEL).min(PANEL)
    }

    /// Where `rows` of panel `p` lie.
    #[inline(always)]
    pub(super) fn range(self, p: usize, rows: Range<usize>) -> Range<usize> {
        let (start, width) = (p * PANEL * self.rows, self.width(p));
        start + rows.start * width..start + rows.end * width
    }

    /// Copies a row-major matrix in.
    pub(super) fn fill(self, to: &mut [f32], from: impl Fn(usize, usize) -> f32) {
        for p in 0..self.count() {
            for r in 0..self.rows {
                let start = self.range(p, r..r).start;
                for c in 0..self.used(p) {
                    to[start + c] = from(r, p * PANEL + c);
                }
            }
        }
    }

    /// Calls `f` with the row, the column and the number of each place of the matrix.
    pub(super) fn for_each(self, from: &[f32], mut f: impl FnMut(usize, usize, f32)) {
        for p in 0..self.count() {
            for r in 0..self.rows {
                let start = self.range(p, r..r).start;
                for c in 0..self.used(p) {
                    f(r, p * PANEL + c, from[start + c]);
                }
            }
        }
    }
}
