//! Support vector machines: margins, kernels, regression.
//!
//! cargo run --release --example svm [FOLDER]

#![allow(clippy::print_stdout)] // A program that shows its result.

use perceptra::baselines::{Kernel, SvmConfig};
use perceptra::data::{Pattern, Points};
use perceptra::view::{Chart, Colors, Field, picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let line = SvmConfig { tolerance: 1e-6, ..SvmConfig::default() };
    let maximal = SvmConfig { c: SvmConfig::MAXIMAL_MARGIN, ..line };
    let (apart, mixed) = (Points::draw(Pattern::Blobs(2), 60, 0.25, 2), Points::draw(Pattern::Blobs(2), 120, 0.6, 2));
    let moons = Points::draw(Pattern::Moons, 160, 0.15, 1);
    let cubic = Kernel::Polynomial { degree: 3, gamma: 1.0, constant: 1.0 };
    let mut charts = Vec::new();
    for (title, points, config, reach) in [
        ("Maximal margin", &apart, maximal, 2.0),
        ("Soft margin, C = 10", &mixed, SvmConfig { c: 10.0, ..line }, 3.0),
        ("Soft margin, C = 0.02", &mixed, SvmConfig { c: 0.02, ..line }, 3.0),
        ("Polynomial of degree 3", &moons, SvmConfig { kernel: cubic, ..line }, 2.5),
        ("Radial, γ = 1", &moons, SvmConfig { kernel: Kernel::Radial { gamma: 1.0 }, ..line }, 2.5),
        ("Radial, γ = 30", &moons, SvmConfig { kernel: Kernel::Radial { gamma: 30.0 }, ..line }, 2.5),
    ] {
        let inputs = &points.inputs.values;
        let svm = config.classify(inputs, 2, &points.classes)?;
        let supports = &svm.support_vectors;
        let right = svm.classes(inputs).iter().zip(&points.classes).filter(|(a, b)| a == b).count();
        println!(
            "{title:<24} {:>3} of {:>3} rows support it, margin {:.3}, {} rows wrong",
            supports.len(),
            points.classes.len(),
            svm.margins()[0],
            points.classes.len() - right
        );
        let range = (-reach, reach);
        let values = svm.decide(&Field::points(range, range, 91));
        let sides = Field::new(range, range, 91, values.iter().map(|v| f64::from(*v >= 0.0)).collect())?;
        let field = Field::new(range, range, 91, values)?;
        let rings = supports.iter().map(|&r| (inputs[2 * r as usize], inputs[2 * r as usize + 1]));
        charts.push(
            Chart::new(title, "x1", "x2")
                .field(&sides, Colors::Classes)
                .contour("", &field, &[0.0])
                .dashed_contour("", &field, &[-1.0, 1.0])
                .classes(inputs, &points.classes)
                .rings("", rings.map(|(x, y)| (f64::from(x), f64::from(y)))),
        );
    }
    let folder = std::env::args().nth(1).unwrap_or("target/lecture".into());
    picture(&charts, 3, (800, 560))?.save_both(folder.as_ref(), "svm")?;

    // Regression: what lies within ε of the curve costs nothing and supports nothing.
    let x: Vec<f32> = (0..60).map(|i| i as f32 / 10.0).collect();
    let y: Vec<f32> =
        x.iter().enumerate().map(|(i, x)| x.sin() + 0.5 * (((i * 23) % 61) as f32 / 60.0 - 0.5)).collect();
    let config = SvmConfig { kernel: Kernel::Radial { gamma: 0.5 }, c: 10.0, epsilon: 0.2, ..line };
    let svm = config.regress(&x, 1, &y, 1)?;
    let supports = &svm.support_vectors;
    println!("regression, ε = 0.2: {} of 60 rows support it", supports.len());
    let curve =
        |shift: f64| x.iter().zip(svm.decide(&x)).map(move |(x, f)| (f64::from(*x), f + shift)).collect::<Vec<_>>();
    let at = |i: usize| (f64::from(x[i]), f64::from(y[i]));
    let chart = Chart::new("Support vector regression, radial kernel", "x", "y")
        .points("rows", 0, (0..60).map(at))
        .rings("support vectors", supports.iter().map(|&i| at(i as usize)))
        .line("f", curve(0.0))
        .dashed("f + ε", curve(0.2))
        .dashed("f − ε", curve(-0.2));
    picture(&[chart], 1, (800, 420))?.save_both(folder.as_ref(), "svm_regression")?;
    println!("{folder}/svm.svg, svm_regression.svg");
    Ok(())
}
