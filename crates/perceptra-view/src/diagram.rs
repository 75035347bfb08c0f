//! Diagrams of networks: units as circles, weights as lines.

use perceptra_nn::FeedForward;

/// Maximum number of units drawn per layer.
const UNITS: usize = 12;
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;

/// Draws a network as SVG, with the names of its inputs and outputs. A line is a weight between two units, orange if negative, blue if
/// positive, and wider and darker the larger it is. Text has the color of the page (`currentColor`).
pub(crate) fn diagram(network: &FeedForward, inputs: &[String], outputs: &[String]) -> String {
    let mut widths = vec![inputs.len()];
    widths.extend(network.widths().iter().map(|(_, width)| *width));
    let left = 170.0;
    let x = |layer: usize| left + (WIDTH - 2.0 * left) * layer as f64 / (widths.len() - 1) as f64;
    let shown = |layer: usize| widths[layer].min(UNITS);
    let y = |layer: usize, unit: usize| {
        let n = shown(layer);
        let gap = (HEIGHT - 90.0) / UNITS.min(n.max(4)) as f64;
        HEIGHT / 2.0 - 10.0 + gap * (unit as f64 - (n as f64 - 1.0) / 2.0)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
         fill=\"currentColor\">\n"
    );
    // With an embedding or other extras, the first weights do not belong to the inputs themselves.
    let plain = network.is_plain();
    for (layer, dense) in network.layers().iter().enumerate() {
        let weights: Vec<f32> = match plain {
            true => dense.linear.weight.val().try_into_vec_as::<f32>().unwrap_or_default(),
            false => Vec::new(),
        };
        let columns = widths[layer + 1];
        let at = |i: usize, j: usize| weights.get(i * columns + j).copied();
        let most = (0..shown(layer))
            .flat_map(|i| (0..shown(layer + 1)).filter_map(move |j| at(i, j)))
            .fold(f32::MIN_POSITIVE, |most, w| most.max(w.abs()));
        for i in 0..shown(layer) {
            for j in 0..shown(layer + 1) {
                let (color, strength) = match at(i, j) {
                    Some(w) => (if w < 0.0 { "#d55e00" } else { "#0072b2" }, f64::from(w.abs() / most)),
                    None => ("#888888", 0.3),
                };
                svg += &format!(
                    "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{color}\" stroke-width=\"{:.2}\" \
                     stroke-opacity=\"{:.2}\"/>\n",
                    x(layer),
                    y(layer, i),
                    x(layer + 1),
                    y(layer + 1, j),
                    0.4 + 2.0 * strength,
                    0.12 + 0.75 * strength,
                );
            }
        }
    }
    let last = widths.len() - 1;
    for (layer, &width) in widths.iter().enumerate() {
        for unit in 0..shown(layer) {
            svg += &format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\" fill=\"#f4f4f4\" stroke=\"#444444\" stroke-width=\"1.5\"/>\n",
                x(layer),
                y(layer, unit)
            );
            let (name, shift, anchor) = match layer {
                0 => (&inputs[unit], -12.0, "end"),
                _ if layer == last && unit < outputs.len() => (&outputs[unit], 12.0, "start"),
                _ => continue,
            };
            let text = maud::html! { (short(name)) }.into_string();
            svg += &format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>\n",
                x(layer) + shift,
                y(layer, unit) + 4.0
            );
        }
        let more = if width > UNITS { format!("{UNITS} of {width}") } else { width.to_string() };
        let what = match layer {
            0 => "inputs".to_owned(),
            _ => network.layers()[layer - 1].activation.to_string(),
        };
        svg += &format!(
            "<text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\">{more}</text>\n<text x=\"{0:.1}\" y=\"{2:.1}\" \
             text-anchor=\"middle\" fill-opacity=\"0.7\">{what}</text>\n",
            x(layer),
            HEIGHT - 26.0,
            HEIGHT - 8.0
        );
    }
    svg + "</svg>\n"
}

/// A name, shortened to fit beside its unit.
fn short(name: &str) -> String {
    match name.chars().count() {
        0..=20 => name.to_owned(),
        _ => name.chars().take(19).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use perceptra_nn::{Activation, FeedForwardConfig};

    #[test]
    fn every_shown_unit_and_weight_is_drawn() {
        let network =
            FeedForwardConfig::new(3, 2).with_widths(&[15, 4], Activation::Tanh).init(&Device::flex()).unwrap();
        let names = |n: usize, what: &str| (0..n).map(|i| format!("{what} <{i}>")).collect::<Vec<_>>();
        let svg = diagram(&network, &names(3, "in"), &names(2, "out"));
        assert_eq!(svg.matches("<circle").count(), 3 + 12 + 4 + 2);
        assert_eq!(svg.matches("<line").count(), 3 * 12 + 12 * 4 + 4 * 2);
        assert!(
            svg.contains("in &lt;2&gt;") && svg.contains("12 of 15") && svg.contains("tanh") && !svg.contains("NaN")
        );
        assert!(svg.contains("#d55e00") && svg.contains("#0072b2"));
    }
}
