//! The hints of the libraries, worded with the program's flags.

use perceptra::data::{self, NoteKind, Task};
use perceptra::model;
use perceptra::train::TrainError;

/// How to mend an error in a table.
pub(crate) fn data(hint: &data::Hint) -> String {
    use data::Hint;
    match hint {
        Hint::Advice(_) | Hint::DidYouMean(_) | Hint::ReadableFiles => hint.to_string(),
        Hint::QuoteFields => {
            "each row needs as many fields as the header; a field with the separator in it needs quotes, and \
                              another separator is set by --delimiter"
                .into()
        }
        Hint::SkipRows(lines) => format!("skip the lines above it with --skip-rows {lines}"),
        Hint::NoHeader => "if the file has no header, read it with --no-header".into(),
        Hint::SetDelimiter => "the table has one column only: set the separator with --delimiter".into(),
        Hint::IgnoreColumn(column) => format!("leave it out with --ignore {column:?}"),
        Hint::DoNotStream => "write it to a file first, or leave --stream away".into(),
        Hint::MissingOrCategorical { column, value } => format!(
            "--missing {value:?} reads it as a missing value, --categorical {column:?} the column as categories, --ignore \
             {column:?} leaves it out"
        ),
        Hint::WriteDates(column) => format!(
            "write the dates as 2024-12-31, or leave the column out with --ignore {column:?}, or take them as categories with \
             --categorical {column:?}"
        ),
        Hint::DoNotStandardize => {
            "correct or remove the value, or set standardize_target to false in the run file".into()
        }
        Hint::DoNotStratify => {
            "remove the row, join the class with another, or split with --no-stratify; numbers that are no \
                                classes are of --task regression"
                .into()
        }
        Hint::FewerCategories => "ignore columns with many categories or lower --max-categories".into(),
        Hint::ChangeTask => {
            let tasks: Vec<&str> = Task::ALL.iter().map(|task| task.name()).collect();
            format!("choose another --task: {}, or auto", tasks.join(", "))
        }
    }
}

/// What was chosen or left out when a table was read.
pub(crate) fn reading(kind: &NoteKind) -> String {
    match kind {
        NoteKind::Whitespace => format!("{kind} (--delimiter)"),
        NoteKind::NumericHeader { .. } => format!("{kind}: if it is one, read the table with --no-header"),
        NoteKind::RowNames => format!("{kind}, unless the header names their column"),
        NoteKind::Sheet { .. } => format!("{kind} (--sheet)"),
        NoteKind::TrailingSeparators
        | NoteKind::Unnamed { .. }
        | NoteKind::EmptyColumns { .. }
        | NoteKind::EmptyRows { .. } => kind.to_string(),
    }
}

/// How to fix settings or a training that failed.
pub(crate) fn train(error: &TrainError) -> Option<String> {
    match error {
        TrainError::Diverged { .. } => {
            Some("lower the learning rate with --learning-rate, standardize the inputs, or clip the gradient with --clip-norm 1".into())
        }
        TrainError::Engine { .. } => Some("leave --engine at auto, or use --engine autodiff, which can train everything".into()),
        TrainError::Device(_) => Some("use a smaller --batch, or compute on the CPU with --device cpu".into()),
        other => other.hint().map(str::to_owned),
    }
}

/// A remedy for an error of a run or of a model.
pub(crate) fn model(hint: &model::Hint) -> String {
    use model::Hint;
    match hint {
        Hint::Data(hint) => data(hint),
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
