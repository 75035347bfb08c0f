//! Presets by name.

use serde::{Deserialize, Serialize};

/// A named set of settings for the encoder, the network and the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// One small network with early stopping.
    Fast,
    /// RealMLP: an ensemble of four networks up to 5000 rows, one network beyond, with larger batches and fewer epochs beyond 20,000
    /// rows. It scored best over the tables of `docs/accuracy.md` among those that take a few seconds for a thousand rows and a minute
    /// for 50,000.
    Default,
    /// RealMLP-TD (Holzmüller, Grinsztajn, Steinwart: *Better by default*, NeurIPS 2024).
    Realmlp,
    /// RealMLP-TD-S, its small form: no embeddings, no dropout, no decay, no parametric activations.
    RealmlpS,
    /// TabM with 32 members and three blocks of 512 (Gorishniy, Kotelnikov, Babenko: *TabM*, ICLR 2025), with the
    /// defaults of `pytabkit`, except that the last of equally good epochs is kept, not the first.
    Tabm,
    /// TabM with piecewise-linear embeddings and two blocks.
    TabmPle,
}

perceptra_nn::all_variants! { Preset: Fast, Default, Realmlp, RealmlpS, Tabm, TabmPle }

impl Preset {
    /// The name in files and messages, such as `realmlp-s`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Default => "default",
            Self::Realmlp => "realmlp",
            Self::RealmlpS => "realmlp-s",
            Self::Tabm => "tabm",
            Self::TabmPle => "tabm-ple",
        }
    }

    /// A description of the preset in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::Fast => "one small network with early stopping",
            Self::Default => "RealMLP; an ensemble of four up to 5000 rows, fewer epochs beyond 20,000",
            Self::Realmlp => "RealMLP-TD: periodic embeddings, parametric activations, 256 epochs",
            Self::RealmlpS => "RealMLP-TD-S: RealMLP without embeddings, dropout and weight decay",
            Self::Tabm => "TabM: 32 members that share most of their weights",
            Self::TabmPle => "TabM with piecewise-linear embeddings",
        }
    }
}
