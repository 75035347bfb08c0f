//! Dates and times of day in the forms that databases, programs and spreadsheets write.

use chrono::{NaiveDate, NaiveTime};

use crate::variants::named_variants;

/// The order of day and month in dates such as `4/5/2024`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOrder {
    /// 4/5/2024 is the fourth of May.
    DayFirst,
    /// 4/5/2024 is the fifth of April.
    MonthFirst,
}

named_variants!(DateOrder {
    DayFirst = "day-first",
    MonthFirst = "month-first",
});

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Days of a number of microseconds. All formats of files come through here, so that one time has the same bits in each.
pub(crate) fn days_of_micros(micros: i64) -> f64 {
    micros as f64 / DAY as f64
}

/// The text of a date that is given in days since 1970-01-01: ISO 8601, with the time of day unless it is midnight. A number far from
/// any date is written as a number.
pub fn date_text(days: f64) -> String {
    iso(days).unwrap_or_else(|| days.to_string())
}

/// As [`date_text`]; none for numbers far from any date.
pub(crate) fn iso(days: f64) -> Option<String> {
    let micros = (days * DAY as f64).round();
    // Days have few digits left for microseconds.
    let millis = (micros / 1000.0).round() * 1000.0;
    let micros = if (micros - millis).abs() < 50.0 { millis } else { micros };
    let time = chrono::DateTime::from_timestamp_micros(micros as i64).filter(|_| micros.abs() < 1e17)?;
    let seconds = time.format("%Y-%m-%d %H:%M:%S%.f").to_string();
    Some(seconds.strip_suffix(" 00:00:00").map(str::to_owned).unwrap_or(seconds))
}

/// Days since 1970-01-01 of a trimmed text, with a fraction for a time of day; times with a zone are converted to UTC. Read are
///
/// - year, month and day: `2024-12-31`, `2024/12/31`, `2024.12.31`, and `20241231` before a time;
/// - months by name, in English: `31-Dec-2024`, `31 December 2024`, `Dec 31, 2024`, `31-Dec-24`;
/// - day, month and year, if `order` says which is which: `31.12.2024`, `12/31/24`;
/// - after `T` or a blank, a time of day (`23:59`, `235959`, `23:59:59.999`, `11:59 PM`) with or without a zone (`Z`, `UTC`, `+01`,
///   `+0100`, `+01:00`, `+0000 UTC`).
pub(crate) fn days(text: &str, order: Option<DateOrder>) -> Option<f64> {
    // The shortest is 1/1/24, the longest has the names of a day and of a month.
    if !(6..=50).contains(&text.len()) || !text.is_ascii() {
        return None;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    let (date, time) = if words.any(|word| month_of(word).is_some()) {
        split_named(text)
    } else {
        match text.split_once(['T', 't', ' ']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        }
    };
    let date = day(date, time.is_some(), order)?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros();
    Some(days_of_micros(midnight + time.map_or(Some(0), micros)?))
}

/// Splits a date with the name of a month, whose parts may be joined by blanks, from its time of day.
fn split_named(text: &str) -> (&str, Option<&str>) {
    match text.find(':') {
        None => (text, None),
        Some(colon) => match text[..colon].rfind(' ') {
            Some(blank) => (text[..blank].trim_end_matches(','), Some(&text[blank + 1..])),
            None => (text, None),
        },
    }
}

/// A date without a time of day.
fn day(text: &str, has_time: bool, order: Option<DateOrder>) -> Option<NaiveDate> {
    let parse = |format: &str| NaiveDate::parse_from_str(text, format).ok();
    let bytes = text.as_bytes();
    let letters = bytes.iter().any(u8::is_ascii_alphabetic);
    let separator = bytes.iter().find(|b| !b.is_ascii_alphanumeric()).map(|b| char::from(*b));
    let year_first = bytes.iter().position(|b| !b.is_ascii_digit()) == Some(4);
    match separator {
        None if bytes.len() == 8 && has_time && !letters => parse("%Y%m%d"),
        None => None,
        Some(_) if letters => {
            // The name of a weekday says nothing more.
            let rest =
                text.split_once(", ").filter(|(day, _)| day.len() >= 3 && day.bytes().all(|b| b.is_ascii_alphabetic()));
            let text = rest.map_or(text, |(_, rest)| rest).replace([',', '-', '/', '.'], " ");
            let words: Vec<&str> = text.split_whitespace().collect();
            let [a, b, year] = words.as_slice() else { return None };
            let (day, month) = if a.as_bytes()[0].is_ascii_digit() { (a, b) } else { (b, a) };
            let (year, month) = (year_of(year)?, month_of(month)?);
            NaiveDate::from_ymd_opt(year, month, day.parse().ok()?)
        }
        Some('-') if year_first => parse("%Y-%m-%d"),
        Some('/') if year_first => parse("%Y/%m/%d"),
        Some('.') if year_first => parse("%Y.%m.%d"),
        Some(separator @ ('-' | '/' | '.')) => {
            let mut parts = text.split(separator);
            let (a, b, year) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() || a.len() > 2 || b.len() > 2 {
                return None;
            }
            let (day, month) = match order? {
                DateOrder::DayFirst => (a, b),
                DateOrder::MonthFirst => (b, a),
            };
            NaiveDate::from_ymd_opt(year_of(year)?, month.parse().ok()?, day.parse().ok()?)
        }
        Some(_) => None,
    }
}

/// A year of four digits, or of two: 69 to 99 are of the last century, as in POSIX.
fn year_of(text: &str) -> Option<i32> {
    let year: i32 = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))?;
    match text.len() {
        4 => Some(year),
        2 if year < 69 => Some(2000 + year),
        2 => Some(1900 + year),
        _ => None,
    }
}

/// The number of a month from its English name or the first three letters of it.
fn month_of(name: &str) -> Option<u32> {
    if name.len() < 3 {
        return None;
    }
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let name = name.to_ascii_lowercase();
    let at = MONTHS
        .iter()
        .position(|month| *month == name || month[..3] == name || (name == "sept" && month.starts_with("sept")));
    at.map(|month| month as u32 + 1)
}

/// Microseconds since midnight UTC of a time of day, with or without a zone.
fn micros(text: &str) -> Option<i64> {
    let text = text.trim_end();
    let text = match text.get(text.len().saturating_sub(3)..) {
        Some("UTC" | "GMT") => text[..text.len() - 3].trim_end(),
        _ => text.strip_suffix(['Z', 'z']).unwrap_or(text),
    };
    let (clock, zone) = match text.rfind(['+', '-']) {
        Some(at) => (text[..at].trim_end(), offset(&text[at..])?),
        None => (text, 0),
    };
    let upper = clock.to_ascii_uppercase();
    let formats: &[&str] = if upper.ends_with('M') {
        &["%I:%M:%S%.f %p", "%I:%M %p", "%I:%M:%S%.f%p", "%I:%M%p", "%I %p", "%I%p"]
    } else {
        &["%H:%M:%S%.f", "%H:%M", "%H%M%S%.f", "%H%M"]
    };
    let time = formats.iter().find_map(|format| NaiveTime::parse_from_str(&upper, format).ok())?;
    let since = time.signed_duration_since(NaiveTime::MIN);
    Some(since.num_microseconds()? - zone)
}

/// Microseconds of a zone such as `+01`, `-0500`, `+05:30`.
fn offset(text: &str) -> Option<i64> {
    let (sign, digits) = text.split_at(1);
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) =
        (digits[..2].parse().ok()?, digits.get(2..4).map_or(Some(0), |m| m.parse().ok())?);
    let seconds = 3600 * hours + 60 * minutes;
    Some(if sign == "-" { -1_000_000 } else { 1_000_000 } * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_stamps_of_databases_and_spreadsheets_are_read() {
        // Seconds since 1970 of 2024-01-31 13:05:00 UTC, by `date -d ... +%s`.
        let afternoon = 1_706_706_300.0 / 86_400.0;
        for text in [
            "2024-01-31 13:05",
            "2024-01-31T13:05:00",
            "2024-01-31T13:05:00Z",
            "2024-01-31t13:05:00z",
            "2024-01-31 13:05:00.000",
            "2024-01-31 13:05:00+00",
            "2024-01-31 14:05:00+01",
            "2024-01-31 14:05:00+0100",
            "2024-01-31 08:05:00-05:00",
            "2024-01-31 18:35:00 +0530",
            "2024-01-31 13:05:00 UTC",
            "2024-01-31 13:05:00 +0000 UTC",
            "2024-01-31 13:05 GMT",
            "20240131T130500Z",
            "20240131 1305",
            "2024/01/31 13:05",
            "2024-01-31 01:05:00 PM",
            "2024-1-31 1:05 pm",
            "31-Jan-2024 13:05",
            "31-JAN-24 13:05:00",
            "31 January 2024 13:05",
            "Jan 31, 2024 1:05 PM",
            "January 31, 2024, 1:05 PM",
            "Wed, 31 Jan 2024 13:05:00 GMT",
            "Wed, 31 Jan 2024 13:05:00 +0000",
        ] {
            assert_eq!(days(text, None), Some(afternoon), "{text}");
        }
        for text in
            ["2024-01-31", "2024/1/31", "2024.01.31", "31-Jan-2024", "31 Jan 2024", "31/Jan/24", "January 31, 2024"]
        {
            assert_eq!(days(text, None), Some(afternoon.floor()), "{text}");
        }
        assert_eq!(days("1-Aug-2024", None), days("2024-08-01", None));
        assert_eq!(days("1 August 2024 10:00", None), days("2024-08-01 10:00", None));
        assert_eq!(days("3-Sept-2024", None), days("2024-09-03", None));
    }

    #[test]
    fn the_order_of_day_and_month_is_not_guessed() {
        for (text, order, iso) in [
            ("31/1/2024", Some(DateOrder::DayFirst), Some("2024-01-31")),
            ("31.01.2024 13:05", Some(DateOrder::DayFirst), Some("2024-01-31 13:05:00")),
            ("1/31/24", Some(DateOrder::MonthFirst), Some("2024-01-31")),
            ("12-31-1999 11:59 PM", Some(DateOrder::MonthFirst), Some("1999-12-31 23:59:00")),
            ("1/2/70", Some(DateOrder::DayFirst), Some("1970-02-01")),
            ("31/1/2024", Some(DateOrder::MonthFirst), None),
            ("31/1/2024", None, None),
            ("1/2/2024", None, None),
            ("1/2/2024/5", Some(DateOrder::DayFirst), None),
        ] {
            assert_eq!(days(text, order).and_then(super::iso).as_deref(), iso, "{text} {order:?}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "12",
            "20240131",
            "1.2.3",
            "192.168.0.1",
            "2024-13-01",
            "2024-02-30",
            "2024-01-31 25:00",
            "2024-01-31T",
            "2024-01-31 x",
            "2024-01-31 13:05:00+1",
            "31-Foo-2024",
            "a-Jan-2024",
            "12:30:00",
            "+49 30 1234",
            "555-1234",
            "Jan 2024",
            "2024-01-31 13:05 PM",
            "31 Jan 2024 at 5",
            "日本-01-2024",
            "May be",
            "Monday, ",
        ] {
            assert_eq!(days(text, None), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_time_and_its_text_are_one(micros in -60_000_000_000_000_000_i64..60_000_000_000_000_000) {
            let seconds = micros / 1_000_000 * 1_000_000;
            let text = iso(days_of_micros(seconds)).unwrap();
            proptest::prop_assert_eq!(days(&text, None), Some(days_of_micros(seconds)), "{}", text);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", near in "[0-9TZ:/ .+,a-zA-Z-]{0,40}") {
            for order in [None, Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst)] {
                days(&text, order);
                days(&near, order);
            }
        }
    }
}
