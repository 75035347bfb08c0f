//! Checks of gradients against central differences.

use std::collections::HashMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor, TensorData};
use perceptra_nn::{DropoutDraw, FeedForward, Group, Loss};

use crate::autodiff::each_member;
use crate::choices::{Batch, Engine, Factors, Optimizer, Reduction, Schedule};
use crate::config::{BETAS, TrainConfig};
use crate::dataset::Dataset;
use crate::error::TrainError;
use crate::fit::Fit;
use crate::metrics::Metric;
use crate::network::{ForwardMode, Groups, Network};
use crate::optimizer::edit_gradients;
use crate::weighted::{Weighted, read};

/// Comparison of a network's gradients with central differences, tensor by tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientCheck {
    /// The loss on the rows.
    pub loss: f64,
    /// The check of every trained tensor.
    pub tensors: Vec<TensorCheck>,
    /// The largest error of all tensors and engines; infinite if one is NaN. Gradients are correct if it is at most
    /// [`GradientCheck::TOLERANCE`].
    pub worst: f64,
    /// Why the fused engine was not checked; `None` if it supports the network.
    pub obstacle: Option<String>,
}

/// The check of one tensor. An error is the largest difference between a gradient ∂R/∂w and its central difference, divided by the tensor's
/// largest |∂R/∂w| by central differences (at least a thousandth of the network's largest). R is the loss with its penalties, w a value of
/// the tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorCheck {
    /// The name in the network, such as `layers.0.weight`.
    pub name: String,
    /// The number of its values.
    pub numbers: usize,
    /// How many of its values were checked, evenly spread.
    pub checked: usize,
    /// The largest |∂R/∂w| by central differences.
    pub largest: f64,
    /// The error of Burn's autodiff.
    pub autodiff: f64,
    /// The error of the fused engine's formulas; `None` if it was not checked.
    pub fused: Option<f64>,
}

impl GradientCheck {
    /// The largest error of a correct 32-bit gradient.
    pub const TOLERANCE: f64 = 1e-3;
}

/// Checks the gradients of `network` on `data` under `config`'s loss, penalties and weights, against central differences of the loss in
/// 64-bit numbers, (R(w + h) − R(w − h)) / 2h with h = 10⁻⁶: the gradients of Burn's autodiff and, where it supports the network, of the
/// fused engine.
///
/// At most `most` values of each tensor are checked; each takes two passes over the rows. Dropout is left out. A kink of an activation
/// such as ReLU within h of a row shows as an error though the gradient is correct; another seed moves the kink.
///
/// # Errors
///
/// As [`Fit::run`]; [`TrainError::Device`] on a device without 64-bit numbers.
pub fn check_gradients<N: Network>(
    network: &N,
    data: &Dataset,
    config: &TrainConfig,
    most: usize,
) -> Result<GradientCheck, TrainError> {
    config.validate()?;
    if !data.device().supports_dtype(DType::F64) {
        return Err(TrainError::Device("it has no 64-bit numbers, which gradients are checked with".to_owned()));
    }
    let config = TrainConfig { clip_norm: None, clip_value: None, weight_decay: 0.0, ..config.clone() };
    let (loss, reduction) = config.objective();
    let weighted = Weighted::new(data, network.shape(), &config, None)?.smoothed(&config);
    let rows = Rows { data: weighted, loss, reduction, config: &config };

    let active = network.clone().train();
    let grads = GradientsParams::from_grads(rows.objective(&active).backward(), &active);
    let names = network.as_feed_forward().map(FeedForward::parameters).unwrap_or_default();
    let names = names.iter().filter_map(|p| Some((p.id()?, p.role.to_string()))).collect();
    let mut autodiff = Collect { names, grads: edit_gradients(&config, &active, grads), ..Collect::default() };
    active.visit(&mut autodiff);

    let (fused, obstacle) = match fused_gradients(network, data, &config) {
        Ok(gradients) => (Some(gradients?), None),
        Err(obstacle) => (None, Some(obstacle)),
    };

    let exact = network.valid().map(&mut To64);
    let rows = rows.into_64();
    let mut tensors = Vec::new();
    for found in &autodiff.found {
        let fused = fused.as_ref().and_then(|fused| fused.get(&found.id));
        let numbers = found.gradient.len();
        let every = numbers.div_ceil(most.max(1)).max(1);
        let mut check = TensorCheck {
            name: found.name.clone(),
            numbers,
            checked: numbers.div_ceil(every),
            largest: 0.0,
            autodiff: 0.0,
            fused: fused.map(|_| 0.0),
        };
        for index in (0..numbers).step_by(every) {
            let at = |by: f64| rows.value(&exact.clone().map(&mut Move { id: found.id, index, by }));
            let difference = (at(STEP)? - at(-STEP)?) / (2.0 * STEP);
            let worse = |error: f64, got: f32| {
                let apart = (f64::from(got) - difference).abs();
                if apart > error || apart.is_nan() { apart } else { error }
            };
            check.largest = check.largest.max(difference.abs());
            check.autodiff = worse(check.autodiff, found.gradient[index]);
            check.fused = check.fused.zip(fused).map(|(error, fused)| worse(error, fused[index]));
        }
        tensors.push(check);
    }
    let top = tensors.iter().map(|t| t.largest).fold(0.0, f64::max);
    for tensor in &mut tensors {
        let scale = tensor.largest.max(1e-3 * top).max(f64::MIN_POSITIVE);
        tensor.autodiff /= scale;
        tensor.fused = tensor.fused.map(|error| error / scale);
    }
    let errors = tensors.iter().flat_map(|t| [Some(t.autodiff), t.fused]).flatten();
    let worst = errors.fold(0.0, |worst: f64, e| if e.is_nan() { f64::INFINITY } else { worst.max(e) });
    Ok(GradientCheck { loss: rows.value(&exact)?, tensors, worst, obstacle })
}

/// Step h of the central differences.
const STEP: f64 = 1e-6;

/// The gradients of the fused engine, computed from the weights before and after one step; or why that engine does not support the network.
fn fused_gradients<N: Network>(
    network: &N,
    data: &Dataset,
    config: &TrainConfig,
) -> Result<Result<HashMap<ParamId, Vec<f32>>, TrainError>, String> {
    // A step so long that the digits lost by adding it to the weights do not matter.
    const RATE: f64 = 1024.0;
    let config = TrainConfig {
        // The objective whose gradient is checked.
        loss: config.loss,
        reduction: config.reduction,
        l1: config.l1,
        l2: config.l2,
        class_weights: config.class_weights.clone(),
        label_smoothing: config.label_smoothing,
        // One step of plain gradient descent on all rows, by the fused engine.
        engine: Engine::Fused,
        optimizer: Optimizer::Sgd,
        momentum: 0.0,
        nesterov: false,
        betas: BETAS,
        learning_rate: RATE,
        lr_factors: Factors::all(1.0),
        schedule: Schedule::Constant,
        weight_decay: 0.0,
        decay_factors: Factors::weights_only(),
        decay_schedule: Schedule::Constant,
        dropout_schedule: Schedule::Constant,
        clip_norm: None,
        clip_value: None,
        batch: Batch::Full,
        drop_last: false,
        share_batches: config.share_batches,
        seed: config.seed,
        epochs: 1,
        // Settings that matter after the first epoch only.
        monitor: Metric::Loss,
        min_delta: 0.0,
        last_best: false,
        patience: None,
        no_progress: None,
        target: None,
        time_limit: None,
        plateau_patience: 1,
        plateau_factor: 0.5,
    };
    let mut network = network.clone();
    if let Some(dense) = network.as_feed_forward_mut() {
        *dense = dense.clone().with_dropout(0.0);
    }
    let fitted = match Fit::new(network.clone(), data).run(&config) {
        Err(TrainError::Engine { obstacle }) => return Err(obstacle),
        other => other,
    };
    Ok(fitted.map(|fitted| {
        let (mut before, mut after) = (Values::default(), Values::default());
        network.valid().visit(&mut before);
        fitted.network.visit(&mut after);
        let slope = |(a, b): (&f32, &f32)| ((f64::from(*a) - f64::from(*b)) / RATE) as f32;
        let slopes = |(id, a): (ParamId, Vec<f32>)| Some((id, a.iter().zip(after.0.get(&id)?).map(slope).collect()));
        before.0.into_iter().filter_map(slopes).collect()
    }))
}

/// Rows, and the objective that is minimized on them.
struct Rows<'a> {
    data: Weighted,
    loss: Loss,
    reduction: Reduction,
    config: &'a TrainConfig,
}

impl Rows<'_> {
    fn objective<N: Network>(&self, network: &N) -> Tensor<1> {
        let members = network.as_feed_forward().map_or(1, FeedForward::members);
        // In training mode each batch-ensemble member has its own loss. The rate 0 drops nothing.
        let draw = DropoutDraw { seed: 0, epoch: 0, rows: &[], share_batches: true, part: 0.0 };
        let mode = ForwardMode { logits: self.loss.takes_logits(), dropout: (members > 1).then_some(draw) };
        let outputs = network.forward(self.data.inputs.clone(), mode);
        let per_row = each_member(self.loss, outputs, self.data.targets.clone(), members);
        let weights = self.data.weights.clone();
        let sum = weights.clone().map_or(per_row.clone(), |w| per_row * w).sum();
        self.reduction.of(sum, weights.map(Tensor::sum), self.data.rows)
    }

    fn into_64(mut self) -> Self {
        let to_64 = |t: Tensor<2>| t.cast(DType::F64);
        self.data.inputs = to_64(self.data.inputs);
        self.data.targets = to_64(self.data.targets);
        self.data.weights = self.data.weights.map(to_64);
        self
    }

    /// The objective with its penalties, for a network without autodiff.
    fn value<N: Network>(&self, network: &N) -> Result<f64, TrainError> {
        // In training mode, in which normalization computes differently.
        let objective = self.objective(&network.clone().train()).inner();
        let (l1, l2) = (self.config.l1, self.config.l2);
        let mut penalties = Penalties { groups: Groups::of(network), l1, l2, sum: 0.0, error: None };
        if l1 > 0.0 || l2 > 0.0 {
            network.visit(&mut penalties);
        }
        let value: Vec<f64> = objective.try_into_vec_as().map_err(|e| TrainError::Device(e.to_string()))?;
        match penalties.error {
            Some(error) => Err(error),
            None => Ok(value[0] + penalties.sum),
        }
    }
}

/// Sums the penalties of all weights.
struct Penalties {
    groups: Groups,
    l1: f64,
    l2: f64,
    sum: f64,
    error: Option<TrainError>,
}

impl ModuleVisitor for Penalties {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.groups.get(param.id, D) != Group::Weight {
            return;
        }
        match param.val().try_into_vec_as::<f64>() {
            Ok(w) => self.sum += w.iter().map(|w| self.l1 * w.abs() + self.l2 * 0.5 * w * w).sum::<f64>(),
            Err(e) => self.error = Some(TrainError::Device(e.to_string())),
        }
    }
}

/// Collects the gradient of every trained tensor.
#[derive(Default)]
struct Collect {
    /// Names of the tensors of a [`FeedForward`]; other tensors are named by their path in the module.
    names: HashMap<ParamId, String>,
    path: Vec<String>,
    grads: GradientsParams,
    found: Vec<Found>,
}

struct Found {
    name: String,
    id: ParamId,
    gradient: Vec<f32>,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Frozen parameters and those on which the loss does not depend have no gradient.
        if let Some(gradient) = self.grads.remove::<D>(param.id) {
            let gradient = read(gradient).unwrap_or_default();
            let name = self.names.get(&param.id).cloned().unwrap_or_else(|| self.path.join("."));
            self.found.push(Found { name, id: param.id, gradient });
        }
    }
}

/// Collects the values of every tensor.
#[derive(Default)]
struct Values(HashMap<ParamId, Vec<f32>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.insert(param.id, read(param.val().inner()).unwrap_or_default());
    }
}

/// Converts every tensor to 64-bit numbers.
struct To64;

impl ModuleMapper for To64 {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|t| t.cast(DType::F64))
    }
}

/// Adds `by` to one value of one tensor.
struct Move {
    id: ParamId,
    index: usize,
    by: f64,
}

impl ModuleMapper for Move {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.id {
            return param;
        }
        param.map(|t| {
            let mut by = vec![0.0; t.shape().num_elements()];
            by[self.index] = self.by;
            let by = TensorData::new(by, t.shape());
            let by = Tensor::from_data(by, (&t.device(), DType::F64));
            t + by
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::Device;
    use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Norm};
    use perceptra_random::{Purpose, Stream};

    fn data(shape: (usize, usize), classes: bool) -> Dataset {
        let normal = |n: usize, row| {
            let mut x = vec![0.0; n];
            Stream::new(7, Purpose::Data, 0).fill_normal(row, &mut x);
            x
        };
        let rows = 12;
        let mut targets = normal(rows * shape.1, 1);
        if classes {
            targets.iter_mut().for_each(|y| *y = f32::from(*y > 0.0));
        }
        Dataset::from_rows(normal(rows * shape.0, 0), targets, shape, &Device::flex()).unwrap()
    }

    fn network(norm: Norm) -> FeedForward {
        let config = FeedForwardConfig::new(3, 2).with_widths(&[6, 5], Activation::Tanh).with_norm(norm);
        config.with_dropout(0.5).init(&Device::flex()).unwrap()
    }

    #[test]
    fn both_engines_have_correct_gradients_under_every_loss() {
        let losses = Loss::ALL.iter().copied().chain([Loss::Huber { delta: 0.5 }]);
        for loss in losses {
            for reduction in [None, Some(Reduction::Sum), Some(Reduction::Mean)] {
                let data = data((3, 2), loss.takes_logits());
                let label_smoothing = if loss.takes_logits() { 0.1 } else { 0.0 };
                let base = TrainConfig { loss: Some(loss), reduction, ..TrainConfig::default() };
                let config = TrainConfig { l1: 0.01, l2: 0.02, label_smoothing, ..base };
                let check = check_gradients(&network(Norm::None), &data, &config, 100).unwrap();
                assert!(check.worst < 1e-5, "{loss}: {check:?}");
                assert_eq!(check.obstacle, None);
                let names: Vec<&str> = check.tensors.iter().map(|t| t.name.as_str()).collect();
                assert_eq!(names[..3], ["layers.0.weight", "layers.0.bias", "layers.1.weight"]);
                assert_eq!(check.tensors.len(), 6);
                assert!(check.tensors.iter().all(|t| t.checked == t.numbers && t.largest > 0.0 && t.fused.is_some()));
            }
        }
    }

    #[test]
    fn normalization_is_trained_by_autodiff_only() {
        for &norm in Norm::ALL.iter().filter(|norm| **norm != Norm::None) {
            let data = data((3, 2), false).with_weights((0..12).map(|i| i as f32 / 6.0).collect()).unwrap();
            let check = check_gradients(&network(norm), &data, &TrainConfig::default(), 4).unwrap();
            // A bias before batch normalization has the gradient 0, but for rounding.
            assert!(check.worst <= GradientCheck::TOLERANCE, "{norm:?}: {check:?}");
            assert_eq!(check.obstacle.as_deref(), Some("it has no normalization layers"));
            // Weights, biases, and a scale and a shift of two hidden layers.
            assert_eq!(check.tensors.len(), 10, "{check:?}");
            assert!(check.tensors.iter().all(|t| t.checked <= 4));
        }
    }

    /// A network whose backward pass is not that of its forward pass.
    #[derive(Module, Debug)]
    struct Wrong {
        dense: FeedForward,
    }

    impl Network for Wrong {
        fn forward(&self, inputs: Tensor<2>, _: ForwardMode<'_>) -> Tensor<2> {
            let y = self.dense.forward(inputs);
            // The value of y, the gradient of ½y.
            y.clone() * 0.5 + y.detach() * 0.5
        }
    }

    #[test]
    fn a_wrong_gradient_is_found() {
        let check =
            check_gradients(&Wrong { dense: network(Norm::None) }, &data((3, 2), false), &TrainConfig::default(), 9)
                .unwrap();
        assert!(check.worst > GradientCheck::TOLERANCE && (check.worst - 0.5).abs() < 0.01, "{check:?}");
        assert_eq!(check.obstacle.as_deref(), Some("the network is not a FeedForward"));
    }
}
