//! Tables to matrices, by what was learned from the training rows.

use serde::{Deserialize, Serialize};

use crate::encode_report::EncodeReport;
use crate::encoder_options::EncoderOptions;
use crate::error::DataError;
use crate::feature::{Feature, InputKind};
use crate::kind::ColumnKind;
use crate::matrix::Matrix;
use crate::scaling::{Scale, Scaling, Tails};
use crate::schema::{Schema, classes};
use crate::table::{Table, nearest};
use crate::target::Target;
use crate::task::Task;
use crate::weights::{Sorted, Weights};

/// A fitted encoder: feature columns to inputs, target columns to outputs and back.
///
/// | column | becomes |
/// |---|---|
/// | numeric, date | one scaled number, missing ones the mean (the median for robust and quantile scaling), and a 0/1 column "was missing" if enough training rows lacked a value |
/// | boolean | −1 or 1, missing 0 |
/// | categorical | a 0/1 column per frequent category, one for rare and unseen ones if there are rare ones, one for "missing" if enough training rows lacked a value |
/// | categorical, many | one column with the index of the category, see [`EncoderOptions::embed_above`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    features: Vec<Feature>,
    target: Target,
    /// Columns of inputs that are scaled once more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    squashed: Vec<Squashed>,
}

/// A column of inputs to which [`Scale::Squash`] is applied.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Squashed {
    column: usize,
    offset: f64,
    factor: f64,
}

/// The positive class of two, the second in their order; none of more than two.
#[doc(hidden)]
pub fn positive(labels: &[String]) -> Option<&str> {
    match labels {
        [_, second] => Some(second),
        _ => None,
    }
}

/// The most numbers that an encoded table may have: 16 GiB of them.
const MAX_NUMBERS: usize = 1 << 32;

impl Encoder {
    /// Learns the encoding of `schema`'s columns from `table`, which holds the training rows and no others.
    ///
    /// `labels` are the classes of the target, from [`Encoder::labels_of`] of all rows. Rows have the weights of the schema's column, as
    /// ratios: in means, deviations and quantiles a row of weight 2 is two rows, and a row of weight 0 is none. Numbers of rows, such as
    /// [`EncoderOptions::min_category_rows`], count rows.
    ///
    /// # Errors
    ///
    /// Values that do not fit their column's kind, with their place.
    pub fn fit(
        table: &Table,
        schema: &Schema,
        labels: Option<Vec<String>>,
        options: &EncoderOptions,
    ) -> Result<Self, DataError> {
        let rows = schema.weights.as_ref().map(|column| table.weighted_rows(column)).transpose()?.flatten();
        let table = &rows.map_or_else(|| table.clone(), |rows| table.take(&rows));
        let weights = Weights::of(table, schema)?;
        let weights = weights.as_ref();
        let features = (schema.features.iter())
            .map(|spec| Feature::fit(table, weights, spec, schema.notation(&spec.name), options))
            .collect::<Result<_, _>>()?;
        let target = Target::fit(table, weights, schema, labels, options)?;
        let mut encoder = Self { features, target, squashed: Vec::new() };
        if options.scale_categories {
            let (inputs, _) = encoder.inputs(table)?;
            for (column, _) in encoder.kinds().into_iter().enumerate().filter(|(_, k)| *k == InputKind::Code) {
                let values = inputs.values.iter().skip(column).step_by(inputs.columns).map(|x| f64::from(*x)).collect();
                let sorted = Sorted::new(values, weights);
                if let Some((Scale::Squash { offset, factor }, _)) = Scale::fit(&sorted, Scaling::Robust, Tails::Clip) {
                    encoder.squashed.push(Squashed { column, offset, factor });
                }
            }
        }
        Ok(encoder)
    }

    /// The classes of the target in `table`, in order; none for a regression.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub fn labels_of(table: &Table, schema: &Schema) -> Result<Option<Vec<String>>, DataError> {
        match (schema.task, schema.targets.first()) {
            (Task::Regression, _) | (_, None) => Ok(None),
            (_, Some(target)) => classes(table, target, schema.notation(target).by_value).map(Some),
        }
    }

    /// Columns of the encoded inputs.
    pub fn width(&self) -> usize {
        self.features.iter().map(Feature::width).sum()
    }

    /// The meaning of each column of the encoded inputs.
    pub fn kinds(&self) -> Vec<InputKind> {
        self.features.iter().flat_map(Feature::kinds).collect()
    }

    /// Names of the encoded inputs, such as `age`, `age (missing)`, `color=red`.
    pub fn input_names(&self) -> Vec<String> {
        self.features.iter().flat_map(Feature::input_names).collect()
    }

    /// Feature columns: name, kind, and how many inputs each becomes.
    pub fn features(&self) -> impl Iterator<Item = (&str, ColumnKind, usize)> {
        self.features.iter().map(|f| (f.name.as_str(), f.kind, f.width()))
    }

    /// The smallest and the largest training value of a feature of numbers or dates, which are days since 1970-01-01; none for other
    /// features, and in files of earlier versions.
    pub fn range(&self, feature: &str) -> Option<[f64; 2]> {
        self.features.iter().find(|f| f.name == feature)?.range()
    }

    /// Words for what becomes of a feature's values that lie far out, such as `clipped at 6 deviations`; none if nothing does.
    pub fn tails(&self, feature: &str) -> Option<String> {
        self.features.iter().find(|f| f.name == feature)?.tails()
    }

    /// The classes, in order of their numbers; none for a regression.
    pub fn labels(&self) -> Option<&[String]> {
        self.target.labels()
    }

    /// Names of the target columns.
    pub fn targets(&self) -> Vec<&str> {
        self.target.names()
    }

    /// Columns of the encoded targets, which is the network's number of outputs: one per numeric target, one for two
    /// classes, one per class for more.
    pub fn outputs(&self) -> usize {
        self.target.width()
    }

    /// The inputs of `table`'s rows: `[rows, width]`. Columns are found by name, others are ignored.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingColumns`] with all that are missing; values that do not fit their column's kind.
    pub fn inputs(&self, table: &Table) -> Result<(Matrix, EncodeReport), DataError> {
        self.check_columns(table.name(), &table.columns())?;
        let (rows, width) = (table.rows(), self.width());
        if rows.checked_mul(width).is_none_or(|n| n > MAX_NUMBERS) {
            return Err(DataError::TooWide { rows, width, limit: MAX_NUMBERS });
        }
        let mut values = vec![0.0; rows * width];
        let mut report = EncodeReport::default();
        let mut first = 0;
        for feature in &self.features {
            feature.encode(table, &mut values, (first, width), &mut report)?;
            first += feature.width();
        }
        for row in values.chunks_exact_mut(width.max(1)) {
            for Squashed { column, offset, factor } in &self.squashed {
                let scale = Scale::Squash { offset: *offset, factor: *factor };
                row[*column] = scale.apply(f64::from(row[*column])) as f32;
            }
        }
        Ok((Matrix { rows, columns: width, values }, report))
    }

    /// Checks that the columns of a table include every feature.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingColumns`] with all that are missing.
    pub fn check_columns(&self, table: &str, columns: &[String]) -> Result<(), DataError> {
        let missing: Vec<String> =
            self.features.iter().filter(|f| !columns.contains(&f.name)).map(|f| f.name.clone()).collect();
        match missing.first() {
            None => Ok(()),
            Some(first) => {
                let others: Vec<String> =
                    columns.iter().filter(|c| self.features.iter().all(|f| f.name != **c)).cloned().collect();
                let nearest = nearest(first, &others);
                Err(DataError::MissingColumns { name: table.to_owned(), nearest, columns: missing })
            }
        }
    }

    /// The targets of `table`'s rows: `[rows, outputs]`. Numbers are standardized, two classes are 0 and 1, several one-hot.
    ///
    /// # Errors
    ///
    /// Missing targets, [`DataError::UnknownClass`], values that are not numbers.
    pub fn outputs_of(&self, table: &Table) -> Result<Matrix, DataError> {
        self.target.encode(table)
    }

    /// The class number of each row's target, an index into [`Encoder::labels`]; empty for a regression.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingValue`] and [`DataError::UnknownClass`].
    pub fn class_numbers(&self, table: &Table) -> Result<Vec<u32>, DataError> {
        match &self.target {
            Target::Numbers { .. } => Ok(Vec::new()),
            Target::Classes { name, labels, by_value } => table.class_numbers(name, labels, *by_value),
        }
    }

    /// The numeric targets of `table`'s rows in their own units, as 64-bit floats: `[rows, targets]`; no columns for classes.
    ///
    /// # Errors
    ///
    /// Missing targets and values that are not numbers.
    pub fn numbers_of(&self, table: &Table) -> Result<Matrix<f64>, DataError> {
        self.target.numbers(table)
    }

    /// Turns outputs into the targets' own units: undoes the standardization of [`Encoder::outputs_of`], in 64-bit floats. A target of
    /// 1.7·10⁹ that varies by 100 has no digit after the point in 32 bits, nor some of those before it.
    pub fn decode(&self, outputs: &Matrix) -> Matrix<f64> {
        self.target.decode(outputs)
    }

    /// Keeps decoded outputs in the range of the training rows, if [`EncoderOptions::clamp_target`] says so.
    pub fn clamp(&self, outputs: &mut Matrix<f64>) {
        self.target.clamp(outputs);
    }

    /// From now on, numeric targets are scaled and not shifted, so that 0 of a target is 0 of its output.
    #[doc(hidden)]
    pub fn keep_zero(&mut self) {
        self.target.keep_zero();
    }

    /// The smallest difference of each numeric target that predictions express, for the number of digits to write: 2⁻²³ of the standard
    /// deviation; 0 for targets that are not shifted, whose predictions have the digits of a 32-bit float. Empty for classes.
    #[doc(hidden)]
    pub fn target_steps(&self) -> Vec<f64> {
        self.target.steps()
    }

    /// The positive class of two: the second. Precision, recall and the like are of it.
    pub fn positive(&self) -> Option<&str> {
        positive(self.labels()?)
    }

    /// The number by which each numeric target is divided: its standard deviation in the training rows if targets are standardized,
    /// else 1. Empty for classes.
    pub fn target_scales(&self) -> Vec<f64> {
        self.target.scales().to_vec()
    }

    /// Whether widths, categories and scales fit together, as they do after [`Encoder::fit`]: for encoders read from files.
    pub fn is_sound(&self) -> bool {
        let (width, squashed) = (self.width(), &self.squashed);
        self.target.is_sound()
            && !self.features.is_empty()
            && self.features.iter().all(Feature::is_sound)
            && squashed.iter().all(|s| s.column < width && s.offset.is_finite() && s.factor.is_finite())
    }
}
