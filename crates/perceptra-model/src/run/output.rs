//! Device, output files and checkpoints of a run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Device and output files of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// Name of the device: `auto`, `cpu`, `ndarray`, `flex`, `wgpu[:N]`, `cuda[:N]`...
    pub device: String,
    /// The model file; by default named after the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Whether predicted probabilities are calibrated by a temperature that is fitted on the validation rows (Guo et al., 2017).
    pub calibrate: bool,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self { device: "auto".into(), model: None, calibrate: true }
    }
}

/// Checkpoints of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Folder of the checkpoints; without it no checkpoints are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Number of epochs from one checkpoint to the next.
    pub every: usize,
    /// Number of latest checkpoints to keep, besides that of the best epoch.
    pub keep: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { folder: None, every: 1, keep: 2 }
    }
}
