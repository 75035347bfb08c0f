//! The crate as a library of another Burn project.

use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig};
use burn::tensor::Tensor;
use perceptra::nn::{Activation, FeedForward, FeedForwardConfig};
use perceptra::{Dataset, Fit, ForwardMode, Network, TrainConfig, choose};

/// A category through an embedding of Burn, beside numbers; the dense part is a `FeedForward`.
#[derive(Module, Debug)]
struct WithEmbedding {
    embedding: Embedding,
    dense: FeedForward,
}

impl Network for WithEmbedding {
    fn forward(&self, inputs: Tensor<2>, mode: ForwardMode<'_>) -> Tensor<2> {
        let [rows, columns] = inputs.dims();
        let category = inputs.clone().slice([0..rows, 0..1]).int();
        let embedded = self.embedding.forward(category).reshape([rows, 2]);
        let numbers = inputs.slice([0..rows, 1..columns]);
        Network::forward(&self.dense, Tensor::cat(vec![embedded, numbers], 1), mode)
    }
}

#[test]
fn a_module_of_ones_own_is_trained_by_the_same_loop() {
    let device = choose("cpu").unwrap().device;
    // y = (−1, 0, 2)[category] + x
    let rows = 300;
    let inputs: Vec<f32> = (0..rows).flat_map(|i| [(i % 3) as f32, (i as f32 * 0.7).sin()]).collect();
    let targets = inputs.chunks(2).map(|r| [-1.0, 0.0, 2.0][r[0] as usize] + r[1]).collect();
    let data = Dataset::from_rows(inputs, targets, (2, 1), &device).unwrap();
    let network = WithEmbedding {
        embedding: EmbeddingConfig::new(3, 2).init(&device),
        dense: FeedForwardConfig::new(3, 1).with_widths(&[16], Activation::Relu).init(&device).unwrap(),
    };
    let config = TrainConfig { learning_rate: 0.01, target: Some(0.01), ..TrainConfig::default() };
    let before = network.embedding.weight.val().try_into_vec_as::<f32>().unwrap();
    let fitted = Fit::new(network, &data).validation(&data).run(&config).unwrap();
    assert!(fitted.history.best().unwrap().validation_loss.unwrap() <= 0.01, "{:?}", fitted.history.best());
    assert_ne!(fitted.network.embedding.weight.val().try_into_vec_as::<f32>().unwrap(), before);
}
