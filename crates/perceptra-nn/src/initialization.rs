//! Initial weights of a network.

use burn::module::Param;
use burn::nn::{BatchNormConfig, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};

use crate::config::{FeedForwardConfig, Norm};
use crate::embedding::EmbeddingConfig;
use crate::error::NetworkError;
use crate::feed_forward::FeedForward;
use crate::initializer::Initializer;
use crate::layer::Layer;

impl FeedForwardConfig {
    /// Builds the network on `device`, with initial weights that depend on the seed alone.
    ///
    /// # Errors
    ///
    /// The fault that [`FeedForwardConfig::validate`] finds.
    pub fn init(&self, device: &Device) -> Result<FeedForward, NetworkError> {
        self.validate()?;
        let extras = self.extras();
        let (members, last) = (extras.members, self.hidden.len());
        let param = |values: Vec<f32>, shape: [usize; 2]| Param::from_data(TensorData::new(values, shape), device);
        let ones = |shape: [usize; 2]| param(vec![1.0; shape[0] * shape[1]], shape);
        let layer = |(i, (inputs, outputs)): (usize, (usize, usize))| {
            let hidden = self.hidden.get(i);
            let activation = hidden.map_or(self.output_activation, |h| h.activation);
            let (mut weights, mut biases) = (Vec::new(), Vec::new());
            // Each member has an output layer of its own; the biases of hidden layers are initially the same for all members.
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
            if extras.ntk {
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
                mix: (extras.parametric && hidden.is_some()).then(|| ones([1, outputs])),
                factors: (members > 1 && hidden.is_some()).then(factors),
                activation,
            }
        };
        let widths = self.widths();
        let input_scale = extras.input_scale.then(|| ones([1, widths[0].0]));
        Ok(FeedForward {
            embedding: extras.embedding.map(|config| config.init(self.seed, device)),
            input_scale,
            layers: widths.into_iter().enumerate().map(layer).collect(),
            dropout: self.dropout,
            members,
            ntk: extras.ntk,
        })
    }

    /// Initial factors r of a layer's inputs in a batch ensemble, `[members, inputs]`. In the first layer they are random, the same
    /// for all inputs that one column becomes: −1 or 1, or drawn from N(0, 1) if there is an embedding. In other layers they are 1.
    fn first_factors(
        &self,
        layer: usize,
        inputs: usize,
        param: impl Fn(Vec<f32>, [usize; 2]) -> Param<Tensor<2>>,
    ) -> Param<Tensor<2>> {
        let extras = self.extras();
        let mut values = vec![1.0; extras.members * inputs];
        if layer == 0 {
            let stream = Stream::new(self.seed, Purpose::Members, 0);
            let sections = extras.embedding.as_ref().map_or(vec![1; inputs], EmbeddingConfig::sections);
            let mut drawn = vec![0.0; sections.len()];
            for (member, values) in values.chunks_exact_mut(inputs).enumerate() {
                stream.fill_normal(member as u32, &mut drawn);
                let mut rest = values;
                for (x, width) in drawn.iter().zip(&sections) {
                    let (own, others) = rest.split_at_mut(*width);
                    own.fill(if extras.embedding.is_some() { *x } else { x.signum() });
                    rest = others;
                }
            }
        }
        param(values, [extras.members, inputs])
    }
}
