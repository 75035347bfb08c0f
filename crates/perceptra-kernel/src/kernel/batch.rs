//! Rows of a batch, and how they are divided: by member of a batch ensemble, by thread, and into the blocks of matrix products.

use std::ops::Range;

use super::gemm::ROWS;

/// Maximum number of rows that pass through the network at once. Larger batches are processed in several chunks.
pub(super) const CHUNK: usize = 512;

/// Rows of a batch that pass through the network together. The batch of a batch ensemble has the rows of one member after another.
#[derive(Clone, Copy)]
pub(super) struct Chunk<'a> {
    /// Index of each row in the training data; empty when predicting.
    pub(super) ids: &'a [u32],
    /// Number of rows of the batch before this chunk.
    pub(super) start: usize,
    /// Number of rows of each member in the batch.
    pub(super) batch: usize,
    /// Number of the epoch, part of the key of the dropout's random numbers.
    pub(super) epoch: u32,
    /// Share of the hidden units that is dropped, 0 for none.
    pub(super) drop: f64,
}

impl Chunk<'_> {
    /// A chunk of `rows` rows to predict, without dropout, by the first member.
    pub(super) fn new(rows: usize) -> Self {
        Self { ids: &[], start: 0, batch: rows, epoch: 0, drop: 0.0 }
    }

    /// Index of the batch-ensemble member that a row of the chunk belongs to; 0 in a single network.
    #[inline(always)]
    pub(super) fn member(&self, row: usize) -> usize {
        (self.start + row) / self.batch
    }

    /// Divides some rows of the chunk into blocks of at most 6 rows of one member: a member's first row begins a block. `rows` must
    /// begin where a block does.
    #[inline(always)]
    pub(super) fn blocks(&self, rows: Range<usize>) -> Blocks {
        Blocks { at: rows.start, end: rows.end, turn: self.end(rows.start), batch: self.batch }
    }

    /// Index in the chunk after the last row of the member that `row` belongs to. It may lie beyond the chunk.
    #[inline(always)]
    fn end(&self, row: usize) -> usize {
        (self.member(row) + 1) * self.batch - self.start
    }

    /// The rows of the chunk that are processed by thread number `one` of `several`, in whole blocks.
    pub(super) fn share(&self, one: usize, several: usize) -> Range<usize> {
        let rows = self.ids.len();
        let place = |one: usize| {
            let row = rows * one / several;
            let first = (self.end(row) - self.batch.min(self.end(row))).min(row);
            if row == rows { row } else { row - (row - first) % ROWS }
        };
        place(one)..place(one + 1)
    }

    /// The part of `rows` that belongs to `member`; empty if it has none of them.
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
    /// Index of the next member's first row.
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

/// Range of share number `one` if `rows` rows are divided into `several` shares of about the same size.
pub(super) fn share(rows: usize, one: usize, several: usize) -> Range<usize> {
    rows * one / several..rows * (one + 1) / several
}
