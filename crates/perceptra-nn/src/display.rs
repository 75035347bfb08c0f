//! The text form of a network, one sentence.

use burn::module::Module;

use crate::feed_forward::FeedForward;

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
        let widths: Vec<String> = std::iter::once(self.inputs())
            .chain(self.layers.iter().map(|l| l.linear.weight.lazy_shape()[1]))
            .map(|w| w.to_string())
            .collect();
        let mut names: Vec<&str> = self.layers.iter().map(|l| l.activation.name()).collect();
        if names.last() == Some(&"identity") {
            names.pop();
        }
        names.dedup();
        let activations = if names.is_empty() { String::from("linear") } else { names.join(", ") };
        // The running averages of batch normalization are not trained.
        let norms = self.layers.iter().filter_map(|l| l.batch_norm.as_ref());
        let running: usize = norms.map(|n| 2 * n.gamma.lazy_shape()[0]).sum();
        let parameters = self.num_params() - running;
        let mut properties = activations;
        for (there, name) in [
            (self.embedding.is_some(), "embeddings"),
            (self.input_scale.is_some(), "input scale"),
            (self.layers.iter().any(|l| l.mix.is_some()), "parametric activations"),
            (self.ntk, "NTK parametrization"),
        ] {
            if there {
                properties = format!("{properties}, {name}");
            }
        }
        if self.members > 1 {
            properties = format!("{properties}, {} members", self.members);
        }
        format!("FeedForward {} ({properties}), {parameters} parameters", widths.join("-"))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use crate::{Activation, FeedForwardConfig};

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
