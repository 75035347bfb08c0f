//! Initial weights and biases that are fitted to training rows.

use burn::tensor::{Int, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};

use crate::feed_forward::FeedForward;

/// Number of training rows whose random mixture decides a unit's initial bias.
const POINTS: usize = 5;

impl FeedForward {
    /// The second step of [`Initializer::DataDriven`](crate::Initializer::DataDriven): fits the scale of each layer's weights, and
    /// its biases, to these training rows.
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
            let centered = z.clone() - z.clone().mean_dim(0);
            let spread = (centered.clone() * centered).mean_dim(0).sqrt();
            // A unit with the same sum for all rows stays as it is.
            let factor = spread.clone().mask_fill(spread.lower_equal_elem(1e-12), 1.0).recip();
            let z = z * factor.clone();
            layer.linear.weight = layer.linear.weight.clone().map(|w| w * factor.inner());
            let stream = Stream::new(seed, Purpose::Biases(i as u16), 0);
            // A bias is −Σ sₖ·zₖ over five random rows. The shares s are uniform on the simplex: exponential numbers over their
            // sum.
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
}
