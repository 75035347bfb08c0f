//! Burn's optimisers and schedules, as a [`TrainConfig`] asks for them, and what is done to gradients before.

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::lr_scheduler::{
    LrScheduler, LrSchedulerRecord, cosine::CosineAnnealingLrSchedulerConfig,
    exponential::ExponentialLrSchedulerConfig, linear::LinearLrSchedulerConfig, step::StepLrSchedulerConfig,
};
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, AdafactorConfig, AdamConfig, AdamWConfig, AdanConfig, DynOptimizer, GradientsParams, LambConfig,
    LionConfig, ModuleOptimizer, MuonConfig, RmsPropConfig, SgdConfig,
};
use burn::tensor::Tensor;

use crate::{Optimizer, Schedule, TrainConfig};

/// The optimiser for `module`: weights decay, biases and norms do not.
pub(crate) fn optimizer<M: Module>(config: &TrainConfig, module: &M) -> ModuleOptimizer {
    let vectors = ParamGroup::from_ids(Vectors::of(module));
    let decay = config.weight_decay as f32;
    let coupled = (decay > 0.0).then_some(WeightDecayConfig { penalty: decay });
    let momentum = (config.momentum > 0.0).then_some(MomentumConfig {
        momentum: config.momentum,
        dampening: 0.0,
        nesterov: config.nesterov,
    });
    // An optimiser for the weights, and the same without decay for the others.
    fn pair<O>(build: impl Fn(f32) -> O, decay: f32, vectors: ParamGroup) -> ModuleOptimizer
    where
        O: burn::optim::Optimizer + DynOptimizer,
    {
        let weights = ModuleOptimizer::from(build(decay));
        if decay > 0.0 { weights.with_group(vectors, build(0.0), None) } else { weights }
    }
    let coupled_of = |d: f32| if d > 0.0 { coupled.clone() } else { None };
    match config.optimizer {
        Optimizer::Sgd => pair(
            |d| SgdConfig::new().with_weight_decay(coupled_of(d)).with_momentum(momentum.clone()).build(),
            decay,
            vectors,
        ),
        Optimizer::Adam => {
            pair(|d| AdamConfig::new().with_epsilon(1e-8).with_weight_decay(coupled_of(d)).build(), decay, vectors)
        }
        Optimizer::AdamW => {
            pair(|d| AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(d).build(), decay, vectors)
        }
        Optimizer::RmsProp => pair(
            |d| {
                let config = RmsPropConfig::new().with_epsilon(1e-8).with_momentum(config.momentum as f32);
                config.with_weight_decay(coupled_of(d)).build()
            },
            decay,
            vectors,
        ),
        Optimizer::AdaGrad => {
            pair(|d| AdaGradConfig::new().with_epsilon(1e-8).with_weight_decay(coupled_of(d)).build(), decay, vectors)
        }
        Optimizer::Adan => pair(|d| AdanConfig::new().with_weight_decay(d).build(), decay, vectors),
        Optimizer::Lion => pair(|d| LionConfig::new().with_weight_decay(d).build(), decay, vectors),
        Optimizer::Lamb => pair(|d| LambConfig::new().with_weight_decay(d).build(), decay, vectors),
        Optimizer::Adafactor => pair(|d| AdafactorConfig::new().with_weight_decay(d).build(), decay, vectors),
        Optimizer::Muon => ModuleOptimizer::from(MuonConfig::new().with_weight_decay(coupled).build()).with_group(
            vectors,
            AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.0).build(),
            None,
        ),
    }
}

/// The schedule over `steps` training steps, as a factor of the learning rate; none for a constant rate.
pub(crate) fn schedule(config: &TrainConfig, steps: usize) -> Option<ModuleLrScheduler> {
    let steps = steps.max(1);
    // Burn refuses rates outside (0, 1], factors outside (0, 1) and 0 steps: none of these is asked for.
    match config.schedule {
        Schedule::Constant => None,
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

/// The parameters of fewer than two dimensions: biases and norms.
#[derive(Default)]
struct Vectors(Vec<ParamId>);

impl Vectors {
    fn of<M: Module>(module: &M) -> Vec<ParamId> {
        let mut vectors = Self::default();
        module.visit(&mut vectors);
        vectors.0
    }
}

impl ModuleVisitor for Vectors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if D < 2 {
            self.0.push(param.id);
        }
    }
}

/// Adds the penalties' gradients and clips, in that order. Burn's clipping takes each parameter on its own; the norm here
/// is that of all parameters together, as in PyTorch's `clip_grad_norm_`.
pub(crate) fn edit_gradients<M: Module>(config: &TrainConfig, module: &M, grads: GradientsParams) -> GradientsParams {
    let penalised = config.l1 > 0.0 || config.l2 > 0.0;
    if !penalised && config.clip_value.is_none() && config.clip_norm.is_none() {
        return grads;
    }
    let mut first = Penalise { config, grads, squares: None };
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
    grads: GradientsParams,
    squares: Option<Tensor<1>>,
}

impl ModuleVisitor for Penalise<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(mut grad) = self.grads.remove::<D>(param.id) else { return };
        if D >= 2 {
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
