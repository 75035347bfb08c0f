//! How the work of a step is shared among threads.

use std::ops::Range;

use super::buffer::PANEL;
use super::gemm::ROWS;
use super::net::{Net, Term};
use crate::settings::{Extras, Layer};

/// Number of multiplications in a step (some 3 µs of work) for which one more thread pays off.
const WORTH_A_THREAD: usize = 200_000;
/// Maximum number of weights of a network whose batches are divided between two threads that exchange gradients.
const SMALL: usize = 1 << 15;

/// Chooses the number of threads for a network, and how they share a batch.
pub(super) struct Sharing {
    weights: usize,
    members: usize,
    /// Whether the network has dense layers alone, with so few weights that two threads may take half of a batch each.
    small: bool,
    /// Maximum number of threads.
    most: usize,
}

impl Sharing {
    pub(super) fn new(layers: &[Layer], extras: &Extras, most: usize) -> Self {
        let weights = layers.iter().map(|l| l.inputs * l.outputs).sum();
        Self { weights, members: extras.members, small: weights <= SMALL && *extras == Extras::default(), most }
    }

    /// Number of threads for which a step has enough work. `batch` is the number of rows of each member.
    fn worth(&self, batch: usize) -> usize {
        batch.saturating_mul(self.members).saturating_mul(3 * self.weights) / WORTH_A_THREAD
    }

    /// Number of parts of a batch whose gradients are summed separately: 2 for a small network with work for two threads, else 1.
    pub(super) fn halves(&self, batch: usize) -> usize {
        if self.small && self.worth(batch) >= 2 { 2 } else { 1 }
    }

    pub(super) fn threads(&self, batch: usize) -> usize {
        self.most.min(self.worth(batch)).min(if self.halves(batch) == 2 { 2 } else { usize::MAX }).max(1)
    }
}

/// Unit of work: parameters whose gradients are computed by one thread.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// Weights of the layer with this index: a range of rows of the matrix, or a range of panels if they are stored by output.
    Weights(usize, Range<usize>),
    /// Parameters of the units of the layer with this index, such as their biases.
    Sum(usize, Term),
    /// Weights of one batch-ensemble member in the output layer: indices of the layer and of the member.
    Member(usize, usize),
    /// Parameters of a range of fields of the input embedding that are not joint.
    Embedding(Range<usize>),
    /// A range of joint fields: their parameters, their factors r, and the weights of the first dense layer that multiply their
    /// values.
    Joint(Range<usize>),
}

/// Divides the gradients of a network into units of work, and gives each thread units of about the same total cost.
pub(super) fn plan(net: &Net, threads: usize) -> Vec<Vec<Unit>> {
    let mut units = Vec::new();
    for (i, dense) in net.layers.iter().enumerate() {
        let Layer { inputs, outputs, bias, .. } = dense.layer;
        let joint = if i < 2 { net.joint() } else { 0 };
        // Factors of joint fields are part of their units.
        let loose = i > 0 || joint < outputs;
        let terms = [(bias, Term::Bias), (true, Term::S), (true, Term::Alpha), (loose, Term::R)];
        for (_, term) in terms.into_iter().filter(|(there, term)| *there && !dense.term(*term).values.is_empty()) {
            units.push((outputs, Unit::Sum(i, term)));
        }
        if let Some(layout) = &dense.embedding {
            let (behind, rows) = (net.layers[1].layer.outputs, net.settings.batch);
            units.extend((0..layout.joint).map(|f| (layout.joint_cost(f, behind, rows), Unit::Joint(f..f + 1))));
            let rest = layout.joint..layout.fields();
            units.extend(rest.map(|f| (layout.cost(f), Unit::Embedding(f..f + 1))).filter(|(cost, _)| *cost > 0));
            continue;
        }
        if dense.per_member_weights {
            units.extend((0..dense.members).map(|m| (inputs * outputs / dense.members + 1, Unit::Member(i, m))));
            continue;
        }
        let step = if dense.dot_layout { 1 } else { 16 };
        let all = if dense.dot_layout { dense.shape.count() } else { inputs };
        for start in (if i == 1 { joint } else { 0 }..all).step_by(step) {
            let range = start..(start + step).min(all);
            let cost = if dense.dot_layout { PANEL * ROWS } else { range.len() * outputs };
            units.push((cost, Unit::Weights(i, range)));
        }
    }
    let total: usize = units.iter().map(|(cost, _)| cost).sum();
    let mut plan: Vec<Vec<Unit>> = vec![Vec::new(); threads];
    let mut before = 0;
    for (cost, unit) in units {
        // The thread in whose share the middle of the unit lies.
        let mine = &mut plan[((before + cost / 2) * threads / total.max(1)).min(threads - 1)];
        before += cost;
        match (mine.last_mut(), &unit) {
            (Some(Unit::Weights(a, range)), Unit::Weights(b, next)) if a == b && range.end == next.start => {
                range.end = next.end;
            }
            (Some(Unit::Embedding(range)), Unit::Embedding(next)) if range.end == next.start => range.end = next.end,
            (Some(Unit::Joint(range)), Unit::Joint(next)) if range.end == next.start => range.end = next.end,
            _ => mine.push(unit),
        }
    }
    plan
}
