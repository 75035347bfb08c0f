//! Burn's gradients of our networks and losses against central differences of a plain 64-bit implementation.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};
use proptest::prelude::*;

use crate::testing::values;
use crate::{Activation, FeedForwardConfig, Loss};

/// A plain 64-bit network, which computes one row at a time. Each layer has weights by input, then by output, and biases.
struct Reference {
    layers: Vec<(Vec<Vec<f64>>, Vec<f64>)>,
    hidden: Activation,
}

/// The activation as a 64-bit function of one number. `None` where it jumps, across which there is no difference to take, and for
/// softmax, which is not a function of one number.
fn continuous(f: Activation) -> Option<fn(f64) -> f64> {
    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }
    // The power series.
    fn erf(x: f64) -> f64 {
        if x.abs() > 5.0 {
            return x.signum();
        }
        let mut term = x;
        let mut sum = x;
        for n in 1..100 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }
    Some(match f {
        Activation::Identity => |x| x,
        Activation::Sigmoid => sigmoid,
        Activation::Tanh => f64::tanh,
        Activation::Relu => |x| x.max(0.0),
        Activation::LeakyRelu => |x| if x >= 0.0 { x } else { 0.01 * x },
        Activation::Elu => |x| if x >= 0.0 { x } else { x.exp_m1() },
        Activation::Selu => {
            |x| 1.050_700_987_355_480_5 * if x >= 0.0 { x } else { 1.673_263_242_354_377_2 * x.exp_m1() }
        }
        Activation::Gelu => |x| 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::Silu => |x| x * sigmoid(x),
        Activation::Mish => |x| x * x.exp().ln_1p().tanh(),
        Activation::Softplus => |x| x.exp().ln_1p(),
        Activation::Step | Activation::Sign | Activation::Dendritic | Activation::Softmax => return None,
    })
}

fn activate(f: Activation, x: f64) -> f64 {
    continuous(f).map_or_else(|| unreachable!("{f} has no differences"), |f| f(x))
}

impl Reference {
    fn outputs(&self, x: &[f64]) -> Vec<f64> {
        let mut x = x.to_vec();
        for (i, (weights, biases)) in self.layers.iter().enumerate() {
            x = biases
                .iter()
                .enumerate()
                .map(|(j, b)| {
                    let z = b + x.iter().zip(weights).map(|(x, row)| x * row[j]).sum::<f64>();
                    if i + 1 < self.layers.len() { activate(self.hidden, z) } else { z }
                })
                .collect();
        }
        x
    }

    fn loss(&self, loss: Loss, inputs: &[Vec<f64>], targets: &[Vec<f64>]) -> f64 {
        let rows: Vec<f64> = inputs
            .iter()
            .zip(targets)
            .map(|(x, y)| {
                let f = self.outputs(x);
                let n = f.len() as f64;
                let pairs = || f.iter().zip(y);
                match loss {
                    Loss::MeanSquared => pairs().map(|(f, y)| (f - y).powi(2)).sum::<f64>() / n,
                    Loss::HalfSumSquared => pairs().map(|(f, y)| (f - y).powi(2)).sum::<f64>() / 2.0,
                    Loss::MeanAbsolute => pairs().map(|(f, y)| (f - y).abs()).sum::<f64>() / n,
                    Loss::Huber { delta } => {
                        let one = |d: f64| if d <= delta { d * d / 2.0 } else { delta * (d - delta / 2.0) };
                        pairs().map(|(f, y)| one((f - y).abs())).sum::<f64>() / n
                    }
                    Loss::BinaryCrossEntropy => pairs().map(|(z, y)| (1.0 + z.exp()).ln() - z * y).sum::<f64>() / n,
                    Loss::CategoricalCrossEntropy => {
                        let log_sum = f.iter().map(|z| z.exp()).sum::<f64>().ln();
                        pairs().map(|(z, y)| y * (log_sum - z)).sum()
                    }
                }
            })
            .collect();
        let sum: f64 = rows.iter().sum();
        if loss.is_sum() { sum } else { sum / rows.len() as f64 }
    }
}

fn table(rows: usize, columns: usize, seed: u64) -> Vec<Vec<f64>> {
    let stream = Stream::new(seed, Purpose::Data, 0);
    (0..rows)
        .map(|r| {
            let mut row = vec![0.0; columns];
            stream.fill_normal(r as u32, &mut row);
            row.into_iter().map(f64::from).collect()
        })
        .collect()
}

fn tensor(rows: &[Vec<f64>], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows.iter().flatten().map(|&x| x as f32).collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), rows[0].len()]), device)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn gradients_are_the_central_differences(
        inputs in 1usize..4,
        hidden in prop::collection::vec(1usize..5, 0..3),
        outputs in 1usize..4,
        rows in 1usize..6,
        activation in prop::sample::select(
            Activation::ALL.iter().copied().filter(|f| continuous(*f).is_some()).collect::<Vec<_>>(),
        ),
        loss in prop::sample::select(
            Loss::ALL.iter().copied().chain([Loss::Huber { delta: 0.7 }]).collect::<Vec<_>>(),
        ),
        seed in 0u64..1000,
    ) {
        let device = Device::flex();
        let mut network = FeedForwardConfig::new(inputs, outputs)
            .with_widths(&hidden, activation)
            .with_initializer(crate::Initializer::Torch)
            .with_seed(seed)
            .init(&device)
            .unwrap()
            .train();
        // Weights as leaves of the autodiff graph, which have gradients.
        for layer in &mut network.layers {
            layer.linear.weight = layer.linear.weight.clone().map(|w| w.detach().require_grad());
        }
        let layers = network.layers.iter().map(|l| {
            let [_, m] = l.linear.weight.dims();
            let weights = values(l.linear.weight.val()).chunks(m).map(|r| r.iter().map(|&w| f64::from(w)).collect()).collect();
            let biases = values(l.linear.bias.as_ref().unwrap().val());
            (weights, biases.into_iter().map(f64::from).collect())
        }).collect();
        let mut reference = Reference { layers, hidden: activation };
        let x = table(rows, inputs, seed + 1);
        let y: Vec<Vec<f64>> = table(rows, outputs, seed + 2).into_iter().map(|row| match loss {
            Loss::BinaryCrossEntropy => row.into_iter().map(|v| if v > 0.0 { 1.0 } else { 0.0 }).collect(),
            Loss::CategoricalCrossEntropy => {
                let class = row.len() / 2;
                (0..row.len()).map(|j| if j == class { 1.0 } else { 0.0 }).collect()
            }
            Loss::MeanSquared | Loss::HalfSumSquared | Loss::MeanAbsolute | Loss::Huber { .. } => row,
        }).collect();
        // Rows rounded to `f32`, so that both sides compute with the same numbers.
        let round = |t: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            t.into_iter().map(|r| r.into_iter().map(|v| f64::from(v as f32)).collect()).collect()
        };
        let (x, y) = (round(x), round(y));

        let value = loss.forward(network.forward(tensor(&x, &device)), tensor(&y, &device));
        let expected = reference.loss(loss, &x, &y);
        let got = f64::from(value.clone().into_scalar::<f32>());
        prop_assert!((got - expected).abs() <= 1e-5 * expected.abs().max(1.0), "loss {got}, expected {expected}");

        let grads = value.backward();
        let step = 1e-6;
        for i in 0..reference.layers.len() {
            let weight = values(network.layers[i].linear.weight.val().grad(&grads).unwrap());
            let [n, m] = network.layers[i].linear.weight.dims();
            for (a, b) in (0..n).flat_map(|a| (0..m).map(move |b| (a, b))) {
                let mut at = |d: f64| {
                    reference.layers[i].0[a][b] += d;
                    let l = reference.loss(loss, &x, &y);
                    reference.layers[i].0[a][b] -= d;
                    l
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                let got = f64::from(weight[a * m + b]);
                prop_assert!(
                    (got - difference).abs() <= 1e-3 * difference.abs().max(0.1),
                    "layer {i} weight {a},{b}: {got}, difference {difference}"
                );
            }
        }
    }
}

// f = Σₖ βₖ g(zₖ) + β₀ with zₖ = Σⱼ wₖⱼxⱼ + wₖ₀ and R = ½ Σᵢ (yᵢ − fᵢ)²:
// ∂Rᵢ/∂βₖ = −(yᵢ − fᵢ) g(zᵢₖ), ∂Rᵢ/∂wₖⱼ = −(yᵢ − fᵢ) βₖ g′(zᵢₖ) xᵢⱼ, and with 1 in the places of g and xᵢⱼ those of β₀ and wₖ₀.
#[test]
fn the_formulas_of_backpropagation_are_burns_gradients_and_the_differences() {
    let device = Device::flex();
    let (inputs, units, rows) = (3, 5, 7);
    for (g, slope) in
        [(Activation::Tanh, (|g: f64| 1.0 - g * g) as fn(f64) -> f64), (Activation::Sigmoid, |g| g * (1.0 - g))]
    {
        let network = FeedForwardConfig::new(inputs, 1)
            .with_widths(&[units], g)
            .with_initializer(crate::Initializer::Torch)
            .init(&device)
            .unwrap()
            .train();
        let numbers = |t: Tensor<1>| to_64(t.inner().try_into_vec_as().unwrap());
        let [hidden, output] = [0, 1].map(|i| &network.layers[i].linear);
        // All parameters as one vector: wⱼₖ at j·units + k, then w₀ₖ, βₖ and β₀.
        let all = [
            numbers(hidden.weight.val().flatten(0, 1)),
            numbers(hidden.bias.as_ref().unwrap().val()),
            numbers(output.weight.val().flatten(0, 1)),
            numbers(output.bias.as_ref().unwrap().val()),
        ]
        .concat();
        let (bias, beta) = (inputs * units, inputs * units + units);
        let x: Vec<f64> = table(rows, inputs, 1).concat();
        let y: Vec<f64> = table(rows, 1, 2).concat();
        let row = |w: &[f64], i: usize| {
            let x = &x[i * inputs..][..inputs];
            let z = |k: usize| w[bias + k] + (0..inputs).map(|j| w[j * units + k] * x[j]).sum::<f64>();
            let out: Vec<f64> = (0..units).map(|k| activate(g, z(k))).collect();
            let f = w[beta + units] + (0..units).map(|k| w[beta + k] * out[k]).sum::<f64>();
            (out, f)
        };
        let mut formulas = vec![0.0; all.len()];
        for i in 0..rows {
            let (out, f) = row(&all, i);
            let error = -(y[i] - f);
            formulas[beta + units] += error;
            for k in 0..units {
                formulas[beta + k] += error * out[k];
                let back = error * all[beta + k] * slope(out[k]);
                formulas[bias + k] += back;
                (0..inputs).for_each(|j| formulas[j * units + k] += back * x[i * inputs + j]);
            }
        }

        let tensor =
            |v: &[f64], columns: usize| tensor(&v.chunks(columns).map(<[f64]>::to_vec).collect::<Vec<_>>(), &device);
        let loss = Loss::HalfSumSquared.forward(network.forward(tensor(&x, inputs)), tensor(&y, 1));
        let grads = loss.backward();
        let autodiff = [
            numbers(hidden.weight.val().grad(&grads).unwrap().flatten(0, 1)),
            numbers(hidden.bias.as_ref().unwrap().val().grad(&grads).unwrap()),
            numbers(output.weight.val().grad(&grads).unwrap().flatten(0, 1)),
            numbers(output.bias.as_ref().unwrap().val().grad(&grads).unwrap()),
        ]
        .concat();
        let objective = |w: &[f64]| (0..rows).map(|i| 0.5 * (y[i] - row(w, i).1).powi(2)).sum::<f64>();
        for (n, formula) in formulas.iter().enumerate() {
            let at = |by: f64| {
                let mut w = all.clone();
                w[n] += by;
                objective(&w)
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((formula - difference).abs() < 1e-8, "{g} {n}: {formula}, difference {difference}");
            assert!((formula - autodiff[n]).abs() < 1e-6, "{g} {n}: {formula}, autodiff {}", autodiff[n]);
        }
    }
}

fn to_64(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

#[test]
fn a_step_of_gradient_descent_by_hand() {
    // y = w·x + b with w = 2, b = 1, one row x = 3, target 4: f = 7, R = ½(7−4)² = 4.5, ∂R/∂w = 9, ∂R/∂b = 3.
    let device = Device::flex();
    let mut network = FeedForwardConfig::new(1, 1).init(&device).unwrap();
    network.layers[0].linear.weight = Param::from_data(TensorData::from([[2.0f32]]), &device);
    network.layers[0].linear.bias = Some(Param::from_data(TensorData::from([1.0f32]), &device));
    let network = network.train();
    let out = network.forward(Tensor::from_floats([[3.0]], &device));
    let loss = Loss::HalfSumSquared.forward(out, Tensor::from_floats([[4.0]], &device));
    assert_eq!(loss.clone().into_scalar::<f32>(), 4.5);
    let grads = loss.backward();
    assert_eq!(network.layers[0].linear.weight.val().grad(&grads).unwrap().into_scalar::<f32>(), 9.0);
    assert_eq!(network.layers[0].linear.bias.as_ref().unwrap().val().grad(&grads).unwrap().into_scalar::<f32>(), 3.0);
}
