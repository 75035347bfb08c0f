//! The names of presets.

use serde::{Deserialize, Serialize};

/// A named set of settings: encoder, network and training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// One small network with early stopping.
    Fast,
    /// What scored best over the tables of `docs/accuracy.md` in a few seconds for a thousand rows and a minute for 50,000: RealMLP,
    /// four networks of it up to 5000 rows, one beyond, in larger batches and fewer epochs beyond 20,000.
    Default,
    /// RealMLP-TD (Holzmüller, Grinsztajn, Steinwart: *Better by default*, NeurIPS 2024).
    Realmlp,
    /// RealMLP-TD-S, its small form: no embeddings, no dropout, no decay, no parametric activations.
    RealmlpS,
    /// TabM with 32 members and three blocks of 512 (Gorishniy, Kotelnikov, Babenko: *TabM*, ICLR 2025), with the settings that
    /// `pytabkit` has as defaults, but for one: of epochs that the validation rows judge alike the last is kept, there the first.
    Tabm,
    /// TabM with piecewise-linear embeddings and two blocks.
    TabmPle,
}

impl Preset {
    /// Every preset, in the order of this page.
    pub const ALL: [Self; 6] = [Self::Fast, Self::Default, Self::Realmlp, Self::RealmlpS, Self::Tabm, Self::TabmPle];

    /// The name used in files and messages, such as `realmlp-s`.
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
}
