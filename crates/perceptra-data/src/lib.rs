//! Tables for neural networks: read, understand, split, encode.
//!
//! ```
//! use perceptra_data::{Encoder, EncoderOptions, InputKind, Schema, SchemaOptions, Split, Table};
//!
//! let csv = "size,color,price\n1,red,10\n2,blue,20\n3,red,30\n4,blue,40.5\n";
//! let table = Table::from_csv("prices.csv", csv, &Default::default())?;
//! let options = SchemaOptions { target: vec!["price".into()], ..Default::default() };
//! let schema = Schema::infer(&table, &options)?;
//! let split = Split::holdout(table.rows(), 0.25, 0.0, None, 0)?;
//! let train = table.take(&split.train);
//! let encoder = Encoder::fit(&train, &schema, None, &EncoderOptions::default())?;
//! let (inputs, _) = encoder.inputs(&train)?;
//! assert_eq!(inputs.rows, 3);
//! # Ok::<(), perceptra_data::DataError>(())
//! ```
//!
//! A file becomes a [`Table`] ([`Table::read`], or piece by piece a [`TableReader`]); a [`Schema`] says what its columns
//! mean; a [`Split`] says which rows train; an [`Encoder`], fitted on those rows alone, turns tables into [`Matrix`]es of
//! 32-bit floats. Nothing here knows a tensor library: the numbers cross to a device where a model is trained or used.

mod cell;
mod column;
mod column_view;
mod csv_pieces;
mod date;
mod encode_report;
mod encoder;
mod encoder_options;
mod error;
mod feature;
mod file_kind;
mod hint;
mod inspect;
mod json_lines;
mod kind;
mod matrix;
mod missing;
mod normal_quantile;
mod notation;
mod note;
mod parse;
mod read;
mod read_note;
mod read_options;
mod records;
mod roles;
mod scaling;
mod schema;
mod sheet;
mod source;
mod split;
mod stream;
mod summary;
mod synthetic;
mod table;
mod target;
mod task;
mod variants;
mod weights;

pub use crate::{
    date::{DateOrder, date_text},
    encode_report::EncodeReport,
    encoder::Encoder,
    encoder_options::EncoderOptions,
    error::{DataError, Offending, Place, Role},
    feature::InputKind,
    hint::Hint,
    inspect::TableColumn,
    kind::ColumnKind,
    matrix::Matrix,
    notation::Notation,
    note::Note,
    read::TableReader,
    read_note::{ReadNote, ReadNoteKind},
    read_options::{Delimiter, ReadOptions},
    scaling::{Scaling, Tails},
    schema::{ColumnSpec, Schema, SchemaOptions},
    split::{Split, SplitOptions},
    summary::{Numbers, Summary, Values},
    synthetic::{Pattern, Points},
    table::Table,
    task::Task,
};
#[doc(hidden)]
pub use crate::{
    encoder::positive,
    schema::class_rows,
    split::strata,
    stream::{Pieces, Sample, TableStream},
    table::nearest,
    weights::{Sorted, Weights},
};

#[cfg(test)]
mod reading_tests;
#[cfg(test)]
mod tests;
