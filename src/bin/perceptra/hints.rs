//! The hints of the libraries, worded with the program's flags.

use perceptra::model::Hint;

/// A remedy for an error of a run or of a model.
pub(crate) fn model(hint: &Hint) -> String {
    match hint {
        Hint::WriteCheckpoints => "start the run with --checkpoint FOLDER".to_owned(),
        Hint::ResumeOrChangeFolder(folder) => format!(
            "--resume {} continues that run; for a new one choose another folder or remove this one",
            folder.display()
        ),
        Hint::ResumeSameRun => {
            "resume with the same table and settings, or start a new run with --checkpoint FOLDER".to_owned()
        }
        Hint::TrainEnsemble => {
            "train several as one model: perceptra train --ensemble 5, or perceptra search --ensemble auto".to_owned()
        }
        other => other.to_string(),
    }
}
