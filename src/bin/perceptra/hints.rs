//! The hints of the libraries, worded with the program's flags.

use perceptra::data::{self, Task};
use perceptra::model;
use perceptra::train::TrainError;

/// Advice on how to fix an error in a table.
pub(crate) fn data(hint: &data::Hint) -> String {
    use data::Hint;
    match hint {
        Hint::Advice(_) | Hint::DidYouMean(_) | Hint::ReadableFiles => hint.to_string(),
        Hint::QuoteFields => {
            "each row needs as many fields as the header; a field with the separator in it needs quotes, and \
                              another separator is set by --delimiter"
                .into()
        }
        Hint::SetDelimiter => "the table has one column only: set the separator with --delimiter".into(),
        Hint::IgnoreColumn(column) => format!("leave it out with --ignore {column:?}"),
        Hint::DoNotStream => "write it to a file first, or leave --stream away".into(),
        Hint::MissingOrCategorical { column, value } => format!(
            "--missing {value:?} reads it as a missing value, --categorical {column:?} the column as categories, --ignore \
             {column:?} leaves it out"
        ),
        Hint::SetDateOrder(column) => format!(
            "--dates day-first or --dates month-first says which; --ignore {column:?} leaves the column out, --categorical \
             {column:?} takes the dates as categories"
        ),
        Hint::SetSeparators(column) => format!(
            "--decimal , or --thousands , says which; --ignore {column:?} leaves the column out, --categorical {column:?} takes \
             the numbers as categories"
        ),
        Hint::WriteOneWay(column) => format!(
            "write the values in one way, or leave the column out with --ignore {column:?}, or take them as categories with \
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

/// A line about a choice that was made for the user, with the flag that changes it.
pub(crate) fn note(choice: &data::Note) -> String {
    use data::Note;
    let change = match choice {
        Note::LeftOut { column, .. } => {
            format!("--categorical {column:?} or --numeric {column:?} keeps it, --ignore {column:?} silences this note")
        }
        Note::Marks { column, .. } => format!("--categorical {column:?} takes all values as categories"),
        Note::Read { column, notation, .. } => match notation.dates {
            Some(_) => format!("--dates sets the order, --categorical {column:?} takes the dates as categories"),
            None => format!(
                "--decimal and --thousands set the separators, --categorical {column:?} takes the values as categories"
            ),
        },
        Note::Codes { column, .. } => format!("--numeric {column:?} takes them as numbers"),
        Note::CodesAsNumbers { column, .. } => {
            format!("--categorical {column:?} takes them as categories, --ignore {column:?} leaves the column out")
        }
        Note::Mixed { column, .. } => format!("--ignore {column:?} leaves the column out"),
        Note::CountsRows { column } => format!("--ignore {column:?} leaves it out, if it says nothing else"),
    };
    format!("note: {choice} ({change})")
}

/// Advice on how to fix settings or a training that failed; `None` if there is none.
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
