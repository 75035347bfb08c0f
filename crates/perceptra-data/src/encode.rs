//! Tables to numbers: what is learned from the training rows and then applied to any rows.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::schema::{ColumnKind, Schema, Task, classes};
use crate::table::{Table, nearest};

/// How numeric columns are brought to one scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// (x − mean) / standard deviation, no further than 6 from 0: a network extrapolates wildly from a far outlier.
    #[default]
    Standard,
    /// (x − min) / (max − min), the training rows in [0, 1].
    MinMax,
    /// (x − median) / interquartile range, then squashed smoothly to (−3, 3) by x/√(1 + (x/3)²)
    /// (Holzmüller, Grinsztajn, Steinwart, 2024).
    Robust,
    /// The normal quantile of x's rank among the training rows, by a 30th as many quantiles as there are rows, in 10..=1000
    /// (Gorishniy et al., 2024). Equal values have the middle of their ranks, also the least and the largest of all, which
    /// values further out share: of a thousand different values they are at ∓3.3, and at ∓1.6 if each is in every tenth row.
    Quantile,
    /// As it is.
    None,
}

/// How features are encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderOptions {
    /// Scale of numeric columns.
    pub scaling: Scaling,
    /// Categories with fewer training rows than this share one column, which also takes unseen ones. Missing values have a column of
    /// their own ("missing") only if so many training rows lack the value: of one or two rows a network learns by heart what they are.
    pub min_category_rows: usize,
    /// The most categories of a column with columns of their own; the others share one.
    pub max_categories: usize,
    /// Whether the other columns (0/1 and −1/1) are scaled and squashed as `robust` scales numbers.
    pub scale_categories: bool,
    /// Columns with more categories than this, one for unseen ones among them, become one column with the number of the category, for
    /// a network with an embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embed_above: Option<usize>,
    /// Whether numeric targets are standardised inside the model.
    pub standardise_target: bool,
    /// Whether predicted numbers are kept in the range of the training rows' targets.
    pub clamp_target: bool,
}

impl EncoderOptions {
    /// Whether a column says that a value is missing, which `rows` training rows lack.
    fn tells_missing(&self, rows: usize) -> bool {
        rows > 0 && rows >= self.min_category_rows
    }
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            scaling: Scaling::Standard,
            min_category_rows: 3,
            max_categories: 100,
            scale_categories: false,
            embed_above: None,
            standardise_target: true,
            clamp_target: false,
        }
    }
}

/// Numbers, row by row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// `rows × columns` values, row by row.
    pub values: Vec<f32>,
}

/// What encoding a table met with: values that were filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeReport {
    /// Missing values by column, where there are any.
    pub missing: Vec<(String, usize)>,
    /// Categories that did not occur in training, by column, where there are any.
    pub unseen: Vec<(String, usize)>,
}

/// A fitted encoder: feature columns to inputs, target columns to outputs and back.
///
/// | column | becomes |
/// |---|---|
/// | numeric, date | one scaled number, missing ones the mean (the median for robust and quantile scaling), and a 0/1 column "was missing" if any training row lacked a value |
/// | boolean | −1 or 1, missing 0 |
/// | categorical | a 0/1 column per frequent category, one for rare and unseen ones if there are rare ones, one for "missing" if that occurred |
/// | categorical, many | one column with the number of the category, see [`EncoderOptions::embed_above`] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    features: Vec<Feature>,
    target: Target,
    /// Columns that are scaled and squashed after all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    squashed: Vec<Squashed>,
}

/// x ↦ z/√(1 + (z/3)²) with z = (x − offset)·factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Squashed {
    column: usize,
    offset: f64,
    factor: f64,
}

/// What a column of the encoded inputs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A number.
    Number,
    /// Of a code: 0 or 1, −1 or 1.
    Code,
    /// The number of one of so many categories, from 0.
    Category(usize),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Feature {
    name: String,
    kind: ColumnKind,
    code: Code,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Code {
    Number {
        scale: Scale,
        /// In place of missing values, scaled.
        fill: f64,
        /// Whether a column says that the value was missing.
        indicator: bool,
    },
    Sign,
    OneHot {
        categories: Vec<String>,
        /// Whether a column takes rare and unseen categories.
        other: bool,
        /// Whether a column takes missing values.
        missing: bool,
    },
    /// One number: of the category, then one for rare and unseen ones, then one for missing values if they occurred.
    Index {
        categories: Vec<String>,
        missing: bool,
    },
}

/// x ↦ a number of moderate size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Scale {
    Linear {
        offset: f64,
        factor: f64,
    },
    Clipped {
        offset: f64,
        factor: f64,
    },
    Squash {
        offset: f64,
        factor: f64,
    },
    /// `ends`: the ranks of the least and the largest value, in [0, 1].
    Quantile {
        knots: Vec<f64>,
        #[serde(default = "open_ends")]
        ends: [f64; 2],
    },
}

/// Of files from before there were others.
fn open_ends() -> [f64; 2] {
    [0.0, 1.0]
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Target {
    Numbers {
        names: Vec<String>,
        means: Vec<f64>,
        scales: Vec<f64>,
        /// The least and the largest of each, if predictions stay between them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ranges: Vec<[f64; 2]>,
    },
    Classes {
        name: String,
        labels: Vec<String>,
    },
}

/// The most numbers an encoded table may have: 16 GiB of them.
const MAX_NUMBERS: usize = 1 << 32;
/// Standardised numbers end here.
const CLIP: f64 = 6.0;
/// No scaled number is larger than the largest 32-bit float.
const LARGEST: f64 = f32::MAX as f64;
/// Quantile knots of a column at most.
const MAX_KNOTS: usize = 1000;

impl Encoder {
    /// Learns the encoding of `schema`'s columns from `table`, which holds the training rows and no others.
    ///
    /// `labels` are the classes of the target, from [`Encoder::labels_of`] of all rows.
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
        let features = schema
            .features
            .iter()
            .map(|spec| {
                let code = match spec.kind {
                    ColumnKind::Categorical => one_hot(table, &spec.name, options)?,
                    ColumnKind::Boolean => Code::Sign,
                    ColumnKind::Numeric | ColumnKind::Date => {
                        let values = table.column(&spec.name)?.numbers(spec.kind)?;
                        let present: Vec<f64> = values.iter().flatten().copied().collect();
                        let indicator = options.tells_missing(values.len() - present.len());
                        // A column whose values are all outside the training rows says nothing.
                        let (scale, fill) = fit_scale(present, options.scaling)
                            .unwrap_or((Scale::Linear { offset: 0.0, factor: 0.0 }, 0.0));
                        Code::Number { scale, fill, indicator }
                    }
                };
                Ok(Feature { name: spec.name.clone(), kind: spec.kind, code })
            })
            .collect::<Result<_, DataError>>()?;
        let target = match (labels, schema.targets.first()) {
            (Some(labels), Some(name)) => Target::Classes { name: name.clone(), labels },
            _ => {
                let mut means = Vec::new();
                let (mut scales, mut ranges) = (Vec::new(), Vec::new());
                for name in &schema.targets {
                    let values = target_numbers(table, name)?;
                    let (mean, deviation) = mean_and_deviation(&values);
                    let scaled = options.standardise_target && deviation > 0.0;
                    means.push(if options.standardise_target { mean } else { 0.0 });
                    scales.push(if scaled { deviation } else { 1.0 });
                    if options.clamp_target && !values.is_empty() {
                        let (least, most) =
                            (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied());
                        ranges.push([least, most.fold(f64::NEG_INFINITY, f64::max)]);
                    }
                }
                Target::Numbers { names: schema.targets.clone(), means, scales, ranges }
            }
        };
        let mut encoder = Self { features, target, squashed: Vec::new() };
        if options.scale_categories {
            let (inputs, _) = encoder.inputs(table)?;
            for (column, _) in encoder.kinds().into_iter().enumerate().filter(|(_, k)| *k == InputKind::Code) {
                let values = inputs.values.iter().skip(column).step_by(inputs.columns).map(|x| f64::from(*x)).collect();
                if let Some((Scale::Squash { offset, factor }, _)) = fit_scale(values, Scaling::Robust) {
                    encoder.squashed.push(Squashed { column, offset, factor });
                }
            }
        }
        Ok(encoder)
    }

    /// The classes of the target in `table`, in order, if the task is a classification.
    ///
    /// # Errors
    ///
    /// [`DataError::NoColumn`].
    pub fn labels_of(table: &Table, schema: &Schema) -> Result<Option<Vec<String>>, DataError> {
        match (schema.task, schema.targets.first()) {
            (Task::Regression, _) | (_, None) => Ok(None),
            (_, Some(target)) => classes(table, target).map(Some),
        }
    }

    /// Columns of the encoded inputs.
    pub fn width(&self) -> usize {
        self.features.iter().map(|f| f.code.width()).sum()
    }

    /// What each column of the encoded inputs is.
    pub fn kinds(&self) -> Vec<InputKind> {
        let of = |f: &Feature| match &f.code {
            Code::Number { indicator: true, .. } => vec![InputKind::Number, InputKind::Code],
            Code::Number { .. } => vec![InputKind::Number],
            Code::Sign => vec![InputKind::Code],
            Code::OneHot { .. } => vec![InputKind::Code; f.code.width()],
            Code::Index { categories, missing } => {
                vec![InputKind::Category(categories.len() + 1 + usize::from(*missing))]
            }
        };
        self.features.iter().flat_map(of).collect()
    }

    /// Names of the encoded inputs, such as `age`, `age (missing)`, `colour=red`.
    pub fn input_names(&self) -> Vec<String> {
        self.features
            .iter()
            .flat_map(|f| {
                let name = &f.name;
                match &f.code {
                    Code::Number { indicator: false, .. } | Code::Sign | Code::Index { .. } => vec![name.clone()],
                    Code::Number { .. } => vec![name.clone(), format!("{name} (missing)")],
                    Code::OneHot { categories, other, missing } => categories
                        .iter()
                        .map(|c| format!("{name}={c}"))
                        .chain(other.then(|| format!("{name} (other)")))
                        .chain(missing.then(|| format!("{name} (missing)")))
                        .collect(),
                }
            })
            .collect()
    }

    /// Feature columns: name, kind, and how many inputs each becomes.
    pub fn features(&self) -> impl Iterator<Item = (&str, ColumnKind, usize)> {
        self.features.iter().map(|f| (f.name.as_str(), f.kind, f.code.width()))
    }

    /// The classes in order of their numbers; none for regression.
    pub fn labels(&self) -> Option<&[String]> {
        match &self.target {
            Target::Classes { labels, .. } => Some(labels),
            Target::Numbers { .. } => None,
        }
    }

    /// Target columns.
    pub fn targets(&self) -> Vec<&str> {
        match &self.target {
            Target::Classes { name, .. } => vec![name],
            Target::Numbers { names, .. } => names.iter().map(String::as_str).collect(),
        }
    }

    /// Columns of the encoded targets, which is the network's number of outputs: one per numeric target, one for two
    /// classes, one per class for more.
    pub fn outputs(&self) -> usize {
        match &self.target {
            Target::Numbers { names, .. } => names.len(),
            Target::Classes { labels, .. } if labels.len() == 2 => 1,
            Target::Classes { labels, .. } => labels.len(),
        }
    }

    /// The inputs of `table`'s rows: `[rows, width]`. Columns are found by name, others are not looked at.
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
            feature.encode(table, &mut values, first, width, &mut report)?;
            first += feature.code.width();
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

    /// The targets of `table`'s rows: `[rows, outputs]`. Numbers standardised, two classes 0 and 1, several one-hot.
    ///
    /// # Errors
    ///
    /// Missing targets, [`DataError::UnknownClass`], values that are not numbers.
    pub fn outputs_of(&self, table: &Table) -> Result<Matrix, DataError> {
        let (rows, columns) = (table.rows(), self.outputs());
        let mut values = vec![0.0; rows * columns];
        match &self.target {
            Target::Numbers { names, means, scales, .. } => {
                for (j, name) in names.iter().enumerate() {
                    for (i, y) in target_numbers(table, name)?.into_iter().enumerate() {
                        let scaled = ((y - means[j]) / scales[j]) as f32;
                        if !scaled.is_finite() {
                            return Err(DataError::FarTarget {
                                name: table.name().to_owned(),
                                line: table.place(i),
                                column: name.clone(),
                                value: y,
                            });
                        }
                        values[i * columns + j] = scaled;
                    }
                }
            }
            Target::Classes { .. } => {
                for (i, class) in self.class_numbers(table)?.into_iter().enumerate() {
                    if columns == 1 {
                        values[i] = class as f32;
                    } else {
                        values[i * columns + class as usize] = 1.0;
                    }
                }
            }
        }
        Ok(Matrix { rows, columns, values })
    }

    /// The class number of each row's target; none for regression.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingValue`] and [`DataError::UnknownClass`].
    pub fn class_numbers(&self, table: &Table) -> Result<Vec<u32>, DataError> {
        match &self.target {
            Target::Numbers { .. } => Ok(Vec::new()),
            Target::Classes { name, labels } => class_numbers(table, name, labels),
        }
    }

    /// Outputs in the targets' own units: undoes the standardising of [`Encoder::outputs_of`].
    pub fn decode(&self, outputs: &mut Matrix) {
        if let Target::Numbers { means, scales, .. } = &self.target {
            for row in outputs.values.chunks_exact_mut(outputs.columns) {
                for ((y, mean), scale) in row.iter_mut().zip(means).zip(scales) {
                    *y = (f64::from(*y) * scale + mean) as f32;
                }
            }
        }
    }

    /// Keeps decoded outputs in the range of the training rows, if the encoder does so.
    pub fn clamp(&self, outputs: &mut Matrix) {
        if let Target::Numbers { ranges, .. } = &self.target {
            for row in outputs.values.chunks_exact_mut(outputs.columns) {
                for (y, [least, most]) in row.iter_mut().zip(ranges) {
                    *y = y.clamp(*least as f32, *most as f32);
                }
            }
        }
    }

    /// Standard deviation of each numeric target in the training rows, the unit of the standardised one.
    pub fn target_scales(&self) -> Vec<f64> {
        match &self.target {
            Target::Numbers { scales, .. } => scales.clone(),
            Target::Classes { .. } => Vec::new(),
        }
    }

    /// Whether widths, categories and scales fit together, as they do after [`Encoder::fit`]: for encoders read from files.
    pub fn is_sound(&self) -> bool {
        let target = match &self.target {
            Target::Numbers { names, means, scales, ranges } => {
                !names.is_empty()
                    && (ranges.is_empty() || ranges.len() == names.len())
                    && ranges.iter().all(|[least, most]| least <= most && least.is_finite() && most.is_finite())
                    && names.len() == means.len()
                    && names.len() == scales.len()
                    && means.iter().chain(scales).all(|x| x.is_finite())
            }
            Target::Classes { labels, .. } => labels.len() >= 2,
        };
        let features = self.features.iter().all(|f| match &f.code {
            Code::Number { scale, fill, .. } => {
                fill.is_finite()
                    && match scale {
                        Scale::Linear { offset, factor }
                        | Scale::Clipped { offset, factor }
                        | Scale::Squash { offset, factor } => offset.is_finite() && factor.is_finite(),
                        Scale::Quantile { knots, ends: [least, largest] } => {
                            !knots.is_empty()
                                && knots.iter().all(|x| x.is_finite())
                                && knots.is_sorted()
                                && 0.0 <= *least
                                && least <= largest
                                && *largest <= 1.0
                        }
                    }
            }
            _ => true,
        });
        let (width, squashed) = (self.width(), &self.squashed);
        let squashed = squashed.iter().all(|s| s.column < width && s.offset.is_finite() && s.factor.is_finite());
        target && features && squashed && !self.features.is_empty()
    }
}

/// The class number of each row of `target`, an index into `labels`.
///
/// # Errors
///
/// [`DataError::MissingValue`] and [`DataError::UnknownClass`].
pub fn class_numbers(table: &Table, target: &str, labels: &[String]) -> Result<Vec<u32>, DataError> {
    let numbers: HashMap<&str, u32> = labels.iter().zip(0..).map(|(l, i)| (l.as_str(), i)).collect();
    let column = table.column(target)?;
    column.check_present("target")?;
    (column.texts().enumerate())
        .map(|(row, label)| {
            let label = label.unwrap_or_default();
            numbers.get(label.as_ref()).copied().ok_or_else(|| DataError::UnknownClass {
                name: table.name().to_owned(),
                line: table.place(row),
                column: target.to_owned(),
                value: label.into_owned(),
            })
        })
        .collect()
}

/// The row weights in column `weights`.
///
/// # Errors
///
/// Missing, negative or non-numeric weights, with their place.
pub fn row_weights(table: &Table, weights: &str) -> Result<Vec<f32>, DataError> {
    let column = table.column(weights)?;
    column.check_present("weight")?;
    let numbers = column.numbers(ColumnKind::Numeric)?;
    if let Some((row, value)) = numbers.iter().enumerate().find_map(|(r, w)| w.filter(|w| *w < 0.0).map(|w| (r, w))) {
        return Err(DataError::NegativeWeight {
            name: table.name().to_owned(),
            line: table.place(row),
            column: weights.to_owned(),
            value,
        });
    }
    Ok(numbers.into_iter().flatten().map(|w| w as f32).collect())
}

/// The numbers in the target column `name`.
///
/// # Errors
///
/// Missing values and values that are not numbers, with their place.
pub fn target_numbers(table: &Table, name: &str) -> Result<Vec<f64>, DataError> {
    let column = table.column(name)?;
    column.check_present("target")?;
    Ok(column.numbers(ColumnKind::Numeric)?.into_iter().flatten().collect())
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    // Scaled by the largest magnitude, squares of values up to 1e38 do not overflow, nor do those of 1e-38 vanish.
    let unit = values.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    if unit == 0.0 {
        return (0.0, 0.0);
    }
    let mean = values.iter().map(|x| x / unit).sum::<f64>() / n;
    let variance = values.iter().map(|x| (x / unit - mean).powi(2)).sum::<f64>() / n;
    let deviation = variance.sqrt();
    // Below rounding error the values are one value.
    (mean * unit, if deviation < 1e-12 { 0.0 } else { deviation * unit })
}

fn fit_scale(mut values: Vec<f64>, scaling: Scaling) -> Option<(Scale, f64)> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (min, max) = (values[0], values[values.len() - 1]);
    let quantile = |q: f64| {
        let position = q * (values.len() - 1) as f64;
        let (low, part) = (position as usize, position.fract());
        let high = values[(low + 1).min(values.len() - 1)];
        values[low] + part * (high - values[low])
    };
    let inverse = |spread: f64| if spread > 0.0 { 1.0 / spread } else { 0.0 };
    let median = quantile(0.5);
    Some(match scaling {
        Scaling::Standard => {
            let (mean, deviation) = mean_and_deviation(&values);
            (Scale::Clipped { offset: mean, factor: inverse(deviation) }, 0.0)
        }
        Scaling::MinMax => {
            let scale = Scale::Linear { offset: min, factor: inverse(max - min) };
            let (mean, _) = mean_and_deviation(&values);
            let fill = scale.apply(mean);
            (scale, fill)
        }
        Scaling::Robust => {
            let range = quantile(0.75) - quantile(0.25);
            let factor = if range > 0.0 { 1.0 / range } else { 2.0 * inverse(max - min) };
            (Scale::Squash { offset: median, factor }, 0.0)
        }
        Scaling::Quantile => {
            let n = (values.len() / 30).clamp(10, MAX_KNOTS).min(values.len());
            let knots = (0..n).map(|i| quantile(i as f64 / (n.max(2) - 1) as f64)).collect();
            let middle = |equal: usize| equal as f64 / (2 * values.len()) as f64;
            let ends = [
                middle(values.partition_point(|x| *x <= min)),
                1.0 - middle(values.len() - values.partition_point(|x| *x < max)),
            ];
            let scale = Scale::Quantile { knots, ends };
            let fill = scale.apply(median);
            (scale, fill)
        }
        Scaling::None => {
            let (mean, _) = mean_and_deviation(&values);
            (Scale::Linear { offset: 0.0, factor: 1.0 }, mean)
        }
    })
}

impl Scale {
    fn apply(&self, x: f64) -> f64 {
        match self {
            Self::Linear { offset, factor } => (x - offset) * factor,
            Self::Clipped { offset, factor } => ((x - offset) * factor).clamp(-CLIP, CLIP),
            Self::Squash { offset, factor } => {
                let z = (x - offset) * factor;
                z / (1.0 + (z / 3.0).powi(2)).sqrt()
            }
            Self::Quantile { knots, ends: [least, largest] } => {
                // The mean of the ranks from below and above, so that ties stand in the middle of their range.
                let last = knots.len() - 1;
                let rank = |below: usize| {
                    if below == 0 {
                        0.0
                    } else if below > last {
                        last as f64
                    } else {
                        let (a, b) = (knots[below - 1], knots[below]);
                        (below - 1) as f64 + if b > a { (x - a) / (b - a) } else { 0.0 }
                    }
                };
                let (lower, upper) = (knots.partition_point(|k| *k < x), knots.partition_point(|k| *k <= x));
                let q = if upper > lower { (lower + upper - 1) as f64 / 2.0 } else { rank(lower) } / last.max(1) as f64;
                normal_quantile(q.clamp(*least, *largest).clamp(1e-7, 1.0 - 1e-7))
            }
        }
    }
}

/// Φ⁻¹(p), by Acklam's rational approximation (2003), relative error below 1.2e-9.
fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    let poly = |c: &[f64], x: f64| c.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        poly(&C, q) / poly(&D, q)
    };
    if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * poly(&A, q * q) / poly(&B, q * q)
    }
}

fn one_hot(table: &Table, name: &str, options: &EncoderOptions) -> Result<Code, DataError> {
    let mut counts: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut missing = 0;
    for text in table.column(name)?.texts() {
        match text {
            None => missing += 1,
            Some(text) => *counts.entry(text).or_insert(0) += 1,
        }
    }
    let all = counts.len();
    let mut frequent: Vec<(Cow<'_, str>, usize)> =
        counts.into_iter().filter(|(_, n)| *n >= options.min_category_rows).collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    frequent.truncate(options.max_categories);
    let mut categories: Vec<String> = frequent.into_iter().map(|(c, _)| c.into_owned()).collect();
    categories.sort();
    let slots = categories.len() + 1;
    let missing = options.tells_missing(missing);
    if options.embed_above.is_some_and(|most| slots > most) {
        return Ok(Code::Index { categories, missing });
    }
    Ok(Code::OneHot { other: categories.len() < all, categories, missing })
}

impl Code {
    fn width(&self) -> usize {
        match self {
            Self::Number { indicator, .. } => 1 + usize::from(*indicator),
            Self::Sign | Self::Index { .. } => 1,
            Self::OneHot { categories, other, missing } => {
                categories.len() + usize::from(*other) + usize::from(*missing)
            }
        }
    }
}

/// What a value of a categorical column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Category(usize),
    /// A rare one, or one that did not occur in training.
    Unseen,
    Missing,
}

impl Feature {
    /// The categories of a table's rows, by their places among the known ones.
    fn categories(&self, table: &Table, known: &[String]) -> Result<Vec<Found>, DataError> {
        let index: HashMap<&str, usize> = known.iter().zip(0..).map(|(c, i)| (c.as_str(), i)).collect();
        let found = |text: Option<Cow<'_, str>>| match text {
            None => Found::Missing,
            Some(text) => index.get(text.as_ref()).map_or(Found::Unseen, |place| Found::Category(*place)),
        };
        Ok(table.column(&self.name)?.texts().map(found).collect())
    }

    /// Writes the feature's columns, from `first` on, of rows `width` wide.
    fn encode(
        &self,
        table: &Table,
        out: &mut [f32],
        first: usize,
        width: usize,
        report: &mut EncodeReport,
    ) -> Result<(), DataError> {
        let (mut missing_count, mut unseen_count) = (0, 0);
        match &self.code {
            Code::Number { scale, fill, indicator } => {
                let values = table.column(&self.name)?.numbers(self.kind)?;
                for (row, value) in out.chunks_exact_mut(width).zip(values) {
                    row[first] = match value {
                        Some(x) => scale.apply(x).clamp(-LARGEST, LARGEST) as f32,
                        None => {
                            missing_count += 1;
                            if *indicator {
                                row[first + 1] = 1.0;
                            }
                            *fill as f32
                        }
                    };
                }
            }
            Code::Sign => {
                let values = table.column(&self.name)?.numbers(self.kind)?;
                for (row, value) in out.chunks_exact_mut(width).zip(values) {
                    missing_count += usize::from(value.is_none());
                    row[first] = value.map_or(0.0, |x| if x == 0.0 { -1.0 } else { 1.0 });
                }
            }
            Code::OneHot { categories, other, missing } => {
                let found = self.categories(table, categories)?;
                for (row, found) in out.chunks_exact_mut(width).zip(found) {
                    let place = match found {
                        Found::Category(place) => Some(place),
                        Found::Unseen => other.then_some(categories.len()),
                        Found::Missing => missing.then(|| categories.len() + usize::from(*other)),
                    };
                    if let Some(place) = place {
                        row[first + place] = 1.0;
                    }
                    unseen_count += usize::from(found == Found::Unseen);
                    missing_count += usize::from(found == Found::Missing);
                }
            }
            Code::Index { categories, missing } => {
                let found = self.categories(table, categories)?;
                for (row, found) in out.chunks_exact_mut(width).zip(found) {
                    let place = match found {
                        Found::Category(place) => place,
                        Found::Unseen => categories.len(),
                        Found::Missing => categories.len() + usize::from(*missing),
                    };
                    row[first] = place as f32;
                    unseen_count += usize::from(found == Found::Unseen);
                    missing_count += usize::from(found == Found::Missing);
                }
            }
        }
        if missing_count > 0 {
            report.missing.push((self.name.clone(), missing_count));
        }
        if unseen_count > 0 {
            report.unseen.push((self.name.clone(), unseen_count));
        }
        Ok(())
    }
}

impl EncodeReport {
    /// Adds the counts of another table.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.missing, &other.missing), (&mut self.unseen, &other.unseen)] {
            for (name, n) in theirs {
                match mine.iter_mut().find(|(m, _)| m == name) {
                    Some((_, count)) => *count += n,
                    None => mine.push((name.clone(), *n)),
                }
            }
        }
    }
}
