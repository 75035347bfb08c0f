//! Steps against 64-bit central differences, and against themselves: other threads, other instruction sets.

use std::sync::Mutex;

use perceptra_kernel::{Activation, Arch, Data, DenseTrainer, Layer, Loss, Rule, Settings, Totals};
use perceptra_random::{Purpose, Stream};
use proptest::prelude::*;

const SMOOTH: [Activation; 9] = [
    Activation::Identity,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Elu,
    Activation::Selu,
    Activation::Gelu,
    Activation::Silu,
    Activation::Mish,
    Activation::Softplus,
];

fn activate(f: Activation, z: f64) -> f64 {
    match f {
        Activation::Identity => z,
        Activation::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        Activation::Tanh => z.tanh(),
        Activation::Elu => z.max(0.0) + z.min(0.0).exp_m1(),
        Activation::Selu => 1.050_700_987_355_480_5 * (z.max(0.0) + 1.673_263_242_354_377_2 * z.min(0.0).exp_m1()),
        Activation::Gelu => z * 0.5 * (1.0 + erf(z / 2f64.sqrt())),
        Activation::Silu => z / (1.0 + (-z).exp()),
        Activation::Mish => z * (z.max(0.0) + (-z.abs()).exp().ln_1p()).tanh(),
        Activation::Softplus => z.max(0.0) + (-z.abs()).exp().ln_1p(),
        Activation::Relu => z.max(0.0),
        Activation::LeakyRelu => z.max(0.01 * z),
        Activation::Step => f64::from(u8::from(z >= 0.0)),
        Activation::Dendritic if z < 0.0 => 0.0,
        Activation::Dendritic => (-z / 0.3).exp(),
        Activation::Sign => f64::from(i8::from(z > 0.0) - i8::from(z < 0.0)),
    }
}

/// By its power series.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    if x.abs() > 5.0 { x.signum() } else { sum * 2.0 / std::f64::consts::PI.sqrt() }
}

fn loss_of_row(loss: Loss, f: &[f64], y: &[f64]) -> f64 {
    let n = f.len() as f64;
    let sum = |one: &dyn Fn(f64, f64) -> f64| f.iter().zip(y).map(|(f, y)| one(*f, *y)).sum::<f64>();
    match loss {
        Loss::MeanSquared => sum(&|f, y| (f - y).powi(2)) / n,
        Loss::HalfSumSquared => sum(&|f, y| 0.5 * (f - y).powi(2)),
        Loss::MeanAbsolute => sum(&|f, y| (f - y).abs()) / n,
        Loss::Huber(delta) => {
            let delta = f64::from(delta);
            sum(&|f, y| {
                let e = (f - y).abs();
                if e <= delta { 0.5 * e * e } else { delta * (e - 0.5 * delta) }
            }) / n
        }
        Loss::BinaryCrossEntropy => sum(&|z, y| z.max(0.0) - z * y + (-z.abs()).exp().ln_1p()) / n,
        Loss::CategoricalCrossEntropy => {
            let log_sum = f.iter().map(|z| z.exp()).sum::<f64>().ln();
            sum(&|z, y| y * (log_sum - z))
        }
    }
}

/// A network in 64 bits: weights by layer, then by input, then by output; then the biases.
#[derive(Clone)]
struct Reference {
    layers: Vec<Layer>,
    weights: Vec<Vec<f64>>,
    biases: Vec<Vec<f64>>,
}

impl Reference {
    fn outputs(&self, x: &[f32]) -> Vec<f64> {
        let mut x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        for ((layer, weights), biases) in self.layers.iter().zip(&self.weights).zip(&self.biases) {
            let z = (0..layer.outputs).map(|j| {
                let sum: f64 = x.iter().enumerate().map(|(i, x)| x * weights[i * layer.outputs + j]).sum();
                sum + biases.get(j).copied().unwrap_or(0.0)
            });
            x = z.map(|z| activate(layer.activation, z)).collect();
        }
        x
    }

    fn loss(&self, loss: Loss, sum: bool, data: &Data<'_>) -> f64 {
        let (n, m) = (self.layers[0].inputs, self.layers[self.layers.len() - 1].outputs);
        let rows = data.inputs.chunks(n).zip(data.targets.chunks(m)).enumerate();
        let mut total = (0.0, 0.0);
        for (r, (x, y)) in rows {
            let y: Vec<f64> = y.iter().map(|&y| f64::from(y)).collect();
            let weight = data.weights.map_or(1.0, |w| f64::from(w[r]));
            total.0 += weight * loss_of_row(loss, &self.outputs(x), &y);
            total.1 += weight;
        }
        if sum { total.0 } else { total.0 / total.1 }
    }
}

fn normal(n: usize, seed: u64, row: u32, scale: f32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Stream::new(seed, Purpose::Data, 0).fill_normal(row, &mut x);
    x.iter_mut().for_each(|x| *x *= scale);
    x
}

fn layers(widths: &[usize], activations: &[Activation], bias: bool) -> Vec<Layer> {
    let pairs = widths.windows(2).zip(activations);
    pairs.map(|(w, &activation)| Layer { inputs: w[0], outputs: w[1], bias, activation }).collect()
}

const PLAIN: Settings = Settings {
    own_rows: false,
    loss: Loss::MeanSquared,
    sum: false,
    rule: Rule::Sgd { momentum: 0.0, nesterov: false },
    batch: 32,
    dropout: 0.0,
    seed: 0,
    betas: [0.9, 0.999],
    rates: [1.0; 6],
    decay: [0.0; 6],
    l1: 0.0,
    l2: 0.0,
    clip_value: None,
    clip_norm: None,
};

fn fill(trainer: &mut DenseTrainer, layers: &[Layer], seed: u64) {
    for (i, layer) in layers.iter().enumerate() {
        let scale = 1.0 / (layer.inputs as f32).sqrt();
        let weight = normal(layer.inputs * layer.outputs, seed, 2 * i as u32, scale);
        let bias = normal(if layer.bias { layer.outputs } else { 0 }, seed, 2 * i as u32 + 1, 0.1);
        trainer.set_layer(i, &weight, &bias);
    }
}

fn to_64(x: Vec<f32>) -> Vec<f64> {
    x.into_iter().map(f64::from).collect()
}

fn reference(trainer: &mut DenseTrainer, layers: &[Layer]) -> Reference {
    let (weights, biases) = (0..layers.len()).map(|i| trainer.layer(i)).map(|(w, b)| (to_64(w), to_64(b))).unzip();
    Reference { layers: layers.to_vec(), weights, biases }
}

/// Targets that suit the loss.
fn targets(loss: Loss, rows: usize, outputs: usize, seed: u64) -> Vec<f32> {
    let y = normal(rows * outputs, seed, 1000, 1.0);
    match loss {
        Loss::BinaryCrossEntropy => y.into_iter().map(|y| if y > 0.0 { 1.0 } else { 0.0 }).collect(),
        Loss::CategoricalCrossEntropy => {
            let mut hot = vec![0.0; y.len()];
            for (r, row) in y.chunks(outputs).enumerate() {
                hot[r * outputs + ((row[0].abs() * 1000.0) as usize) % outputs] = 1.0;
            }
            hot
        }
        _ => y,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn gradients_are_the_central_differences(
        inputs in 1usize..20,
        hidden in prop::collection::vec(1usize..20, 0..3),
        outputs in 1usize..8,
        rows in 1usize..12,
        bias: bool,
        weighted: bool,
        activations in prop::collection::vec(prop::sample::select(SMOOTH.to_vec()), 3),
        loss in prop::sample::select(vec![
            Loss::MeanSquared, Loss::HalfSumSquared, Loss::MeanAbsolute, Loss::Huber(0.7),
            Loss::BinaryCrossEntropy, Loss::CategoricalCrossEntropy,
        ]),
        sum: bool,
        seed in 0u64..1000,
    ) {
        let widths: Vec<usize> = std::iter::once(inputs).chain(hidden).chain([outputs]).collect();
        let mut layers = layers(&widths, &activations, bias);
        if matches!(loss, Loss::BinaryCrossEntropy | Loss::CategoricalCrossEntropy) {
            layers.last_mut().unwrap().activation = Activation::Identity;
        }
        let mut trainer = DenseTrainer::new(&layers, Settings { loss, sum, batch: rows, ..PLAIN }, 1);
        fill(&mut trainer, &layers, seed);
        let (x, y) = (normal(rows * inputs, seed, 500, 1.0), targets(loss, rows, outputs, seed));
        let weights: Vec<f32> = normal(rows, seed, 600, 1.0).into_iter().map(|w| w.abs() + 0.1).collect();
        let data = Data { inputs: &x, targets: &y, weights: weighted.then_some(weights.as_slice()) };
        let before = reference(&mut trainer, &layers);
        let order: Vec<u32> = (0..rows as u32).rev().collect();
        let totals = trainer.epoch(&data, &order, 1, &|_| 1.0.into(), None);
        let after = reference(&mut trainer, &layers);

        let value = before.loss(loss, sum, &data);
        let got = if sum { totals.loss } else { totals.loss / totals.weight };
        prop_assert!((got - value).abs() <= 1e-5 * value.abs().max(1.0), "{} {}", got, value);
        let step = 1e-4;
        for l in 0..layers.len() {
            for k in 0..before.weights[l].len() + before.biases[l].len() {
                let n = before.weights[l].len();
                let at = |net: &Reference| if k < n { net.weights[l][k] } else { net.biases[l][k - n] };
                let moved = |by: f64| {
                    let mut net = before.clone();
                    if k < n { net.weights[l][k] += by } else { net.biases[l][k - n] += by }
                    net.loss(loss, sum, &data)
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let got = at(&before) - at(&after);
                // The absolute loss and SELU have a kink, which a difference may cross.
                let kink = (moved(step) + moved(-step) - 2.0 * value).abs() / step;
                prop_assert!((got - slope).abs() <= 2e-4 * slope.abs().max(0.05) + kink, "layer {} {}: {} {}", l, k, got, slope);
            }
        }
    }
}

/// Trains some epochs and gives back all weights and the last totals.
fn train(
    shape: (&[usize], Activation),
    settings: Settings,
    rows: usize,
    threads: usize,
    arch: Arch,
) -> (Vec<f32>, Totals) {
    let (widths, f) = shape;
    let activations: Vec<Activation> =
        (1..widths.len()).map(|i| if i + 1 < widths.len() { f } else { Activation::Identity }).collect();
    let layers = layers(widths, &activations, true);
    let mut trainer = DenseTrainer::new(&layers, settings, threads);
    trainer.set_instructions(arch);
    fill(&mut trainer, &layers, 3);
    let (n, m) = (widths[0], widths[widths.len() - 1]);
    let (x, y) = (normal(rows * n, 1, 0, 1.0), targets(settings.loss, rows, m, 2));
    let weights: Vec<f32> = normal(rows, 4, 0, 1.0).into_iter().map(f32::abs).collect();
    let data = Data { inputs: &x, targets: &y, weights: Some(&weights) };
    let mut totals = Totals::default();
    for epoch in 1..=3 {
        let order = Stream::new(5, Purpose::Shuffle, epoch).permutation(rows);
        totals = trainer.epoch(&data, &order, epoch, &|step| (0.01 / (1.0 + step as f64)).into(), None);
    }
    let mut outputs = Vec::new();
    let judged = trainer.evaluate(&data, &mut outputs, |_| ());
    assert_eq!(outputs.len(), rows * m);
    let mut all: Vec<f32> = (0..layers.len()).map(|i| trainer.layer(i)).flat_map(|(w, b)| [w, b].concat()).collect();
    all.extend(outputs);
    all.push(judged.loss as f32);
    (all, totals)
}

/// Small and large networks, batches of one chunk and of several, kept gradients and not, wide and narrow outputs.
fn cases() -> Vec<(&'static [usize], Activation, Settings, usize)> {
    let adam = Settings { rule: Rule::Adam, dropout: 0.2, decay: [0.01, 0.0, 0.0, 0.0, 0.0, 0.0], ..PLAIN };
    vec![
        (&[8, 64, 64, 1], Activation::Relu, Settings { batch: 64, ..PLAIN }, 200),
        (&[8, 64, 64, 1], Activation::Tanh, Settings { batch: 601, clip_norm: Some(0.05), ..adam }, 1203),
        (
            &[5, 130, 70, 3],
            Activation::Sigmoid,
            Settings { batch: 65, loss: Loss::CategoricalCrossEntropy, ..adam },
            130,
        ),
        (&[70, 260, 300, 2], Activation::Relu, Settings { batch: 48, ..PLAIN }, 97),
        (&[70, 260, 300, 10], Activation::Gelu, Settings { batch: 40, l1: 1e-4, l2: 1e-3, ..adam }, 90),
        (&[64, 300, 200], Activation::Softplus, Settings { batch: 700, clip_value: Some(0.01), ..adam }, 1000),
        (&[64, 300, 200, 1], Activation::Silu, Settings { batch: 40, clip_norm: Some(0.1), ..adam }, 80),
        (&[1100, 33, 1100], Activation::Relu, Settings { batch: 20, ..PLAIN }, 41),
    ]
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    for (widths, f, settings, rows) in cases() {
        let bits = |threads| {
            let (weights, totals) = train((widths, f), settings, rows, threads, Arch::new());
            (weights.into_iter().map(f32::to_bits).collect::<Vec<_>>(), totals.loss.to_bits(), totals.steps)
        };
        let one = bits(1);
        for threads in [2, 3, 7] {
            assert!(one == bits(threads), "{widths:?} on {threads} threads");
        }
    }
}

#[test]
fn every_instruction_set_makes_the_same_steps() {
    for (widths, f, settings, rows) in cases() {
        // Without momentum: where a gradient is 0 but for rounding, Adam would take the rounding for a direction.
        let settings = Settings { rule: PLAIN.rule, ..settings };
        let (fast, _) = train((widths, f), settings, rows, 2, Arch::new());
        for arch in others() {
            let (plain, _) = train((widths, f), settings, rows, 2, arch);
            for (i, (a, b)) in fast.iter().zip(&plain).enumerate() {
                assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{widths:?} {i}: {a} {b}");
            }
        }
    }
}

/// Instruction sets that are not the one that is chosen here, but would be elsewhere.
fn others() -> Vec<Arch> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
    let mut others = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    others.extend(pulp::x86::V3::try_new().map(Arch::V3));
    others
}

#[test]
fn a_batch_in_several_goes_is_the_same_step() {
    // 1000 rows are two chunks; with row weights of 0 in the second, the first alone.
    let layers = layers(&[6, 40, 1], &[Activation::Tanh, Activation::Identity], true);
    let (x, y) = (normal(6000, 1, 0, 1.0), normal(1000, 1, 1, 1.0));
    let weights: Vec<f32> = (0..1000).map(|i| if i < 500 { 1.0 } else { 0.0 }).collect();
    let step = |data: &Data<'_>, rows: u32| {
        let mut trainer = DenseTrainer::new(&layers, Settings { batch: 1000, ..PLAIN }, 2);
        fill(&mut trainer, &layers, 9);
        let order: Vec<u32> = (0..rows).collect();
        trainer.epoch(data, &order, 1, &|_| 0.1.into(), None);
        trainer.layer(0).0
    };
    let all = step(&Data { inputs: &x, targets: &y, weights: Some(&weights) }, 1000);
    let half = step(&Data { inputs: &x[..3000], targets: &y[..500], weights: None }, 500);
    for (a, b) in all.iter().zip(&half) {
        assert!((a - b).abs() <= 1e-6, "{a} {b}");
    }
}

#[test]
fn nan_is_not_swallowed() {
    for f in [Activation::Relu, Activation::LeakyRelu, Activation::Tanh, Activation::Elu, Activation::Gelu] {
        let layers = layers(&[2, 5, 1], &[f, Activation::Identity], true);
        let mut trainer = DenseTrainer::new(&layers, Settings { batch: 2, ..PLAIN }, 1);
        fill(&mut trainer, &layers, 1);
        let data = Data { inputs: &[f32::NAN, 1.0, 0.0, 1.0], targets: &[0.0, 1.0], weights: None };
        let totals = trainer.epoch(&data, &[0, 1], 1, &|_| 0.1.into(), None);
        assert!(totals.loss.is_nan(), "{f:?}");
    }
}

#[test]
fn saved_weights_come_back_and_an_epoch_ends_when_asked() {
    let layers = layers(&[8, 64, 64, 1], &[Activation::Relu, Activation::Relu, Activation::Identity], true);
    let mut trainer = DenseTrainer::new(&layers, Settings { batch: 64, ..PLAIN }, 2);
    fill(&mut trainer, &layers, 1);
    let (x, y) = (normal(8 * 640, 1, 0, 1.0), normal(640, 1, 1, 1.0));
    let data = Data { inputs: &x, targets: &y, weights: None };
    let order: Vec<u32> = (0..640).collect();
    let (mut store, mut before, mut after) = (Vec::new(), vec![0.0; 640], vec![0.0; 640]);
    trainer.save(&mut store);
    trainer.outputs(&x, &mut before);
    let steps = Mutex::new(0);
    let totals = trainer.epoch(
        &data,
        &order,
        1,
        &|step| {
            *steps.lock().unwrap() = step;
            0.1.into()
        },
        None,
    );
    assert_eq!((totals.steps, totals.weight), (10, 640.0));
    trainer.outputs(&x, &mut after);
    assert_ne!(before, after);
    trainer.restore(&store);
    trainer.outputs(&x, &mut after);
    assert_eq!(before, after);
    let totals = trainer.epoch(&data, &order, 2, &|_| 0.1.into(), Some(&|| true));
    assert_eq!((totals.steps, totals.weight), (1, 64.0));
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let fourth = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 3;
    assert_eq!(trainer.epoch(&data, &order, 2, &|_| 0.1.into(), Some(&fourth)).steps, 4);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_epoch() {
    // One layer structure for each way of sharing a step.
    for (widths, threads) in [(vec![8, 64, 64, 1], 2), (vec![8, 256, 256, 1], 2), (vec![8, 4, 1], 1)] {
        let activations: Vec<_> = widths[1..].iter().map(|_| Activation::Identity).collect();
        let layers = layers(&widths, &activations, true);
        let mut trainer = DenseTrainer::new(&layers, Settings { batch: 64, ..PLAIN }, threads);
        fill(&mut trainer, &layers, 1);
        let (x, y) = (normal(8 * 6400, 1, 0, 1.0), normal(6400, 1, 1, 1.0));
        let data = Data { inputs: &x, targets: &y, weights: None };
        let order: Vec<u32> = (0..6400).collect();
        let totals = trainer.epoch(&data, &order, 1, &|_| 1e10.into(), None);
        assert!(!totals.loss.is_finite() && totals.steps < 50, "{widths:?}: {totals:?}");
    }
}

#[test]
fn a_run_goes_on_from_what_was_saved() {
    let rules = [
        Rule::Sgd { momentum: 0.0, nesterov: false },
        Rule::Sgd { momentum: 0.9, nesterov: true },
        Rule::Adam,
        Rule::AdamW,
        Rule::RmsProp { momentum: 0.9 },
        Rule::AdaGrad,
        Rule::Lion,
    ];
    let (x, y) = (normal(8 * 640, 1, 0, 1.0), normal(640, 1, 1, 1.0));
    let data = Data { inputs: &x, targets: &y, weights: None };
    let order: Vec<u32> = (0..640).collect();
    for rule in rules {
        // Small networks have a copy for each thread, large ones share one.
        for width in [64, 256] {
            let layers =
                layers(&[8, width, width, 1], &[Activation::Relu, Activation::Tanh, Activation::Identity], true);
            let settings = Settings { batch: 64, rule, dropout: 0.1, decay: [0.01, 0.0, 0.0, 0.0, 0.0, 0.0], ..PLAIN };
            let mut whole = DenseTrainer::new(&layers, settings, 2);
            fill(&mut whole, &layers, 1);
            let (mut weights, mut states) = (Vec::new(), Vec::new());
            whole.epoch(&data, &order, 1, &|_| 0.01.into(), None);
            whole.save(&mut weights);
            let step = whole.save_rule(&mut states);
            assert_eq!(step, 10);
            whole.epoch(&data, &order, 2, &|_| 0.01.into(), None);

            let mut resumed = DenseTrainer::new(&layers, settings, 2);
            resumed.restore(&weights);
            assert!(resumed.restore_rule(&states, step));
            assert!(!resumed.restore_rule(&[1.0; 3], step), "{rule:?}");
            resumed.epoch(&data, &order, 2, &|_| 0.01.into(), None);
            for l in 0..3 {
                assert!(resumed.layer(l) == whole.layer(l), "{rule:?}, width {width}, layer {l}");
            }
        }
    }
}
