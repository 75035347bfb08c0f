//! A `FeedForward` driven by hand with one of Burn's own optimizers.
//!
//! cargo run --release --example own_loop

#![allow(clippy::print_stdout)] // A program that shows its result.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::Tensor;
use perceptra::{Activation, FeedForwardConfig, Loss, choose};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = choose("auto")?.device;
    let inputs = Tensor::<2>::from_floats([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], &device);
    let targets = Tensor::<2>::from_floats([[0.0], [1.0], [1.0], [0.0]], &device);

    let mut network = FeedForwardConfig::new(2, 1)
        .with_widths(&[8], Activation::Tanh)
        .with_output_activation(Activation::Sigmoid)
        .init(&device)?
        .train();
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..300 {
        let logits = network.forward_logits(inputs.clone());
        let loss = Loss::BinaryCrossEntropy.forward(logits, targets.clone());
        let grads = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(0.05, network, grads);
    }
    println!("{network}");
    println!("XOR: {:.3?}", network.valid().forward(inputs).try_into_vec_as::<f32>()?);
    Ok(())
}
