//! How the numbers and dates of a column of text are written.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cell::Cell;
use crate::date::{self, DateOrder};
use crate::missing::is_mark;

/// How the numbers and dates of a column are written, where that is not as programs write them: `1234.5`, `2024-12-31`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notation {
    /// The decimal separator; a point if none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal: Option<char>,
    /// The separator of thousands: `,`, `.`, `'` or a blank, which stands for every kind of space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// Whether currency and percent signs, and parentheses for negative numbers, are read as part of numbers.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub signs: bool,
    /// The order of day and month in dates such as `4/5/2024`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dates: Option<DateOrder>,
    /// Whether categories are known by the values of their texts: `1`, `1.0` and `01.` are one category then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_value: bool,
}

/// Signs of currencies, longest first: they may stand before or after a number.
const CURRENCIES: [&str; 26] = [
    "US$", "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR", "SEK", "NOK", "DKK", "PLN", "BRL", "Rs.", "Fr.", "R$",
    "kr", "zł", "$", "€", "£", "¥", "₹", "₽", "₩", "₺",
];

/// Every pair of a decimal separator and a separator of thousands, the most common ones first.
const SEPARATORS: [(char, Option<char>); 8] = [
    ('.', None),
    (',', None),
    ('.', Some(',')),
    (',', Some('.')),
    ('.', Some(' ')),
    (',', Some(' ')),
    ('.', Some('\'')),
    (',', Some('\'')),
];

impl fmt::Display for Notation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(order) = self.dates {
            return match order {
                DateOrder::DayFirst => f.write_str("dates with the day first"),
                DateOrder::MonthFirst => f.write_str("dates with the month first"),
            };
        }
        let mut parts = Vec::new();
        if let Some(decimal) = self.decimal {
            parts.push(format!("{decimal:?} as decimal separator"));
        }
        if let Some(thousands) = self.thousands {
            parts.push(format!("{thousands:?} between thousands"));
        }
        if self.signs {
            parts.push("signs of currencies or percent left out".to_owned());
        }
        write!(f, "numbers with {}", parts.join(" and "))
    }
}

impl Notation {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether numbers are written in another way than programs write them.
    pub(crate) fn has_separators(&self) -> bool {
        self.decimal.is_some() || self.thousands.is_some() || self.signs
    }

    /// The number that a text stands for, if it is one in this notation.
    pub(crate) fn number(&self, text: &str) -> Option<f64> {
        if !self.has_separators() {
            return Cell::parse(text).number();
        }
        let bare = if self.signs { Bare::of(text)? } else { Bare::unsigned(text.trim()) };
        bare.number(self.decimal.unwrap_or('.'), self.thousands)
    }

    /// The days since 1970-01-01 of a text, if it is a date in this notation.
    pub(crate) fn date(&self, text: &str) -> Option<f64> {
        date::days(text.trim(), self.dates)
    }
}

/// Whether a text is a number in which a point could separate thousands: whole below 1000 without one, else with one to three digits
/// before the point, and three after it.
pub(crate) fn could_be_thousands(text: &str) -> bool {
    Bare::of(text).is_some_and(|bare| {
        let (first, rest) = bare.digits.split_once('.').unwrap_or((bare.digits, "000"));
        matches!(first.len(), 1..=3)
            && (!first.starts_with('0') || bare.digits == "0")
            && rest.len() == 3
            && first.bytes().chain(rest.bytes()).all(|b| b.is_ascii_digit())
    })
}

/// A number without the signs around it.
#[derive(Debug, Clone, Copy)]
struct Bare<'a> {
    digits: &'a str,
    negative: bool,
    /// Whether there was a sign besides a minus.
    signs: bool,
    /// Whether the currency is one of countries that separate thousands by commas.
    english: bool,
}

impl<'a> Bare<'a> {
    fn unsigned(text: &'a str) -> Self {
        Self { digits: text, negative: false, signs: false, english: false }
    }

    /// Takes away currency and percent signs, and parentheses; none if there is no digit left.
    fn of(text: &'a str) -> Option<Self> {
        let mut bare = Self::unsigned(text.trim());
        if let Some(inner) = bare.digits.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            bare = Self { digits: inner.trim(), negative: true, signs: true, english: false };
        }
        let signed = |text: &'a str| match text.strip_prefix(['-', '−']) {
            Some(rest) => (rest.trim_start(), true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let (rest, minus) = signed(bare.digits);
        (bare.digits, bare.negative) = (rest, bare.negative ^ minus);
        for currency in CURRENCIES {
            let prefix = bare.digits.strip_prefix(currency).map(str::trim_start);
            if let Some(rest) = prefix.or_else(|| bare.digits.strip_suffix(currency).map(str::trim_end)) {
                (bare.digits, bare.signs) = (rest, true);
                bare.english = matches!(currency, "$" | "US$" | "USD" | "£" | "GBP" | "¥" | "JPY");
                let (rest, minus) = signed(bare.digits);
                (bare.digits, bare.negative) = (rest, bare.negative ^ minus);
                break;
            }
        }
        if let Some(rest) = bare.digits.strip_suffix('%') {
            (bare.digits, bare.signs) = (rest.trim_end(), true);
        }
        let begins = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',');
        (bare.digits.starts_with(begins) && bare.digits.bytes().any(|b| b.is_ascii_digit())).then_some(bare)
    }

    /// The number, with these separators. Thousands are in groups of three digits, and the first group has one to three.
    fn number(self, decimal: char, thousands: Option<char>) -> Option<f64> {
        let is_separator = |c: char| match thousands {
            Some(' ') => c.is_whitespace(),
            Some('\'') => matches!(c, '\'' | '’'),
            Some(separator) => c == separator,
            None => false,
        };
        let (whole, rest) = match self.digits.find(decimal) {
            Some(at) => (&self.digits[..at], &self.digits[at + 1..]),
            None => match self.digits.find(['e', 'E']) {
                Some(at) => (&self.digits[..at], &self.digits[at..]),
                None => (self.digits, ""),
            },
        };
        let mut groups = whole.split(is_separator);
        let first = groups.next()?;
        let mut plain = first.to_owned();
        let mut grouped = false;
        for group in groups {
            if group.len() != 3 || !group.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            grouped = true;
            plain += group;
        }
        let unsigned = first.strip_prefix(['+', '-']).unwrap_or(first);
        if grouped && !(matches!(unsigned.len(), 1..=3) && unsigned.bytes().all(|b| b.is_ascii_digit())) {
            return None;
        }
        // Another decimal separator than the one in place would be read as such.
        if rest.contains(['.', ',']) || plain.contains(['.', ',']) {
            return None;
        }
        if self.digits.contains(decimal) {
            plain.push('.');
        }
        plain += rest;
        let x = Cell::parse(&plain).number().filter(|_| plain.bytes().any(|b| b.is_ascii_digit()))?;
        Some(if self.negative { -x } else { x })
    }
}

/// A text by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Mark,
    Number,
    Date,
    Other,
}

/// So many texts are remembered.
const REMEMBERED: usize = 4096;

/// Evidence of how the numbers and dates of a column are written, from its texts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Evidence {
    /// Texts that are no marks for missing values.
    pub(crate) texts: usize,
    /// Texts that are numbers with some separators.
    pub(crate) numbers: usize,
    /// Texts that are dates with some order of day and month.
    pub(crate) dates: usize,
    /// For each pair of separators, the first number that is none with it.
    against: [Option<String>; SEPARATORS.len()],
    against_dates: [Option<String>; DateOrder::ALL.len()],
    /// A number that two pairs of separators give different values, with two of them.
    differ: Option<(String, f64, f64)>,
    /// Whether there are dates with day, month and year in numbers, and whether the two orders give one of them different values.
    ordered: [bool; 2],
    signs: bool,
    english: bool,
    /// The first number, and the first date.
    pub(crate) first: [Option<String>; 2],
    /// The first texts that are neither, all different, and in how many rows such texts stand.
    pub(crate) others: (Vec<String>, usize),
    /// Different numbers and dates, as long as they may be codes.
    distinct: BTreeSet<String>,
    /// Some texts that have been looked at: most columns have few different ones.
    known: HashMap<String, Sort>,
}

/// So many different numbers, or fewer, may be codes of categories, as the texts among them are: 0, 1, 2, 3+.
const CODES: usize = 20;

/// So many different texts among numbers are marks for missing values, or mistakes; more of them are values of their own.
const FEW: usize = 3;

/// The finding on the texts of a column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Finding {
    /// Numbers in this notation.
    Numbers(Notation),
    /// Dates in this notation.
    Dates(Notation),
    /// Numbers that mean one thing with one notation and another with another: an example with both values.
    AmbiguousNumbers(String, f64, f64),
    /// Dates of which nobody knows which number is the day: an example.
    AmbiguousDates(String),
    /// Numbers or dates that are not written in one way: two examples.
    Mixed(String, String),
    /// Half the values or more are numbers, or dates, but a few are not: the first of those.
    Mostly { dates: bool, other: String },
    /// Half the values or more are numbers or dates, but many others are not: an example of both.
    Texts([String; 2]),
    /// Neither numbers nor dates.
    Other,
}

impl Evidence {
    /// Takes a text of the column into account.
    pub(crate) fn add(&mut self, text: &str) {
        let text = text.trim();
        let sort = match self.known.get(text) {
            Some(sort) => *sort,
            None => {
                let sort = self.look(text);
                if self.known.len() < REMEMBERED {
                    self.known.insert(text.to_owned(), sort);
                }
                sort
            }
        };
        self.texts += usize::from(sort != Sort::Mark);
        match sort {
            Sort::Mark => {}
            Sort::Number => self.numbers += 1,
            Sort::Date => self.dates += 1,
            Sort::Other => self.others.1 += 1,
        }
    }

    /// Looks at a text for the first time.
    fn look(&mut self, text: &str) -> Sort {
        if is_mark(text) {
            return Sort::Mark;
        }
        let mut is_number = false;
        if let Some(bare) = Bare::of(text) {
            let values = SEPARATORS.map(|(decimal, thousands)| bare.number(decimal, thousands));
            if let Some(one) = values.iter().flatten().next() {
                is_number = true;
                self.signs |= bare.signs;
                self.english |= bare.english;
                for (against, _) in
                    self.against.iter_mut().zip(values).filter(|(a, value)| a.is_none() && value.is_none())
                {
                    *against = Some(text.to_owned());
                }
                if let (None, Some(other)) = (&self.differ, values.iter().flatten().find(|other| *other != one)) {
                    self.differ = Some((text.to_owned(), *one, *other));
                }
                self.first[0].get_or_insert_with(|| text.to_owned());
            }
        }
        let mut is_date = false;
        if !is_number {
            let [plain, day_first, month_first] =
                [None, Some(DateOrder::DayFirst), Some(DateOrder::MonthFirst)].map(|order| date::days(text, order));
            is_date = plain.or(day_first).or(month_first).is_some();
            if is_date {
                self.ordered[0] |= plain.is_none();
                self.ordered[1] |= day_first != month_first && day_first.is_some() && month_first.is_some();
                for (against, day) in self.against_dates.iter_mut().zip([day_first, month_first]) {
                    if against.is_none() && day.is_none() {
                        *against = Some(text.to_owned());
                    }
                }
                self.first[1].get_or_insert_with(|| text.to_owned());
            }
        }
        if !is_number && !is_date {
            if self.others.0.len() <= FEW && !self.others.0.iter().any(|other| other == text) {
                self.others.0.push(text.to_owned());
            }
            return Sort::Other;
        }
        if self.distinct.len() <= CODES && !self.distinct.contains(text) {
            self.distinct.insert(text.to_owned());
        }
        if is_number { Sort::Number } else { Sort::Date }
    }

    /// Finds out how the texts are to be read. `fixed` has the separators and the order that were set by the user.
    pub(crate) fn finding(&self, fixed: Notation) -> Finding {
        let known = self.numbers + self.dates;
        if known == 0 || 2 * known < self.texts {
            return Finding::Other;
        }
        let dates = self.dates > self.numbers;
        let first = || self.first[usize::from(dates)].clone().unwrap_or_default();
        if let Some(other) = self.others.0.first() {
            // Codes occur again and again.
            let many_numbers = self.distinct.len() > CODES || known < 3 * self.distinct.len();
            let few = many_numbers && (self.others.0.len() <= FEW || 10 * known >= 9 * self.texts);
            let other = other.clone();
            return if few { Finding::Mostly { dates, other } } else { Finding::Texts([first(), other]) };
        }
        if let ([Some(number), Some(date)], true) = (&self.first, self.numbers.min(self.dates) > 0) {
            return Finding::Mixed(number.clone(), date.clone());
        }
        if dates {
            return self.date_order(fixed);
        }
        let fits: Vec<usize> = (0..SEPARATORS.len()).filter(|&i| self.against[i].is_none()).collect();
        // Separators that were set, where they can be right.
        let set = fits.iter().copied().find(|&i| {
            let (decimal, thousands) = SEPARATORS[i];
            (fixed.decimal.is_some() || fixed.thousands.is_some())
                && fixed.decimal.unwrap_or('.') == decimal
                && fixed.thousands == thousands
        });
        let notation = |i: usize| {
            let (decimal, thousands) = SEPARATORS[i];
            Notation {
                decimal: Some(decimal).filter(|d| *d != '.'),
                thousands,
                signs: self.signs,
                ..Notation::default()
            }
        };
        match (fits.as_slice(), &self.differ) {
            _ if set.is_some() => Finding::Numbers(notation(set.unwrap_or_default())),
            // Two numbers of which no separators can be right for both.
            ([], _) => {
                let one = self.first[0].clone().unwrap_or_default();
                let other = self.against.iter().flatten().find(|text| **text != one);
                Finding::Mixed(one.clone(), other.cloned().unwrap_or(one))
            }
            // A decimal point is what programs write.
            ([0, ..] | [_], _) | (_, None) => Finding::Numbers(notation(fits[0])),
            (several, Some((text, a, b))) => match several.iter().position(|&i| SEPARATORS[i] == ('.', Some(','))) {
                Some(at) if self.english => Finding::Numbers(notation(several[at])),
                _ => Finding::AmbiguousNumbers(text.clone(), *a, *b),
            },
        }
    }

    fn date_order(&self, fixed: Notation) -> Finding {
        let example = || self.first[1].clone().unwrap_or_default();
        let in_order = |order| Finding::Dates(Notation { dates: Some(order), ..Notation::default() });
        let fits = |order: &&DateOrder| self.against_dates[usize::from(**order == DateOrder::MonthFirst)].is_none();
        let orders: Vec<DateOrder> = DateOrder::ALL.iter().filter(fits).copied().collect();
        let [ordered, differ] = self.ordered;
        match (orders.as_slice(), fixed.dates) {
            _ if !ordered => Finding::Dates(Notation::default()),
            (several, Some(order)) if several.contains(&order) => in_order(order),
            ([order], _) => in_order(*order),
            ([order, ..], None) if !differ => in_order(*order),
            ([_, ..], _) => Finding::AmbiguousDates(example()),
            ([], _) => {
                let other = self.against_dates.iter().flatten().find(|text| **text != example());
                Finding::Mixed(example(), other.cloned().unwrap_or_else(example))
            }
        }
    }
}
