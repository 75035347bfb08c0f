//! Penalties, clipping and the update rule.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::net::{Net, Param, Term};
use super::work::Unit;
use crate::embedding::JOINT;
use crate::rule::Step;

/// Number of kept gradients that are used at a time: they, their weights and states fit into the nearest cache.
const SETTLED: usize = 1024;

impl Net {
    /// Euclidean norm of the whole gradient.
    pub(super) fn norm(&self) -> f64 {
        let mut total = 0.0;
        // SAFETY: gradients are only read in this phase.
        for block in unsafe { self.grads[0].read(0..self.grads[0].len()) }.chunks(4096) {
            let mut sums = [0.0f32; 16];
            for line in block.chunks_exact(16) {
                sums.iter_mut().zip(line).for_each(|(s, g)| *s += g * g);
            }
            total += sums.iter().map(|&s| f64::from(s)).sum::<f64>();
        }
        total.sqrt()
    }

    /// Adds the derivatives of the penalties to the gradient `g` of some weights, then clips it by value.
    #[inline(always)]
    pub(super) fn edit(&self, param: &Param, place: Range<usize>, g: &mut [f32]) {
        let (l1, l2) = (self.settings.l1 as f32, self.settings.l2 as f32);
        if param.is_weight && (l1 > 0.0 || l2 > 0.0) {
            // SAFETY: nobody writes these weights now.
            let w = unsafe { param.values.read(place) };
            for (g, w) in g.iter_mut().zip(w) {
                let sign = if *w > 0.0 { 1.0 } else { 0.0 } - if *w < 0.0 { 1.0 } else { 0.0 };
                *g = *g + sign * l1 + w * l2;
            }
        }
        if let Some(limit) = self.settings.clip_value {
            let limit = limit as f32;
            g.iter_mut().for_each(|g| *g = g.clamp(-limit, limit));
        }
    }

    #[inline(always)]
    pub(super) fn update(&self, param: &Param, place: Range<usize>, g: &[f32], now: Step) {
        let state = |i: usize| {
            let place = if param.states[i].is_empty() { 0..0 } else { place.clone() };
            // SAFETY: these weights, and what belongs to them, are this thread's in this phase.
            unsafe { param.states[i].write(place) }
        };
        // SAFETY: as above.
        let w = unsafe { param.values.write(place.clone()) };
        self.settings.rule.apply(now, param.tuning, w, g, state(0), state(1));
    }
}

/// Stage in the use of kept gradients. Clipping by norm needs two: the norm is known only when all gradients are complete.
#[derive(Clone, Copy)]
pub(super) enum Settle {
    /// Completes gradients: adds both halves of the batch and the penalties, and clips by value.
    Whole,
    /// Updates the weights with complete gradients, which are multiplied by a factor first (clipping by norm).
    Use(f32, Step),
    /// Completes gradients and updates the weights with them at once, without clipping by norm.
    WholeUse(Step),
}

impl Settle {
    /// Whether this stage completes gradients.
    #[inline(always)]
    fn completes(self) -> bool {
        match self {
            Self::Whole | Self::WholeUse(_) => true,
            Self::Use(..) => false,
        }
    }

    /// Whether this stage updates weights.
    #[inline(always)]
    fn updates(self) -> bool {
        match self {
            Self::Use(..) | Self::WholeUse(_) => true,
            Self::Whole => false,
        }
    }
}

/// Applies one stage to the kept gradients of a unit of work.
pub(super) struct Kept<'a> {
    pub(super) net: &'a Net,
    pub(super) unit: &'a Unit,
    pub(super) settle: Settle,
}

impl WithSimd for Kept<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { net, unit, settle } = self;
        match unit {
            Unit::Sum(l, term) => {
                let size = net.layers[*l].layer.outputs.next_multiple_of(16);
                net.settle_terms(settle, *l, *term, net.summed(*l, *term)..size);
            }
            Unit::Embedding(fields) => net.settle_fields(settle, fields.clone()),
            Unit::Joint(fields) => {
                let inputs = fields.start * JOINT..fields.end * JOINT;
                net.settle_fields(settle, fields.clone());
                net.settle_terms(settle, 0, Term::R, inputs.clone());
                net.settle_weights::<S>(settle, 1, inputs);
            }
            Unit::Member(l, member) => {
                let dense = &net.layers[*l];
                net.settle(settle, &dense.weight, member * dense.shape.len()..(member + 1) * dense.shape.len());
                if settle.updates() {
                    // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
                    unsafe { dense.transpose_rows::<S>(0..dense.layer.inputs, *member) };
                }
            }
            Unit::Weights(l, range) => {
                let dense = &net.layers[*l];
                if dense.dot_layout {
                    for p in range.clone() {
                        net.settle(settle, &dense.weight, dense.shape.range(p, 0..dense.layer.outputs));
                    }
                    return;
                }
                net.settle_weights::<S>(settle, *l, range.clone());
            }
        }
    }
}

impl Net {
    /// Applies a stage to the gradients of some rows of a layer's weights. Updates the transposed copy if the weights change.
    #[inline(always)]
    fn settle_weights<S: Simd>(&self, settle: Settle, l: usize, rows: Range<usize>) {
        let dense = &self.layers[l];
        for p in 0..dense.shape.count() {
            self.settle(settle, &dense.weight, dense.shape.range(p, rows.clone()));
        }
        if settle.updates() {
            // SAFETY: these weights, and their transposed copies, are this thread's in this phase.
            unsafe { dense.transpose_rows::<S>(rows, 0) };
        }
    }

    /// Applies a stage to the gradients of some columns of a unit parameter (such as biases), for every member.
    #[inline(always)]
    fn settle_terms(&self, settle: Settle, l: usize, term: Term, columns: Range<usize>) {
        let (param, size) = (self.layers[l].term(term), self.layers[l].layer.outputs.next_multiple_of(16));
        for row in (0..param.values.len()).step_by(size) {
            self.settle(settle, param, row + columns.start..row + columns.end);
        }
    }

    /// Applies a stage to the gradients of some fields of the input embedding. Updates their prefix sums if the parameters change.
    #[inline(always)]
    fn settle_fields(&self, settle: Settle, fields: Range<usize>) {
        let dense = &self.layers[0];
        let Some(layout) = &dense.embedding else { return };
        let place = layout.place(fields.clone());
        self.settle(settle, &dense.weight, place.clone());
        if settle.updates() {
            // SAFETY: these parameters and their sums are this thread's in this phase.
            unsafe {
                let (values, sums) = (dense.weight.values.read(place.clone()), dense.transposed.write(place));
                layout.sum(fields, values, sums);
            }
        }
    }

    #[inline(always)]
    fn settle(&self, settle: Settle, param: &Param, range: Range<usize>) {
        let [first, second] = &self.grads;
        if let Settle::WholeUse(now) = settle
            && !second.is_empty()
            && self.plain
        {
            let kept = param.at + range.start..param.at + range.end;
            // SAFETY: these weights and their gradients are this thread's in this phase.
            let (w, g, h) = unsafe { (param.values.write(range), first.read(kept.clone()), second.read(kept)) };
            now.descend(w, g, h);
            return;
        }
        for start in range.clone().step_by(SETTLED) {
            let place = start..(start + SETTLED).min(range.end);
            let kept = param.at + place.start..param.at + place.end;
            // SAFETY: the gradients of these weights are this thread's in this phase.
            let g = unsafe { first.write(kept.clone()) };
            if settle.completes() {
                if !second.is_empty() {
                    // SAFETY: as above.
                    let h = unsafe { second.read(kept) };
                    g.iter_mut().zip(h).for_each(|(g, h)| *g += h);
                }
                self.edit(param, place.clone(), g);
            }
            match settle {
                Settle::Whole => {}
                Settle::WholeUse(now) => self.update(param, place, g, now),
                Settle::Use(factor, now) => {
                    g.iter_mut().for_each(|g| *g *= factor);
                    self.update(param, place, g, now);
                }
            }
        }
    }
}
