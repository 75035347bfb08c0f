//! The digits of numbers in files.

/// A number with the digits that it is written with, in every format. A network computes in 32-bit floats, and 64-bit floats show digits
/// beyond theirs: 1.1 in 32 bits is 1.10000002384185791015625.
///
/// It is the number that has the shortest text of those next to the 32-bit float: 7 to 9 digits. Only where such floats are too far
/// apart for the number, which is the value of a target that varies little compared with its size, it is rounded to as many decimals as
/// `step` has, the smallest difference that the network expresses. `step` is 0 for numbers for which 32-bit floats are never too far
/// apart.
pub(crate) fn written(x: f64, step: f64) -> f64 {
    let single = x as f32;
    if !single.is_finite() {
        return x;
    }
    let apart = f64::from(single.abs().next_up()) - f64::from(single.abs());
    if step > 0.0 && apart > TOO_FAR * step {
        return rounded(x, (-step.log10()).ceil() as i32).unwrap_or(x);
    }
    shortest(single)
}

/// How many steps 32-bit floats may be apart. A step is 2⁻²³ of a target's standard deviation, so this is 2⁻¹⁴ of it.
const TOO_FAR: f64 = 512.0;

/// The 64-bit float with the same shortest text as a 32-bit one.
pub(crate) fn shortest(x: f32) -> f64 {
    let wide = f64::from(x);
    if x == 0.0 || !x.is_finite() {
        return wide;
    }
    let exponent = wide.abs().log10().floor() as i32;
    // Every decimal of 6 digits has a 32-bit float of its own, and 9 digits tell any two apart.
    let is_usual = (-14..=27).contains(&exponent);
    let mut tried = (6..=9).filter(|_| is_usual).filter_map(|digits| rounded(wide, digits - 1 - exponent));
    tried.find(|y| *y as f32 == x).unwrap_or_else(|| x.to_string().parse().unwrap_or(wide))
}

/// A number rounded to so many decimals, or tens for a negative number of them; none if that cannot be computed exactly.
fn rounded(x: f64, decimals: i32) -> Option<f64> {
    // Powers of ten up to this one, and whole numbers below 2⁵³, are 64-bit floats, so that their quotient is the nearest to the decimal.
    if decimals.abs() > 22 {
        return None;
    }
    let power = 10_f64.powi(decimals.abs());
    let whole = if decimals < 0 { x / power } else { x * power }.round();
    let is_exact = whole.abs() < 9_007_199_254_740_992.0;
    is_exact.then(|| if decimals < 0 { whole * power } else { whole / power })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_the_digits_that_are_known() {
        // Concrete: deviations of 17 around 36. As a 32-bit float.
        assert_eq!(written(35.123_456_789, 2e-6).to_string(), "35.123455");
        assert_eq!(written(f64::from(1.1_f32), 0.0).to_string(), "1.1");
        // Seconds since 1970 with deviations of 100.
        let step = 100.0 * f64::from(f32::EPSILON);
        assert_eq!(written(1_700_000_012.345_679, step).to_string(), "1700000012.34568");
        // Money in the millions with deviations of 100,000.
        assert_eq!(written(1_234_567.891_23, 0.012).to_string(), "1234567.9");
        // What lies beyond the digits of 64-bit floats, and what is no number.
        assert_eq!(written(9e15, 1e-6), 9e15);
        assert_eq!(written(1e300, 1e-6), 1e300);
        assert!(written(f64::NAN, 0.0).is_nan());
        assert_eq!([written(f64::INFINITY, 1.0), written(-0.0, 1.0)], [f64::INFINITY, 0.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn the_text_is_that_of_the_float(bits in any::<u32>()) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite());
            prop_assert_eq!(shortest(x).to_string(), x.to_string());
        }

        #[test]
        fn usual_numbers_have_the_text_of_the_float(x in -1e6_f32..1e6) {
            prop_assert_eq!(shortest(x).to_string(), x.to_string());
            prop_assert_eq!(written(f64::from(x), 1.0).to_string(), x.to_string());
        }

        #[test]
        fn far_numbers_lose_less_than_a_step(x in -1e4_f64..1e4, step in 1e-6..1e-3_f64) {
            let far = 1.7e9 + x;
            prop_assert!((written(far, step) - far).abs() <= step);
        }
    }
}
