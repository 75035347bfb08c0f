//! Colors that color-blind readers can tell apart.

use plotters::style::RGBColor;

/// The colors of Okabe and Ito, those with the best contrast on white first.
const PALETTE: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];

/// Colors of the color map cividis at 0, 1/8, ..., 1.
const CIVIDIS: [RGBColor; 9] = [
    RGBColor(0x00, 0x22, 0x4E),
    RGBColor(0x12, 0x35, 0x70),
    RGBColor(0x3B, 0x49, 0x6C),
    RGBColor(0x57, 0x5D, 0x6D),
    RGBColor(0x70, 0x71, 0x73),
    RGBColor(0x8A, 0x86, 0x78),
    RGBColor(0xA5, 0x9C, 0x74),
    RGBColor(0xC3, 0xB3, 0x69),
    RGBColor(0xFE, 0xE8, 0x38),
];

/// The mix of two colors: `a` at t = 0, `b` at t = 1.
pub(crate) fn mix(a: RGBColor, b: RGBColor, t: f64) -> RGBColor {
    let part = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * t.clamp(0.0, 1.0)).round() as u8;
    RGBColor(part(a.0, b.0), part(a.1, b.1), part(a.2, b.2))
}

/// The color map cividis: dark for 0, light for 1.
pub(crate) fn heat(t: f64) -> RGBColor {
    let t = t.clamp(0.0, 1.0) * 8.0;
    let i = (t as usize).min(7);
    mix(CIVIDIS[i], CIVIDIS[i + 1], t - i as f64)
}

/// The color of the class or line with this index.
pub(crate) fn color(i: usize) -> RGBColor {
    PALETTE[i % PALETTE.len()]
}
