//! Which weights' gradients each thread computes.

use std::ops::Range;

use super::buffer::PANEL;
use super::gemm::ROWS;
use super::net::{Net, Term};
use crate::settings::Layer;

/// Weights whose gradients one thread computes.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// Of a layer, rows of the weights; panels of a narrow layer's.
    Weights(usize, Range<usize>),
    /// Of a layer.
    Sum(usize, Term),
    /// Of the output layer of several members, the weights of one.
    Member(usize, usize),
    /// Of the first layer, what becomes of some columns.
    Stem(Range<usize>),
    /// Some joint fields: their parameters, their factors and the weights of the next layer behind them.
    Joint(Range<usize>),
}

/// Gives each thread about the same number of weights.
pub(super) fn plan(net: &Net, threads: usize) -> Vec<Vec<Unit>> {
    let mut units = Vec::new();
    for (i, dense) in net.layers.iter().enumerate() {
        let Layer { inputs, outputs, bias, .. } = dense.layer;
        let joint = if i < 2 { net.joint() } else { 0 };
        // Factors of joint fields come with these.
        let loose = i > 0 || joint < outputs;
        let terms = [(bias, Term::Bias), (true, Term::Scale), (true, Term::Mix), (loose, Term::Factor)];
        for (_, term) in terms.into_iter().filter(|(there, term)| *there && !dense.term(*term).values.is_empty()) {
            units.push((outputs, Unit::Sum(i, term)));
        }
        if let Some(plan) = &dense.stem {
            let (behind, rows) = (net.layers[1].layer.outputs, net.settings.batch);
            units.extend((0..plan.joint).map(|f| (plan.joint_cost(f, behind, rows), Unit::Joint(f..f + 1))));
            let rest = plan.joint..plan.fields();
            units.extend(rest.map(|f| (plan.cost(f), Unit::Stem(f..f + 1))).filter(|(cost, _)| *cost > 0));
            continue;
        }
        if dense.own {
            units.extend((0..dense.members).map(|m| (inputs * outputs / dense.members + 1, Unit::Member(i, m))));
            continue;
        }
        let step = if dense.narrow { 1 } else { 16 };
        let all = if dense.narrow { dense.shape.count() } else { inputs };
        for start in (if i == 1 { joint } else { 0 }..all).step_by(step) {
            let range = start..(start + step).min(all);
            let cost = if dense.narrow { PANEL * ROWS } else { range.len() * outputs };
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
            (Some(Unit::Stem(range)), Unit::Stem(next)) if range.end == next.start => range.end = next.end,
            (Some(Unit::Joint(range)), Unit::Joint(next)) if range.end == next.start => range.end = next.end,
            _ => mine.push(unit),
        }
    }
    plan
}
