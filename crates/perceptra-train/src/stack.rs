//! Many networks of one architecture, computed together.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Tensor, TensorData};

use perceptra_nn::{Activation, DropoutDraw, FeedForward, Layer};

/// Several networks of the same depth and activations, computed together: the weights of each layer of all networks are one tensor,
/// so a forward pass takes a batch through each network in as many operations as one network needs.
///
/// Widths may differ: narrow layers are padded with units that are always 0, and whose weights stay 0.
#[derive(Module, Debug)]
pub(crate) struct Population {
    /// Hidden layers, then the output layer.
    layers: Vec<PopulationLayer>,
    /// Number of units of each layer, by member, then by layer.
    #[module(skip)]
    widths: Vec<Vec<usize>>,
    /// Share of hidden units dropped in training, by member.
    #[module(skip)]
    dropout: Vec<f64>,
}

/// A dense layer of every member: f(xW + b).
#[derive(Module, Debug)]
struct PopulationLayer {
    /// Weights W, `[members, inputs, outputs]`.
    weight: Param<Tensor<3>>,
    /// Biases b, `[members, 1, outputs]`.
    bias: Option<Param<Tensor<3>>>,
    /// Activation function f, the same for all members.
    #[module(skip)]
    activation: Activation,
}

impl Population {
    /// Stacks networks into a population.
    ///
    /// # Errors
    ///
    /// The difference, of networks that differ in inputs, outputs, depth, activations or in whether layers have biases; also without
    /// networks, and for normalization or extras.
    pub(crate) fn stack(networks: &[FeedForward]) -> Result<Self, String> {
        let differ = |what: &str| Err(format!("the networks cannot be computed together: {what}"));
        let Some(first) = networks.first() else { return differ("there are none") };
        if networks.iter().any(|n| n.layers().len() != first.layers().len()) {
            return differ("they have different depths");
        }
        if networks.iter().any(|n| !n.is_plain()) {
            return differ("they have more than dense layers");
        }
        let mut layers = Vec::new();
        let mut widths = vec![Vec::new(); networks.len()];
        for l in 0..first.layers().len() {
            let stacked: Vec<&Layer> = networks.iter().map(|n| &n.layers()[l]).collect();
            if stacked.iter().any(|layer| layer.activation != stacked[0].activation) {
                return differ("they have different activations");
            }
            if stacked.iter().any(|layer| layer.linear.bias.is_some() != stacked[0].linear.bias.is_some()) {
                return differ("some have biases and some have not");
            }
            let shapes: Vec<[usize; 2]> = stacked.iter().map(|layer| layer.linear.weight.lazy_shape().dims()).collect();
            let (ends, same) = (l + 1 == first.layers().len(), |i: usize| shapes.iter().all(|s| s[i] == shapes[0][i]));
            if l == 0 && !same(0) || ends && !same(1) {
                return differ("they have different inputs or outputs");
            }
            let [inputs, outputs] = [0, 1].map(|i| shapes.iter().map(|s| s[i]).max().unwrap_or(0));
            let weights = stacked.iter().map(|layer| padded(layer.linear.weight.val(), [inputs, outputs]));
            let bias = |layer: &&Layer| layer.linear.bias.as_ref().map(|b| padded(b.val().unsqueeze(), [1, outputs]));
            let biases: Vec<Tensor<2>> = stacked.iter().filter_map(bias).collect();
            layers.push(PopulationLayer {
                weight: Param::from_tensor(Tensor::stack(weights.collect(), 0)),
                bias: (!biases.is_empty()).then(|| Param::from_tensor(Tensor::stack(biases, 0))),
                activation: stacked[0].activation,
            });
            widths.iter_mut().zip(&shapes).for_each(|(widths, shape)| widths.push(shape[1]));
        }
        Ok(Self { layers, widths, dropout: networks.iter().map(FeedForward::dropout).collect() })
    }

    /// Whether any member drops units in training.
    pub(crate) fn drops(&self) -> bool {
        self.dropout.iter().any(|rate| *rate > 0.0)
    }

    /// The network of one member, counted from 0, in its own widths.
    ///
    /// # Panics
    ///
    /// If there is no such member.
    pub(crate) fn member(&self, member: usize) -> FeedForward {
        let mut inputs = self.layers[0].weight.dims()[1];
        let layers = self.layers.iter().zip(&self.widths[member]).map(|(layer, &outputs)| {
            let of =
                |t: Tensor<3>, rows: usize| t.slice([member..member + 1, 0..rows, 0..outputs]).reshape([rows, outputs]);
            let weight = Param::from_tensor(of(layer.weight.val(), inputs));
            let bias = layer.bias.as_ref().map(|b| Param::from_tensor(of(b.val(), 1).reshape([outputs])));
            inputs = outputs;
            Layer::new(Linear { weight, bias }, layer.activation)
        });
        FeedForward::new(layers.collect(), self.dropout[member])
    }

    /// A population of the given members, in this order.
    ///
    /// # Panics
    ///
    /// If there is no such member.
    #[must_use]
    pub(crate) fn select(&self, members: &[usize]) -> Self {
        let device = self.layers[0].weight.val().device();
        let numbers = members.iter().map(|&m| m as i32).collect::<Vec<_>>();
        let numbers = Tensor::from_data(TensorData::new(numbers, [members.len()]), &device.inner());
        let chosen = |p: &Param<Tensor<3>>| Param::from_tensor(p.val().select(0, numbers.clone()));
        let layers = self.layers.iter().map(|layer| PopulationLayer {
            weight: chosen(&layer.weight),
            bias: layer.bias.as_ref().map(chosen),
            activation: layer.activation,
        });
        Self {
            layers: layers.collect(),
            widths: members.iter().map(|&m| self.widths[m].clone()).collect(),
            dropout: members.iter().map(|&m| self.dropout[m]).collect(),
        }
    }

    /// Weights and biases, layer by layer: `[members, inputs, outputs]` and `[members, 1, outputs]`, padded to the widest member.
    pub(crate) fn tensors(&self) -> Vec<Tensor<3>> {
        self.layers
            .iter()
            .flat_map(|l| std::iter::once(l.weight.val()).chain(l.bias.as_ref().map(Param::val)))
            .collect()
    }

    /// The same networks with other [`Population::tensors`], of the same shapes.
    ///
    /// # Panics
    ///
    /// If there are fewer tensors than weights and biases.
    #[must_use]
    pub(crate) fn with_tensors(&self, tensors: Vec<Tensor<3>>) -> Self {
        let mut tensors = tensors.into_iter();
        let mut next = || Param::from_tensor(tensors.next().expect("as many tensors as there are weights and biases"));
        let layers = self.layers.iter().map(|layer| PopulationLayer {
            weight: next(),
            bias: layer.bias.as_ref().map(|_| next()),
            activation: layer.activation,
        });
        Self { layers: layers.collect(), widths: self.widths.clone(), dropout: self.dropout.clone() }
    }

    /// The outputs of every network for its own batch, before the output activation.
    ///
    /// # Shapes
    ///
    /// - x: `[members, batch, inputs]`
    /// - result: `[members, batch, outputs]`
    pub(crate) fn forward_logits(&self, x: Tensor<3>) -> Tensor<3> {
        self.pass(x, None)
    }

    /// Computes the outputs before the output activation as in training, with hidden units dropped by one draw for each member. The
    /// shapes are those of [`Population::forward_logits`]; see [`FeedForward::forward_dropout`].
    pub(crate) fn forward_dropout(&self, x: Tensor<3>, draws: &[DropoutDraw<'_>]) -> Tensor<3> {
        self.pass(x, Some(draws).filter(|_| self.drops()))
    }

    fn pass(&self, mut x: Tensor<3>, draws: Option<&[DropoutDraw<'_>]>) -> Tensor<3> {
        let last = self.layers.len() - 1;
        for (l, layer) in self.layers.iter().enumerate() {
            x = x.matmul(layer.weight.val());
            x = layer.bias.iter().fold(x, |x, bias| x + bias.val());
            if l == last {
                break;
            }
            let [members, batch, width] = x.dims();
            x = layer.activation.forward(x.reshape([members * batch, width])).reshape([members, batch, width]);
            // Units that only pad the width must stay 0.
            let padded = !layer.activation.keeps_zero() && self.widths.iter().any(|widths| widths[l] < width);
            let rows = if draws.is_some() { batch } else { 1 };
            if draws.is_none() && !padded {
                continue;
            }
            let mut values = vec![0.0; members * rows * width];
            for (k, values) in values.chunks_exact_mut(rows * width).enumerate() {
                let used = self.widths[k][l];
                match draws {
                    Some(draws) => {
                        for (row, values) in draws[k].rows.iter().zip(values.chunks_exact_mut(width)) {
                            draws[k].fill(self.dropout[k], l as u16, *row, 0, &mut values[..used]);
                        }
                    }
                    None => values[..used].fill(1.0),
                }
            }
            let mask = TensorData::new(values, [members, rows, width]);
            x = x.clone() * Tensor::from_data(mask, &x.device().inner());
        }
        x
    }
}

/// Pads a matrix with zeros to the given shape.
fn padded(matrix: Tensor<2>, [rows, columns]: [usize; 2]) -> Tensor<2> {
    let [n, m] = matrix.dims();
    if [n, m] == [rows, columns] {
        return matrix;
    }
    Tensor::zeros([rows, columns], &matrix.device()).slice_assign([0..n, 0..m], matrix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};
    use perceptra_nn::{FeedForwardConfig, Initializer, Norm};

    use crate::weighted::read;

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        read(tensor).unwrap()
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{a} {b}");
        }
    }

    fn networks(f: Activation, device: &Device) -> Vec<FeedForward> {
        [[3, 5], [7, 2], [4, 4]]
            .iter()
            .enumerate()
            .map(|(k, widths)| {
                let config = FeedForwardConfig::new(4, 2).with_widths(widths, f).with_seed(k as u64);
                config.with_initializer(Initializer::Torch).with_dropout(0.2 * k as f64).init(device).unwrap()
            })
            .collect()
    }

    #[test]
    fn a_member_of_any_width_computes_what_its_network_computes_alone() {
        let device = Device::flex();
        for f in [Activation::Relu, Activation::Sigmoid, Activation::Softplus] {
            let alone = networks(f, &device);
            let together = Population::stack(&alone).unwrap();
            let x = Tensor::<3>::random([3, 6, 4], Distribution::Normal(0.0, 1.0), &device);
            let y = values(together.forward_logits(x.clone()));
            let rows: [u32; 6] = [4, 8, 1, 0, 2, 9];
            let draw = |k: usize| DropoutDraw { seed: k as u64, epoch: 3, rows: &rows, share_batches: true, part: 1.0 };
            let dropped = values(together.forward_dropout(x.clone(), &[draw(0), draw(1), draw(2)]));
            let some = together.select(&[2, 0]);
            for (k, network) in alone.iter().enumerate() {
                let own = x.clone().slice(k..k + 1).reshape([6, 4]);
                close(&values(network.forward(own.clone())), &y[k * 12..(k + 1) * 12]);
                close(&values(network.forward_dropout(own.clone(), draw(k))), &dropped[k * 12..(k + 1) * 12]);
                let back = together.member(k);
                assert_eq!(values(back.forward(own.clone())), values(network.forward(own)));
                assert_eq!((back.to_string(), back.dropout()), (network.to_string(), network.dropout()));
            }
            assert_eq!(some.widths.len(), 2);
            assert_eq!(
                values(some.member(0).layers()[1].linear.weight.val()),
                values(alone[2].layers()[1].linear.weight.val())
            );
        }
    }

    #[test]
    fn padded_units_have_no_gradient() {
        let device = Device::flex();
        let together = Population::stack(&networks(Activation::Sigmoid, &device)).unwrap();
        let tracked: Vec<_> = together.tensors().into_iter().map(|t| t.autodiff().require_grad()).collect();
        let x = Tensor::<3>::random([3, 6, 4], Distribution::Normal(0.0, 1.0), &device).autodiff();
        let loss = together.with_tensors(tracked.clone()).forward_logits(x).powi_scalar(2).sum();
        let grads = loss.backward();
        let grads: Vec<_> = tracked.iter().map(|t| t.grad(&grads).unwrap()).collect();
        // The first member has 3 and 5 of 7 and 5 units.
        let extra = grads[0].clone().slice([0..1, 0..4, 3..7]);
        assert!(values(extra).iter().all(|g| *g == 0.0));
        let extra = grads[2].clone().slice([0..1, 3..7, 0..5]);
        assert!(values(extra).iter().all(|g| *g == 0.0));
        let own = grads[2].clone().slice([0..1, 0..3, 0..5]);
        assert!(values(own).iter().all(|g| *g != 0.0));
    }

    #[test]
    fn networks_that_differ_are_an_error() {
        let device = Device::flex();
        let of = |config: FeedForwardConfig| config.init(&device).unwrap();
        let base = || FeedForwardConfig::new(4, 2).with_widths(&[3], Activation::Relu);
        for (other, what) in [
            (base().with_widths(&[3, 3], Activation::Relu), "different depths"),
            (base().with_widths(&[3], Activation::Tanh), "different activations"),
            (base().with_bias(false), "some have biases"),
            (base().with_norm(Norm::Layer), "more than dense layers"),
            (FeedForwardConfig::new(5, 2).with_widths(&[3], Activation::Relu), "different inputs"),
            (FeedForwardConfig::new(4, 1).with_widths(&[3], Activation::Relu), "different inputs or outputs"),
        ] {
            let error = Population::stack(&[of(base()), of(other)]).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
        assert!(Population::stack(&[]).is_err());
    }
}
