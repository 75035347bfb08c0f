//! How the work of a step is shared among threads.

use std::ops::Range;

use super::buffer::PANEL;
use super::gemm::ROWS;
use super::net::{Net, Term};
use crate::settings::{Extras, Layer};

/// Multiplications of a step that keep one thread busy long enough to be worth another thread: some 3 µs.
const WORTH_A_THREAD: usize = 200_000;
/// Weights up to which threads take halves of the batch and exchange gradients.
const SMALL: usize = 1 << 15;

/// How many threads a network is worth, and how they share a batch.
pub(super) struct Sharing {
    weights: usize,
    members: usize,
    /// Dense layers alone, so few that threads take halves of the batch.
    small: bool,
    /// Threads that there may be.
    most: usize,
}

impl Sharing {
    pub(super) fn new(layers: &[Layer], extras: &Extras, most: usize) -> Self {
        let weights = layers.iter().map(|l| l.inputs * l.outputs).sum();
        Self { weights, members: extras.members, small: weights <= SMALL && *extras == Extras::default(), most }
    }

    /// Threads that have enough to do in a batch of so many rows for each member.
    fn worth(&self, batch: usize) -> usize {
        batch.saturating_mul(self.members).saturating_mul(3 * self.weights) / WORTH_A_THREAD
    }

    /// Parts of a batch whose gradients are summed on their own: 1 or 2.
    pub(super) fn halves(&self, batch: usize) -> usize {
        if self.small && self.worth(batch) >= 2 { 2 } else { 1 }
    }

    pub(super) fn threads(&self, batch: usize) -> usize {
        self.most.min(self.worth(batch)).min(if self.halves(batch) == 2 { 2 } else { usize::MAX }).max(1)
    }
}

/// Parameters whose gradients one thread computes.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// Rows of the weights of a layer; panels, if they are stored by output.
    Weights(usize, Range<usize>),
    /// A parameter of the units of a layer.
    Sum(usize, Term),
    /// The weights of one member in an output layer.
    Member(usize, usize),
    /// Fields of the input embedding that are not joint.
    Embedding(Range<usize>),
    /// Joint fields: their parameters, their factors and the weights of the next layer behind them.
    Joint(Range<usize>),
}

/// Gives each thread units of work of about the same cost.
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
