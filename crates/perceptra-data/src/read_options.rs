//! Options of reading tables.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::missing::MissingTexts;

/// How a table is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// Field separator of CSV files; by default the one that a first line `sep=;` names, else the most frequent of `,` `;` tab `|` in
    /// the header, else whitespace if it divides the header and the first rows into equally many fields.
    pub delimiter: Option<Delimiter>,
    /// Lines of a CSV file that begin with this ASCII character are skipped.
    pub comment: Option<char>,
    /// Whether the first line of a CSV file, or row of a workbook's sheet, has the names of the columns. The columns of a file without
    /// a header are named by their numbers, from 1.
    pub header: bool,
    /// How many lines of a CSV file, or rows of a workbook's sheet, stand before the header.
    pub skip_rows: usize,
    /// The sheet of a workbook to read; by default the first one.
    pub sheet: Option<String>,
    /// Fields that mean that a value is missing, besides the empty field. Spaces around a field do not count.
    pub missing: Vec<String>,
    /// Fields that are values although they are among [`ReadOptions::missing`], such as a class called `None`.
    pub keep_text: Vec<String>,
}

/// Fields that mean, by default, that a value is missing.
const MISSING: [&str; 12] = ["NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "null", "NULL", "None", "?"];

impl ReadOptions {
    /// The texts of [`ReadOptions::missing`] without those of [`ReadOptions::keep_text`].
    #[doc(hidden)]
    pub fn missing_without_kept(&self) -> Vec<String> {
        self.missing.iter().filter(|text| !self.keep_text.contains(text)).cloned().collect()
    }

    /// The texts that mean "no value", for the reader.
    pub(crate) fn missing_texts(&self) -> Arc<MissingTexts> {
        Arc::new(MissingTexts::new(&self.missing_without_kept()))
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            delimiter: None,
            comment: None,
            header: true,
            skip_rows: 0,
            sheet: None,
            missing: MISSING.map(String::from).to_vec(),
            keep_text: Vec::new(),
        }
    }
}

/// The separator of fields in a CSV file. As text it is the character, `tab`, or `whitespace`.
///
/// ```
/// use perceptra_data::Delimiter;
///
/// assert_eq!("tab".parse(), Ok(Delimiter::Character('\t')));
/// assert_eq!("whitespace".parse(), Ok(Delimiter::Whitespace));
/// assert_eq!(Delimiter::from(';').to_string(), ";");
/// assert!("::".parse::<Delimiter>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delimiter {
    /// This ASCII character.
    Character(char),
    /// Any number of blanks and tabs; those at the beginning and at the end of a line separate nothing.
    Whitespace,
}

impl From<char> for Delimiter {
    fn from(character: char) -> Self {
        Self::Character(character)
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut characters = text.chars();
        match (text, characters.next(), characters.next()) {
            ("whitespace", ..) => Ok(Self::Whitespace),
            ("\\t" | "tab", ..) => Ok(Self::Character('\t')),
            (_, Some(c), None) if c.is_ascii() && !['"', '\n', '\r'].contains(&c) => Ok(Self::Character(c)),
            _ => Err("expected one ASCII character, `tab` or `whitespace`".into()),
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(character) => write!(f, "{character}"),
            Self::Whitespace => f.write_str("whitespace"),
        }
    }
}

impl Serialize for Delimiter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Delimiter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
