//! A network in training, as its users see it.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use pulp::{Simd, WithSimd};

use super::batch::CHUNK;
use super::exchange::Mail;
use super::net::{Dense, Memory, Net};
use super::network::{Network, Part};
use super::scratch::lock;
use super::step::{Epoch, Work};
use super::team::Team;
use super::work::{Sharing, Unit, plan};
use crate::data::{Data, Totals};
use crate::error::Unsupported;
use crate::loss::Loss;
use crate::rule::StepRates;
use crate::settings::{Extras, Layer, Settings};

/// A dense network in training: weights, gradients, the update rule's states and activations in buffers allocated once.
pub struct Trainer {
    /// The network, of which no reference is given out: with the network of another trainer in its place, the threads would share
    /// the work on buffers of another layout.
    ///
    /// ```compile_fail,E0599
    /// # use perceptra_kernel::Trainer;
    /// fn swap(a: &mut Trainer, b: &mut Trainer) {
    ///     std::mem::swap(a.network(), b.network());
    /// }
    /// ```
    network: Network,
    /// Number of parts of a batch whose gradients are summed separately: 1 or 2.
    halves: usize,
    /// Mailboxes by which two threads exchange the gradients of their halves of a batch: two for each sender, for even and odd
    /// steps. Empty otherwise.
    mail: Vec<[Mail; 2]>,
    /// Units of work of each thread: the parameters whose gradients it computes.
    plan: Vec<Vec<Unit>>,
    step: i32,
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("network", &self.network)
            .field("settings", &self.network.nets[0].settings)
            .finish_non_exhaustive()
    }
}

impl Trainer {
    /// A network whose weights are all 0. It is trained by at most `threads` threads, by fewer where steps are too small to be
    /// shared.
    ///
    /// # Errors
    ///
    /// [`Unsupported`], if the kernel cannot train such a network, or not with these settings.
    pub fn new(layers: &[Layer], extras: &Extras, settings: Settings, threads: usize) -> Result<Self, Unsupported> {
        settings.check(layers, extras)?;
        let sharing = Sharing::new(layers, extras, threads);
        let halves = sharing.halves(settings.batch);
        let team = Team::new(sharing.threads(settings.batch));
        let threads = team.threads();
        let batch = settings.batch.saturating_mul(extras.members);
        let chunk = batch.min(CHUNK);
        let keeps = batch > CHUNK || settings.clip_norm.is_some() || extras.members > 1 || extras.embedding.is_some();
        let kept = if halves == 2 { 2 } else { usize::from(keeps) };
        let copies = if halves == 2 { threads } else { 1 };
        let net = || Net::new(layers, extras, settings, chunk, Memory::Train { kept });
        let nets: Vec<Net> = (0..copies).map(|_| net()).collect();
        let mail = || Mail::new(nets[0].grads[0].len());
        Ok(Self {
            mail: if copies == 2 { (0..2).map(|_| [mail(), mail()]).collect() } else { Vec::new() },
            plan: if halves == 2 { vec![plan(&nets[0], 1).swap_remove(0); threads] } else { plan(&nets[0], threads) },
            halves,
            step: 0,
            network: Network::with(nets, chunk, team),
        })
    }

    /// Sets a tensor of the parameters, row by row.
    ///
    /// # Panics
    ///
    /// If there is no such layer, or there are more or fewer values than the network has: none for a tensor that it does not have.
    pub fn set(&mut self, part: Part, values: &[f32]) {
        self.network.set(part, values);
    }

    /// The values of a tensor of the parameters, row by row; none if the network does not have it.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub fn get(&mut self, part: Part) -> Vec<f32> {
        self.network.get(part)
    }

    /// Copies all parameters to `weights`, in the order and with the padding that they have in memory, and the update rule's states
    /// of all parameters to `rule`, if that is given, for [`Trainer::restore`]. Returns the number of steps made.
    pub fn save(&mut self, weights: &mut Vec<f32>, rule: Option<&mut Vec<f32>>) -> i32 {
        let net = &mut self.network.nets[0];
        weights.clear();
        net.values().for_each(|values| weights.extend_from_slice(values));
        if let Some(rule) = rule {
            rule.clear();
            net.states().for_each(|states| rule.extend_from_slice(states));
        }
        self.step
    }

    /// Sets all parameters to the `weights` that [`Trainer::save`] stored, and the update rule to the states that it stored after
    /// some number of steps, if `rule` has both. Returns `false`, and changes nothing, if the states are not as many as those of
    /// this network's update rule or the number of steps is negative. Without `rule` the rule's states stay, and the result is
    /// `true`.
    ///
    /// # Panics
    ///
    /// If `weights` has more or fewer values than this network.
    pub fn restore(&mut self, weights: &[f32], rule: Option<(&[f32], i32)>) -> bool {
        if let Some((states, step)) = rule
            && (self.network.nets[0].states().map(|s| s.len()).sum::<usize>() != states.len() || step < 0)
        {
            return false;
        }
        for net in &mut self.network.nets {
            fill(net.values(), weights);
            net.layers.iter_mut().for_each(Dense::transpose_all);
            if let Some((states, _)) = rule {
                fill(net.states(), states);
            }
        }
        self.step = rule.map_or(self.step, |(_, step)| step);
        true
    }

    /// Whether every weight is a finite number.
    pub fn is_finite(&mut self) -> bool {
        self.network.nets[0].values().all(|values| {
            // x·0 is 0 for a finite x, else NaN; sums by column, for the compiler to put into vectors.
            let mut sums = [0.0f32; 16];
            for line in values.chunks_exact(16) {
                sums.iter_mut().zip(line).for_each(|(s, x)| *s += x * 0.0);
            }
            sums.iter().all(|s| s.is_finite())
        })
    }

    /// Trains on the rows of `data` listed in `order`, batch by batch. `epoch` is the number of the epoch, on which dropout masks
    /// depend. `rates(step)` gives the rates of a step; steps are counted from 0 in each epoch. The epoch ends early, after the
    /// batch that is being trained, once `until` returns true or the sum of the losses is no longer finite; `until` is called at
    /// the beginning of every step, by one thread.
    ///
    /// # Panics
    ///
    /// If the shapes of `data` do not fit the network, or `order` names a row that does not exist; if members do not share batches
    /// and the length of `order` is not a multiple of their number.
    pub fn epoch(
        &mut self,
        data: &Data<'_>,
        order: &[u32],
        epoch: u32,
        rates: &(dyn Fn(usize) -> StepRates + Sync),
        until: Option<&(dyn Fn() -> bool + Sync)>,
    ) -> Totals {
        let rows = self.check(data);
        assert!(order.iter().all(|&r| (r as usize) < rows));
        let net = &self.network.nets[0];
        assert!(net.settings.share_batches || order.len().is_multiple_of(net.members));
        let (totals, last) = (Mutex::new([Totals::default(); 2]), AtomicUsize::new(usize::MAX));
        let mut team = std::mem::replace(&mut self.network.team, Team::new(1));
        {
            let run = Epoch {
                nets: &self.network.nets,
                halves: self.halves,
                mail: &self.mail,
                plan: &self.plan,
                scratch: &self.network.scratch,
                chunk: self.network.chunk,
                step: self.step,
                data,
                order,
                epoch,
                rates,
                until,
                totals: &totals,
                last: &last,
            };
            team.run(&|thread, barrier| self.network.arch.dispatch(Work { run: &run, thread, barrier }));
        }
        self.network.team = team;
        let [first, second] = *lock(&totals);
        self.step = self.step.wrapping_add(first.steps as i32);
        Totals { loss: first.loss + second.loss, ..first }
    }

    /// Sums the losses of `data`, without dropout; `outputs` receives the network's outputs `[rows, outputs]`. In a batch ensemble,
    /// `join` is given the outputs `[members, rows, outputs]` and must replace them with joined ones, `[rows, outputs]`.
    ///
    /// # Panics
    ///
    /// If the shapes of `data` do not fit the network.
    pub fn evaluate(&mut self, data: &Data<'_>, outputs: &mut Vec<f32>, join: impl FnOnce(&mut Vec<f32>)) -> Totals {
        let rows = self.check(data);
        let (members, columns) = (self.network.nets[0].members, self.network.nets[0].shape().1);
        outputs.resize(members * rows * columns, 0.0);
        self.network.predict(data.inputs, outputs);
        if members > 1 {
            join(outputs);
        }
        self.network.arch.dispatch(Judge { loss: self.network.nets[0].settings.loss, columns, outputs, data })
    }

    /// The number of rows of `data`. Panics if the shapes do not fit the network.
    fn check(&self, data: &Data<'_>) -> usize {
        let (n, m) = self.network.nets[0].shape();
        let rows = data.inputs.len() / n;
        assert!(data.inputs.len() == rows * n && data.targets.len() == rows * m);
        assert!(data.weights.is_none_or(|w| w.len() == rows));
        rows
    }
}

/// Copies values, which lie one after another, to the slices of `to`.
fn fill<'a>(to: impl Iterator<Item = &'a mut [f32]>, from: &[f32]) {
    let mut rest = from;
    for to in to {
        let (own, others) = rest.split_at(to.len());
        to.copy_from_slice(own);
        rest = others;
    }
    assert!(rest.is_empty());
}

/// Sums the losses of outputs that are already computed.
struct Judge<'a> {
    loss: Loss,
    columns: usize,
    outputs: &'a [f32],
    data: &'a Data<'a>,
}

impl WithSimd for Judge<'_> {
    type Output = Totals;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Totals {
        let Self { loss, columns, outputs, data } = self;
        let block = (4096 / columns).max(1);
        let (mut f, mut slopes, mut losses) = (Vec::new(), vec![0.0; block * columns], vec![0.0; block]);
        let mut totals = Totals::default();
        for (i, (out, y)) in outputs.chunks(block * columns).zip(data.targets.chunks(block * columns)).enumerate() {
            f.clear();
            f.extend_from_slice(out);
            let rows = out.len() / columns;
            loss.apply(columns, &mut f, y, &mut slopes[..out.len()], &mut losses[..rows]);
            let weights = data.weights.map(|w| &w[i * block..i * block + rows]);
            for (r, l) in losses[..rows].iter().enumerate() {
                let weight = weights.map_or(1.0, |w| f64::from(w[r]));
                totals.loss += weight * f64::from(*l);
                totals.weight += weight;
            }
        }
        totals
    }
}
