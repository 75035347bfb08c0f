//! Descriptions of networks, and settings of their training.

use pulp::Arch;

use crate::activation::Activation;
use crate::embedding::InputEmbedding;
use crate::error::Unsupported;
use crate::group::PerGroup;
use crate::loss::Loss;
use crate::rule::UpdateRule;

/// A dense layer f(xW + b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Number of inputs, the columns of x.
    pub inputs: usize,
    /// Number of outputs, the layer's units.
    pub outputs: usize,
    /// Whether the layer has a bias b.
    pub bias: bool,
    /// Activation function f. It must be the identity in the last layer if the loss takes logits.
    pub activation: Activation,
}

/// Parts of a network besides dense layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Extras {
    /// The embedding of the inputs, before the first dense layer.
    pub embedding: Option<InputEmbedding>,
    /// Whether the inputs of the first dense layer are multiplied by trained factors.
    pub input_scale: bool,
    /// Whether hidden units have a trained α in z + α·(f(z) − z).
    pub parametric: bool,
    /// Number of members of a batch ensemble, 1 for a single network. Members share the weights W of hidden layers,
    /// f(((x⊙r)W)⊙s + b); each has its own r, s, b and output layer, and is trained by its own loss.
    pub members: usize,
    /// Whether weighted sums are divided by √inputs (the NTK parametrization). The kernel takes and stores weights that are already
    /// divided by it, and updates them as if the undivided weights were trained.
    pub ntk: bool,
}

impl Default for Extras {
    /// Dense layers alone.
    fn default() -> Self {
        Self { embedding: None, input_scale: false, parametric: false, members: 1, ntk: false }
    }
}

impl Extras {
    /// Checks that the kernel can compute a network of these dense layers and extras.
    pub(crate) fn check(&self, layers: &[Layer]) -> Result<(), Unsupported> {
        let Self { embedding, input_scale, parametric: _, members, ntk: _ } = self;
        let first = layers.first().ok_or(Unsupported::NoLayers)?;
        if let Some(layer) = layers.iter().position(|l| l.inputs == 0 || l.outputs == 0) {
            return Err(Unsupported::EmptyLayer { layer });
        }
        let given = embedding.as_ref().map(InputEmbedding::outputs).transpose()?.unwrap_or(first.inputs);
        let given = std::iter::once(given).chain(layers.iter().map(|l| l.outputs));
        for (layer, (Layer { inputs, .. }, given)) in layers.iter().zip(given).enumerate() {
            if *inputs != given {
                return Err(Unsupported::Width { layer, inputs: *inputs, given });
            }
        }
        match members {
            0 => Err(Unsupported::NoMembers),
            1 => Ok(()),
            _ if layers.len() == 1 || layers.iter().any(|l| !l.bias) => Err(Unsupported::Members),
            _ if *input_scale => Err(Unsupported::InputScale),
            _ => Ok(()),
        }
    }
}

/// How a [`Trainer`](crate::Trainer) trains.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// The loss to minimize.
    pub loss: Loss,
    /// Whether the loss of a batch is the sum over its rows instead of their weighted mean.
    pub sum: bool,
    /// Update rule: how gradients change the weights.
    pub rule: UpdateRule,
    /// Rows per step; in a batch ensemble, rows of each member per step.
    pub batch: usize,
    /// Whether the members of a batch ensemble are trained on the same rows. Otherwise the order of an epoch lists, for each step,
    /// the rows of the first member, then those of the second, and so on.
    pub share_batches: bool,
    /// Share of the hidden units that each training step drops, in [0, 1).
    pub dropout: f64,
    /// Seed of the random dropout masks.
    pub seed: u64,
    /// β₁ and β₂ of Adam and AdamW.
    pub betas: [f32; 2],
    /// Factor of the learning rate for each kind of parameter.
    pub rates: PerGroup<f64>,
    /// Weight decay of each kind of parameter. The update rule decides whether it shrinks weights directly (decoupled) or is added
    /// to the gradient.
    pub decay: PerGroup<f64>,
    /// λ of the penalty λΣ|w| on the weights of dense layers.
    pub l1: f64,
    /// λ of the penalty ½λΣw² on the weights of dense layers.
    pub l2: f64,
    /// Limit of the absolute value of each element of the gradient; larger ones are clipped to it. `None` for no limit.
    pub clip_value: Option<f64>,
    /// Limit of the Euclidean norm of the whole gradient; a longer gradient is scaled down to it. `None` for no limit.
    pub clip_norm: Option<f64>,
    /// Instruction set to compute with, for tests of other machines' bits; `None` for the widest that the CPU has.
    pub instructions: Option<Arch>,
}

impl Default for Settings {
    /// Plain gradient descent of the mean squared error, in batches of 32 rows.
    fn default() -> Self {
        Self {
            loss: Loss::MeanSquared,
            sum: false,
            rule: UpdateRule::Sgd { momentum: 0.0, nesterov: false },
            batch: 32,
            share_batches: true,
            dropout: 0.0,
            seed: 0,
            betas: [0.9, 0.999],
            rates: PerGroup::all(1.0),
            decay: PerGroup::all(0.0),
            l1: 0.0,
            l2: 0.0,
            clip_value: None,
            clip_norm: None,
            instructions: None,
        }
    }
}

impl Settings {
    /// Checks that the kernel can train a network of these layers and extras with these settings.
    /// [`Trainer::new`](crate::Trainer::new) does so first.
    ///
    /// # Errors
    ///
    /// The first reason why it cannot.
    pub fn check(&self, layers: &[Layer], extras: &Extras) -> Result<(), Unsupported> {
        #[rustfmt::skip]
        let Self {
            loss: _, sum: _, rule, batch, share_batches: _, dropout, seed: _, betas: _, rates: _,
            decay, l1, l2, clip_value, clip_norm, instructions: _,
        } = self;
        extras.check(layers)?;
        if *batch == 0 {
            return Err(Unsupported::EmptyBatch);
        }
        if extras.members > 1 && *dropout > 0.0 {
            let hidden = layers[..layers.len() - 1].iter().enumerate();
            if let Some((layer, Layer { outputs, .. })) = hidden.into_iter().find(|(_, l)| !l.outputs.is_multiple_of(4))
            {
                return Err(Unsupported::Dropout { layer, width: *outputs });
            }
        }
        let edited = *l1 > 0.0 || *l2 > 0.0 || clip_value.or(*clip_norm).is_some();
        let coupled = *decay != PerGroup::all(0.0) && !rule.decay_is_decoupled();
        if extras.ntk && (edited || coupled) {
            return Err(Unsupported::Ntk);
        }
        Ok(())
    }

    /// Whether a step subtracts the learning rate times the gradient from the weights and nothing more: without momentum, decay,
    /// penalties, clipping by value or factors of the learning rate.
    #[inline(always)]
    pub(crate) fn is_plain_descent(&self) -> bool {
        self.rule == UpdateRule::Sgd { momentum: 0.0, nesterov: false }
            && (self.decay, self.rates, self.l1, self.l2) == (PerGroup::all(0.0), PerGroup::all(1.0), 0.0, 0.0)
            && self.clip_value.is_none()
    }
}
