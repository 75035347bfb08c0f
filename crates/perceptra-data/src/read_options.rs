//! Options of reading tables.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::missing::MissingTexts;

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// Field separator of CSV files, one ASCII character; by default the most frequent of `,` `;` tab `|` in the header.
    pub delimiter: Option<char>,
    /// Lines that begin with this ASCII character are skipped.
    pub comment: Option<char>,
    /// Fields that mean that a value is missing, besides the empty field. Spaces around a field do not count.
    pub missing: Vec<String>,
    /// Fields that are values although they are among [`ReadOptions::missing`], such as a class called `None`.
    pub keep_text: Vec<String>,
}

/// Fields that mean, by default, that a value is missing.
const MISSING: [&str; 12] = ["NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "null", "NULL", "None", "?"];

impl ReadOptions {
    /// The texts that mean "no value", for the reader.
    pub(crate) fn missing_texts(&self) -> Arc<MissingTexts> {
        Arc::new(MissingTexts::new(self.missing.iter().filter(|text| !self.keep_text.contains(text))))
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { delimiter: None, comment: None, missing: MISSING.map(String::from).to_vec(), keep_text: Vec::new() }
    }
}
