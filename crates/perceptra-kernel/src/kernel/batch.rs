//! Rows of a batch, and how they are cut: by member, by thread, and into the blocks of the matrix kernel.

use std::ops::Range;

use super::gemm::ROWS;

/// Rows of a batch that are in work; a batch of several members has each row once for each of them.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// By their numbers in the data.
    pub(super) ids: &'a [u32],
    /// Rows of the batch before them, and rows of each member.
    pub(super) start: usize,
    pub(super) batch: usize,
    pub(super) epoch: u32,
    /// Share of the units that is dropped.
    pub(super) drop: f64,
}

impl Chunk<'_> {
    /// Rows outside training, of the first member.
    pub(super) fn new(rows: usize) -> Self {
        Self { ids: &[], start: 0, batch: rows, epoch: 0, drop: 0.0 }
    }

    /// The member that a row belongs to.
    #[inline(always)]
    pub(super) fn member(&self, row: usize) -> usize {
        (self.start + row) / self.batch
    }

    /// Some rows in blocks of 6, of which each is of one member. Rows of members begin new blocks, and so must `rows`.
    #[inline(always)]
    pub(super) fn blocks(&self, rows: Range<usize>) -> Blocks {
        Blocks { at: rows.start, end: rows.end, turn: self.end(rows.start), batch: self.batch }
    }

    /// Where the rows of the member that a row belongs to end.
    #[inline(always)]
    fn end(&self, row: usize) -> usize {
        (self.member(row) + 1) * self.batch - self.start
    }

    /// Rows of the chunk for one of several threads, in whole blocks.
    pub(super) fn share(&self, one: usize, several: usize) -> Range<usize> {
        let rows = self.ids.len();
        let place = |one: usize| {
            let row = rows * one / several;
            let first = (self.end(row) - self.batch.min(self.end(row))).min(row);
            if row == rows { row } else { row - (row - first) % ROWS }
        };
        place(one)..place(one + 1)
    }

    /// Those of some rows that belong to a member.
    #[inline(always)]
    pub(super) fn of(&self, member: usize, rows: &Range<usize>) -> Range<usize> {
        let place = |row: usize| (row.saturating_sub(self.start)).clamp(rows.start, rows.end);
        place(member * self.batch)..place((member + 1) * self.batch)
    }
}

/// See [`Chunk::blocks`].
#[derive(Clone)]
pub(super) struct Blocks {
    at: usize,
    end: usize,
    /// Where the next member begins.
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

/// The rows that belong to one of several.
pub(super) fn share(rows: usize, one: usize, several: usize) -> Range<usize> {
    rows * one / several..rows * (one + 1) / several
}
