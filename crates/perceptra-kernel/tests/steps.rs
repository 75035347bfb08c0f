//! Steps against 64-bit central differences, and against themselves: other threads, other instruction sets.

mod common;

use std::sync::Mutex;

use common::{DESCENT, RULES, cases, edges, layer, layers, normal, of_weights, others, predict, set_layer, targets};
use perceptra_kernel::{
    Activation, Column, Data, Extras, InputEmbedding, Layer, Loss, NumberEmbedding, Part, Settings, Totals, Trainer,
    UpdateRule,
};
use perceptra_random::{Purpose, Stream};
use proptest::prelude::*;
use pulp::Arch;

/// Whether central differences approach the derivative everywhere, if one bend of SELU at 0 is allowed for.
fn is_smooth(f: Activation) -> bool {
    match f {
        Activation::Identity
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Elu
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Mish
        | Activation::Softplus => true,
        Activation::Step | Activation::Sign | Activation::Relu | Activation::LeakyRelu | Activation::Dendritic => false,
    }
}

fn smooth() -> Vec<Activation> {
    Activation::ALL.iter().copied().filter(|f| is_smooth(*f)).collect()
}

#[test]
fn the_tested_rules_are_all_rules() {
    for rule in UpdateRule::ALL {
        let same = |other: &UpdateRule| std::mem::discriminant(other) == std::mem::discriminant(rule);
        assert!(RULES.iter().any(same), "{rule:?} is not tested");
    }
}

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

fn fill(trainer: &mut Trainer, layers: &[Layer], seed: u64) {
    for (i, layer) in layers.iter().enumerate() {
        let scale = 1.0 / (layer.inputs as f32).sqrt();
        let weight = normal(layer.inputs * layer.outputs, seed, 2 * i as u32, scale);
        let bias = normal(if layer.bias { layer.outputs } else { 0 }, seed, 2 * i as u32 + 1, 0.1);
        set_layer(trainer, i, &weight, &bias);
    }
}

fn to_64(x: Vec<f32>) -> Vec<f64> {
    x.into_iter().map(f64::from).collect()
}

fn reference(trainer: &mut Trainer, layers: &[Layer]) -> Reference {
    let (weights, biases) = (0..layers.len()).map(|i| layer(trainer, i)).map(|(w, b)| (to_64(w), to_64(b))).unzip();
    Reference { layers: layers.to_vec(), weights, biases }
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
        activations in prop::collection::vec(prop::sample::select(smooth()), 3),
        loss in prop::sample::select(Loss::ALL.to_vec()),
        sum: bool,
        seed in 0u64..1000,
    ) {
        let widths: Vec<usize> = std::iter::once(inputs).chain(hidden).chain([outputs]).collect();
        let mut layers = layers(&widths, &activations, bias);
        if matches!(loss, Loss::BinaryCrossEntropy | Loss::CategoricalCrossEntropy) {
            layers.last_mut().unwrap().activation = Activation::Identity;
        }
        let mut trainer = Trainer::new(&layers, &Extras::default(), Settings { loss, sum, batch: rows, ..Settings::default() }, 1).unwrap();
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
    let settings = Settings { instructions: Some(arch), ..settings };
    let mut trainer = Trainer::new(&layers, &Extras::default(), settings, threads).unwrap();
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
    let mut all: Vec<f32> =
        (0..layers.len()).map(|i| layer(&mut trainer, i)).flat_map(|(w, b)| [w, b].concat()).collect();
    all.extend(outputs);
    all.push(judged.loss as f32);
    (all, totals)
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
        let settings = Settings { rule: DESCENT, ..settings };
        let (fast, _) = train((widths, f), settings, rows, 2, Arch::new());
        for arch in others() {
            let (plain, _) = train((widths, f), settings, rows, 2, arch);
            for (i, (a, b)) in fast.iter().zip(&plain).enumerate() {
                assert!((a - b).abs() <= 1e-4 * (1.0 + b.abs()), "{widths:?} {i}: {a} {b}");
            }
        }
    }
}

#[test]
fn a_batch_of_several_chunks_makes_the_same_step() {
    // 1000 rows are two chunks; with row weights of 0 in the second, the first alone.
    let layers = layers(&[6, 40, 1], &[Activation::Tanh, Activation::Identity], true);
    let (x, y) = (normal(6000, 1, 0, 1.0), normal(1000, 1, 1, 1.0));
    let weights: Vec<f32> = (0..1000).map(|i| if i < 500 { 1.0 } else { 0.0 }).collect();
    let step = |data: &Data<'_>, rows: u32| {
        let mut trainer =
            Trainer::new(&layers, &Extras::default(), Settings { batch: 1000, ..Settings::default() }, 2).unwrap();
        fill(&mut trainer, &layers, 9);
        let order: Vec<u32> = (0..rows).collect();
        trainer.epoch(data, &order, 1, &|_| 0.1.into(), None);
        trainer.get(Part::Weight(0))
    };
    let all = step(&Data { inputs: &x, targets: &y, weights: Some(&weights) }, 1000);
    let half = step(&Data { inputs: &x[..3000], targets: &y[..500], weights: None }, 500);
    for (a, b) in all.iter().zip(&half) {
        assert!((a - b).abs() <= 1e-6, "{a} {b}");
    }
}

/// Whether f(NaN) is NaN. The values of steps are those of comparisons, which are false for NaN.
fn passes_nan(f: Activation) -> bool {
    match f {
        Activation::Step | Activation::Sign => false,
        Activation::Identity
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Relu
        | Activation::LeakyRelu
        | Activation::Elu
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Mish
        | Activation::Softplus
        | Activation::Dendritic => true,
    }
}

#[test]
fn nan_in_the_inputs_reaches_the_loss() {
    for f in Activation::ALL.iter().copied().filter(|f| passes_nan(*f)) {
        let layers = layers(&[2, 5, 1], &[f, Activation::Identity], true);
        let mut trainer =
            Trainer::new(&layers, &Extras::default(), Settings { batch: 2, ..Settings::default() }, 1).unwrap();
        fill(&mut trainer, &layers, 1);
        let data = Data { inputs: &[f32::NAN, 1.0, 0.0, 1.0], targets: &[0.0, 1.0], weights: None };
        let totals = trainer.epoch(&data, &[0, 1], 1, &|_| 0.1.into(), None);
        assert!(totals.loss.is_nan(), "{f:?}");
    }
}

#[test]
fn saved_weights_come_back_and_an_epoch_ends_when_asked() {
    let layers = layers(&[8, 64, 64, 1], &[Activation::Relu, Activation::Relu, Activation::Identity], true);
    let mut trainer =
        Trainer::new(&layers, &Extras::default(), Settings { batch: 64, ..Settings::default() }, 2).unwrap();
    fill(&mut trainer, &layers, 1);
    let (x, y) = (normal(8 * 640, 1, 0, 1.0), normal(640, 1, 1, 1.0));
    let data = Data { inputs: &x, targets: &y, weights: None };
    let order: Vec<u32> = (0..640).collect();
    let mut store = Vec::new();
    trainer.save(&mut store, None);
    let before = predict(&mut trainer, &x, 640);
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
    assert_ne!(before, predict(&mut trainer, &x, 640));
    assert!(trainer.restore(&store, None));
    assert_eq!(before, predict(&mut trainer, &x, 640));
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
        let mut trainer =
            Trainer::new(&layers, &Extras::default(), Settings { batch: 64, ..Settings::default() }, threads).unwrap();
        fill(&mut trainer, &layers, 1);
        let (x, y) = (normal(8 * 6400, 1, 0, 1.0), normal(6400, 1, 1, 1.0));
        let data = Data { inputs: &x, targets: &y, weights: None };
        let order: Vec<u32> = (0..6400).collect();
        let totals = trainer.epoch(&data, &order, 1, &|_| 1e10.into(), None);
        assert!(!totals.loss.is_finite() && totals.steps < 50, "{widths:?}: {totals:?}");
    }
}

#[test]
fn a_resumed_run_has_the_bits_of_an_uninterrupted_one() {
    let (x, y) = (normal(8 * 640, 1, 0, 1.0), normal(640, 1, 1, 1.0));
    let data = Data { inputs: &x, targets: &y, weights: None };
    let order: Vec<u32> = (0..640).collect();
    for rule in RULES {
        // Small networks have a copy for each thread, large ones share one.
        for width in [64, 256] {
            let layers =
                layers(&[8, width, width, 1], &[Activation::Relu, Activation::Tanh, Activation::Identity], true);
            let settings = Settings { batch: 64, rule, dropout: 0.1, decay: of_weights(0.01), ..Settings::default() };
            let mut whole = Trainer::new(&layers, &Extras::default(), settings, 2).unwrap();
            fill(&mut whole, &layers, 1);
            let (mut weights, mut states) = (Vec::new(), Vec::new());
            whole.epoch(&data, &order, 1, &|_| 0.01.into(), None);
            let step = whole.save(&mut weights, Some(&mut states));
            assert_eq!(step, 10);
            whole.epoch(&data, &order, 2, &|_| 0.01.into(), None);

            let mut resumed = Trainer::new(&layers, &Extras::default(), settings, 2).unwrap();
            assert!(resumed.restore(&weights, Some((&states, step))));
            let nothing = vec![0.0; weights.len()];
            assert!(!resumed.restore(&nothing, Some((&[1.0; 3], step))), "{rule:?}");
            assert!(!resumed.restore(&nothing, Some((&states, -1))), "{rule:?}");
            resumed.epoch(&data, &order, 2, &|_| 0.01.into(), None);
            for l in 0..3 {
                let same = layer(&mut resumed, l) == layer(&mut whole, l);
                assert!(same, "{rule:?}, width {width}, layer {l}");
            }
        }
    }
}

/// A batch ensemble behind embeddings in 64 bits: three numbers whose bins are unlike, a category, two hidden layers.
#[derive(Clone)]
struct Ensemble {
    /// The linear parts `[numbers, width]`, their biases, V `[numbers · bins, width]`, the table; r of the inputs; W, b, s and r of the
    /// first hidden layer; W, b and s of the second; W and b of the outputs.
    tensors: Vec<Vec<f64>>,
    activation: Activation,
}

const MEMBERS: usize = 3;
const CATEGORIES: usize = 4;
const HIDDEN: [usize; 2] = [72, 36];

impl Ensemble {
    fn layers(width: usize, activation: Activation) -> Vec<Layer> {
        let widths = [3 * width + 5, HIDDEN[0], HIDDEN[1], 2];
        layers(&widths, &[activation, activation, Activation::Identity], true)
    }

    fn trainer(width: usize, activation: Activation, settings: Settings, threads: usize) -> Trainer {
        let columns = vec![Column::Category(CATEGORIES), Column::Number, Column::Number, Column::Number];
        let numbers = NumberEmbedding::PiecewiseLinear(edges(), width);
        let embedding = Some(InputEmbedding { columns, numbers, category_width: 5 });
        let extras = Extras { members: MEMBERS, embedding, ..Extras::default() };
        let layers = Self::layers(width, activation);
        let mut trainer = Trainer::new(&layers, &extras, settings, threads).unwrap();
        for (i, layer) in layers.iter().enumerate() {
            let copies = if i == 2 { MEMBERS } else { 1 };
            let scale = (layer.inputs as f32).sqrt().recip();
            let weight = normal(copies * layer.inputs * layer.outputs, 7, i as u32, scale);
            set_layer(&mut trainer, i, &weight, &normal(MEMBERS * layer.outputs, 7, 10 + i as u32, 0.1));
        }
        for (i, part) in Self::parts().into_iter().enumerate() {
            let numbers = normal(trainer.get(part).len(), 7, 20 + i as u32, 0.5);
            trainer.set(part, &numbers);
        }
        trainer
    }

    fn parts() -> [Part; 8] {
        let [w, b, v, table] = [0, 1, 2, 3].map(Part::Embedding);
        [w, b, v, table, Part::R(0), Part::S(0), Part::R(1), Part::S(1)]
    }

    fn of(trainer: &mut Trainer, activation: Activation) -> Self {
        let [w, b, v, table, r, s, r_2, s_2] = Self::parts().map(|part| to_64(trainer.get(part)));
        let [one, two, out] = [0, 1, 2].map(|l| layer(trainer, l)).map(|(w, b)| (to_64(w), to_64(b)));
        let tensors = vec![w, b, v, table, r, one.0, one.1, s, r_2, two.0, two.1, s_2, out.0, out.1];
        Self { tensors, activation }
    }

    fn outputs(&self, member: usize, x: &[f32]) -> Vec<f64> {
        let [w, b, v, table, r, w_1, b_1, s_1, r_1, w_2, b_2, s_2, w_3, b_3] = &self.tensors[..] else {
            unreachable!()
        };
        let width = w.len() / 3;
        let mut row = Vec::new();
        for (n, edges) in edges().iter().enumerate() {
            let x = f64::from(x[1 + n]);
            for k in 0..width {
                let mut sum = x * w[n * width + k] + b[n * width + k];
                for (j, edge) in edges.windows(2).enumerate() {
                    let (from, to) = (f64::from(edge[0]), f64::from(edge[1]));
                    let low = if j == 0 { f64::NEG_INFINITY } else { 0.0 };
                    let high = if j + 2 == edges.len() { f64::INFINITY } else { 1.0 };
                    sum += ((x - from) / (to - from)).clamp(low, high) * v[(n * 40 + j) * width + k];
                }
                row.push(sum);
            }
        }
        row.extend_from_slice(&table[x[0] as usize * 5..][..5]);
        let of = |numbers: &[f64], width: usize| numbers[member * width..(member + 1) * width].to_vec();
        row.iter_mut().zip(of(r, 3 * width + 5)).for_each(|(x, r)| *x *= r);
        let times = |row: &[f64], w: &[f64], outputs: usize| -> Vec<f64> {
            (0..outputs).map(|j| row.iter().enumerate().map(|(i, x)| x * w[i * outputs + j]).sum()).collect()
        };
        let [h_1, h_2] = HIDDEN;
        let layer = |row: &[f64], w: &[f64], s: &[f64], b: &[f64], h: usize| -> Vec<f64> {
            let parts = times(row, w, h).into_iter().zip(of(s, h)).zip(of(b, h));
            parts.map(|((x, s), b)| activate(self.activation, x * s + b)).collect()
        };
        let mut row = layer(&row, w_1, s_1, b_1, h_1);
        row.iter_mut().zip(of(r_1, h_1)).for_each(|(x, r)| *x *= r);
        let row = layer(&row, w_2, s_2, b_2, h_2);
        times(&row, &of(w_3, h_2 * 2), 2).into_iter().zip(of(b_3, 2)).map(|(x, b)| x + b).collect()
    }

    /// The mean over the rows that `order` has for each member.
    fn loss(&self, data: &Data<'_>, order: &[u32]) -> f64 {
        let mine = order.len() / MEMBERS;
        let losses = order.iter().enumerate().map(|(i, &r)| {
            let f = self.outputs(i / mine, &data.inputs[r as usize * 4..][..4]);
            let y = [0, 1].map(|k| f64::from(data.targets[r as usize * 2 + k]));
            loss_of_row(Loss::MeanSquared, &f, &y)
        });
        losses.sum::<f64>() / order.len() as f64
    }
}

/// Rows for it: a category and three numbers, of which some lie on edges and some beyond them.
fn rows(n: usize) -> (Vec<f32>, Vec<f32>) {
    let mut x = normal(4 * n, 8, 0, 0.8);
    for (i, row) in x.chunks_mut(4).enumerate() {
        row[0] = (i * 7 % CATEGORIES) as f32;
        if i % 5 == 0 {
            row[1] = edges()[0][i / 5 % 4];
            row[3] = edges()[2][i * 3 % 41];
        }
    }
    (x, normal(2 * n, 8, 1, 1.0))
}

#[test]
fn ensembles_behind_embeddings_descend_along_the_central_differences() {
    // Fields of 16 numbers lie in one panel of the memory, of 21 some in two. Of more rows than twice the bins the gradients of the
    // former are made by bins; 3 times 180 are more than a chunk.
    for (width, n, activation, clip_norm) in [
        (16, 23, Activation::Relu, None),
        (21, 23, Activation::Relu, Some(1e9)),
        (16, 23, Activation::Tanh, None),
        (16, 90, Activation::Relu, Some(1e9)),
        (16, 180, Activation::Tanh, None),
    ] {
        let settings = Settings { batch: n, share_batches: false, clip_norm, ..Settings::default() };
        let mut trainer = Ensemble::trainer(width, activation, settings, 2);
        let (x, y) = rows(n);
        let data = Data { inputs: &x, targets: &y, weights: None };
        let order: Vec<u32> =
            (0..MEMBERS as u32).flat_map(|m| Stream::new(2, Purpose::Shuffle, m).permutation(n)).collect();
        // The step that counts is the second: the first one leaves behind sums and transposed weights that must be those of new weights.
        trainer.epoch(&data, &order, 0, &|_| 0.05.into(), None);
        let before = Ensemble::of(&mut trainer, activation);
        let totals = trainer.epoch(&data, &order, 1, &|_| 1.0.into(), None);
        let after = Ensemble::of(&mut trainer, activation);
        let value = before.loss(&data, &order);
        assert!((totals.loss / totals.weight - value).abs() <= 1e-5 * value, "{totals:?} {value}");
        let step = 1e-4;
        for (t, tensor) in before.tensors.iter().enumerate() {
            // All of the small ones, some of the large ones.
            for k in (t % 7..tensor.len()).step_by(tensor.len() / 40 + 1) {
                let moved = |by: f64| {
                    let mut net = before.clone();
                    net.tensors[t][k] += by;
                    net.loss(&data, &order)
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                let got = before.tensors[t][k] - after.tensors[t][k];
                let kink = (moved(step) + moved(-step) - 2.0 * value).abs() / step;
                let limit = 2e-4 * slope.abs().max(0.02) + kink;
                assert!((got - slope).abs() <= limit, "{width} {n} {activation:?} tensor {t} {k}: {got} {slope}");
            }
        }
    }
}

#[test]
fn an_ensemble_of_equal_members_descends_as_one_network() {
    // Without factors of the inputs, and with factors of 1.
    let edges: Vec<Vec<f32>> = (0..5).map(|_| edges()[2].clone()).collect();
    let mut columns = vec![Column::Number; 5];
    columns.extend([Column::Plain; 3]);
    let embedding = InputEmbedding { columns, numbers: NumberEmbedding::PiecewiseLinear(edges, 16), category_width: 1 };
    let (n, activations) = (150, [Activation::Relu, Activation::Identity]);
    let (x, y) = (normal(8 * n, 3, 0, 0.6), normal(n, 3, 1, 1.0));
    let data = Data { inputs: &x, targets: &y, weights: None };
    let order: Vec<u32> = (0..n as u32).collect();
    let extras = |members, input_scale| {
        let embedding = Some(embedding.clone());
        Extras { members, embedding, input_scale, ..Extras::default() }
    };
    let tensors = |members: usize, input_scale: bool| {
        let layers = layers(&[83, 40, 1], &activations, true);
        let settings = Settings { batch: n, ..Settings::default() };
        let mut net = Trainer::new(&layers, &extras(members, input_scale), settings, 2).unwrap();
        let repeated = |numbers: Vec<f32>| numbers.repeat(members);
        set_layer(&mut net, 0, &normal(83 * 40, 3, 2, 0.2), &repeated(normal(40, 3, 3, 0.3)));
        set_layer(&mut net, 1, &repeated(normal(40, 3, 4, 0.3)), &repeated(vec![0.1]));
        for tensor in 0..3 {
            let part = Part::Embedding(tensor);
            let numbers = normal(net.get(part).len(), 3, 5 + tensor as u32, 0.4);
            net.set(part, &numbers);
        }
        if members > 1 || input_scale {
            net.set(Part::R(0), &vec![1.0; 83 * members]);
        }
        if members > 1 {
            net.set(Part::S(0), &vec![1.0; 40 * members]);
        }
        net.epoch(&data, &order, 0, &|_| 0.5.into(), None);
        let mut tensors: Vec<Vec<f32>> = (0..3).map(|t| net.get(Part::Embedding(t))).collect();
        tensors.push(net.get(Part::Weight(0)));
        if input_scale {
            tensors.push(net.get(Part::R(0)));
        }
        tensors
    };
    let near = |one: &[Vec<f32>], other: &[Vec<f32>]| {
        for (t, (one, other)) in one.iter().zip(other).enumerate() {
            for (i, (a, b)) in one.iter().zip(other).enumerate() {
                assert!((a - b).abs() < 2e-5, "tensor {t} {i}: {a} {b}");
            }
        }
    };
    let one = tensors(1, false);
    near(&one, &tensors(2, false));
    near(&one, &tensors(1, true));
}

#[test]
fn the_bits_of_an_ensemble_do_not_depend_on_the_number_of_threads() {
    let (x, y) = rows(400);
    let data = Data { inputs: &x, targets: &y, weights: None };
    // Batches of less than a block, of no whole number of blocks, and of more than a chunk.
    for (batch, activation) in [(4, Activation::Relu), (37, Activation::Tanh), (390, Activation::Relu)] {
        let settings =
            Settings { rule: UpdateRule::AdamW, batch, share_batches: false, dropout: 0.2, ..Settings::default() };
        let bits = |threads| {
            let mut trainer = Ensemble::trainer(16, activation, settings, threads);
            for epoch in 0..2 {
                let orders =
                    (0..MEMBERS as u32).map(|m| Stream::new(2, Purpose::Shuffle, 9 * epoch + m).permutation(400));
                let orders: Vec<Vec<u32>> = orders.collect();
                // Of each batch the rows of one member after another.
                let mut order = Vec::new();
                for start in (0..400).step_by(batch) {
                    orders.iter().for_each(|o| order.extend_from_slice(&o[start..(start + batch).min(400)]));
                }
                trainer.epoch(&data, &order, epoch, &|_| 0.01.into(), None);
            }
            let outputs = predict(&mut trainer, &x, 2 * 400);
            outputs.iter().chain(&trainer.get(Part::Embedding(2))).map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        let one = bits(1);
        for threads in [2, 3] {
            assert!(one == bits(threads), "batches of {batch} on {threads} threads");
        }
    }
}
