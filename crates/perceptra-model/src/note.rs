//! Choices that were made for the user when the rows of a run were divided.

use std::fmt;

use perceptra_data::Matrix;

/// A choice that a training made for its user, or something that the user may not know about the rows. [`Display`](fmt::Display) words
/// it without flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The split column has no validation rows: some of its training rows are taken.
    ValidationTaken {
        /// The split column.
        column: String,
        /// Number of rows taken.
        rows: usize,
    },
    /// Rows of a part occur among the training rows too, with the same features and targets.
    Repeated {
        /// The part: validation or test.
        part: &'static str,
        /// Number of such rows.
        rows: usize,
        /// Number of rows of the part.
        of: usize,
        /// Number of training rows that were looked at: all, or for a streamed table a sample.
        among: usize,
    },
    /// There are no validation rows: the run stops by its training loss, or after its last epoch.
    NoValidation,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValidationTaken { column, rows } => {
                write!(f, "column {column:?} names no validation rows: {rows} of its training rows validate")
            }
            Self::Repeated { part, rows, of, among } => write!(
                f,
                "{rows} of {of} {part} rows occur among {among} training rows too, with the same features and targets"
            ),
            Self::NoValidation => f.write_str(
                "there are no validation rows: the training loss decides when to stop, and which epoch is the best",
            ),
        }
    }
}

/// The rows of a part of a table, by a sorted hash of 64 bits of each.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowHashes(Vec<u64>);

impl RowHashes {
    /// The rows with these encoded features and targets.
    pub(crate) fn of(inputs: &Matrix, targets: &Matrix) -> Self {
        let mut hashes: Vec<u64> = hashes(inputs, targets).collect();
        hashes.sort_unstable();
        Self(hashes)
    }

    /// The note on a part with these encoded features and targets, if some of its rows are among the rows.
    pub(crate) fn repeated(&self, part: &'static str, inputs: &Matrix, targets: &Matrix) -> Option<Note> {
        // Both sorted, so that memory is read in order.
        let (own, mut rest, mut rows) = (Self::of(inputs, targets), self.0.as_slice(), 0);
        for hash in own.0 {
            while rest.first().is_some_and(|first| *first < hash) {
                rest = &rest[1..];
            }
            rows += usize::from(rest.first() == Some(&hash));
        }
        (rows > 0).then_some(Note::Repeated { part, rows, of: inputs.rows, among: self.0.len() })
    }
}

/// A hash of each row, by multiplications of 64 bits (FNV with words in place of bytes, and a final mix).
fn hashes<'a>(inputs: &'a Matrix, targets: &'a Matrix) -> impl Iterator<Item = u64> + 'a {
    let rows =
        inputs.values.chunks_exact(inputs.columns.max(1)).zip(targets.values.chunks_exact(targets.columns.max(1)));
    rows.map(|(inputs, targets)| {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for x in inputs.iter().chain(targets) {
            hash = (hash ^ u64::from(x.to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= hash >> 29;
        }
        hash
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_occur_twice_are_counted() {
        let matrix =
            |columns: usize, values: &[f32]| Matrix { rows: values.len() / columns, columns, values: values.to_vec() };
        let train = RowHashes::of(&matrix(2, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), &matrix(1, &[0.0, 1.0, 0.0]));
        let (inputs, targets) =
            (matrix(2, &[3.0, 4.0, 2.0, 1.0, 5.0, 6.0, 1.0, 2.0]), matrix(1, &[1.0, 0.0, 1.0, 0.0]));
        let note = train.repeated("test", &inputs, &targets).unwrap();
        assert_eq!(note, Note::Repeated { part: "test", rows: 2, of: 4, among: 3 });
        assert_eq!(train.repeated("test", &matrix(2, &[2.0, 1.0]), &matrix(1, &[0.0])), None);
    }
}
