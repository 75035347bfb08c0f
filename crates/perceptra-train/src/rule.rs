//! Update rules for many networks at once: the formulas of Burn's optimizers, each member with its own settings.

use burn::tensor::{Device, Tensor, TensorData};

use crate::choices::{Optimizer, Schedule};
use crate::config::{BETAS, TrainConfig};

/// The update rule of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Sgd,
    Nesterov,
    Adam,
    AdamW,
    RmsProp,
    AdaGrad,
    Lion,
}

const EPSILON: f64 = 1e-8;

/// The settings of each member's steps, `[members, 1, 1]` each. Only values that change from step to step are uploaded each time.
#[derive(Clone)]
pub(crate) struct Scales {
    rule: Rule,
    rate: Tensor<3>,
    momentum: Option<Tensor<3>>,
    /// Weight decay λ, if λ times the weights is added to the gradient.
    decay: Option<Tensor<3>>,
    /// 1 − ρλ, the factor of the weights under decoupled weight decay λ at learning rate ρ.
    keep: Option<Tensor<3>>,
    /// 1 − β₁ᵗ and 1 − β₂ᵗ, the bias corrections of Adam at step t of each member.
    corrections: Option<[Tensor<3>; 2]>,
    l1: Option<Tensor<3>>,
    l2: Option<Tensor<3>>,
    clip_value: Option<Tensor<3>>,
    clip_norm: Option<Tensor<3>>,
    /// 1 for members that make the step and 0 for others; `None` if all make it.
    works: Option<Tensor<3>>,
}

/// One value for each member, `[members, 1, 1]`.
fn column(values: impl Iterator<Item = f64>, device: &Device) -> Tensor<3> {
    let values: Vec<f32> = values.map(|x| x as f32).collect();
    let members = values.len();
    Tensor::from_data(TensorData::new(values, [members, 1, 1]), device)
}

impl Scales {
    /// The scales of members with these settings, all of one rule, before their first step.
    pub(crate) fn new(rule: Rule, members: &[&TrainConfig], device: &Device) -> Self {
        let tensor = |f: &dyn Fn(&TrainConfig) -> f64| column(members.iter().map(|config| f(config)), device);
        let any = |f: &dyn Fn(&TrainConfig) -> bool| members.iter().any(|config| f(config));
        let decoupled = members.first().is_some_and(|config| config.optimizer.decay_is_decoupled());
        let decays = any(&|c| c.weight_decay > 0.0);
        Self {
            rule,
            rate: tensor(&|c| c.learning_rate),
            momentum: any(&|c| c.momentum > 0.0).then(|| tensor(&|c| c.momentum)),
            decay: (decays && !decoupled).then(|| tensor(&|c| c.weight_decay)),
            keep: (decays && decoupled).then(|| tensor(&|c| 1.0 - c.learning_rate * c.weight_decay)),
            corrections: None,
            l1: any(&|c| c.l1 > 0.0).then(|| tensor(&|c| c.l1)),
            l2: any(&|c| c.l2 > 0.0).then(|| tensor(&|c| c.l2)),
            clip_value: any(&|c| c.clip_value.is_some()).then(|| tensor(&|c| c.clip_value.unwrap_or(f64::MAX))),
            clip_norm: any(&|c| c.clip_norm.is_some()).then(|| tensor(&|c| c.clip_norm.unwrap_or(1e30))),
            works: None,
        }
    }

    /// Prepares the next step. `members` has the settings, learning rate and step number, from 1, of each member; `works` tells which of
    /// them make the step, and is `None` if all do.
    pub(crate) fn next(&mut self, members: &[(&TrainConfig, f64, usize)], works: Option<&[bool]>) {
        let device = self.rate.device();
        if members.iter().any(|(config, ..)| config.schedule != Schedule::Constant) {
            self.rate = column(members.iter().map(|(_, rate, _)| *rate), &device);
            if self.keep.is_some() {
                self.keep = Some(column(members.iter().map(|(c, rate, _)| 1.0 - rate * c.weight_decay), &device));
            }
        }
        if self.rule.corrects_bias() {
            let power = |beta: f64| {
                let power = move |step: usize| f64::from(1.0 - (beta as f32).powi(step as i32));
                column(members.iter().map(move |(.., step)| power(*step)), &device)
            };
            self.corrections = Some([power(BETAS[0]), power(BETAS[1])]);
        }
        self.works = works.map(|works| column(works.iter().map(|w| f64::from(u8::from(*w))), &device));
    }

    /// Adds the gradients of the penalties, then clips, as `edit_gradients` does for one network.
    pub(crate) fn edit(&self, mut grads: Vec<Tensor<3>>, weights: &[Tensor<3>], is_weight: &[bool]) -> Vec<Tensor<3>> {
        for ((grad, weight), is_weight) in grads.iter_mut().zip(weights).zip(is_weight) {
            if let (Some(l1), true) = (&self.l1, *is_weight) {
                *grad = grad.clone() + weight.clone().sign() * l1.clone();
            }
            if let (Some(l2), true) = (&self.l2, *is_weight) {
                *grad = grad.clone() + weight.clone() * l2.clone();
            }
            if let Some(limit) = &self.clip_value {
                let limit = limit.clone().expand(grad.dims());
                *grad = grad.clone().min_pair(limit.clone()).max_pair(limit.neg());
            }
        }
        if let Some(limit) = &self.clip_norm {
            let squares = grads.iter().map(|g| (g.clone() * g.clone()).sum_dim(1).sum_dim(2));
            if let Some(squares) = squares.reduce(|a, b| a + b) {
                let factor = (limit.clone() / (squares.sqrt() + 1e-6)).clamp_max(1.0);
                grads.iter_mut().for_each(|g| *g = g.clone() * factor.clone());
            }
        }
        grads
    }
}

impl Rule {
    /// Whether the averages of gradients and of their squares, which begin at 0, are divided by 1 − βᵗ at step t.
    fn corrects_bias(self) -> bool {
        match self {
            Self::Adam | Self::AdamW => true,
            Self::Sgd | Self::Nesterov | Self::RmsProp | Self::AdaGrad | Self::Lion => false,
        }
    }

    /// The rule of a configuration's optimizer; `None` for optimizers that populations do not have.
    pub(crate) fn of(config: &TrainConfig) -> Option<Self> {
        Some(match config.optimizer {
            Optimizer::Sgd if config.nesterov => Self::Nesterov,
            Optimizer::Sgd => Self::Sgd,
            Optimizer::Adam => Self::Adam,
            Optimizer::AdamW => Self::AdamW,
            Optimizer::RmsProp => Self::RmsProp,
            Optimizer::AdaGrad => Self::AdaGrad,
            Optimizer::Lion => Self::Lion,
            Optimizer::Adan | Optimizer::Lamb | Optimizer::Adafactor | Optimizer::Muon => return None,
        })
    }

    /// The weights after a step; `memory` is the optimizer's state for them, which is updated.
    pub(crate) fn step(
        self,
        weight: Tensor<3>,
        grad: Tensor<3>,
        memory: &mut [Option<Tensor<3>>; 2],
        scales: &Scales,
        is_weight: bool,
    ) -> Tensor<3> {
        let grad = match &scales.decay {
            Some(decay) if is_weight => weight.clone() * decay.clone() + grad,
            _ => grad,
        };
        let rate = scales.rate.clone();
        let before = memory.clone();
        let old = |i: usize| before[i].clone().unwrap_or_else(|| grad.zeros_like());
        let average = |i: usize, beta: f64, new: Tensor<3>| old(i) * beta + new * (1.0 - beta);
        let mut kept = weight.clone();
        if let (Some(keep), true) = (&scales.keep, is_weight) {
            kept = kept * keep.clone();
        }
        let new = match self {
            Self::Sgd | Self::Nesterov => match &scales.momentum {
                None => kept - grad.clone() * rate,
                Some(momentum) => {
                    let velocity = grad.clone() + old(0) * momentum.clone();
                    memory[0] = Some(velocity.clone());
                    let step =
                        if self == Self::Nesterov { velocity * momentum.clone() + grad.clone() } else { velocity };
                    kept - step * rate
                }
            },
            Self::Adam | Self::AdamW => {
                let (m, v) = (average(0, BETAS[0], grad.clone()), average(1, BETAS[1], grad.clone() * grad.clone()));
                *memory = [Some(m.clone()), Some(v.clone())];
                let (m, v) = match scales.corrections.clone() {
                    Some([first, second]) => (m / first, v / second),
                    None => (m, v),
                };
                kept - m / (v.sqrt() + EPSILON) * rate
            }
            Self::RmsProp => {
                let v = average(0, 0.99, grad.clone() * grad.clone());
                memory[0] = Some(v.clone());
                let step = grad.clone() / (v.sqrt() + EPSILON);
                match &scales.momentum {
                    Some(momentum) => {
                        let b = old(1) * momentum.clone() + step;
                        memory[1] = Some(b.clone());
                        kept - b * rate
                    }
                    None => kept - step * rate,
                }
            }
            Self::AdaGrad => {
                let v = old(0) + grad.clone() * grad.clone();
                memory[0] = Some(v.clone());
                kept - grad.clone() / (v.sqrt() + EPSILON) * rate
            }
            Self::Lion => {
                let direction = (old(0) * 0.9 + grad.clone() * (1.0 - 0.9)).sign();
                memory[0] = Some(average(0, 0.99, grad.clone()));
                kept - direction * rate
            }
        };
        let Some(works) = &scales.works else { return new };
        // Members without rows in this step do not change.
        let stays = |old: Tensor<3>, new: Tensor<3>| old.clone() + (new - old) * works.clone();
        for (memory, old) in memory.iter_mut().zip(before) {
            *memory = memory.take().map(|new| stays(old.unwrap_or_else(|| new.zeros_like()), new));
        }
        stays(weight, new)
    }
}
