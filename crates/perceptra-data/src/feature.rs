//! Features: one column of a table to one or more columns of inputs.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::encode_report::EncodeReport;
use crate::encoder_options::EncoderOptions;
use crate::error::DataError;
use crate::kind::ColumnKind;
use crate::notation::Notation;
use crate::scaling::{LARGEST, Scale};
use crate::schema::ColumnSpec;
use crate::table::Table;
use crate::weights::{Sorted, Weights};

/// The meaning of a column of the encoded inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A number.
    Number,
    /// One of two values: 0 or 1, or −1 or 1.
    Code,
    /// The index of one of so many categories, from 0.
    Category(usize),
}

/// How a column of a table is encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feature {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
    /// How the values of the column are written.
    #[serde(default, skip_serializing_if = "Notation::is_default")]
    notation: Notation,
    code: Code,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Code {
    Number {
        scale: Scale,
        /// The scaled value that stands for a missing one.
        fill: f64,
        /// Whether a further column says that the value was missing.
        indicator: bool,
        /// The smallest and the largest training value; not in files of earlier versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<[f64; 2]>,
    },
    Sign,
    OneHot {
        categories: Vec<String>,
        /// Whether a column stands for rare and unseen categories.
        other: bool,
        /// Whether a column stands for missing values.
        missing: bool,
        /// How many categories of the training rows have no column of their own.
        #[serde(default, skip_serializing_if = "is_zero")]
        grouped: usize,
    },
    /// The index of the category; next comes one for rare and unseen categories, then one for missing values, if any were missing.
    Index {
        categories: Vec<String>,
        missing: bool,
        /// How many categories of the training rows have no index of their own.
        #[serde(default, skip_serializing_if = "is_zero")]
        grouped: usize,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Values lie outside of the training range where they are farther from it than this share of its width.
const MARGIN: f64 = 0.5;

/// The content of a cell of a categorical column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// The index of a known category.
    Category(usize),
    /// A category that was rare in training, or did not occur.
    Unseen,
    Missing,
}

impl Feature {
    /// Learns the encoding of a column from the training rows, which may have weights.
    pub(crate) fn fit(
        table: &Table,
        weights: Option<&Weights>,
        spec: &ColumnSpec,
        notation: Notation,
        options: &EncoderOptions,
    ) -> Result<Self, DataError> {
        let code = match spec.kind {
            ColumnKind::Categorical => categories(table, &spec.name, notation.by_value, options)?,
            ColumnKind::Boolean => Code::Sign,
            ColumnKind::Numeric | ColumnKind::Date => {
                let values = table.column(&spec.name)?.numbers(spec.kind, &notation)?;
                let present: Vec<f64> = values.iter().flatten().copied().collect();
                let indicator = options.tells_missing(values.len() - present.len());
                let weights = weights.map(|weights| weights.only(values.iter().map(Option::is_some)));
                let sorted = Sorted::new(present, weights.as_ref());
                let range = sorted.values().first().zip(sorted.values().last()).map(|(min, max)| [*min, *max]);
                // A column without a value in the training rows says nothing.
                let (scale, fill) = Scale::fit(&sorted, options.scaling, options.tails)
                    .unwrap_or((Scale::Linear { offset: 0.0, factor: 0.0 }, 0.0));
                Code::Number { scale, fill, indicator, range }
            }
        };
        Ok(Self { name: spec.name.clone(), kind: spec.kind, notation, code })
    }

    /// How many columns of inputs the feature becomes.
    pub(crate) fn width(&self) -> usize {
        match &self.code {
            Code::Number { indicator, .. } => 1 + usize::from(*indicator),
            Code::Sign | Code::Index { .. } => 1,
            Code::OneHot { categories, other, missing, .. } => {
                categories.len() + usize::from(*other) + usize::from(*missing)
            }
        }
    }

    /// The meaning of each of these columns.
    pub(crate) fn kinds(&self) -> Vec<InputKind> {
        match &self.code {
            Code::Number { indicator: true, .. } => vec![InputKind::Number, InputKind::Code],
            Code::Number { indicator: false, .. } => vec![InputKind::Number],
            Code::Sign => vec![InputKind::Code],
            Code::OneHot { .. } => vec![InputKind::Code; self.width()],
            Code::Index { categories, missing, .. } => {
                vec![InputKind::Category(categories.len() + 1 + usize::from(*missing))]
            }
        }
    }

    /// The name of each of these columns.
    pub(crate) fn input_names(&self) -> Vec<String> {
        let name = &self.name;
        match &self.code {
            Code::Number { indicator: false, .. } | Code::Sign | Code::Index { .. } => vec![name.clone()],
            Code::Number { indicator: true, .. } => vec![name.clone(), format!("{name} (missing)")],
            Code::OneHot { categories, other, missing, .. } => (categories.iter().map(|c| format!("{name}={c}")))
                .chain(other.then(|| format!("{name} (other)")))
                .chain(missing.then(|| format!("{name} (missing)")))
                .collect(),
        }
    }

    /// Whether the scale is sound: for features read from files.
    pub(crate) fn is_sound(&self) -> bool {
        match &self.code {
            Code::Number { scale, fill, range, .. } => {
                fill.is_finite()
                    && scale.is_sound()
                    && range.is_none_or(|[min, max]| min <= max && min.is_finite() && max.is_finite())
            }
            Code::Sign | Code::OneHot { .. } | Code::Index { .. } => true,
        }
    }

    /// The smallest and the largest training value of a number.
    pub(crate) fn range(&self) -> Option<[f64; 2]> {
        match &self.code {
            Code::Number { range, .. } => *range,
            Code::Sign | Code::OneHot { .. } | Code::Index { .. } => None,
        }
    }

    /// Words for what becomes of values far out.
    pub(crate) fn tails(&self) -> Option<String> {
        match &self.code {
            Code::Number { scale, .. } => scale.tails(),
            Code::Sign | Code::OneHot { .. } | Code::Index { .. } => None,
        }
    }

    /// Writes the feature's columns, of which `first` is the first, into rows that are `width` wide.
    pub(crate) fn encode(
        &self,
        table: &Table,
        out: &mut [f32],
        (first, width): (usize, usize),
        report: &mut EncodeReport,
    ) -> Result<(), DataError> {
        let (mut missing_count, mut unseen_count, mut clipped_count, mut outside_count) = (0, 0, 0, 0);
        let mut shared = 0;
        let rows = out.chunks_exact_mut(width.max(1));
        match &self.code {
            Code::Number { scale, fill, indicator, range } => {
                let near = match range {
                    // Of a single training value, no other is far.
                    Some([min, max]) if max > min => {
                        let margin = MARGIN * (max - min);
                        min - margin..=max + margin
                    }
                    _ => f64::NEG_INFINITY..=f64::INFINITY,
                };
                for (row, value) in rows.zip(table.column(&self.name)?.numbers(self.kind, &self.notation)?) {
                    row[first] = match value {
                        Some(x) => {
                            clipped_count += usize::from(scale.clips(x));
                            outside_count += usize::from(!near.contains(&x));
                            scale.apply(x).clamp(-LARGEST, LARGEST) as f32
                        }
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
                for (row, value) in rows.zip(table.column(&self.name)?.numbers(self.kind, &self.notation)?) {
                    missing_count += usize::from(value.is_none());
                    row[first] = value.map_or(0.0, |x| if x == 0.0 { -1.0 } else { 1.0 });
                }
            }
            Code::OneHot { categories, other, missing, grouped } => {
                shared = *grouped;
                for (row, found) in rows.zip(self.find(table, categories)?) {
                    let place = match found {
                        Found::Category(index) => Some(index),
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
            Code::Index { categories, missing, grouped } => {
                shared = *grouped;
                for (row, found) in rows.zip(self.find(table, categories)?) {
                    let index = match found {
                        Found::Category(index) => index,
                        Found::Unseen => categories.len(),
                        Found::Missing => categories.len() + usize::from(*missing),
                    };
                    row[first] = index as f32;
                    unseen_count += usize::from(found == Found::Unseen);
                    missing_count += usize::from(found == Found::Missing);
                }
            }
        }
        let counts = [
            (&mut report.missing, missing_count),
            (&mut report.unseen, unseen_count),
            (&mut report.grouped, if unseen_count > 0 { shared } else { 0 }),
            (&mut report.clipped, clipped_count),
            (&mut report.outside, outside_count),
        ];
        for (all, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            all.push((self.name.clone(), count));
        }
        Ok(())
    }

    /// The content of each row; `known` are the categories that have an index.
    fn find(&self, table: &Table, known: &[String]) -> Result<Vec<Found>, DataError> {
        let index: HashMap<&str, usize> = known.iter().zip(0..).map(|(c, i)| (c.as_str(), i)).collect();
        let found = |text: Option<Cow<'_, str>>| match text {
            None => Found::Missing,
            Some(text) => index.get(text.as_ref()).map_or(Found::Unseen, |index| Found::Category(*index)),
        };
        Ok(table.column(&self.name)?.categories(self.notation.by_value).map(found).collect())
    }
}

/// The code of a categorical column.
fn categories(table: &Table, name: &str, by_value: bool, options: &EncoderOptions) -> Result<Code, DataError> {
    let mut counts: HashMap<Cow<'_, str>, usize> = HashMap::new();
    let mut missing = 0;
    for text in table.column(name)?.categories(by_value) {
        match text {
            None => missing += 1,
            Some(text) => *counts.entry(text).or_insert(0) += 1,
        }
    }
    let all = counts.len();
    let mut frequent: Vec<(Cow<'_, str>, usize)> =
        counts.into_iter().filter(|(_, n)| *n >= options.min_category_rows).collect();
    frequent.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    frequent.truncate(options.most_categories(table.rows()));
    let mut categories: Vec<String> = frequent.into_iter().map(|(c, _)| c.into_owned()).collect();
    categories.sort();
    let missing = options.tells_missing(missing);
    if options.embed_above.is_some_and(|most| categories.len() + 1 > most) {
        return Ok(Code::Index { grouped: all - categories.len(), categories, missing });
    }
    let grouped = all - categories.len();
    Ok(Code::OneHot { other: grouped > 0, categories, missing, grouped })
}
