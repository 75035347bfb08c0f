//! Creation of Burn's optimizers from a [`TrainConfig`], and the penalties and clipping applied to gradients before an optimizer's step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::module::{ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, DynOptimizer, GradientsParams, LambConfig,
    LionConfig, ModuleOptimizer, MuonConfig, RmsPropConfig, SgdConfig,
};
use burn::tensor::{Device, Tensor};
use perceptra_nn::Group;

use crate::choices::{Optimizer, Schedule};
use crate::config::TrainConfig;
use crate::network::{Groups, Network};

/// Creates the optimizer for `network`, in which each group of parameters has its own learning rate and weight decay.
pub(crate) fn optimizer<N: Network>(config: &TrainConfig, network: &N, decay: &Arc<DecayShare>) -> ModuleOptimizer {
    let mut by_group = ByGroup { groups: Groups::of(network), ids: Vec::new() };
    network.visit(&mut by_group);
    let builder = Builder { config, groups: by_group.ids, share: decay };
    let penalty = |decay: f32| (decay > 0.0).then_some(WeightDecayConfig { penalty: decay });
    let momentum = (config.momentum > 0.0).then_some(MomentumConfig {
        momentum: config.momentum,
        dampening: 0.0,
        nesterov: config.nesterov,
    });
    let [first, second] = config.betas.map(|b| b as f32);
    match config.optimizer {
        Optimizer::Sgd => {
            builder.build(|d| SgdConfig::new().with_weight_decay(penalty(d)).with_momentum(momentum.clone()).build())
        }
        Optimizer::Adam => builder.build(|d| {
            let adam = AdamConfig::new().with_epsilon(1e-8).with_beta_1(first).with_beta_2(second);
            adam.with_weight_decay(penalty(d)).build()
        }),
        Optimizer::AdamW => builder.build(|d| {
            let adam = AdamWConfig::new().with_epsilon(1e-8).with_beta_1(first).with_beta_2(second);
            adam.with_weight_decay(d).build()
        }),
        Optimizer::RmsProp => builder.build(|d| {
            let rule = RmsPropConfig::new().with_epsilon(1e-8).with_momentum(config.momentum as f32);
            rule.with_weight_decay(penalty(d)).build()
        }),
        Optimizer::AdaGrad => {
            builder.build(|d| AdaGradConfig::new().with_epsilon(1e-8).with_weight_decay(penalty(d)).build())
        }
        Optimizer::Adan => builder.build(|d| AdanConfig::new().with_weight_decay(d).build()),
        Optimizer::Lion => builder.build(|d| LionConfig::new().with_weight_decay(d).build()),
        Optimizer::Lamb => builder.build(|d| LambConfig::new().with_weight_decay(d).build()),
        Optimizer::Adafactor => builder.build(|d| AdafactorConfig::new().with_weight_decay(d).build()),
        Optimizer::Muon => {
            // Weights of dense layers by Muon, all other parameters by AdamW.
            let muon = |d: f32| MuonConfig::new().with_weight_decay(penalty(d)).build();
            let adam = |d: f32| AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(d).build();
            let optimizer =
                ModuleOptimizer::from(Tuned::new(muon(builder.decay(Group::Weight)), Group::Weight, &builder));
            builder.groups.iter().filter(|(group, _)| *group != Group::Weight).fold(optimizer, |all, (group, ids)| {
                let ids = ParamGroup::from_ids(ids.clone());
                all.with_group(ids, Tuned::new(adam(builder.decay(*group)), *group, &builder), None)
            })
        }
    }
}

/// Collects the parameters of each group.
struct ByGroup {
    groups: Groups,
    ids: Vec<(Group, Vec<ParamId>)>,
}

impl ModuleVisitor for ByGroup {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let group = self.groups.get(param.id, D);
        match self.ids.iter_mut().find(|(known, _)| *known == group) {
            Some((_, ids)) => ids.push(param.id),
            None => self.ids.push((group, vec![param.id])),
        }
    }
}

/// Builds Burn's optimizer with the learning rate and the decay of each group.
struct Builder<'a> {
    config: &'a TrainConfig,
    groups: Vec<(Group, Vec<ParamId>)>,
    share: &'a Arc<DecayShare>,
}

impl Builder<'_> {
    /// The weight decay of `group` that Burn's rule applies: 0 if the decay changes over the run, because [`Tuned`] then applies it.
    fn decay(&self, group: Group) -> f32 {
        if self.config.decay_schedule == Schedule::Constant { self.whole_decay(group) as f32 } else { 0.0 }
    }

    fn whole_decay(&self, group: Group) -> f64 {
        self.config.weight_decay * self.config.decay_factors.of(group)
    }

    fn build<O: BurnRule>(&self, rule: impl Fn(f32) -> O) -> ModuleOptimizer {
        // Groups with the rate and the decay of weights share their optimizer.
        let same = |group: Group| {
            self.config.lr_factors.of(group) == self.config.lr_factors.of(Group::Weight)
                && self.whole_decay(group) == self.whole_decay(Group::Weight)
        };
        let tuned = |group: Group| Tuned::new(rule(self.decay(group)), group, self);
        let all = ModuleOptimizer::from(tuned(Group::Weight));
        self.groups
            .iter()
            .filter(|(group, _)| !same(*group))
            .fold(all, |all, (group, ids)| all.with_group(ParamGroup::from_ids(ids.clone()), tuned(*group), None))
    }
}

/// Factor of the weight decay at the current step, by its schedule, as bits of an `f64`. The optimizers of all groups read it.
#[derive(Debug, Default)]
pub(crate) struct DecayShare(AtomicU64);

impl DecayShare {
    pub(crate) fn set(&self, share: f64) {
        self.0.store(share.to_bits(), Ordering::Relaxed);
    }
}

/// One of Burn's update rules.
trait BurnRule: burn::optim::Optimizer + DynOptimizer {}
impl<O: burn::optim::Optimizer + DynOptimizer> BurnRule for O {}

/// An update rule with a factor of its learning rate and a decoupled weight decay that changes over the run.
#[derive(Clone)]
struct Tuned<O> {
    rule: O,
    rate: f64,
    decay: f64,
    share: Arc<DecayShare>,
}

impl<O> Tuned<O> {
    fn new(rule: O, group: Group, builder: &Builder<'_>) -> Self {
        let scheduled = builder.config.decay_schedule != Schedule::Constant;
        let decay = if scheduled { builder.whole_decay(group) } else { 0.0 };
        Self { rule, rate: builder.config.lr_factors.of(group), decay, share: builder.share.clone() }
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
        let decay = rate * self.decay * f64::from_bits(self.share.0.load(Ordering::Relaxed));
        let tensor = if decay == 0.0 { tensor } else { tensor * (1.0 - decay) };
        self.rule.step(rate, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: O::State<D>, device: &Device) -> O::State<D> {
        O::to_device(state, device)
    }
}

/// Adds the gradients of the L1 and L2 penalties to `grads`, then clips. Burn's clipping takes each parameter on its own; the norm here is
/// that of all parameters together, as in PyTorch's `clip_grad_norm_`.
pub(crate) fn edit_gradients<N: Network>(config: &TrainConfig, module: &N, grads: GradientsParams) -> GradientsParams {
    let penalized = config.l1 > 0.0 || config.l2 > 0.0;
    if !penalized && config.clip_value.is_none() && config.clip_norm.is_none() {
        return grads;
    }
    let mut first = Penalize { config, groups: penalized.then(|| Groups::of(module)), grads, squares: None };
    module.visit(&mut first);
    let Penalize { grads, squares, .. } = first;
    let (Some(limit), Some(squares)) = (config.clip_norm, squares) else {
        return grads;
    };
    let factor = (squares.sqrt() + 1e-6).recip().mul_scalar(limit).clamp_max(1.0);
    let mut second = Scale { grads, factor };
    module.visit(&mut second);
    second.grads
}

struct Penalize<'a> {
    config: &'a TrainConfig,
    /// The parameter groups; `None` without penalties.
    groups: Option<Groups>,
    grads: GradientsParams,
    squares: Option<Tensor<1>>,
}

impl ModuleVisitor for Penalize<'_> {
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
