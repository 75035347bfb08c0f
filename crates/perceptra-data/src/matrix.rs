//! Matrices on the host.

/// A matrix, stored row by row: of 32-bit floats, as networks compute, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix<T = f32> {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `rows × columns` values, row by row.
    pub values: Vec<T>,
}
