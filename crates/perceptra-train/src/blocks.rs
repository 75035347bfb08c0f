//! Training rows that come in blocks.

use crate::dataset::Dataset;
use crate::error::TrainError;

/// Training rows that do not fit into memory at once: [`Fit::blocks`](crate::Fit::blocks) takes them block by block.
pub trait Blocks {
    /// The number of rows of an epoch.
    fn rows(&self) -> usize;

    /// The number of columns of the inputs, and of the targets.
    fn shape(&self) -> (usize, usize);

    /// The number of rows of each class, for balanced class weights; `None` for regression.
    fn class_rows(&self) -> Option<Vec<usize>> {
        None
    }

    /// Begins epoch number `epoch`, counted from 1. Blocks must consist of whole batches of `batch` rows; the last block may end with a
    /// short batch.
    ///
    /// # Errors
    ///
    /// [`TrainError::Blocks`], made by [`TrainError::blocks`] from any error.
    fn begin(&mut self, epoch: u32, batch: usize) -> Result<(), TrainError>;

    /// The next block of the epoch; `None` after the last. The training loop shuffles the rows within a block.
    ///
    /// # Errors
    ///
    /// [`TrainError::Blocks`], made by [`TrainError::blocks`] from any error.
    fn next(&mut self) -> Result<Option<Dataset>, TrainError>;
}
