//! Rows that are trained on, and sums over them.

/// A table of rows, each matrix row by row.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// `[rows, inputs]`
    pub inputs: &'a [f32],
    /// `[rows, outputs]`
    pub targets: &'a [f32],
    /// The weight of each row, `[rows]`; 1 if there are none.
    pub weights: Option<&'a [f32]>,
}

/// Sums over the rows of an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// The sum of the rows' losses, each times the row's weight. In training, the loss of a row is that before the step it takes part in.
    pub loss: f64,
    /// The sum of the rows' weights.
    pub weight: f64,
    /// Steps made.
    pub steps: usize,
}
