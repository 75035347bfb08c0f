//! The rows of all members of a population.

use burn::tensor::{Int, Tensor, TensorData};

use crate::weighted::Weighted;

/// Address of a data set, and the bits of the label smoothing of its targets.
pub(crate) type Identity = (usize, u64);

/// The rows of several data sets in one tensor, each data set once.
pub(crate) struct Pool {
    inputs: Tensor<2>,
    targets: Tensor<2>,
    /// Row weights, `[rows, 1]`; `None` if no set has any.
    pub(crate) weights: Option<Tensor<2>>,
    /// The first row and the number of rows of each set.
    pub(crate) ranges: Vec<(usize, usize)>,
}

impl Pool {
    /// Pools `sets`, each with the identity of its data. Sets with the same identity and without weights are kept once; one with
    /// weights has its own rows, since class weights differ from job to job.
    pub(crate) fn new(sets: &[(&Weighted, Identity)]) -> Self {
        let (mut kept, mut starts, mut rows) = (Vec::<&Weighted>::new(), Vec::<(Identity, usize)>::new(), 0);
        let mut ranges = Vec::new();
        for (set, identity) in sets {
            let known = starts.iter().find(|(known, _)| known == identity && set.weights.is_none());
            let start = known.map_or(rows, |(_, start)| *start);
            ranges.push((start, set.rows));
            if known.is_none() {
                if set.weights.is_none() {
                    starts.push((*identity, rows));
                }
                kept.push(set);
                rows += set.rows;
            }
        }
        let cat = |f: &dyn Fn(&Weighted) -> Tensor<2>| match kept.as_slice() {
            [one] => f(one),
            many => Tensor::cat(many.iter().map(|set| f(set)).collect(), 0),
        };
        let ones = |set: &Weighted| Tensor::ones([set.rows, 1], &set.inputs.device());
        let weighted = kept.iter().any(|set| set.weights.is_some());
        Self {
            inputs: cat(&|set| set.inputs.clone()),
            targets: cat(&|set| set.targets.clone()),
            weights: weighted.then(|| cat(&|set| set.weights.clone().unwrap_or_else(|| ones(set)))),
            ranges,
        }
    }

    /// Inputs, targets and weights of the given rows, `[rows, columns]` each; the weights are `None` if all are 1. `counts`, by which the
    /// weights are multiplied, is 1 for rows and 0 for padding, or `None` without padding.
    pub(crate) fn take(&self, rows: Vec<i32>, counts: Option<Vec<f32>>) -> [Option<Tensor<2>>; 3] {
        let (n, device) = (rows.len(), self.inputs.device());
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [n]), &device);
        let taken = |t: &Tensor<2>| t.clone().select(0, rows.clone());
        let counts = counts.map(|counts| Tensor::from_data(TensorData::new(counts, [n, 1]), &device));
        let weights = match (self.weights.as_ref().map(taken), counts) {
            (Some(a), Some(b)) => Some(a * b),
            (a, b) => a.or(b),
        };
        [Some(taken(&self.inputs)), Some(taken(&self.targets)), weights]
    }
}
