//! The values of single cells.

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
    /// - Dates are ISO 8601, with or without a time of day.
    pub(crate) fn parse(text: &str) -> Self {
        #[cfg(test)]
        PARSED.with(|n| n.set(n.get() + 1));
        let text = text.trim();
        match text.as_bytes() {
            [b'0'..=b'9' | b'+' | b'-' | b'.' | b'i' | b'I', ..] => {
                whole(text).or_else(|| float(text)).or_else(|| days(text).map(Self::Date)).unwrap_or(Self::Text)
            }
            _ if text.eq_ignore_ascii_case("true") => Self::Boolean(true),
            _ if text.eq_ignore_ascii_case("false") => Self::Boolean(false),
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

/// Days since 1970-01-01 of an ISO 8601 date, with a fraction for a time of day.
fn days(text: &str) -> Option<f64> {
    use chrono::{DateTime, NaiveDate, NaiveDateTime};
    if text.len() < 8 || !text.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let time = if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        date.and_hms_opt(0, 0, 0)?.and_utc()
    } else if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        time.to_utc()
    } else {
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?
            .and_utc()
    };
    Some(time.timestamp_millis() as f64 / 86_400_000.0)
}

/// Whether the text is three numbers joined by `/`, `.` or `-`: a date, but which number is the day?
pub(crate) fn looks_like_date(text: &str) -> bool {
    let date = text.trim().split(' ').next().unwrap_or_default();
    ['/', '.', '-'].into_iter().any(|separator| {
        let parts: Vec<&str> = date.split(separator).collect();
        parts.len() == 3 && parts.iter().all(|p| matches!(p.len(), 1..=4) && p.bytes().all(|b| b.is_ascii_digit()))
    })
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
