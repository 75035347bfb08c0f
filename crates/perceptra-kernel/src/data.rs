//! Rows to train on, and sums of their losses and weights.

/// Rows to train on or to evaluate. Matrices are stored row by row.
#[derive(Debug, Clone, Copy)]
pub struct Data<'a> {
    /// Inputs of the network, `[rows, inputs]`.
    pub inputs: &'a [f32],
    /// Targets of the network, `[rows, outputs]`.
    pub targets: &'a [f32],
    /// Weight of each row's loss, `[rows]`; `None` gives every row the weight 1.
    pub weights: Option<&'a [f32]>,
}

/// Sums over the rows of an epoch or of an evaluation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Sum of the rows' losses, each times the row's weight. In training, a row's loss is computed with the weights before the step
    /// that uses the row.
    pub loss: f64,
    /// Sum of the rows' weights.
    pub weight: f64,
    /// Number of training steps made; 0 in an evaluation.
    pub steps: usize,
}
