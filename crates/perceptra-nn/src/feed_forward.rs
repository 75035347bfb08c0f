//! The feed-forward network.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::{Activation, Initializer, NetworkError};

/// One hidden layer: its width and its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Units of the layer.
    pub width: usize,
    /// f, applied to each unit.
    pub activation: Activation,
}

/// Normalisation between a hidden layer's linear map and its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norm {
    /// None.
    #[default]
    None,
    /// Over the batch (Ioffe, Szegedy, 2015), running averages in evaluation.
    Batch,
    /// Over the units of the row (Ba, Kiros, Hinton, 2016).
    Layer,
}

/// Describes a [`FeedForward`].
///
/// | Name | Default | Purpose | Range |
/// |---|---|---|---|
/// | `inputs` | | columns of the input | ≥ 1 |
/// | `outputs` | | columns of the output | ≥ 1 |
/// | `hidden` | none | hidden layers, first to last | widths ≥ 1, not softmax |
/// | `output_activation` | identity | g | any |
/// | `initializer` | auto | how weights are drawn | |
/// | `bias` | true | whether layers have biases | |
/// | `dropout` | 0 | share of hidden units dropped in training | [0, 1) |
/// | `norm` | none | normalisation of hidden layers | |
/// | `seed` | 0 | of the initial weights | |
#[derive(Config, Debug)]
pub struct FeedForwardConfig {
    /// Columns of the input.
    pub inputs: usize,
    /// Columns of the output.
    pub outputs: usize,
    /// Hidden layers, first to last; none makes a single (linear or generalised linear) neuron per output.
    #[config(default = "Vec::new()")]
    pub hidden: Vec<Hidden>,
    /// g, applied to the output.
    #[config(default = "Activation::Identity")]
    pub output_activation: Activation,
    /// How the weights are drawn.
    #[config(default = "Initializer::Auto")]
    pub initializer: Initializer,
    /// Whether the layers have biases.
    #[config(default = true)]
    pub bias: bool,
    /// Share of the hidden units dropped at each training step, in [0, 1).
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Normalisation of the hidden layers.
    #[config(default = "Norm::None")]
    pub norm: Norm,
    /// Seed of the initial weights.
    #[config(default = 0)]
    pub seed: u64,
}

/// One dense layer: f(norm(xW + b)).
#[derive(Module, Debug)]
pub struct Layer {
    /// W `[inputs, outputs]` and b `[outputs]`.
    pub linear: Linear,
    /// Over the batch, if any.
    pub batch_norm: Option<BatchNorm>,
    /// Over the units, if any.
    pub layer_norm: Option<LayerNorm>,
    /// f.
    #[module(skip)]
    pub activation: Activation,
}

/// A dense feed-forward network y = g(Σ βₖ f(Σ wₖⱼxⱼ + wₖ₀) + β₀), of any depth.
///
/// ```
/// # use burn::tensor::{Device, Tensor};
/// use perceptra_nn::{Activation, FeedForwardConfig};
///
/// # let device = Device::flex();
/// let network = FeedForwardConfig::new(4, 3).with_widths(&[16], Activation::Tanh).init(&device)?;
/// assert_eq!(network.to_string(), "FeedForward 4-16-3 (tanh), 131 parameters");
/// let y = network.forward(Tensor::zeros([5, 4], &device));
/// assert_eq!(y.dims(), [5, 3]);
/// # Ok::<(), perceptra_nn::NetworkError>(())
/// ```
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct FeedForward {
    /// Hidden layers, then the output layer.
    pub layers: Vec<Layer>,
    /// Share of hidden units dropped in training, in [0, 1).
    #[module(skip)]
    pub dropout: f64,
}

/// Which units a training pass drops: the same for the same seed, epoch and rows on every backend.
#[derive(Debug, Clone, Copy)]
pub struct DropoutDraw<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 1.
    pub epoch: u32,
    /// The rows of the batch, by their numbers in the training set.
    pub rows: &'a [u32],
}

impl FeedForwardConfig {
    /// The most parameters a network may have: what one file of 32-bit floats below 2⁶³ bytes, and i32 indices of GPU
    /// kernels, can hold.
    pub const MAX_PARAMETERS: u128 = i32::MAX as u128;

    /// Sets hidden layers of these widths, all with one activation.
    pub fn with_widths(self, widths: &[usize], activation: Activation) -> Self {
        self.with_hidden(widths.iter().map(|&width| Hidden { width, activation }).collect())
    }

    /// Checks the description.
    ///
    /// # Errors
    ///
    /// Every variant of [`NetworkError`].
    pub fn validate(&self) -> Result<(), NetworkError> {
        let zero = |what: String| Err(NetworkError::ZeroWidth { what });
        match (self.inputs, self.outputs, self.hidden.iter().position(|h| h.width == 0)) {
            (0, _, _) => return zero("the number of inputs".into()),
            (_, 0, _) => return zero("the number of outputs".into()),
            (_, _, Some(i)) => return zero(format!("the width of hidden layer {}", i + 1)),
            _ => {}
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(NetworkError::Dropout { rate: self.dropout });
        }
        if let Some(i) = self.hidden.iter().position(|h| h.activation == Activation::Softmax) {
            return Err(NetworkError::HiddenSoftmax { layer: i + 1 });
        }
        match self.parameters() {
            n if n > Self::MAX_PARAMETERS => Err(NetworkError::TooLarge { parameters: n, limit: Self::MAX_PARAMETERS }),
            _ => Ok(()),
        }
    }

    /// Trainable parameters of the network.
    pub fn parameters(&self) -> u128 {
        let per_unit = u128::from(self.bias) + if self.norm == Norm::None { 0 } else { 2 };
        let last = self.shapes().len() - 1;
        self.shapes()
            .iter()
            .enumerate()
            .map(|(i, &(n, m))| {
                let extra = if i == last { u128::from(self.bias) } else { per_unit };
                (n as u128 + extra).saturating_mul(m as u128)
            })
            .fold(0, u128::saturating_add)
    }

    /// (inputs, outputs) of each layer, the output layer last.
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        let widths: Vec<usize> = std::iter::once(self.inputs)
            .chain(self.hidden.iter().map(|h| h.width))
            .chain(std::iter::once(self.outputs))
            .collect();
        widths.windows(2).map(|w| (w[0], w[1])).collect()
    }

    /// Builds the network with fresh weights on `device`.
    ///
    /// # Errors
    ///
    /// What [`FeedForwardConfig::validate`] finds.
    pub fn init(&self, device: &Device) -> Result<FeedForward, NetworkError> {
        self.validate()?;
        let layers = self
            .shapes()
            .into_iter()
            .enumerate()
            .map(|(i, (inputs, outputs))| {
                let hidden = self.hidden.get(i);
                let activation = hidden.map_or(self.output_activation, |h| h.activation);
                let stream = Stream::new(self.seed, Purpose::Init(i as u16), 0);
                let (weights, biases) = self.initializer.draw(&stream, inputs, outputs, activation);
                let weight = TensorData::new(weights, [inputs, outputs]);
                let norm = if hidden.is_some() { self.norm } else { Norm::None };
                Layer {
                    linear: Linear {
                        weight: Param::from_data(weight, device),
                        bias: self.bias.then(|| Param::from_data(TensorData::new(biases, [outputs]), device)),
                    },
                    batch_norm: (norm == Norm::Batch).then(|| BatchNormConfig::new(outputs).init(device)),
                    layer_norm: (norm == Norm::Layer).then(|| LayerNormConfig::new(outputs).init(device)),
                    activation,
                }
            })
            .collect();
        Ok(FeedForward { layers, dropout: self.dropout })
    }
}

impl Layer {
    /// norm(xW + b), before the activation. x `[batch, inputs]`, result `[batch, outputs]`.
    fn linear(&self, x: Tensor<2>) -> Tensor<2> {
        let z = self.linear.forward(x);
        let z = self.batch_norm.iter().fold(z, |z, norm| norm.forward(z));
        self.layer_norm.iter().fold(z, |z, norm| norm.forward(z))
    }
}

impl FeedForward {
    /// The network's output.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, inputs]`
    /// - result: `[batch, outputs]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.output_activation().forward(self.pass(x, None))
    }

    /// The network's output before its output activation: logits where that is a sigmoid or softmax.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, inputs]`
    /// - result: `[batch, outputs]`
    pub fn forward_logits(&self, x: Tensor<2>) -> Tensor<2> {
        self.pass(x, None)
    }

    /// As [`FeedForward::forward_logits`], with the hidden units that `draw` says dropped and the others scaled up to
    /// make up for them (Srivastava et al., 2014).
    pub fn forward_dropout(&self, x: Tensor<2>, draw: DropoutDraw<'_>) -> Tensor<2> {
        self.pass(x, Some(draw).filter(|_| self.dropout > 0.0))
    }

    /// The one linear map that a network with linear hidden layers is, as a network without hidden layers: its weights are
    /// W₁W₂⋯, its biases (b₁W₂ + b₂)W₃ + ⋯, its output activation is kept. Depth without a nonlinearity adds nothing.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotLinear`] if a hidden layer has an activation or a normalisation.
    pub fn collapse(&self) -> Result<Self, NetworkError> {
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers[..last].iter().enumerate() {
            let what = match layer.activation {
                Activation::Identity if layer.batch_norm.is_none() && layer.layer_norm.is_none() => continue,
                Activation::Identity => "a normalisation".to_owned(),
                other => format!("the activation {other}"),
            };
            return Err(NetworkError::NotLinear { layer: i + 1, what });
        }
        let weight = |layer: &Layer| layer.linear.weight.val();
        let bias = |layer: &Layer| layer.linear.bias.as_ref().map(|b| b.val().unsqueeze::<2>());
        let first = (weight(&self.layers[0]), bias(&self.layers[0]));
        let (weight, bias) = self.layers[1..].iter().fold(first, |(w, b), layer| {
            let b = b.map(|b| b.matmul(weight(layer)));
            let b = match (b, bias(layer)) {
                (Some(a), Some(b)) => Some(a + b),
                (a, b) => a.or(b),
            };
            (w.matmul(weight(layer)), b)
        });
        let linear =
            Linear { weight: Param::from_tensor(weight), bias: bias.map(|b| Param::from_tensor(b.flatten(0, 1))) };
        let activation = self.output_activation();
        Ok(Self { layers: vec![Layer { linear, batch_norm: None, layer_norm: None, activation }], dropout: 0.0 })
    }

    /// g, the activation of the output layer.
    pub fn output_activation(&self) -> Activation {
        self.layers.last().map_or(Activation::Identity, |layer| layer.activation)
    }

    fn pass(&self, mut x: Tensor<2>, draw: Option<DropoutDraw<'_>>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers[..last].iter().enumerate() {
            x = layer.activation.forward(layer.linear(x));
            if let Some(draw) = draw {
                let mask = self.mask(draw, i as u16, x.dims()[1], &x.device());
                x = x * mask;
            }
        }
        self.layers[last].linear(x)
    }

    /// 0 where a unit is dropped, else 1/(1 − dropout): `[batch, width]`.
    fn mask(&self, draw: DropoutDraw<'_>, layer: u16, width: usize, device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; draw.rows.len() * width];
        for (row, units) in draw.rows.iter().zip(values.chunks_exact_mut(width)) {
            mask(self.dropout, draw, layer, *row, units);
        }
        Tensor::from_data(TensorData::new(values, [draw.rows.len(), width]), &device.clone().inner())
    }
}

/// 0 for each unit of a layer that is dropped in this row, else 1/(1 − rate).
pub(crate) fn mask(rate: f64, draw: DropoutDraw<'_>, layer: u16, row: u32, units: &mut [f32]) {
    Stream::new(draw.seed, Purpose::Dropout(layer), draw.epoch).fill_uniform(row, units);
    let (rate, kept) = (rate as f32, (1.0 / (1.0 - rate)) as f32);
    units.iter_mut().for_each(|u| *u = if *u < rate { 0.0 } else { kept });
}

impl burn::module::ModuleDisplay for FeedForward {
    fn custom_settings(&self) -> Option<burn::module::DisplaySettings> {
        None
    }

    fn custom_content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
        content.set_top_level_type("").add_single(&self.sentence()).optional()
    }

    fn format(&self, _: burn::module::DisplaySettings) -> String {
        self.sentence()
    }
}

impl FeedForward {
    fn sentence(&self) -> String {
        let widths: Vec<String> = self
            .layers
            .first()
            .map(|l| l.linear.weight.lazy_shape()[0])
            .into_iter()
            .chain(self.layers.iter().map(|l| l.linear.weight.lazy_shape()[1]))
            .map(|w| w.to_string())
            .collect();
        let mut names: Vec<&str> = self.layers.iter().map(|l| l.activation.name()).collect();
        if names.last() == Some(&"identity") {
            names.pop();
        }
        names.dedup();
        let activations = if names.is_empty() { String::from("linear") } else { names.join(", ") };
        // The running averages of batch normalisation are not trained.
        let norms = self.layers.iter().filter_map(|l| l.batch_norm.as_ref());
        let running: usize = norms.map(|n| 2 * n.gamma.lazy_shape()[0]).sum();
        format!("FeedForward {} ({activations}), {} parameters", widths.join("-"), self.num_params() - running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn values(t: Tensor<2>) -> Vec<f32> {
        t.into_data().try_into_vec::<f32>().unwrap()
    }

    fn set(layer: &mut Layer, weight: &[f32], bias: &[f32], device: &Device) {
        let [n, m] = layer.linear.weight.dims();
        layer.linear.weight = Param::from_data(TensorData::new(weight.to_vec(), [n, m]), device);
        layer.linear.bias = Some(Param::from_data(TensorData::new(bias.to_vec(), [m]), device));
    }

    #[test]
    fn forward_by_hand() {
        let device = Device::flex();
        let mut network = FeedForwardConfig::new(2, 1)
            .with_widths(&[2], Activation::Relu)
            .with_output_activation(Activation::Sigmoid)
            .init(&device)
            .unwrap();
        // The XOR network of Goodfellow, Bengio, Courville, Deep Learning, section 6.1.
        set(&mut network.layers[0], &[1.0, 1.0, 1.0, 1.0], &[0.0, -1.0], &device);
        set(&mut network.layers[1], &[1.0, -2.0], &[0.0], &device);
        let x = || Tensor::from_floats([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &device);
        assert_eq!(values(network.forward_logits(x())), [0.0, 1.0, 1.0, 0.0]);
        let sigmoid_1 = 0.731_058_6;
        for (got, want) in values(network.forward(x())).into_iter().zip([0.5, sigmoid_1, sigmoid_1, 0.5]) {
            assert_relative_eq!(got, want, max_relative = 1e-6);
        }
    }

    #[test]
    fn parameters_are_counted_as_built() {
        let device = Device::flex();
        for norm in [Norm::None, Norm::Batch, Norm::Layer] {
            for bias in [false, true] {
                let config =
                    FeedForwardConfig::new(3, 2).with_widths(&[5, 4], Activation::Gelu).with_norm(norm).with_bias(bias);
                let network = config.init(&device).unwrap();
                let built = network.num_params() as u128;
                let sentence = network.to_string();
                assert!(sentence.ends_with(&format!(", {} parameters", config.parameters())), "{sentence}");
                // Batch normalisation keeps two running averages, which Burn counts and which are not trained.
                let running = if norm == Norm::Batch { 2 * (5 + 4) } else { 0 };
                assert_eq!(built - running, config.parameters(), "{norm:?} {bias}");
            }
        }
    }

    #[test]
    fn the_seed_decides_the_weights() {
        let device = Device::flex();
        let weights = |seed| {
            let network =
                FeedForwardConfig::new(3, 2).with_widths(&[4], Activation::Tanh).with_seed(seed).init(&device).unwrap();
            values(network.layers[0].linear.weight.val())
        };
        assert_eq!(weights(1), weights(1));
        assert_ne!(weights(1), weights(2));
    }

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let device = Device::flex();
        let network = FeedForwardConfig::new(1, 1)
            .with_widths(&[1000], Activation::Identity)
            .with_dropout(0.3)
            .init(&device)
            .unwrap();
        let draw = DropoutDraw { seed: 1, epoch: 1, rows: &[3, 9] };
        let mask = values(network.mask(draw, 0, 1000, &device));
        let kept = mask.iter().filter(|&&m| m != 0.0).count() as f32 / 2000.0;
        assert!((kept - 0.7).abs() < 0.04, "{kept}");
        assert!(mask.iter().all(|&m| m == 0.0 || (m - 1.0 / 0.7).abs() < 1e-6));
        // A row's mask does not depend on the batch it is in.
        let alone = values(network.mask(DropoutDraw { rows: &[9], ..draw }, 0, 1000, &device));
        assert_eq!(alone, mask[1000..]);
        let other = values(network.mask(DropoutDraw { epoch: 2, ..draw }, 0, 1000, &device));
        assert_ne!(other, mask);
    }

    #[test]
    fn each_wrong_description_has_its_error() {
        let good = || FeedForwardConfig::new(2, 1).with_widths(&[3], Activation::Relu);
        let error = |config: FeedForwardConfig| config.init(&Device::flex()).unwrap_err();
        let zero = |what: &str| NetworkError::ZeroWidth { what: what.into() };
        assert_eq!(good().validate(), Ok(()));
        assert_eq!(error(FeedForwardConfig::new(0, 1)), zero("the number of inputs"));
        assert_eq!(error(FeedForwardConfig::new(1, 0)), zero("the number of outputs"));
        assert_eq!(error(good().with_widths(&[3, 0], Activation::Relu)), zero("the width of hidden layer 2"));
        assert_eq!(error(good().with_dropout(1.0)), NetworkError::Dropout { rate: 1.0 });
        assert!(matches!(error(good().with_dropout(f64::NAN)), NetworkError::Dropout { .. }));
        assert_eq!(error(good().with_widths(&[3], Activation::Softmax)), NetworkError::HiddenSoftmax { layer: 1 });
        let huge = good().with_widths(&[1_000_000_000], Activation::Relu);
        assert!(matches!(error(huge), NetworkError::TooLarge { parameters: 4_000_000_001, .. }));
        assert!(matches!(error(good().with_widths(&[usize::MAX; 3], Activation::Relu)), NetworkError::TooLarge { .. }));
    }

    #[test]
    fn linear_layers_are_one_neuron() {
        let device = Device::flex();
        let x = || Tensor::<2>::random([50, 4], burn::tensor::Distribution::Normal(0.0, 1.0), &device);
        for (hidden, bias) in [(&[] as &[usize], true), (&[5], true), (&[3, 7, 2], true), (&[6, 6], false)] {
            for g in [Activation::Identity, Activation::Sigmoid] {
                let deep = FeedForwardConfig::new(4, 2)
                    .with_widths(hidden, Activation::Identity)
                    .with_output_activation(g)
                    .with_initializer(crate::Initializer::Torch)
                    .with_bias(bias)
                    .with_seed(3)
                    .init(&device)
                    .unwrap();
                let one = deep.collapse().unwrap();
                assert_eq!(one.layers.len(), 1);
                assert_eq!(one.num_params(), 4 * 2 + if bias { 2 } else { 0 });
                let x = x();
                for (a, b) in values(deep.forward(x.clone())).into_iter().zip(values(one.forward(x))) {
                    assert!((a - b).abs() <= 1e-5, "{hidden:?}: {a} {b}");
                }
            }
        }
        let bent = FeedForwardConfig::new(4, 1).with_hidden(vec![
            Hidden { width: 3, activation: Activation::Identity },
            Hidden { width: 3, activation: Activation::Tanh },
        ]);
        let error = bent.init(&device).unwrap().collapse().unwrap_err();
        assert_eq!(error, NetworkError::NotLinear { layer: 2, what: "the activation tanh".into() });
        let normed = FeedForwardConfig::new(4, 1).with_widths(&[3], Activation::Identity).with_norm(Norm::Layer);
        let error = normed.init(&device).unwrap().collapse().unwrap_err();
        assert_eq!(error, NetworkError::NotLinear { layer: 1, what: "a normalisation".into() });
    }

    #[test]
    fn a_network_prints_as_a_sentence() {
        let device = Device::flex();
        let network = FeedForwardConfig::new(4, 1).init(&device).unwrap();
        assert_eq!(network.to_string(), "FeedForward 4-1 (linear), 5 parameters");
        let network = FeedForwardConfig::new(4, 3)
            .with_widths(&[8, 8], Activation::Relu)
            .with_output_activation(Activation::Softmax)
            .init(&device)
            .unwrap();
        assert_eq!(network.to_string(), "FeedForward 4-8-8-3 (relu, softmax), 139 parameters");
    }
}
