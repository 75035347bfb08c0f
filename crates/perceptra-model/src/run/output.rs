//! Where a run computes and what it writes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a run runs and what it writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// `auto`, `cpu`, `ndarray`, `flex`, `wgpu[:N]`, `cuda[:N]`...
    pub device: String,
    /// The model file; by default named after the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Whether the validation rows choose the temperature of the probabilities of classes (Guo et al., 2017).
    pub calibrate: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { device: "auto".into(), model: None, calibrate: true }
    }
}

/// Which checkpoints a run writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The folder; none for no checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Epochs from one to the next.
    pub every: usize,
    /// How many of the latest are kept, besides that of the best epoch.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { folder: None, every: 1, keep: 2 }
    }
}
