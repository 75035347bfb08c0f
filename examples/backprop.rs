//! Backpropagation by its formulas, for one hidden layer, beside Burn's autodiff and central differences.
//!
//! cargo run --release --example backprop

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::module::Module;
use burn::tensor::Tensor;
use perceptra::train::check_gradients;
use perceptra::{Activation, Dataset, FeedForwardConfig, Loss, TrainConfig, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("cpu")?.device;
    let rows = [[0.5, -1.0], [1.5, 0.3], [-0.7, 0.8]];
    let targets = [0.2, -0.4, 0.9];
    // f(x) = Σₖ βₖ g(zₖ) + β₀, zₖ = Σⱼ wₖⱼ xⱼ + wₖ₀, g = tanh; R = ½ Σᵢ (yᵢ − fᵢ)².
    let network = FeedForwardConfig::new(2, 1).with_widths(&[3], Activation::Tanh).init(&device)?.train();
    let [hidden, output] = [0, 1].map(|i| network.layers()[i].linear.clone());
    let numbers =
        |t: Tensor<1>| t.inner().try_into_vec_as::<f32>().map(|v| v.into_iter().map(f64::from).collect::<Vec<_>>());
    let w = numbers(hidden.weight.val().flatten(0, 1))?; // wₖⱼ at j·3 + k
    let w0 = numbers(hidden.bias.as_ref().ok_or("no bias")?.val())?;
    let beta = numbers(output.weight.val().flatten(0, 1))?;
    let beta0 = numbers(output.bias.as_ref().ok_or("no bias")?.val())?[0];

    let (mut by_w, mut by_w0, mut by_beta, mut by_beta0) = ([0.0; 6], [0.0; 3], [0.0; 3], 0.0);
    for (x, y) in rows.iter().zip(targets) {
        let z: Vec<f64> = (0..3).map(|k| w0[k] + (0..2).map(|j| w[j * 3 + k] * x[j]).sum::<f64>()).collect();
        let g: Vec<f64> = z.iter().map(|z| z.tanh()).collect();
        let f = beta0 + (0..3).map(|k| beta[k] * g[k]).sum::<f64>();
        by_beta0 += -(y - f);
        for k in 0..3 {
            by_beta[k] += -(y - f) * g[k];
            let slope = 1.0 - g[k] * g[k]; // g′ of tanh
            by_w0[k] += -(y - f) * beta[k] * slope;
            for j in 0..2 {
                by_w[j * 3 + k] += -(y - f) * beta[k] * slope * x[j];
            }
        }
    }

    let inputs = Tensor::<2>::from_floats(rows.map(|r| r.map(|x| x as f32)), &device);
    let wanted = Tensor::<1>::from_floats(targets.map(|y| y as f32), &device).reshape([3, 1]);
    let loss = Loss::HalfSumSquared.forward(network.forward(inputs.clone()), wanted.clone());
    let grads = loss.backward();
    let grad = |t: Option<Tensor<1>>| {
        numbers(t.ok_or(burn::tensor::TensorData::from([0.0f32])).unwrap_or_else(|d| Tensor::from_data(d, &device)))
    };
    let autodiff = [
        grad(hidden.weight.val().grad(&grads).map(|g| g.flatten(0, 1)))?,
        grad(hidden.bias.as_ref().and_then(|b| b.val().grad(&grads)))?,
        grad(output.weight.val().grad(&grads).map(|g| g.flatten(0, 1)))?,
        grad(output.bias.as_ref().and_then(|b| b.val().grad(&grads)))?,
    ];
    let formulas = [by_w.to_vec(), by_w0.to_vec(), by_beta.to_vec(), vec![by_beta0]];
    for ((name, a), b) in ["∂R/∂wₖⱼ", "∂R/∂wₖ₀", "∂R/∂βₖ", "∂R/∂β₀"].iter().zip(&formulas).zip(&autodiff)
    {
        let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{name:<8} {a:>9.5?}  autodiff is at most {apart:.0e} away");
    }

    // The same for a network of any shape, against (R(w + h) − R(w − h)) / 2h in 64-bit numbers.
    let config = TrainConfig { loss: Some(Loss::HalfSumSquared), ..TrainConfig::default() };
    for tensor in check_gradients(&network.valid(), &Dataset::new(inputs, wanted)?, &config, 100)?.tensors {
        println!(
            "{:<16} autodiff {:.0e}, fused {:.0e} from central differences",
            tensor.name,
            tensor.autodiff,
            tensor.fused.unwrap_or(f64::NAN)
        );
    }
    Ok(())
}
