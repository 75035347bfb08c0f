//! Texts that stand for a missing value.

use std::collections::HashSet;

/// Well-known marks for a missing value, in small letters. They are taken as missing in columns that are otherwise numbers or dates;
/// in a column of categories they are categories.
const MARKS: &[&str] = &[
    "-",
    "--",
    "---",
    "–",
    "—",
    "*",
    "**",
    "***",
    ".",
    "..",
    "...",
    "?",
    "??",
    "#",
    "na",
    "n/a",
    "n.a.",
    "n.a",
    "n/d",
    "n.d.",
    "nan",
    "-nan",
    "+nan",
    "1.#ind",
    "-1.#ind",
    "1.#qnan",
    "-1.#qnan",
    "1.#snan",
    "#n/a",
    "#n/a n/a",
    "#na",
    "<na>",
    "(na)",
    "#div/0!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
    "#null!",
    "#error!",
    "null",
    "(null)",
    "<null>",
    "\\n",
    "nil",
    "none",
    "<none>",
    "(none)",
    "missing",
    "<missing>",
    "(missing)",
    "unknown",
    "not available",
    "not applicable",
    "not known",
    "no data",
    "nodata",
    "empty",
    "blank",
    "undefined",
    "void",
    "nat",
];

/// Whether a trimmed text is a well-known mark for a missing value.
pub(crate) fn is_mark(text: &str) -> bool {
    // No mark is longer.
    text.len() <= 16 && MARKS.iter().any(|mark| mark.eq_ignore_ascii_case(text))
}

/// The texts that mean "no value" in every column, as they are set for a table.
#[derive(Debug, Clone)]
pub(crate) struct MissingTexts {
    texts: HashSet<String>,
    /// Whether one of them begins with this byte: most cells are found to be none by that alone.
    begins: [bool; 256],
    /// Those that are numbers, for columns of numbers.
    numbers: Vec<f64>,
}

impl MissingTexts {
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a String>) -> Self {
        let texts: HashSet<String> = texts.into_iter().map(|text| text.trim().to_owned()).collect();
        let mut begins = [false; 256];
        texts.iter().filter_map(|text| text.bytes().next()).for_each(|byte| begins[usize::from(byte)] = true);
        let numbers = texts.iter().filter_map(|text| text.parse().ok()).filter(|x: &f64| !x.is_nan()).collect();
        Self { texts, begins, numbers }
    }

    /// Whether a trimmed text is one of them, or empty.
    pub(crate) fn contains(&self, text: &str) -> bool {
        text.bytes().next().is_none_or(|byte| self.begins[usize::from(byte)] && self.texts.contains(text))
    }

    /// Whether a number is the value of one of them: −999.0 is missing where −999 is.
    pub(crate) fn contains_number(&self, x: f64) -> bool {
        self.numbers.contains(&x)
    }

    /// Whether one of them is a number.
    pub(crate) fn has_numbers(&self) -> bool {
        !self.numbers.is_empty()
    }
}
