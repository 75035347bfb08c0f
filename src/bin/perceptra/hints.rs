//! The hints of the libraries, worded with the program's flags.

use perceptra::data::{self, ReadNoteKind, Task};
use perceptra::model;
use perceptra::train::TrainError;

use crate::run_args::column_text;

/// Which flags a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flags {
    /// Those of a run: the meaning of columns is not settled yet.
    Run,
    /// Those of a command that uses a model, in which it is.
    Model,
}

/// A text for a shell, in quotes if it needs them.
pub(crate) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/:+=%@".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('=') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A flag with a text, for a shell.
pub(crate) fn flag(name: &str, text: &str) -> String {
    let separator = if text.starts_with('-') { "=" } else { " " };
    format!("--{name}{separator}{}", shell(text))
}

/// A flag with the name of a column, for a shell.
fn column_flag(name: &str, column: &str) -> String {
    flag(name, &column_text(column))
}

/// Advice on how to fix an error in a table, for a command with these flags.
pub(crate) fn data(hint: &data::Hint, flags: Flags) -> String {
    use data::Hint;
    let [numeric, categorical, ignore] =
        ["numeric", "categorical", "ignore"].map(|name| move |column: &str| column_flag(name, column));
    match (hint, flags) {
        (Hint::DidYouMean(name), _) if shell(&column_text(name)) != *name => {
            format!("did you mean {name:?}, written {}?", shell(&column_text(name)))
        }
        (Hint::Advice(_) | Hint::DidYouMean(_) | Hint::ReadableFiles, _) => hint.to_string(),
        (Hint::QuoteFields, _) => {
            "each row needs as many fields as the header; a field with the separator in it needs quotes, and another separator is \
             set by --delimiter, which takes `whitespace` for runs of blanks"
                .into()
        }
        (Hint::SkipRows(lines), _) => format!("skip the lines above it with --skip-rows {lines}"),
        (Hint::NoHeader, _) => "if the file has no header, read it with --no-header".into(),
        (Hint::SetDelimiter, _) => "the table has one column only: set the separator with --delimiter".into(),
        (Hint::IgnoreColumn(column), Flags::Run) => format!("{} leaves it out", ignore(column)),
        (Hint::DoNotStream, _) => "write it to a file first, or leave --stream away".into(),
        (Hint::MissingOrCategorical { column, value }, Flags::Run) => format!(
            "{} reads it as a missing value, {} the column as categories, {} leaves it out",
            flag("missing", value),
            categorical(column),
            ignore(column)
        ),
        (Hint::MissingOrCategorical { value, .. }, Flags::Model) => format!(
            "the model learned the column otherwise; {} reads the value as a missing one, or write it as the training table does",
            flag("missing", value)
        ),
        (Hint::KeepText(text), _) => format!(
            "{text:?} is taken as missing: {} keeps it as a value; else remove the rows without a target",
            flag("keep-text", text)
        ),
        (Hint::SetDateOrder(column), Flags::Run) => format!(
            "--dates day-first or --dates month-first says which; {} leaves the column out, {} takes the dates as categories",
            ignore(column),
            categorical(column)
        ),
        (Hint::SetSeparators(column), Flags::Run) => format!(
            "--decimal , or --thousands , says which; {} leaves the column out, {} takes the numbers as categories",
            ignore(column),
            categorical(column)
        ),
        (Hint::WriteOneWay(column), Flags::Run) => format!(
            "write the values in one way; {} leaves the column out, {} takes them as categories, {} tells which is no number",
            ignore(column),
            categorical(column),
            numeric(column)
        ),
        // A model knows how its columns are written: these hints are of tables whose columns are not known.
        (Hint::IgnoreColumn(_) | Hint::SetDateOrder(_) | Hint::SetSeparators(_) | Hint::WriteOneWay(_), Flags::Model) => {
            "write the column as the training table does".into()
        }
        (Hint::DoNotStandardize, Flags::Run) => {
            "correct or remove the value, or train with --set standardize_target=false".into()
        }
        (Hint::DoNotStandardize, Flags::Model) => {
            "correct or remove the value, or train the model with --set standardize_target=false".into()
        }
        (Hint::DoNotStratify, _) => {
            "remove the row, join the class with another, or split with --no-stratify; numbers that are no classes are of --task \
             regression"
                .into()
        }
        (Hint::AllowUnseen(column), _) => format!(
            "write the categories as the training table does; --allow-unseen uses the model all the same, {} trains one without the \
             column",
            ignore(column)
        ),
        (Hint::FewerFolds, _) => "ask for fewer --folds, join the class with another, or divide with --no-stratify".into(),
        (Hint::FewerCategories, Flags::Run) => "ignore columns with many categories or lower --max-categories".into(),
        (Hint::FewerCategories, Flags::Model) => "predict fewer rows at once".into(),
        (Hint::ChangeTask, Flags::Run) => {
            let tasks: Vec<&str> = Task::ALL.iter().map(|task| task.name()).collect();
            format!("choose another --task: {}, or auto", tasks.join(", "))
        }
        (Hint::ChangeTask, Flags::Model) => "the model learned numbers: correct the value, or leave the row out".into(),
    }
}

/// A line about the rows of a run, with the flag that changes it.
pub(crate) fn part(choice: &model::Note) -> String {
    use model::Note;
    match choice {
        Note::ValidationTaken { .. } => format!("note: {choice} (--validation sets the share, 0 for none)"),
        Note::Repeated { .. } => format!("note: {choice}, which makes their scores better than those of new rows"),
        Note::NoValidation => format!("note: {choice} (--no-progress and --target-value stop it, too)"),
    }
}

/// A line about a choice that was made for the user, with the flag that changes it.
pub(crate) fn note(choice: &data::Note) -> String {
    use data::Note;
    let [numeric, categorical, ignore] =
        ["numeric", "categorical", "ignore"].map(|name| move |column: &str| column_flag(name, column));
    let change = match choice {
        Note::LeftOut { column, kept_as, .. } => match kept_as.first() {
            None => format!("{} silences this note", ignore(column)),
            Some(kind) => {
                format!("{} keeps it, {} silences this note", column_flag(kind.name(), column), ignore(column))
            }
        },
        Note::Marks { column, .. } => format!("{} takes all values as categories", categorical(column)),
        Note::Read { column, notation, .. } => match notation.dates {
            Some(_) => format!("--dates sets the order, {} takes the dates as categories", categorical(column)),
            None => format!(
                "--decimal and --thousands set the separators, {} takes the values as categories",
                categorical(column)
            ),
        },
        Note::DecimalPoint { .. } => "--thousands . reads it as thousands".to_owned(),
        Note::Codes { column, .. } => format!("{} takes them as numbers", numeric(column)),
        Note::CodesAsNumbers { column, .. } => {
            format!("{} takes them as categories, {} leaves the column out", categorical(column), ignore(column))
        }
        Note::Mixed { column, .. } => format!("{} leaves the column out", ignore(column)),
        Note::CountsRows { column } => format!("{} leaves it out, if it says nothing else", ignore(column)),
    };
    format!("note: {choice} ({change})")
}

/// Advice on how to fix settings or a training that failed; `None` if there is none.
/// A choice that was made, or a part that was left out, when a table was read.
pub(crate) fn reading(kind: &ReadNoteKind) -> String {
    match kind {
        ReadNoteKind::Whitespace => format!("{kind} (--delimiter)"),
        ReadNoteKind::NumericHeader { .. } => format!("{kind}: if it is one, read the table with --no-header"),
        ReadNoteKind::RowNames => format!("{kind}, unless the header names their column"),
        ReadNoteKind::Sheet { .. } => format!("{kind} (--sheet)"),
        ReadNoteKind::TrailingSeparators
        | ReadNoteKind::Unnamed { .. }
        | ReadNoteKind::EmptyColumns { .. }
        | ReadNoteKind::EmptyRows { .. } => kind.to_string(),
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
pub(crate) fn model(hint: &model::Hint, flags: Flags) -> String {
    use model::Hint;
    match hint {
        Hint::Data(hint) => data(hint, flags),
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
        Hint::DoNotStandardizeTargets => {
            "leave the targets in their own units with --set standardize_target=false, or use \
                                          another --output-activation: identity, relu, leaky-relu or softplus"
                .to_owned()
        }
        other => other.to_string(),
    }
}
