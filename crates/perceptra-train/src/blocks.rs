//! Training rows that come in blocks.

use crate::{Dataset, TrainError};

/// Training rows that do not fit into memory at once: [`fit_blocks`](crate::fit_blocks) takes them block by block.
pub trait Blocks {
    /// Rows of an epoch.
    fn rows(&self) -> usize;

    /// (columns of the inputs, columns of the targets).
    fn shape(&self) -> (usize, usize);

    /// Rows of each class, where class weights are balanced by them; none for regression.
    fn class_rows(&self) -> Option<Vec<usize>> {
        None
    }

    /// Begins an epoch, counted from 1. Blocks have whole batches of `batch` rows; the last may end with a short one.
    ///
    /// # Errors
    ///
    /// [`TrainError::Blocks`].
    fn begin(&mut self, epoch: u32, batch: usize) -> Result<(), TrainError>;

    /// The next block of the epoch; the rows of a block are put into a new order by the training loop.
    ///
    /// # Errors
    ///
    /// [`TrainError::Blocks`].
    fn next(&mut self) -> Result<Option<Dataset>, TrainError>;
}
