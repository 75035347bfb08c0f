//! Rows of a batch, and how they are cut: by member, by thread, and into the blocks of the matrix kernel.

use std::ops::Range;

use super::gemm::ROWS;

/// Rows that are taken through the network at once; larger batches are taken in several goes.
pub(super) const CHUNK: usize = 512;

/// The rows of a batch that are in work. A batch of a batch ensemble has the rows of one member after another.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// Their indices in the data.
    pub(super) ids: &'a [u32],
    /// Rows of the batch before them, and rows of each member.
    pub(super) start: usize,
    pub(super) batch: usize,
    pub(super) epoch: u32,
    /// Share of the hidden units that is dropped.
    pub(super) drop: f64,
}

impl Chunk<'_> {
    /// Rows that are not trained on, for the first member.
    pub(super) fn new(rows: usize) -> Self {
        Self { ids: &[], start: 0, batch: rows, epoch: 0, drop: 0.0 }
    }

    /// The member that a row belongs to.
    #[inline(always)]
    pub(super) fn member(&self, row: usize) -> usize {
        (self.start + row) / self.batch
    }

    /// Cuts some rows into blocks of at most 6, each of one member: a member's first row begins a block, and so must `rows`.
    #[inline(always)]
    pub(super) fn blocks(&self, rows: Range<usize>) -> Blocks {
        Blocks { at: rows.start, end: rows.end, turn: self.end(rows.start), batch: self.batch }
    }

    /// The end of the rows of the member that a row belongs to.
    #[inline(always)]
    fn end(&self, row: usize) -> usize {
        (self.member(row) + 1) * self.batch - self.start
    }

    /// The rows of the chunk for one of several threads, in whole blocks.
    pub(super) fn share(&self, one: usize, several: usize) -> Range<usize> {
        let rows = self.ids.len();
        let place = |one: usize| {
            let row = rows * one / several;
            let first = (self.end(row) - self.batch.min(self.end(row))).min(row);
            if row == rows { row } else { row - (row - first) % ROWS }
        };
        place(one)..place(one + 1)
    }

    /// Restricts some rows to those of a member.
    #[inline(always)]
    pub(super) fn of(&self, member: usize, rows: &Range<usize>) -> Range<usize> {
        let place = |row: usize| (row.saturating_sub(self.start)).clamp(rows.start, rows.end);
        place(member * self.batch)..place((member + 1) * self.batch)
    }
}

/// Iterator over blocks of rows, from [`Chunk::blocks`].
#[derive(Clone)]
pub(super) struct Blocks {
    at: usize,
    end: usize,
    /// The first row of the next member.
    turn: usize,
    batch: usize,
}

impl Iterator for Blocks {
    type Item = Range<usize>;

    #[inline(always)]
    fn next(&mut self) -> Option<Range<usize>> {
        if self.at >= self.end {
            return None;
        }
        if self.at == self.turn {
            self.turn += self.batch;
        }
        let block = self.at..(self.at + ROWS).min(self.turn).min(self.end);
        self.at = block.end;
        Some(block)
    }
}

/// Cuts rows into `several` shares; the range of one of them.
pub(super) fn share(rows: usize, one: usize, several: usize) -> Range<usize> {
    rows * one / several..rows * (one + 1) / several
}
