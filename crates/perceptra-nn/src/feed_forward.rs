//! The feed-forward network.

use burn::config::Config;
use burn::module::{Module, Param, ParamId};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::batched::{by_row, dense};
use crate::variants::named;
use crate::{Activation, Embedding, EmbeddingConfig, Initializer, NetworkError, all_variants};

/// One hidden layer: its width and its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden {
    /// Units of the layer.
    pub width: usize,
    /// f, applied to each unit.
    pub activation: Activation,
}

/// Normalization between a hidden layer's linear map and its activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Norm {
    /// None.
    #[default]
    None,
    /// Over the batch (Ioffe, Szegedy, 2015), running averages in evaluation.
    Batch,
    /// Over the units of the row (Ba, Kiros, Hinton, 2016).
    Layer,
}

all_variants! { Norm: None, Batch, Layer }
named!(Norm);

impl Norm {
    /// The name used in files and messages, such as `batch`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Batch => "batch",
            Self::Layer => "layer",
        }
    }
}

/// Parts of networks for tables, beyond dense layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parts {
    /// What becomes of the columns of the input before the first layer.
    pub embedding: Option<EmbeddingConfig>,
    /// Whether each input of the first layer has a learned factor, 1 to begin with.
    pub input_scale: bool,
    /// Whether each hidden unit has a learned a, 1 to begin with, in its activation z + a·(f(z) − z).
    pub parametric: bool,
    /// Whether sums of weights are divided by √inputs, the neural-tangent-kernel parametrisation (Jacot, Gabriel, Hongler, 2018):
    /// weights are then of size 1, and a step changes them alike whatever the width.
    pub ntk: bool,
    /// Networks in one that share the weights of hidden layers, each with factors of its own for the inputs and outputs of each
    /// layer and with biases and an output layer of its own: f(((x⊙r)W)⊙s + b) (BatchEnsemble: Wen, Tran, Ba, 2020; as in TabM:
    /// Gorishniy, Kotelnikov, Babenko, 2025). 1 for none. Each is trained by its own loss; predictions are averaged.
    pub members: usize,
}

impl Default for Parts {
    fn default() -> Self {
        Self { embedding: None, input_scale: false, parametric: false, ntk: false, members: 1 }
    }
}

/// What a parameter of a network is, for optimisers that treat some otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Weights of a dense layer.
    Weight,
    /// Biases of a dense layer.
    Bias,
    /// Of a normalisation.
    Norm,
    /// Of an embedding.
    Embedding,
    /// Factors of the inputs.
    InputScale,
    /// The a of parametric activations.
    Activation,
    /// Factors of the members of a batch ensemble.
    Member,
}

all_variants! { Group: Weight, Bias, Norm, Embedding, InputScale, Activation, Member }

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
/// | `parts` | none | further parts | |
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
    /// Further parts.
    pub parts: Option<Parts>,
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
    /// a of a parametric activation, `[1, outputs]`.
    pub mix: Option<Param<Tensor<2>>>,
    /// Of the members of a batch ensemble, r `[members, inputs]` and s `[members, outputs]`. The biases then are
    /// `[members·outputs]`; an output layer has neither, and weights `[members·inputs, outputs]`.
    pub factors: Option<[Param<Tensor<2>>; 2]>,
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
    /// What becomes of the columns of the input.
    pub embedding: Option<Embedding>,
    /// Factors of the inputs of the first layer, `[1, inputs]`.
    pub input_scale: Option<Param<Tensor<2>>>,
    /// Hidden layers, then the output layer.
    pub layers: Vec<Layer>,
    /// Share of hidden units dropped in training, in [0, 1).
    #[module(skip)]
    pub dropout: f64,
    /// Networks in one.
    #[module(skip)]
    members: usize,
    /// Whether sums of weights are divided by √inputs.
    #[module(skip)]
    ntk: bool,
    /// Columns of the input.
    #[module(skip)]
    columns: usize,
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
    /// Whether they are those of one member of a batch ensemble after another, `[members·batch]`, rather than the same for all.
    pub own_rows: bool,
    /// The part of the network's dropout rate that is used now, 1 for all of it.
    pub part: f64,
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
        let parts = self.parts();
        if let Some(embedding) = &parts.embedding {
            embedding.validate()?;
            if embedding.columns.len() != self.inputs {
                let what =
                    format!("it is of {} columns, the network has {} inputs", embedding.columns.len(), self.inputs);
                return Err(NetworkError::Embedding { what });
            }
        }
        let clash = |what: &str| Err(NetworkError::Clash { what: what.to_owned() });
        match parts.members {
            0 => return zero("the number of members".into()),
            1 => {}
            n if n > MOST => return clash(&format!("a network has at most {MOST} members, not {n}")),
            _ if self.norm != Norm::None => return clash("a network of several members has no normalisation"),
            _ if self.initializer == Initializer::DataDriven => {
                return clash("a network of several members has no data-driven initial weights");
            }
            _ if !self.bias || self.hidden.is_empty() => {
                return clash("a network of several members has biases and hidden layers");
            }
            _ => {}
        }
        match self.parameters() {
            n if n > Self::MAX_PARAMETERS => Err(NetworkError::TooLarge { parameters: n, limit: Self::MAX_PARAMETERS }),
            _ => Ok(()),
        }
    }

    /// Trainable parameters of the network.
    pub fn parameters(&self) -> u128 {
        let of = |shape: &[usize]| shape.iter().fold(1u128, |n, &m| n.saturating_mul(m as u128));
        self.tensors()
            .iter()
            .fold(0, |sum, (_, shape, trained)| sum.saturating_add(if *trained { of(shape) } else { 0 }))
    }

    /// Every tensor of the network: its name, its shape, and whether it is trained (the running averages of batch normalisation
    /// are not).
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, bool)> {
        let parts = self.parts();
        let (members, last) = (parts.members, self.hidden.len());
        let mut all = Vec::new();
        let mut push = |name: String, shape: Vec<usize>, trained: bool| all.push((name, shape, trained));
        if let Some(embedding) = &parts.embedding {
            embedding.shapes().into_iter().for_each(|(n, s)| push(format!("embedding.{n}"), s.to_vec(), true));
        }
        let shapes = self.shapes();
        if parts.input_scale {
            push("input_scale".to_owned(), vec![1, shapes[0].0], true);
        }
        for (i, (n, m)) in shapes.into_iter().enumerate() {
            let several = if i == last { members } else { 1 };
            push(format!("layers.{i}.weight"), vec![n.saturating_mul(several), m], true);
            if self.bias {
                push(format!("layers.{i}.bias"), vec![m.saturating_mul(members)], true);
            }
            if i == last {
                break;
            }
            let norms: &[&str] = match self.norm {
                Norm::None => &[],
                Norm::Layer => &["gamma", "beta"],
                Norm::Batch => &["gamma", "beta", "mean", "variance"],
            };
            norms.iter().enumerate().for_each(|(j, n)| push(format!("layers.{i}.norm.{n}"), vec![m], j < 2));
            if parts.parametric {
                push(format!("layers.{i}.mix"), vec![1, m], true);
            }
            if members > 1 {
                push(format!("layers.{i}.factors.in"), vec![members, n], true);
                push(format!("layers.{i}.factors.out"), vec![members, m], true);
            }
        }
        all
    }

    /// The further parts.
    pub fn parts(&self) -> Parts {
        self.parts.clone().unwrap_or_default()
    }

    /// (inputs, outputs) of each layer, the output layer last.
    pub fn shapes(&self) -> Vec<(usize, usize)> {
        let embedding = self.parts.as_ref().and_then(|parts| parts.embedding.as_ref());
        let widths: Vec<usize> = std::iter::once(embedding.map_or(self.inputs, EmbeddingConfig::outputs))
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
        let parts = self.parts();
        let (members, last) = (parts.members, self.hidden.len());
        let param = |values: Vec<f32>, shape: [usize; 2]| Param::from_data(TensorData::new(values, shape), device);
        let ones = |shape: [usize; 2]| param(vec![1.0; shape[0] * shape[1]], shape);
        let layer = |(i, (inputs, outputs)): (usize, (usize, usize))| {
            let hidden = self.hidden.get(i);
            let activation = hidden.map_or(self.output_activation, |h| h.activation);
            let (mut weights, mut biases) = (Vec::new(), Vec::new());
            // Each member has an output layer of its own; biases of hidden layers begin alike.
            for member in 0..if hidden.is_some() { 1 } else { members } {
                let stream = Stream::new(self.seed, Purpose::Init(i as u16), member as u32);
                let (w, b) = self.initializer.draw(&stream, inputs, outputs, activation);
                weights.extend(w);
                biases.extend(b);
            }
            if hidden.is_some() {
                biases = biases.repeat(members);
            }
            if self.initializer == Initializer::LecunNormal && i == last {
                weights.fill(0.0);
                biases.fill(0.0);
            }
            if parts.ntk {
                let gain = (inputs as f64).sqrt();
                weights.iter_mut().for_each(|w| *w = (f64::from(*w) * gain) as f32);
            }
            let rows = weights.len() / outputs;
            let bias = TensorData::new(biases, [members * outputs]);
            let norm = if hidden.is_some() { self.norm } else { Norm::None };
            let factors = || [self.first_factors(i, inputs, param), ones([members, outputs])];
            Layer {
                linear: Linear {
                    weight: param(weights, [rows, outputs]),
                    bias: self.bias.then(|| Param::from_data(bias, device)),
                },
                batch_norm: (norm == Norm::Batch).then(|| BatchNormConfig::new(outputs).init(device)),
                layer_norm: (norm == Norm::Layer).then(|| LayerNormConfig::new(outputs).init(device)),
                mix: (parts.parametric && hidden.is_some()).then(|| ones([1, outputs])),
                factors: (members > 1 && hidden.is_some()).then(factors),
                activation,
            }
        };
        let shapes = self.shapes();
        let input_scale = parts.input_scale.then(|| ones([1, shapes[0].0]));
        Ok(FeedForward {
            embedding: parts.embedding.map(|config| config.init(self.seed, device)),
            input_scale,
            layers: shapes.into_iter().enumerate().map(layer).collect(),
            dropout: self.dropout,
            members,
            ntk: parts.ntk,
            columns: self.inputs,
        })
    }

    /// r of a layer: for the first, random, the same for all that one column becomes (signs, or from N(0, 1) behind an embedding);
    /// 1 for others.
    fn first_factors(
        &self,
        layer: usize,
        inputs: usize,
        param: impl Fn(Vec<f32>, [usize; 2]) -> Param<Tensor<2>>,
    ) -> Param<Tensor<2>> {
        let parts = self.parts();
        let mut values = vec![1.0; parts.members * inputs];
        if layer == 0 {
            let stream = Stream::new(self.seed, Purpose::Members, 0);
            let sections = parts.embedding.as_ref().map_or(vec![1; inputs], EmbeddingConfig::sections);
            let mut drawn = vec![0.0; sections.len()];
            for (member, values) in values.chunks_exact_mut(inputs).enumerate() {
                stream.fill_normal(member as u32, &mut drawn);
                let mut rest = values;
                for (x, width) in drawn.iter().zip(&sections) {
                    let (own, others) = rest.split_at_mut(*width);
                    own.fill(if parts.embedding.is_some() { *x } else { x.signum() });
                    rest = others;
                }
            }
        }
        param(values, [parts.members, inputs])
    }
}

impl Layer {
    /// f(xW + b) without normalisation or further parts.
    pub fn new(linear: Linear, activation: Activation) -> Self {
        Self { linear, batch_norm: None, layer_norm: None, mix: None, factors: None, activation }
    }

    /// norm(gain·xW + b), before the activation. x `[batch, inputs]`, result `[batch, outputs]`.
    fn linear(&self, x: Tensor<2>, gain: f64) -> Tensor<2> {
        let z = if gain == 1.0 {
            self.linear.forward(x)
        } else {
            let z = x.matmul(self.linear.weight.val() * gain);
            self.linear.bias.iter().fold(z, |z, b| z + b.val().unsqueeze())
        };
        let z = self.batch_norm.iter().fold(z, |z, norm| norm.forward(z));
        self.layer_norm.iter().fold(z, |z, norm| norm.forward(z))
    }

    /// The activation.
    fn activate(&self, z: Tensor<2>) -> Tensor<2> {
        match &self.mix {
            None => self.activation.forward(z),
            Some(a) => z.clone() + (self.activation.forward(z.clone()) - z) * a.val(),
        }
    }

    /// What belongs to each member: gain·((x⊙r)W)⊙s + b, or with weights of its own. x `[members, batch, inputs]`, result
    /// `[members, batch, outputs]`.
    fn members(&self, x: Tensor<3>, gain: f64) -> Tensor<3> {
        let [members, _, inputs] = x.dims();
        let outputs = self.linear.weight.lazy_shape()[1];
        let weight = if gain == 1.0 { self.linear.weight.val() } else { self.linear.weight.val() * gain };
        let bias = self.linear.bias.as_ref().map(|b| b.val().reshape([members, 1, outputs]));
        match &self.factors {
            None => dense(x, weight.reshape([members, inputs, outputs]), None, bias),
            Some([r, s]) => {
                let [r, s] = [r, s].map(|f| f.val().unsqueeze_dim::<3>(1));
                dense(x * r, weight.unsqueeze(), Some(s), bias)
            }
        }
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
        let g = self.output_activation();
        if self.members == 1 {
            return g.forward(self.pass(x, None));
        }
        let [rows, outputs] = [x.dims()[0], self.outputs()];
        g.forward(self.pass(x, None)).reshape([self.members, rows, outputs]).mean_dim(0).reshape([rows, outputs])
    }

    /// The network's output before its output activation: logits where that is a sigmoid or softmax. Of several members, the
    /// logits of the average of their probabilities; the average before other activations.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, inputs]`
    /// - result: `[batch, outputs]`
    pub fn forward_logits(&self, x: Tensor<2>) -> Tensor<2> {
        let [rows, outputs] = [x.dims()[0], self.outputs()];
        let z = self.pass(x, None);
        if self.members == 1 {
            return z;
        }
        let members = |z: Tensor<2>| z.reshape([self.members, rows, outputs]);
        // ln Σ eˣ over the members.
        let joined = |logs: Tensor<2>| {
            let logs = members(logs);
            let most = logs.clone().max_dim(0);
            ((logs - most.clone()).exp().sum_dim(0).log() + most).reshape([rows, outputs])
        };
        match self.output_activation() {
            Activation::Softmax => joined(burn::tensor::activation::log_softmax(z, 1)),
            // ln p − ln (1 − p), where ln σ(z) = −ln(1 + e⁻ᶻ).
            Activation::Sigmoid => {
                let log = |z: Tensor<2>| Activation::Softplus.forward(z).neg();
                joined(log(z.clone().neg())) - joined(log(z))
            }
            _ => members(z).mean_dim(0).reshape([rows, outputs]),
        }
    }

    /// As [`FeedForward::forward_logits`], with the hidden units that `draw` says dropped and the others scaled up to
    /// make up for them (Srivastava et al., 2014). Of several members, `[members·batch, outputs]`, one member after another; of those
    /// with rows of their own, `x` is `[members·batch, inputs]`.
    pub fn forward_dropout(&self, x: Tensor<2>, draw: DropoutDraw<'_>) -> Tensor<2> {
        self.pass(x, Some(draw))
    }

    /// Networks in one.
    pub fn members(&self) -> usize {
        self.members
    }

    /// Whether sums of weights are divided by √inputs.
    pub fn is_ntk(&self) -> bool {
        self.ntk
    }

    /// (inputs, outputs) of each layer, of one member.
    pub fn widths(&self) -> Vec<(usize, usize)> {
        let of = |layer: &Layer| {
            let [n, m] = layer.linear.weight.lazy_shape().dims();
            (if layer.factors.is_some() { n } else { n / self.members.max(1) }, m)
        };
        self.layers.iter().map(of).collect()
    }

    /// Columns of the input.
    pub fn inputs(&self) -> usize {
        self.columns
    }

    /// Columns of the output.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.linear.weight.lazy_shape()[1])
    }

    /// Whether it consists of dense layers alone, without normalisation or further parts.
    pub fn is_plain(&self) -> bool {
        let layer =
            |l: &Layer| l.batch_norm.is_none() && l.layer_norm.is_none() && l.mix.is_none() && l.factors.is_none();
        let parts = self.embedding.is_some() || self.input_scale.is_some() || self.ntk || self.members > 1;
        !parts && self.layers.iter().all(layer)
    }

    /// What each parameter is.
    pub fn groups(&self) -> Vec<(ParamId, Group)> {
        let mut network = self.clone();
        let mut all: Vec<_> = network.parts_mut().into_iter().map(|(group, param)| (param.id, group)).collect();
        for layer in &self.layers {
            all.push((layer.linear.weight.id, Group::Weight));
            all.extend(layer.linear.bias.as_ref().map(|b| (b.id, Group::Bias)));
            all.extend(layer.batch_norm.iter().flat_map(|n| [n.gamma.id, n.beta.id]).map(|id| (id, Group::Norm)));
            all.extend(layer.layer_norm.iter().map(|n| (n.gamma.id, Group::Norm)));
            all.extend(layer.layer_norm.iter().filter_map(|n| n.beta.as_ref()).map(|b| (b.id, Group::Norm)));
        }
        all
    }

    /// The tensors of further parts, in the order of [`FeedForwardConfig::tensors`].
    pub fn parts_mut(&mut self) -> Vec<(Group, &mut Param<Tensor<2>>)> {
        let mut all = Vec::new();
        all.extend(self.embedding.iter_mut().flat_map(Embedding::params).map(|p| (Group::Embedding, p)));
        all.extend(self.input_scale.iter_mut().map(|p| (Group::InputScale, p)));
        for layer in &mut self.layers {
            all.extend(layer.mix.iter_mut().map(|p| (Group::Activation, p)));
            all.extend(layer.factors.iter_mut().flatten().map(|p| (Group::Member, p)));
        }
        all
    }

    /// The second part of [`Initializer::DataDriven`]: weights and biases so scaled and shifted that they suit these training rows,
    /// layer by layer.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows, inputs]`
    #[must_use]
    pub fn fit_to(mut self, rows: Tensor<2>, seed: u64) -> Self {
        let mut x = self.begin(rows);
        let gains: Vec<f64> = self.layers.iter().map(|layer| self.gain(layer)).collect();
        for (i, (layer, gain)) in self.layers.iter_mut().zip(gains).enumerate() {
            let bias = layer.linear.bias.take();
            let z = layer.linear(x, gain);
            let [n, units] = z.dims();
            let centred = z.clone() - z.clone().mean_dim(0);
            let spread = (centred.clone() * centred).mean_dim(0).sqrt();
            // A unit that says the same of all rows stays as it is.
            let factor = spread.clone().mask_fill(spread.lower_equal_elem(1e-12), 1.0).recip();
            let z = z * factor.clone();
            layer.linear.weight = layer.linear.weight.clone().map(|w| w * factor.inner());
            let stream = Stream::new(seed, Purpose::Biases(i as u16), 0);
            // Σ −sₖ·z of five rows, s from the simplex: exponential numbers over their sum.
            let (mut shares, mut chosen) = (vec![0.0; units * POINTS], vec![0.0; units * POINTS]);
            stream.fill_uniform(0, &mut shares);
            stream.fill_uniform(1, &mut chosen);
            shares.iter_mut().for_each(|u| *u = -(1.0 - *u).ln());
            for shares in shares.chunks_exact_mut(POINTS) {
                let sum: f32 = shares.iter().sum::<f32>().max(f32::MIN_POSITIVE);
                shares.iter_mut().for_each(|s| *s /= sum);
            }
            let device = z.device().inner();
            let mut shift: Option<Tensor<2>> = None;
            for k in 0..POINTS {
                let rows = (0..units).map(|u| ((chosen[u * POINTS + k] * n as f32) as i32).min(n as i32 - 1));
                let rows = Tensor::<2, Int>::from_data(TensorData::new(rows.collect::<Vec<_>>(), [1, units]), &device);
                let of = (0..units).map(|u| shares[u * POINTS + k]).collect::<Vec<_>>();
                let of = Tensor::<2>::from_data(TensorData::new(of, [1, units]), &device);
                let part = z.clone().gather(0, rows) * of;
                shift = Some(match shift {
                    None => part,
                    Some(sum) => sum + part,
                });
            }
            let z = match (bias, shift) {
                (Some(bias), Some(shift)) => {
                    let value = shift.clone().neg().reshape([units]).inner();
                    layer.linear.bias = Some(bias.map(|_| value));
                    z - shift
                }
                (bias, _) => {
                    layer.linear.bias = bias;
                    z
                }
            };
            x = layer.activate(z);
        }
        self
    }

    /// The one linear map that a network with linear hidden layers is, as a network without hidden layers: its weights are
    /// W₁W₂⋯, its biases (b₁W₂ + b₂)W₃ + ⋯, its output activation is kept. Depth without a nonlinearity adds nothing.
    ///
    /// # Errors
    ///
    /// [`NetworkError::NotLinear`] if a hidden layer has an activation or a normalisation.
    pub fn collapse(&self) -> Result<Self, NetworkError> {
        let last = self.layers.len() - 1;
        if !self.is_plain() && (self.layers.iter().all(|l| l.batch_norm.is_none() && l.layer_norm.is_none())) {
            return Err(NetworkError::Clash { what: "a network with further parts is not one neuron".to_owned() });
        }
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
        Ok(Self::new(vec![Layer::new(linear, activation)], 0.0))
    }

    /// g, the activation of the output layer.
    pub fn output_activation(&self) -> Activation {
        self.layers.last().map_or(Activation::Identity, |layer| layer.activation)
    }

    /// A network of these layers, the last of them the output layer, without further parts; `dropout` in [0, 1).
    pub fn new(layers: Vec<Layer>, dropout: f64) -> Self {
        let columns = layers.first().map_or(0, |layer| layer.linear.weight.lazy_shape()[0]);
        Self { embedding: None, input_scale: None, layers, dropout, members: 1, ntk: false, columns }
    }

    /// What sums of weights of a layer are multiplied by.
    fn gain(&self, layer: &Layer) -> f64 {
        let own = if layer.factors.is_some() { 1 } else { self.members };
        if self.ntk { ((layer.linear.weight.lazy_shape()[0] / own) as f64).sqrt().recip() } else { 1.0 }
    }

    /// What comes before the first layer.
    fn begin(&self, x: Tensor<2>) -> Tensor<2> {
        let x = self.embedding.iter().fold(x, |x, embedding| embedding.forward(x));
        self.input_scale.iter().fold(x, |x, scale| x * scale.val())
    }

    /// `[members·batch, outputs]` before the output activation.
    fn pass(&self, x: Tensor<2>, draw: Option<DropoutDraw<'_>>) -> Tensor<2> {
        let last = self.layers.len() - 1;
        let mut x = self.begin(x);
        let own_rows = draw.is_some_and(|draw| draw.own_rows);
        let draw = draw.filter(|draw| self.dropout * draw.part > 0.0);
        if self.members > 1 {
            let (members, [rows, width]) = (self.members, x.dims());
            let batch = if own_rows { rows / members } else { rows };
            let x = if own_rows { x.reshape([members, batch, width]) } else { x.unsqueeze() };
            let mut x = x.expand([members, batch, width]);
            for (i, layer) in self.layers[..last].iter().enumerate() {
                x = by_row(layer.members(x, self.gain(layer)), |z| layer.activate(z));
                if let Some(draw) = draw {
                    let masks = self.member_masks(draw, i as u16, x.dims()[2], &x.device());
                    x = x * masks;
                }
            }
            let z = self.layers[last].members(x, self.gain(&self.layers[last]));
            return z.reshape([members * batch, self.outputs()]);
        }
        for (i, layer) in self.layers[..last].iter().enumerate() {
            x = layer.activate(layer.linear(x, self.gain(layer)));
            if let Some(draw) = draw {
                let mask = self.mask(draw, i as u16, x.dims()[1], &x.device());
                x = x * mask;
            }
        }
        self.layers[last].linear(x, self.gain(&self.layers[last]))
    }

    /// As [`FeedForward::mask`], of each member: `[members, batch, width]`.
    fn member_masks(&self, draw: DropoutDraw<'_>, layer: u16, width: usize, device: &Device) -> Tensor<3> {
        let members = self.members;
        if !draw.own_rows {
            let mask = self.mask(draw, layer, members * width, device);
            return mask.reshape([draw.rows.len(), members, width]).swap_dims(0, 1);
        }
        let batch = draw.rows.len() / members;
        let mut values = vec![0.0; members * batch * width];
        for (i, (row, units)) in draw.rows.iter().zip(values.chunks_exact_mut(width)).enumerate() {
            mask(self.dropout * draw.part, draw, layer, *row, i / batch * width, units);
        }
        Tensor::from_data(TensorData::new(values, [members, batch, width]), &device.clone().inner())
    }

    /// 0 where a unit is dropped, else 1/(1 − dropout): `[batch, width]`.
    fn mask(&self, draw: DropoutDraw<'_>, layer: u16, width: usize, device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; draw.rows.len() * width];
        for (row, units) in draw.rows.iter().zip(values.chunks_exact_mut(width)) {
            mask(self.dropout * draw.part, draw, layer, *row, 0, units);
        }
        Tensor::from_data(TensorData::new(values, [draw.rows.len(), width]), &device.clone().inner())
    }
}

/// The most members a network has.
const MOST: usize = 1 << 12;
/// Rows that a bias begins between.
const POINTS: usize = 5;

/// 0 for each unit of a layer, from unit `first` on, that is dropped in this row, else 1/(1 − rate).
pub(crate) fn mask(rate: f64, draw: DropoutDraw<'_>, layer: u16, row: u32, first: usize, units: &mut [f32]) {
    let stream = Stream::new(draw.seed, Purpose::Dropout(layer), draw.epoch);
    let (block, before) = ((first / 4) as u32, first % 4);
    if before == 0 {
        stream.fill_uniform_from(row, block, units);
    } else {
        let mut all = vec![0.0; before + units.len()];
        stream.fill_uniform_from(row, block, &mut all);
        units.copy_from_slice(&all[before..]);
    }
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
        let widths: Vec<String> = std::iter::once(self.columns)
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
        let parameters = self.num_params() - running;
        let mut parts = activations;
        for (there, name) in [
            (self.embedding.is_some(), "embeddings"),
            (self.input_scale.is_some(), "input scale"),
            (self.layers.iter().any(|l| l.mix.is_some()), "parametric activations"),
            (self.ntk, "NTK parametrisation"),
        ] {
            if there {
                parts = format!("{parts}, {name}");
            }
        }
        if self.members > 1 {
            parts = format!("{parts}, {} members", self.members);
        }
        format!("FeedForward {} ({parts}), {parameters} parameters", widths.join("-"))
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
        for &norm in Norm::ALL {
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
        let draw = DropoutDraw { seed: 1, epoch: 1, rows: &[3, 9], own_rows: false, part: 1.0 };
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
