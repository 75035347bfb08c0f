//! Training steps: forward, loss, backward and update of a minibatch, on a team of threads.
//!
//! Threads share the work of a step in one of two ways, chosen by the shapes alone:
//!
//! - **Large networks: by rows, then by weights.** First every thread takes some rows of the batch through the whole
//!   network and back, to the derivatives ∂R/∂z of the loss R by the sums z of every layer. After a barrier every thread
//!   takes some weights: their gradient is the sum over all rows, Σᵢ xᵢ·∂Rᵢ/∂z, and the update rule is applied to it while
//!   it is in cache. No two threads ever add to the same number.
//! - **Small networks: by halves of the batch.** Here activations are many and gradients few, and a cache line that two
//!   cores use in turn costs as much as a hundred multiplications. So each of two threads has a copy of the network and its
//!   own rows, they exchange their gradients, and both make the same step. A single thread does the same two halves in turn.
//!
//! Either way the bits do not depend on how many threads there are.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pulp::{Simd, WithSimd};

use super::backward::{Backward, Slope};
use super::batch::{Chunk, share};
use super::exchange::Mail;
use super::forward::{Forward, Gather};
use super::gradient::Gradient;
use super::net::Net;
use super::scratch::{Scratch, lock};
use super::sink::Then;
use super::team::Barrier;
use super::update::{Kept, Settle};
use super::work::Unit;
use crate::data::{Data, Totals};
use crate::rule::Step;
use crate::rule::StepRates;

/// Everything that the threads need for an epoch: fields of the trainer, and arguments of `Trainer::epoch`.
#[expect(clippy::struct_field_names, reason = "`epoch` is its number")]
pub(super) struct Epoch<'a> {
    pub(super) nets: &'a [Net],
    pub(super) halves: usize,
    pub(super) mail: &'a [[Mail; 2]],
    pub(super) plan: &'a [Vec<Unit>],
    pub(super) scratch: &'a [Mutex<Scratch>],
    pub(super) chunk: usize,
    /// Number of steps made before this epoch.
    pub(super) step: i32,
    pub(super) data: &'a Data<'a>,
    pub(super) order: &'a [u32],
    pub(super) epoch: u32,
    pub(super) rates: &'a (dyn Fn(usize) -> StepRates + Sync),
    pub(super) until: Option<&'a (dyn Fn() -> bool + Sync)>,
    pub(super) totals: &'a Mutex<[Totals; 2]>,
    /// Number of the epoch's last step, once it is known that the epoch ends early; `usize::MAX` before. Thread 0 writes it before
    /// a step in which the others wait for it at a barrier, and they read it after: all end with the same step.
    pub(super) last: &'a AtomicUsize,
}

/// One thread's part of the work of an epoch.
pub(super) struct Work<'a> {
    pub(super) run: &'a Epoch<'a>,
    pub(super) thread: usize,
    pub(super) barrier: &'a Barrier,
}

/// Rows of one training step, and the coefficients of that step.
#[derive(Clone, Copy)]
struct Batch<'a> {
    ids: &'a [u32],
    /// Number of rows of each member.
    rows: usize,
    /// Factor of the derivatives of the rows' losses: 1, or 1 over the sum of the rows' weights.
    scale: f32,
    now: Step,
}

impl WithSimd for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let run = self.run;
        let Epoch { data, order, .. } = *run;
        let settings = &run.nets[0].settings;
        let orders = if settings.share_batches { 1 } else { run.nets[0].members };
        let scratch = &mut *lock(&run.scratch[self.thread]);
        let mut totals = [Totals::default(); 2];
        for (number, ids) in order.chunks(settings.batch * orders).enumerate() {
            let early = || !totals[0].loss.is_finite() || self.run.until.is_some_and(|until| until());
            if self.thread == 0 && early() {
                self.run.last.fetch_min(number, Ordering::Relaxed);
            }
            let step = run.step.wrapping_add(number as i32 + 1);
            let now = settings.rule.at(step, (self.run.rates)(number), settings.betas);
            let weight = match data.weights {
                None => (ids.len() / orders) as f64,
                Some(weights) => ids.iter().map(|&r| f64::from(weights[r as usize])).sum::<f64>() / orders as f64,
            };
            // A batch whose weights are all 0 changes nothing.
            let scale = if settings.sum { 1.0 } else { 1.0 / (weight as f32).max(f32::MIN_POSITIVE) };
            let batch = Batch { ids, rows: ids.len() / orders, scale, now };
            if run.halves == 2 {
                self.by_halves(simd, batch, number, scratch, &mut totals);
            } else {
                self.by_weights(simd, batch, scratch, &mut totals);
            }
            if self.thread == 0 {
                totals[0].weight += weight;
                totals[0].steps += 1;
            }
            if number >= self.run.last.load(Ordering::Relaxed) {
                break;
            }
        }
        let mut all = lock(self.run.totals);
        for (all, mine) in all.iter_mut().zip(totals) {
            all.loss += mine.loss;
            all.weight += mine.weight;
            all.steps += mine.steps;
        }
    }
}

impl Work<'_> {
    /// Takes some rows of a chunk through the forward and the backward pass.
    #[inline(always)]
    fn there_and_back<S: Simd>(
        &self,
        simd: S,
        net: &Net,
        (chunk, scale): (Chunk<'_>, f32),
        rows: Range<usize>,
        scratch: &mut Scratch,
    ) {
        let (data, ids) = (self.run.data, chunk.ids);
        simd.vectorize(Gather { net, data, ids, rows: rows.clone(), targets: &mut scratch.targets });
        for l in 0..net.layers.len() {
            simd.vectorize(Forward::<true> { net, l, rows: rows.clone(), chunk, scratch: &mut *scratch });
        }
        simd.vectorize(Slope { net, data, ids, rows: rows.clone(), scale, scratch });
        for l in (1..net.layers.len()).rev() {
            simd.vectorize(Backward { net, l, rows: rows.clone(), chunk, partial: &mut scratch.partial });
        }
    }

    /// Makes a step of a large network: threads divide the rows first, then the weights.
    #[inline(always)]
    fn by_weights<S: Simd>(&self, simd: S, batch: Batch<'_>, scratch: &mut Scratch, totals: &mut [Totals; 2]) {
        let run = self.run;
        let (net, plan) = (&run.nets[0], &run.plan[self.thread]);
        let (members, drop) = (net.members, net.settings.dropout * batch.now.dropout);
        let mut all = std::mem::take(&mut scratch.ids);
        let repeated = members > 1 && net.settings.share_batches;
        if repeated {
            all.clear();
            (0..members).for_each(|_| all.extend_from_slice(batch.ids));
        }
        let ids = if repeated { &all } else { batch.ids };
        let (chunks, scale) = (ids.len().div_ceil(run.chunk), batch.scale / members as f32);
        let keep = !net.grads[0].is_empty();
        for (c, ids) in ids.chunks(run.chunk).enumerate() {
            let start = c * run.chunk;
            let chunk = Chunk { ids, start, batch: batch.rows, epoch: self.run.epoch, drop };
            let rows = chunk.share(self.thread, run.plan.len());
            if !rows.is_empty() {
                self.there_and_back(simd, net, (chunk, scale), rows, scratch);
            }
            self.barrier.wait();
            let then = if keep { Then::Keep { half: 0, first: c == 0 } } else { Then::Use(batch.now) };
            for unit in plan {
                simd.vectorize(Gradient { net, rows: 0..ids.len(), chunk, unit, then, scratch: &mut *scratch });
            }
            if self.thread == 0 {
                totals[0].loss += net.lost(0..ids.len()) / members as f64;
            }
            if c + 1 < chunks {
                self.barrier.wait();
            }
        }
        scratch.ids = all;
        if keep {
            self.settle(simd, net, plan, batch.now);
        }
        self.barrier.wait();
    }

    /// Makes a step of a small network: two threads take half of the batch each and exchange gradients, or one takes both halves in
    /// turn.
    #[inline(always)]
    fn by_halves<S: Simd>(
        &self,
        simd: S,
        batch: Batch<'_>,
        number: usize,
        scratch: &mut Scratch,
        totals: &mut [Totals; 2],
    ) {
        let run = self.run;
        let (net, plan) = (&run.nets[self.thread], &run.plan[self.thread]);
        let alone = run.nets.len() == 1;
        let mine = if alone { 0..2 } else { self.thread..self.thread + 1 };
        for (c, ids) in batch.ids.chunks(run.chunk).enumerate() {
            for half in mine.clone() {
                let rows = share(ids.len(), half, 2);
                let then = Then::Keep { half, first: c == 0 };
                if rows.is_empty() {
                    if c == 0 {
                        // SAFETY: the gradients of this half are this thread's.
                        unsafe { net.grads[half].write(0..net.grads[half].len()) }.fill(0.0);
                    }
                    continue;
                }
                let drop = net.settings.dropout * batch.now.dropout;
                let chunk = Chunk { ids, start: 0, batch: ids.len(), epoch: self.run.epoch, drop };
                self.there_and_back(simd, net, (chunk, batch.scale), rows.clone(), scratch);
                totals[half].loss += net.lost(rows.clone());
                for unit in plan {
                    simd.vectorize(Gradient { net, rows: rows.clone(), chunk, unit, then, scratch: &mut *scratch });
                }
            }
        }
        if !alone {
            let (own, other) = (self.thread, 1 - self.thread);
            // SAFETY: this network is this thread's alone.
            let grads = unsafe {
                [net.grads[own].write(0..net.grads[own].len()), net.grads[other].write(0..net.grads[other].len())]
            };
            let [own_grads, other_grads] = grads;
            // SAFETY: a mailbox is written by its sender before this barrier, read by the other thread between this one and the
            // next, and written again two barriers later.
            unsafe { run.mail[own][number % 2].send(own_grads) };
            self.barrier.wait();
            // SAFETY: as above.
            unsafe { run.mail[other][number % 2].receive(other_grads) };
        }
        self.settle(simd, net, plan, batch.now);
    }

    /// Updates the weights with the kept gradients. Threads that share a network wait for each other before clipping by norm, since
    /// the norm is that of the gradients of all threads.
    #[inline(always)]
    fn settle<S: Simd>(&self, simd: S, net: &Net, plan: &[Unit], now: Step) {
        let shared = self.run.halves == 1;
        let all = |settle| plan.iter().for_each(|unit| simd.vectorize(Kept { net, unit, settle }));
        let Some(limit) = net.settings.clip_norm else { return all(Settle::WholeUse(now)) };
        all(Settle::Whole);
        if shared {
            self.barrier.wait();
        }
        let factor = (limit / (net.norm() + 1e-6)).min(1.0) as f32;
        if shared {
            self.barrier.wait();
        }
        all(Settle::Use(factor, now));
    }
}
