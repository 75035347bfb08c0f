//! Numbers as short text.

/// A number as short text: integers as they are, others with four decimals (one from 1000 on), very large and very small ones with an
/// exponent; `-` for NaN.
#[doc(hidden)]
pub fn number(x: f64) -> String {
    if x.is_nan() {
        "-".into()
    } else if x.fract() == 0.0 && x.abs() < 1e9 {
        format!("{x}")
    } else if x.abs() >= 1e9 || x.abs() < 1e-4 {
        format!("{x:.4e}")
    } else if x.abs() >= 1000.0 {
        format!("{x:.1}")
    } else {
        format!("{x:.4}")
    }
}

/// A count with its digits in groups of three, such as `1 234 567`.
#[doc(hidden)]
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (x, text) in [
            (3.0, "3"),
            (0.97123, "0.9712"),
            (572.123_45, "572.1235"),
            (5432.16, "5432.2"),
            (1.5e-7, "1.5000e-7"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(number(x), text);
        }
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1 234 567");
    }
}
