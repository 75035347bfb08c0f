//! Remedies for errors.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// A remedy for a [`ModelError`](crate::ModelError), without names of command-line flags: a program can match the hint and name its own
/// flags.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Advice that needs no setting.
    Advice(Cow<'static, str>),
    /// The known key whose name is most similar to an unknown one.
    DidYouMean(String),
    /// Write checkpoints to a folder.
    WriteCheckpoints,
    /// Resume the run whose checkpoints are in this folder, or choose another folder.
    ResumeOrChangeFolder(PathBuf),
    /// Resume with the settings and the data of the checkpoint, or start a new run.
    ResumeSameRun,
    /// Train an ensemble.
    TrainEnsemble,
    /// Leave targets in their own units, or choose another activation of the output.
    DoNotStandardizeTargets,
    /// A remedy for an error of the table.
    Data(perceptra_data::Hint),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advice(text) => f.write_str(text),
            Self::DidYouMean(key) => write!(f, "did you mean `{key}`?"),
            Self::WriteCheckpoints => f.write_str("start the run with a folder for checkpoints"),
            Self::ResumeOrChangeFolder(folder) => {
                write!(f, "resume the run in {}, choose another folder or remove this one", folder.display())
            }
            Self::ResumeSameRun => {
                f.write_str("resume with the same table and settings, or start a new run in another folder")
            }
            Self::TrainEnsemble => f.write_str("train several networks as one model: an ensemble"),
            Self::DoNotStandardizeTargets => f.write_str(
                "do not standardize the targets, or use another activation: identity, relu, leaky-relu or softplus",
            ),
            Self::Data(hint) => hint.fmt(f),
        }
    }
}
