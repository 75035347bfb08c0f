//! Burn's optimisers and schedules, as a [`TrainConfig`] asks for them, and what is done to gradients before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::lr_scheduler::{
    LrScheduler, LrSchedulerRecord, cosine::CosineAnnealingLrSchedulerConfig,
    exponential::ExponentialLrSchedulerConfig, linear::LinearLrSchedulerConfig, step::StepLrSchedulerConfig,
};
use burn::module::{ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, DynOptimizer, GradientsParams, LambConfig,
    LionConfig, ModuleOptimizer, MuonConfig, RmsPropConfig, SgdConfig,
};
use burn::tensor::{Device, Tensor};
use perceptra_kernel::StepRates;
use perceptra_nn::Group;

use crate::network::Groups;
use crate::{Factors, Network, Optimizer, Schedule, TrainConfig};

/// The optimiser for `network`: each kind of parameters with its learning rate and its decay.
pub(crate) fn optimizer<N: Network>(config: &TrainConfig, network: &N, now: &Arc<Now>) -> ModuleOptimizer {
    let mut kinds = Kinds { groups: Groups::of(network), kinds: Vec::new() };
    network.visit(&mut kinds);
    let kinds = Rates { config, kinds: kinds.kinds, now };
    let coupled = |decay: f32| (decay > 0.0).then_some(WeightDecayConfig { penalty: decay });
    let momentum = (config.momentum > 0.0).then_some(MomentumConfig {
        momentum: config.momentum,
        dampening: 0.0,
        nesterov: config.nesterov,
    });
    let [first, second] = config.betas.map(|b| b as f32);
    match config.optimizer {
        Optimizer::Sgd => {
            kinds.build(|d| SgdConfig::new().with_weight_decay(coupled(d)).with_momentum(momentum.clone()).build())
        }
        Optimizer::Adam => kinds.build(|d| {
            let adam = AdamConfig::new().with_epsilon(1e-8).with_beta_1(first).with_beta_2(second);
            adam.with_weight_decay(coupled(d)).build()
        }),
        Optimizer::AdamW => kinds.build(|d| {
            let adam = AdamWConfig::new().with_epsilon(1e-8).with_beta_1(first).with_beta_2(second);
            adam.with_weight_decay(d).build()
        }),
        Optimizer::RmsProp => kinds.build(|d| {
            let rule = RmsPropConfig::new().with_epsilon(1e-8).with_momentum(config.momentum as f32);
            rule.with_weight_decay(coupled(d)).build()
        }),
        Optimizer::AdaGrad => {
            kinds.build(|d| AdaGradConfig::new().with_epsilon(1e-8).with_weight_decay(coupled(d)).build())
        }
        Optimizer::Adan => kinds.build(|d| AdanConfig::new().with_weight_decay(d).build()),
        Optimizer::Lion => kinds.build(|d| LionConfig::new().with_weight_decay(d).build()),
        Optimizer::Lamb => kinds.build(|d| LambConfig::new().with_weight_decay(d).build()),
        Optimizer::Adafactor => kinds.build(|d| AdafactorConfig::new().with_weight_decay(d).build()),
        Optimizer::Muon => {
            // Matrices that mix units by Muon, all others by AdamW.
            let other = |group: Group| group != Group::Weight;
            let of = |d: f32| MuonConfig::new().with_weight_decay(coupled(d)).build();
            let adam = |d: f32| AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(d).build();
            let optimizer = ModuleOptimizer::from(Tuned::new(of(kinds.decay(Group::Weight)), Group::Weight, &kinds));
            kinds.kinds.iter().filter(|(group, _)| other(*group)).fold(optimizer, |all, (group, ids)| {
                let ids = ParamGroup::from_ids(ids.clone());
                all.with_group(ids, Tuned::new(adam(kinds.decay(*group)), *group, &kinds), None)
            })
        }
    }
}

/// The parameters of each group.
struct Kinds {
    groups: Groups,
    kinds: Vec<(Group, Vec<ParamId>)>,
}

impl ModuleVisitor for Kinds {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let group = self.groups.get(param.id, D);
        match self.kinds.iter_mut().find(|(known, _)| *known == group) {
            Some((_, ids)) => ids.push(param.id),
            None => self.kinds.push((group, vec![param.id])),
        }
    }
}

struct Rates<'a> {
    config: &'a TrainConfig,
    kinds: Vec<(Group, Vec<ParamId>)>,
    now: &'a Arc<Now>,
}

impl Rates<'_> {
    /// The decay that the rule itself is given.
    fn decay(&self, group: Group) -> f32 {
        if self.config.decay_schedule == Schedule::Constant { self.whole_decay(group) as f32 } else { 0.0 }
    }

    fn whole_decay(&self, group: Group) -> f64 {
        self.config.weight_decay * self.config.decay_factors.of(group)
    }

    fn build<O: Rule>(&self, rule: impl Fn(f32) -> O) -> ModuleOptimizer {
        // What is alike for two groups is one optimiser: the first is that of weights.
        let same = |group: Group| {
            let of = |f: &Factors, g: Group| f.of(g);
            of(&self.config.lr_factors, group) == of(&self.config.lr_factors, Group::Weight)
                && self.whole_decay(group) == self.whole_decay(Group::Weight)
        };
        let tuned = |group: Group| Tuned::new(rule(self.decay(group)), group, self);
        let all = ModuleOptimizer::from(tuned(Group::Weight));
        self.kinds
            .iter()
            .filter(|(group, _)| !same(*group))
            .fold(all, |all, (group, ids)| all.with_group(ParamGroup::from_ids(ids.clone()), tuned(*group), None))
    }
}

/// What changes from step to step and a rule needs to know besides the learning rate: the part of the decay that is used.
#[derive(Debug, Default)]
pub(crate) struct Now(AtomicU64);

impl Now {
    pub(crate) fn set(&self, decay: f64) {
        self.0.store(decay.to_bits(), Ordering::Relaxed);
    }
}

/// One of Burn's optimisers.
trait Rule: burn::optim::Optimizer + DynOptimizer {}
impl<O: burn::optim::Optimizer + DynOptimizer> Rule for O {}

/// A rule with a factor of its learning rate, and a decoupled decay that changes over the run.
#[derive(Clone)]
struct Tuned<O> {
    rule: O,
    rate: f64,
    decay: f64,
    now: Arc<Now>,
}

impl<O> Tuned<O> {
    fn new(rule: O, group: Group, rates: &Rates<'_>) -> Self {
        let scheduled = rates.config.decay_schedule != Schedule::Constant;
        let decay = if scheduled { rates.whole_decay(group) } else { 0.0 };
        Self { rule, rate: rates.config.lr_factors.of(group), decay, now: rates.now.clone() }
    }
}

impl<O: burn::optim::Optimizer> burn::optim::Optimizer for Tuned<O> {
    type State<const D: usize> = O::State<D>;

    fn step<const D: usize>(
        &self,
        rate: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<O::State<D>>,
    ) -> (Tensor<D>, Option<O::State<D>>) {
        let rate = rate * self.rate;
        let decay = rate * self.decay * f64::from_bits(self.now.0.load(Ordering::Relaxed));
        let tensor = if decay == 0.0 { tensor } else { tensor * (1.0 - decay) };
        self.rule.step(rate, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: O::State<D>, device: &Device) -> O::State<D> {
        O::to_device(state, device)
    }
}

/// What changes over the run.
pub(crate) struct Course {
    base: f64,
    rate: Option<ModuleLrScheduler>,
    decay: Option<ModuleLrScheduler>,
    dropout: Option<ModuleLrScheduler>,
    /// The factor of `plateau`.
    pub(crate) plateau: f64,
}

impl Course {
    pub(crate) fn new(config: &TrainConfig, steps: usize) -> Self {
        let of = |kind: Schedule| schedule(kind, steps);
        let [rate, decay, dropout] = [config.schedule, config.decay_schedule, config.dropout_schedule].map(of);
        Self { base: config.learning_rate, rate, decay, dropout, plateau: 1.0 }
    }

    pub(crate) fn next(&mut self) -> StepRates {
        let of = |schedule: &mut Option<ModuleLrScheduler>| schedule.as_mut().map_or(1.0, |s| s.step().base());
        let rate = self.base * self.plateau * of(&mut self.rate);
        StepRates { rate, decay: of(&mut self.decay), dropout: of(&mut self.dropout) }
    }

    pub(crate) fn skip(&mut self, steps: usize) {
        (0..steps).for_each(|_| {
            self.next();
        });
    }
}

/// The schedule over `steps` training steps, as a factor; none where it is 1.
fn schedule(kind: Schedule, steps: usize) -> Option<ModuleLrScheduler> {
    let steps = steps.max(1);
    // Burn refuses rates outside (0, 1], factors outside (0, 1) and 0 steps: none of these is asked for.
    match kind {
        Schedule::Constant | Schedule::Plateau => None,
        Schedule::Linear => LinearLrSchedulerConfig::new(1.0, 0.01, steps).init().ok(),
        Schedule::Cosine => CosineAnnealingLrSchedulerConfig::new(1.0, steps).init().ok(),
        Schedule::Exponential => ExponentialLrSchedulerConfig::new(1.0, 0.01_f64.powf(1.0 / steps as f64)).init().ok(),
        Schedule::Step => StepLrSchedulerConfig::new(1.0, steps.div_ceil(3)).init().ok(),
        Schedule::FlatCosine => Some(shaped(steps, |t| if t < 0.5 { 1.0 } else { fall(2.0 * t - 1.0) })),
        Schedule::OneCycle => Some(shaped(steps, |t| match t {
            t if t < 0.3 => 1.0 - (1.0 - 1.0 / 25.0) * fall(t / 0.3),
            t => 1e-4 / 25.0 + (1.0 - 1e-4 / 25.0) * fall((t - 0.3) / 0.7),
        })),
        Schedule::Coslog4 => {
            Some(shaped(steps, |t| 0.5 * (1.0 - (std::f64::consts::TAU * (1.0 + 15.0 * t).log2()).cos())))
        }
    }
}

/// Half a cosine from 1 at 0 down to 0 at 1.
fn fall(t: f64) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * t).cos())
}

/// A factor that depends on the part of the run alone.
#[derive(Clone)]
struct Shape {
    at: usize,
    steps: usize,
    factor: fn(f64) -> f64,
}

fn shaped(steps: usize, factor: fn(f64) -> f64) -> ModuleLrScheduler {
    ModuleLrScheduler::new(Shape { at: 0, steps, factor })
}

impl LrScheduler for Shape {
    fn step(&mut self) -> f64 {
        let t = self.at as f64 / self.steps as f64;
        self.at += 1;
        (self.factor)(t.min(1.0))
    }

    // Runs that go on make the steps again: nothing is recorded.
    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new()
    }

    fn load_record(&mut self, _: LrSchedulerRecord) {}
}

/// Adds the penalties' gradients and clips, in that order. Burn's clipping takes each parameter on its own; the norm here
/// is that of all parameters together, as in PyTorch's `clip_grad_norm_`.
pub(crate) fn edit_gradients<N: Network>(config: &TrainConfig, module: &N, grads: GradientsParams) -> GradientsParams {
    let penalised = config.l1 > 0.0 || config.l2 > 0.0;
    if !penalised && config.clip_value.is_none() && config.clip_norm.is_none() {
        return grads;
    }
    let mut first = Penalise { config, groups: penalised.then(|| Groups::of(module)), grads, squares: None };
    module.visit(&mut first);
    let Penalise { grads, squares, .. } = first;
    let (Some(limit), Some(squares)) = (config.clip_norm, squares) else {
        return grads;
    };
    let factor = (squares.sqrt() + 1e-6).recip().mul_scalar(limit).clamp_max(1.0);
    let mut second = Scale { grads, factor };
    module.visit(&mut second);
    second.grads
}

struct Penalise<'a> {
    config: &'a TrainConfig,
    /// Where there are penalties.
    groups: Option<Groups>,
    grads: GradientsParams,
    squares: Option<Tensor<1>>,
}

impl ModuleVisitor for Penalise<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(mut grad) = self.grads.remove::<D>(param.id) else { return };
        if self.groups.as_ref().is_some_and(|groups| groups.get(param.id, D) == Group::Weight) {
            let weight = || param.val().inner();
            if self.config.l1 > 0.0 {
                grad = grad + weight().sign() * self.config.l1;
            }
            if self.config.l2 > 0.0 {
                grad = grad + weight() * self.config.l2;
            }
        }
        if let Some(limit) = self.config.clip_value {
            grad = grad.clamp(-limit, limit);
        }
        if self.config.clip_norm.is_some() {
            let squares = (grad.clone() * grad.clone()).sum();
            self.squares = Some(match self.squares.take() {
                None => squares,
                Some(sum) => sum + squares,
            });
        }
        self.grads.register(param.id, grad);
    }
}

struct Scale {
    grads: GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad * self.factor.clone().reshape([1; D]));
        }
    }
}
