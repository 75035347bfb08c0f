//! Step rules of many networks at once: the formulas of Burn's optimisers, each member with its own numbers.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Optimizer, TrainConfig};

/// How gradients become steps.
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

const BETA: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// What members' steps are scaled by, `[members, 1, 1]` each.
pub(crate) struct Scales {
    rate: Tensor<3>,
    momentum: Option<Tensor<3>>,
    /// λ of coupled decay, and 1 − ρλ of decoupled decay.
    decay: Option<Tensor<3>>,
    keep: Option<Tensor<3>>,
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    corrections: Option<[Tensor<3>; 2]>,
    l1: Option<Tensor<3>>,
    l2: Option<Tensor<3>>,
    clip_value: Option<Tensor<3>>,
    clip_norm: Option<Tensor<3>>,
    /// 1 for members that make the step, if some do not.
    works: Option<Tensor<3>>,
}

impl Scales {
    /// Of members by their settings, learning rates and numbers of the step, from 1.
    pub(crate) fn new(members: &[(&TrainConfig, f64, usize)], works: Option<&[bool]>, device: &Device) -> Self {
        let tensor = |f: &dyn Fn(&TrainConfig, f64, usize) -> f64| {
            let values: Vec<f32> = members.iter().map(|(config, rate, step)| f(config, *rate, *step) as f32).collect();
            Tensor::<3>::from_data(TensorData::new(values, [members.len(), 1, 1]), device)
        };
        let any = |f: &dyn Fn(&TrainConfig) -> bool| members.iter().any(|(config, ..)| f(config));
        let rule = members.first().and_then(|(config, ..)| Rule::of(config));
        let decoupled = matches!(rule, Some(Rule::AdamW | Rule::Lion));
        let decays = any(&|c| c.weight_decay > 0.0);
        let power = |beta: f64, step: usize| f64::from(1.0 - (beta as f32).powi(step as i32));
        let adam = matches!(rule, Some(Rule::Adam | Rule::AdamW));
        Self {
            rate: tensor(&|_, rate, _| rate),
            momentum: any(&|c| c.momentum > 0.0).then(|| tensor(&|c, _, _| c.momentum)),
            decay: (decays && !decoupled).then(|| tensor(&|c, _, _| c.weight_decay)),
            keep: (decays && decoupled).then(|| tensor(&|c, rate, _| 1.0 - rate * c.weight_decay)),
            corrections: adam
                .then(|| [tensor(&|_, _, step| power(BETA.0, step)), tensor(&|_, _, step| power(BETA.1, step))]),
            l1: any(&|c| c.l1 > 0.0).then(|| tensor(&|c, _, _| c.l1)),
            l2: any(&|c| c.l2 > 0.0).then(|| tensor(&|c, _, _| c.l2)),
            clip_value: any(&|c| c.clip_value.is_some()).then(|| tensor(&|c, _, _| c.clip_value.unwrap_or(f64::MAX))),
            clip_norm: any(&|c| c.clip_norm.is_some()).then(|| tensor(&|c, _, _| c.clip_norm.unwrap_or(1e30))),
            works: works.map(|works| {
                let values: Vec<f32> = works.iter().map(|w| f32::from(u8::from(*w))).collect();
                Tensor::from_data(TensorData::new(values, [works.len(), 1, 1]), device)
            }),
        }
    }

    /// Adds penalties to the gradients of weights and clips, as it is done for one network.
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
    /// The rule that a configuration asks for, of those that there are here.
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

    /// The weights after a step by their gradients; `memory` is what the rule remembers of them.
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
                    let step = match self {
                        Self::Nesterov => velocity * momentum.clone() + grad.clone(),
                        _ => velocity,
                    };
                    kept - step * rate
                }
            },
            Self::Adam | Self::AdamW => {
                let (m, v) = (average(0, BETA.0, grad.clone()), average(1, BETA.1, grad.clone() * grad.clone()));
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
        // Those that have no rows in this step stay as they are.
        let stays = |old: Tensor<3>, new: Tensor<3>| old.clone() + (new - old) * works.clone();
        for (memory, old) in memory.iter_mut().zip(before) {
            *memory = memory.take().map(|new| stays(old.unwrap_or_else(|| new.zeros_like()), new));
        }
        stays(weight, new)
    }
}
