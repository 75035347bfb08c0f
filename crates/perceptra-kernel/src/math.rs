//! Elementary functions without branches or calls, so that loops over them become vector instructions.
//!
//! Errors are a few units in the last place of an `f32`; the tests say how few. No operation is fused, so that every
//! instruction set gives the same bits.

#![allow(clippy::excessive_precision, clippy::inline_always)]

/// eˣ: Cephes' `expf` (Moshier, 1989). 0 below −87.3, infinite above 88.7; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let clamped = x.clamp(-87.336_54, 88.722_83);
    // x = n·ln 2 + r, ln 2 in two parts; adding and taking away 1.5·2²³ rounds.
    let n = (clamped * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = (clamped - n * 0.693_359_375) + n * 2.121_944_4e-4;
    let mut p = 1.987_569_15e-4;
    p = p * r + 1.398_199_95e-3;
    p = p * r + 8.333_451_9e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 5.000_000_1e-1;
    let y = p * r * r + r + 1.0;
    // 2ⁿ in two factors: n goes from −126 to 128, and 2¹²⁸ is no f32.
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    let n = n as i32;
    let half = n >> 1;
    let y = y * power(half) * power(n - half);
    let y = if x > 88.722_83 { f32::INFINITY } else { y };
    let y = if x < -87.336_54 { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

/// ln(1 + t) for t in [0, 1]: Cephes' `logf` and Kahan's correction for the rounding of 1 + t.
#[inline(always)]
pub(crate) fn log1p(t: f32) -> f32 {
    let u = 1.0 + t;
    // u in [1, 2]: u = 2ᵉ·f with f in [√½, √2).
    let high = u >= std::f32::consts::SQRT_2;
    let f = if high { u * 0.5 } else { u };
    let e = if high { 1.0 } else { 0.0 };
    let x = f - 1.0;
    let mut p = 7.037_683_6e-2;
    p = p * x - 1.151_461_03e-1;
    p = p * x + 1.167_699_87e-1;
    p = p * x - 1.242_014_08e-1;
    p = p * x + 1.424_932_28e-1;
    p = p * x - 1.666_805_77e-1;
    p = p * x + 2.000_071_48e-1;
    p = p * x - 2.499_999_4e-1;
    p = p * x + 3.333_333_1e-1;
    let square = x * x;
    let ln = (p * x * square - 0.5 * square + e * -2.121_944_4e-4) + x + e * 0.693_359_375;
    let gap = u - 1.0;
    if gap == 0.0 { t } else { ln + (t - gap) / u }
}

/// 1 / (1 + e⁻ˣ), by the exponential of −|x|, which does not overflow.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let big = 1.0 / (1.0 + e);
    if x >= 0.0 { big } else { e * big }
}

/// tanh x: Cephes' `tanhf`, a polynomial near 0 and 1 − 2/(e²ˣ + 1) beyond.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let z = x * x;
    let mut p = -5.704_988_72e-3;
    p = p * z + 2.063_908_88e-2;
    p = p * z - 5.373_971_24e-2;
    p = p * z + 1.333_145_3e-1;
    p = p * z - 3.333_328_2e-1;
    let near = p * z * x + x;
    let far = (1.0 - 2.0 / (exp(2.0 * a) + 1.0)).copysign(x);
    if a < 0.625 { near } else { far }
}

/// The error function, by the rational function of XLA and Eigen on [−4, 4].
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let c = x.clamp(-4.0, 4.0);
    let z = c * c;
    let mut p = -2.726_142_258_013_06e-10;
    p = p * z + 2.770_681_424_959_02e-8;
    p = p * z - 2.101_024_020_825_08e-6;
    p = p * z - 5.692_506_394_623_46e-5;
    p = p * z - 7.349_906_303_268_55e-4;
    p = p * z - 2.954_599_808_540_25e-3;
    p = p * z - 1.609_603_332_624_15e-2;
    let mut q = -1.456_607_184_649_96e-5;
    q = q * z - 2.133_740_552_789_05e-4;
    q = q * z - 1.682_826_974_382_03e-3;
    q = q * z - 7.373_329_167_204_68e-3;
    q = q * z - 1.426_473_905_141_89e-2;
    c * p / q
}

/// sin x and cos x, by the polynomials of Cephes; to 1e-6 for |x| < 10⁴.
#[inline(always)]
pub(crate) fn sin_cos(x: f32) -> (f32, f32) {
    let quarter = (x * std::f32::consts::FRAC_2_PI).round_ties_even();
    // π/2 in three parts, the first two of which have few digits.
    let r = ((x - quarter * 1.570_312_5) - quarter * 4.837_513e-4) - quarter * 7.549_79e-8;
    let z = r * r;
    let sine = r + r * z * (-0.166_666_55 + z * (8.332_161e-3 + z * -1.951_529_6e-4));
    let cosine = 1.0 - 0.5 * z + z * z * (4.166_664_6e-2 + z * (-1.388_731_6e-3 + z * 2.443_315_7e-5));
    let quarter = quarter as i32;
    let (sin, cos) = if quarter & 1 == 0 { (sine, cosine) } else { (cosine, sine) };
    let sin = if quarter & 2 == 0 { sin } else { -sin };
    let cos = if (quarter + 1) & 2 == 0 { cos } else { -cos };
    (sin, cos)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest distance between `f` and the f64 function `g` over `range`, in units of max(|g|, floor).
    fn error(f: fn(f32) -> f32, g: fn(f64) -> f64, range: (f32, f32), floor: f64) -> f64 {
        let n = 200_000;
        (0..=n)
            .map(|i| {
                let x = range.0 + (range.1 - range.0) * i as f32 / n as f32;
                let (got, want) = (f64::from(f(x)), g(f64::from(x)));
                (got - want).abs() / want.abs().max(floor)
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn functions_are_those_of_64_bits_to_a_few_units_in_the_last_place() {
        let tiny = f64::from(f32::MIN_POSITIVE);
        assert!(error(exp, f64::exp, (-87.0, 88.0), tiny) < 2e-7);
        assert!(error(log1p, f64::ln_1p, (0.0, 1.0), tiny) < 2e-7);
        assert!(error(log1p, f64::ln_1p, (0.0, 1e-4), tiny) < 2e-7);
        assert!(error(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), (-80.0, 80.0), tiny) < 3e-7);
        assert!(error(tanh, f64::tanh, (-10.0, 10.0), tiny) < 3e-7);
        assert!(error(tanh, f64::tanh, (-1e-3, 1e-3), tiny) < 3e-7);
        for (range, most) in [((-10.0, 10.0), 2e-7), ((-1000.0, 1000.0), 3e-7)] {
            assert!(error(|x| sin_cos(x).0, f64::sin, range, 1.0) < most);
            assert!(error(|x| sin_cos(x).1, f64::cos, range, 1.0) < most);
        }
    }

    #[test]
    fn erf_is_that_of_the_table() {
        // Python's math.erf.
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_916_018_284_9),
            (-0.5, -0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (1.7, 0.983_790_458_590_774_6),
            (-2.5, -0.999_593_047_982_555),
            (3.3, 0.999_996_942_290_203_6),
            (6.0, 1.0),
        ];
        for (x, want) in table {
            let got = f64::from(erf(x));
            assert!((got - want).abs() <= 3e-7, "erf {x}: {got} {want}");
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_lose_nan() {
        assert_eq!((exp(f32::INFINITY), exp(f32::NEG_INFINITY), exp(0.0)), (f32::INFINITY, 0.0, 1.0));
        assert_eq!((exp(89.0), exp(-200.0)), (f32::INFINITY, 0.0));
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY), sigmoid(0.0)), (1.0, 0.0, 0.5));
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY), tanh(0.0)), (1.0, -1.0, 0.0));
        for f in [exp, sigmoid, tanh, erf] {
            assert!(f(f32::NAN).is_nan());
        }
        let (e, want) = (exp(88.5), 88.5f64.exp());
        assert!((f64::from(e) / want - 1.0).abs() < 2e-7, "{e}");
    }
}
