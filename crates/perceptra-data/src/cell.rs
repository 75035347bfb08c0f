//! The values of single cells.

use std::borrow::Cow;

use crate::date::{days, iso};

/// The value that a cell's text stands for. Spaces around the text do not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    Int(i64),
    /// A whole number beyond the range of [`Cell::Int`].
    Unsigned(u64),
    Float(f64),
    Boolean(bool),
    /// A date in days since 1970-01-01, with a fraction for a time of day.
    Date(f64),
    /// Anything else.
    Text,
}

#[cfg(test)]
thread_local! {
    /// How many cells this thread has parsed.
    pub(crate) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Cell {
    /// Parses a cell.
    ///
    /// - Numbers are decimal, as Rust reads them: `-1.5`, `.5`, `1e-3`, `inf`. Not hexadecimal, no separators between digits, no
    ///   decimal comma.
    /// - `true` and `false`, in any case, are booleans.
    /// - Dates are those of [`days`] whose order of day and month is clear.
    pub(crate) fn parse(text: &str) -> Self {
        #[cfg(test)]
        PARSED.with(|n| n.set(n.get() + 1));
        let text = text.trim();
        match text.as_bytes() {
            [b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I', ..] => {
                whole(text).or_else(|| float(text)).or_else(|| days(text, None).map(Self::Date)).unwrap_or(Self::Text)
            }
            _ if text.eq_ignore_ascii_case("true") => Self::Boolean(true),
            _ if text.eq_ignore_ascii_case("false") => Self::Boolean(false),
            // Dates such as Dec 31, 2024.
            [b'A'..=b'Z' | b'a'..=b'z', ..]
                if text.ends_with(|c: char| c.is_ascii_digit() || "MmTtCcZz".contains(c)) =>
            {
                days(text, None).map_or(Self::Text, Self::Date)
            }
            _ => Self::Text,
        }
    }

    /// The value as a number, if it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(x) => Some(*x as f64),
            Self::Unsigned(x) => Some(*x as f64),
            Self::Float(x) => Some(*x),
            Self::Boolean(_) | Self::Date(_) | Self::Text => None,
        }
    }
}

/// A whole number; none for −0, which only floats have.
fn whole(text: &str) -> Option<Cell> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.len() > 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match text.parse() {
        Ok(0) if text.starts_with('-') => None,
        Ok(x) => Some(Cell::Int(x)),
        Err(_) => text.parse().ok().map(Cell::Unsigned),
    }
}

fn float(text: &str) -> Option<Cell> {
    text.parse().ok().filter(|x: &f64| !x.is_nan()).map(Cell::Float)
}

/// Whether a text is a code such as `007`: digits alone, with a zero in front.
pub(crate) fn is_code(text: &str) -> bool {
    let text = text.trim();
    text.len() > 1 && text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

/// The one text of all those that stand for the same number, date or truth value: `1` for `1.0` and `01.`; `007` stays as it is.
pub(crate) fn canonical(text: &str) -> Cow<'_, str> {
    let text = text.trim();
    if is_code(text) {
        return Cow::Borrowed(text);
    }
    match Cell::parse(text) {
        Cell::Int(x) => x.to_string().into(),
        Cell::Unsigned(x) => x.to_string().into(),
        // There is one zero.
        Cell::Float(x) => (x + 0.0).to_string().into(),
        Cell::Boolean(x) => x.to_string().into(),
        Cell::Date(x) => iso(x).map_or(Cow::Borrowed(text), Cow::Owned),
        Cell::Text => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_narrowest_type_that_keeps_its_value() {
        for (text, cell) in [
            ("7", Cell::Int(7)),
            (" +7 ", Cell::Int(7)),
            ("007", Cell::Int(7)),
            ("-9223372036854775808", Cell::Int(i64::MIN)),
            ("9223372036854775808", Cell::Unsigned(1 << 63)),
            ("18446744073709551615", Cell::Unsigned(u64::MAX)),
            ("18446744073709551616", Cell::Float(18_446_744_073_709_551_616.0)),
            ("-9223372036854775809", Cell::Float(-9_223_372_036_854_775_809.0)),
            ("000000000000000000000001", Cell::Float(1.0)),
            ("1e3", Cell::Float(1e3)),
            (".5", Cell::Float(0.5)),
            ("-Infinity", Cell::Float(f64::NEG_INFINITY)),
            ("TRUE", Cell::Boolean(true)),
            ("1970-01-02", Cell::Date(1.0)),
            ("1970-01-01T12:00", Cell::Date(0.5)),
            ("31/12/2024", Cell::Text),
            ("NaN", Cell::Text),
            ("0x10", Cell::Text),
            ("+", Cell::Text),
            ("", Cell::Text),
        ] {
            assert_eq!(Cell::parse(text), cell, "{text}");
        }
        assert!(matches!(Cell::parse("-0"), Cell::Float(x) if x == 0.0 && x.is_sign_negative()));
    }

    #[test]
    fn one_value_has_one_text() {
        for (texts, one) in [
            (&["1", "1.0", "01.", "+1", " 1 ", "1e0"][..], "1"),
            (&["0", "-0", "0.0", "-0.0"], "0"),
            (&["007"], "007"),
            (&["9007199254740993"], "9007199254740993"),
            (&["18446744073709551615"], "18446744073709551615"),
            (&["1.50", "1.5", "15e-1"], "1.5"),
            (&["TRUE", "true"], "true"),
            (&["2024-01-31", "2024/1/31", "31-Jan-2024", "2024-01-31T00:00:00Z"], "2024-01-31"),
            (&["2024-01-31 13:05", "2024-01-31T13:05:00"], "2024-01-31 13:05:00"),
            (&["red"], "red"),
        ] {
            texts.iter().for_each(|text| assert_eq!(canonical(text), one, "{text}"));
        }
    }

    proptest::proptest! {
        #[test]
        fn whole_numbers_have_the_bits_of_floats(x in proptest::prelude::any::<i64>(), y in proptest::prelude::any::<u64>()) {
            for text in [x.to_string(), y.to_string()] {
                let float: f64 = text.parse().unwrap();
                proptest::prop_assert_eq!(Cell::parse(&text).number().unwrap().to_bits(), float.to_bits());
            }
        }
    }
}
