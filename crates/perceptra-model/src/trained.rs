//! A trained model with the results of its training.

use perceptra_data::{EncodeReport, Table};

use crate::calibration::Calibration;
use crate::error::ModelError;
use crate::metrics::Metrics;
use crate::model::Model;
use crate::note::{Note, RowHashes};
use crate::partition::Partition;

/// A trained model with the results of its training.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// Numbers of training, validation and test rows.
    pub rows: [usize; 3],
    /// Scores on the validation rows, by which the best epoch was chosen; `None` without validation rows.
    pub validation: Option<Metrics>,
    /// Effect of temperature scaling on the validation rows; `None` without calibration.
    pub calibration: Option<Calibration>,
    /// Missing values of the training rows that were imputed.
    pub report: EncodeReport,
    /// Choices that were made for the user, and rows that occur in two parts.
    pub notes: Vec<Note>,
    /// Whether the network gives the same output for every row: it learned nothing, or all units of a hidden layer are dead.
    pub dead: bool,
    /// Training rows with a numeric target that the activation of the output cannot give, such as one below 0 for relu.
    pub unreachable: usize,
}

impl Trained {
    /// Joins weighted members, which were trained on the training rows of `parts`, into an ensemble by [`Model::ensemble`]. The validation
    /// and test rows score the ensemble, and with `calibrate` the validation rows fit a temperature.
    ///
    /// # Errors
    ///
    /// As [`Model::ensemble`] and [`Model::evaluate`].
    #[doc(hidden)]
    pub fn join(
        members: impl IntoIterator<Item = (f64, Self)>,
        parts: &Partition,
        calibrate: bool,
    ) -> Result<Self, ModelError> {
        let (mut models, mut report, mut dead, mut unreachable) = (Vec::new(), None, false, 0);
        let mut notes = parts.notes.clone();
        for (weight, member) in members {
            report.get_or_insert(member.report);
            dead |= member.dead;
            unreachable = member.unreachable.max(unreachable);
            for note in member.notes {
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            models.push((weight, member.model));
        }
        let mut model = Model::ensemble(models)?;
        let judged = parts.validation.as_ref().map(|table| model.learn_confidence(table, calibrate)).transpose()?;
        let (validation, calibration) = judged.map_or((None, None), |(metrics, done)| (Some(metrics), done));
        if let Some(test) = &parts.test {
            let encoder = &model.about.encoder;
            let encode = |table: &Table| Ok::<_, ModelError>((encoder.inputs(table)?.0, encoder.outputs_of(table)?));
            let ((inputs, targets), (of_test, truth)) = (encode(&parts.train)?, encode(test)?);
            notes.extend(RowHashes::of(&inputs, &targets).repeated("test", &of_test, &truth));
        }
        model.about.metrics = parts.test.as_ref().map(|table| model.evaluate(table)).transpose()?;
        let rows = [Some(&parts.train), parts.validation.as_ref(), parts.test.as_ref()];
        let rows = rows.map(|table| table.map_or(0, Table::rows));
        Ok(Self { model, rows, validation, calibration, report: report.unwrap_or_default(), dead, unreachable, notes })
    }
}
