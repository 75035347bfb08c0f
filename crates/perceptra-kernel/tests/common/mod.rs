//! Networks, rows and settings that several test binaries train on.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use perceptra_random::{Purpose, Stream};
use pulp::Arch;

use perceptra_kernel::{
    Activation, Column, Data, Extras, InputEmbedding, Layer, Loss, Network, NumberEmbedding, Part, PerGroup, Settings,
    StepRates, Totals, Trainer, UpdateRule,
};

pub(crate) const DESCENT: UpdateRule = UpdateRule::Sgd { momentum: 0.0, nesterov: false };

/// Every update rule, with and without momentum where it has one.
pub(crate) const RULES: [UpdateRule; 9] = [
    DESCENT,
    UpdateRule::Sgd { momentum: 0.9, nesterov: false },
    UpdateRule::Sgd { momentum: 0.9, nesterov: true },
    UpdateRule::Adam,
    UpdateRule::AdamW,
    UpdateRule::RmsProp { momentum: 0.0 },
    UpdateRule::RmsProp { momentum: 0.9 },
    UpdateRule::AdaGrad,
    UpdateRule::Lion,
];

pub(crate) fn normal(n: usize, seed: u64, row: u32, scale: f32) -> Vec<f32> {
    let mut x = vec![0.0; n];
    Stream::new(seed, Purpose::Data, 0).fill_normal(row, &mut x);
    x.iter_mut().for_each(|x| *x *= scale);
    x
}

pub(crate) fn layers(widths: &[usize], activations: &[Activation], bias: bool) -> Vec<Layer> {
    let pairs = widths.windows(2).zip(activations);
    pairs.map(|(w, &activation)| Layer { inputs: w[0], outputs: w[1], bias, activation }).collect()
}

/// Targets that suit the loss.
pub(crate) fn targets(loss: Loss, rows: usize, outputs: usize, seed: u64) -> Vec<f32> {
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
        Loss::MeanSquared | Loss::HalfSumSquared | Loss::MeanAbsolute | Loss::Huber(_) => y,
    }
}

/// The edges of three numbers with 3, 1 and 40 bins.
pub(crate) fn edges() -> Vec<Vec<f32>> {
    let many = (0..=40).map(|i| (i as f32 / 20.0 - 1.0).powi(3)).collect();
    vec![vec![-1.0, -0.25, 0.5, 0.75], vec![-0.5, 0.5], many]
}

/// A value for weights, 0 for all other parameters.
pub(crate) fn of_weights(value: f64) -> PerGroup<f64> {
    PerGroup { weight: value, ..Settings::default().decay }
}

/// Sets the weights and the biases of a layer.
pub(crate) fn set_layer(trainer: &mut Trainer, layer: usize, weight: &[f32], bias: &[f32]) {
    trainer.set(Part::Weight(layer), weight);
    trainer.set(Part::Bias(layer), bias);
}

/// The weights and the biases of a layer.
pub(crate) fn layer(trainer: &mut Trainer, layer: usize) -> (Vec<f32>, Vec<f32>) {
    (trainer.get(Part::Weight(layer)), trainer.get(Part::Bias(layer)))
}

/// The outputs of a network in training, `[members, rows, outputs]`, whose outputs have so many columns.
pub(crate) fn predict(trainer: &mut Trainer, inputs: &[f32], targets: usize) -> Vec<f32> {
    let (targets, mut all) = (vec![0.0; targets], None);
    let data = Data { inputs, targets: &targets, weights: None };
    let mut outputs = Vec::new();
    trainer.evaluate(&data, &mut outputs, |members| {
        all = Some(members.clone());
        members.truncate(targets.len());
    });
    all.unwrap_or(outputs)
}

/// Small and large networks, batches of one chunk and of several, kept gradients and not, wide and narrow outputs: widths, hidden
/// activation, settings and rows.
pub(crate) fn cases() -> Vec<(&'static [usize], Activation, Settings, usize)> {
    let plain = Settings::default();
    let adam = Settings { rule: UpdateRule::Adam, dropout: 0.2, decay: of_weights(0.01), ..plain };
    vec![
        (&[8, 64, 64, 1], Activation::Relu, Settings { batch: 64, ..plain }, 200),
        (&[8, 64, 64, 1], Activation::Tanh, Settings { batch: 601, clip_norm: Some(0.05), ..adam }, 1203),
        (
            &[5, 130, 70, 3],
            Activation::Sigmoid,
            Settings { batch: 65, loss: Loss::CategoricalCrossEntropy, ..adam },
            130,
        ),
        (&[70, 260, 300, 2], Activation::Relu, Settings { batch: 48, ..plain }, 97),
        (&[70, 260, 300, 10], Activation::Gelu, Settings { batch: 40, l1: 1e-4, l2: 1e-3, ..adam }, 90),
        (&[64, 300, 200], Activation::Softplus, Settings { batch: 700, clip_value: Some(0.01), ..adam }, 1000),
        (&[64, 300, 200, 1], Activation::Silu, Settings { batch: 40, clip_norm: Some(0.1), ..adam }, 80),
        (&[1100, 33, 1100], Activation::Relu, Settings { batch: 20, ..plain }, 41),
    ]
}

/// A network with weights, and how it is trained.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
    pub(crate) extras: Extras,
    pub(crate) settings: Settings,
    pub(crate) rows: usize,
}

impl Case {
    /// Every network of [`cases`] with every rule; then small networks with every activation, loss, embedding and setting.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (widths, f, settings, rows) in cases() {
            // Few rows: hashes need no more, and the plain instruction set is slow.
            let rows = rows.min(settings.batch + 60);
            for rule in RULES {
                let name = format!("network {widths:?} {f:?} batch {} {}", settings.batch, name_of(rule));
                all.push(Self::new(name, widths, f, Settings { rule, ..settings }, rows));
            }
        }
        let small = |name: String, f, settings| Self::new(name, &[6, 20, 70, 2], f, settings, 40);
        let adam = Settings { rule: UpdateRule::Adam, batch: 16, ..Settings::default() };
        for &f in Activation::ALL {
            let plain = small(format!("activation {f:?}"), f, Settings { dropout: 0.2, ..adam });
            let parametric = Extras { parametric: true, ..Extras::default() };
            all.push(plain.clone().with("parametric", parametric));
            all.push(plain.clone().with("members", Extras { members: 2, ..Extras::default() }).aligned());
            all.push(plain);
        }
        for &loss in Loss::ALL {
            for sum in [false, true] {
                let name = format!("loss {loss:?} {}", if sum { "sum" } else { "mean" });
                let settings = Settings { loss, sum, ..adam };
                all.push(small(name.clone(), Activation::Tanh, settings));
                if loss != Loss::CategoricalCrossEntropy {
                    all.push(Self::new(format!("{name} of one"), &[6, 20, 1], Activation::Relu, settings, 40));
                }
            }
        }
        for (setting, settings) in settings(adam) {
            all.push(small(format!("setting {setting}"), Activation::Silu, settings));
            let members = Extras { members: 2, ..Extras::default() };
            all.push(small(format!("setting {setting}"), Activation::Relu, settings).with("members", members));
        }
        all.extend(embedded());
        all
    }

    fn new(name: String, widths: &[usize], f: Activation, settings: Settings, rows: usize) -> Self {
        let mut activations = vec![f; widths.len() - 1];
        activations[widths.len() - 2] = Activation::Identity;
        Self { name, layers: layers(widths, &activations, true), extras: Extras::default(), settings, rows }
    }

    fn with(self, name: &str, extras: Extras) -> Self {
        Self { name: format!("{} {name}", self.name), extras, ..self }
    }

    /// With hidden layers whose widths 4 divides, as several members with dropout need.
    fn aligned(mut self) -> Self {
        self.layers[1].outputs = 72;
        self.layers[2].inputs = 72;
        self
    }

    pub(crate) fn columns(&self) -> usize {
        self.extras.embedding.as_ref().map_or(self.layers[0].inputs, |embedding| embedding.columns.len())
    }

    pub(crate) fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// Every tensor besides weights and biases of layers.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let Extras { embedding, input_scale, parametric, members, .. } = &self.extras;
        let tensors = embedding.as_ref().map_or(0, |embedding| {
            let numbers = match embedding.numbers {
                NumberEmbedding::Plain => 0,
                NumberEmbedding::Periodic(..) => 4,
                NumberEmbedding::PiecewiseLinear(..) => 3,
            };
            numbers + embedding.columns.iter().filter(|c| matches!(c, Column::Category(_))).count()
        });
        let mut parts: Vec<Part> = (0..tensors).map(Part::Embedding).collect();
        parts.extend(input_scale.then_some(Part::R(0)));
        for layer in 0..self.layers.len() - 1 {
            parts.extend(parametric.then_some(Part::Alpha(layer)));
            parts.extend([Part::R(layer), Part::S(layer)].into_iter().filter(|_| *members > 1));
        }
        parts
    }

    pub(crate) fn trainer(&self, threads: usize) -> Trainer {
        let mut trainer = Trainer::new(&self.layers, &self.extras, self.settings, threads).unwrap();
        for (i, weight, bias) in self.weights() {
            set_layer(&mut trainer, i, &weight, &bias);
        }
        for (i, part) in self.parts().into_iter().enumerate() {
            // Embeddings are sums of many values.
            let (mean, scale) = if matches!(part, Part::Embedding(_)) { (0.0, 0.2) } else { (0.3, 0.5) };
            let values = normal(trainer.get(part).len(), 7, 20 + i as u32, scale);
            trainer.set(part, &values.into_iter().map(|x| x + mean).collect::<Vec<_>>());
        }
        trainer
    }

    /// A network that only predicts, with the weights of [`Case::trainer`].
    pub(crate) fn network(&self, threads: usize) -> Network {
        let (mut trainer, layers) = (self.trainer(1), 0..self.layers.len());
        let mut network = Network::new(&self.layers, &self.extras, threads).unwrap();
        for part in layers.flat_map(|i| [Part::Weight(i), Part::Bias(i)]).chain(self.parts()) {
            network.set(part, &trainer.get(part));
        }
        network
    }

    /// The number, the weights and the biases of each layer.
    pub(crate) fn weights(&self) -> Vec<(usize, Vec<f32>, Vec<f32>)> {
        let (last, members) = (self.layers.len() - 1, self.extras.members);
        let of = |(i, layer): (usize, &Layer)| {
            let copies = if i == last { members } else { 1 };
            let scale = 1.0 / (layer.inputs as f32).sqrt();
            let weight = normal(copies * layer.inputs * layer.outputs, 3, 2 * i as u32, scale);
            let bias = normal(if layer.bias { members * layer.outputs } else { 0 }, 3, 2 * i as u32 + 1, 0.1);
            (i, weight, bias)
        };
        self.layers.iter().enumerate().map(of).collect()
    }

    /// Inputs, targets and weights of the rows.
    pub(crate) fn data(&self) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (n, rows) = (self.columns(), self.rows);
        let mut inputs = normal(rows * n, 1, 0, 0.8);
        if let Some(embedding) = &self.extras.embedding {
            for (i, row) in inputs.chunks_mut(n).enumerate() {
                for (c, (x, column)) in row.iter_mut().zip(&embedding.columns).enumerate() {
                    match column {
                        // One beyond the last category, too.
                        Column::Category(n) => *x = (i * 7 % (n + 1)) as f32,
                        Column::Number if i % 5 == 0 => *x = edges()[2][(i + c) * 3 % 41],
                        Column::Number | Column::Plain => {}
                    }
                }
            }
        }
        let weights = normal(rows, 4, 0, 1.0).into_iter().map(f32::abs).collect();
        (inputs, targets(self.settings.loss, rows, self.outputs(), 2), weights)
    }

    /// The rows of an epoch in the order that the trainer takes them.
    pub(crate) fn order(&self, epoch: u32) -> Vec<u32> {
        let of = |member| Stream::new(5, Purpose::MemberShuffle(member), epoch).permutation(self.rows);
        if self.settings.share_batches {
            return of(0);
        }
        let orders: Vec<Vec<u32>> = (0..self.extras.members as u16).map(of).collect();
        let mut order = Vec::new();
        for start in (0..self.rows).step_by(self.settings.batch) {
            orders.iter().for_each(|rows| order.extend(rows[start..].iter().take(self.settings.batch)));
        }
        order
    }

    /// Trains some epochs, the second one of other rates; the trainer, the totals of both and the outputs.
    pub(crate) fn train(&self, threads: usize, arch: Arch) -> (Trainer, Vec<Totals>, Vec<f32>) {
        let settings = Settings { instructions: Some(arch), ..self.settings };
        let mut trainer = Self { settings, ..self.clone() }.trainer(threads);
        let (inputs, targets, weights) = self.data();
        let data = Data { inputs: &inputs, targets: &targets, weights: Some(&weights) };
        let rates = |step: usize| StepRates { rate: 0.02 / (1.0 + step as f64), decay: 0.5, dropout: 0.75 };
        let mut totals = vec![trainer.epoch(&data, &self.order(1), 1, &|_| 0.01.into(), None)];
        totals.push(trainer.epoch(&data, &self.order(2), 2, &rates, None));
        let mut outputs = Vec::new();
        let n = self.rows * self.outputs();
        let mean = |all: &mut Vec<f32>| {
            let sum = |i| all.iter().skip(i).step_by(n).sum::<f32>();
            *all = (0..n).map(sum).collect();
        };
        totals.push(trainer.evaluate(&data, &mut outputs, mean));
        (trainer, totals, outputs)
    }
}

fn name_of(rule: UpdateRule) -> &'static str {
    match rule {
        UpdateRule::Sgd { momentum: 0.0, .. } => "SGD",
        UpdateRule::Sgd { nesterov: false, .. } => "SGD with momentum",
        UpdateRule::Sgd { nesterov: true, .. } => "SGD with Nesterov's momentum",
        UpdateRule::Adam => "Adam",
        UpdateRule::AdamW => "AdamW",
        UpdateRule::RmsProp { momentum: 0.0 } => "RMSProp",
        UpdateRule::RmsProp { .. } => "RMSProp with momentum",
        UpdateRule::AdaGrad => "AdaGrad",
        UpdateRule::Lion => "Lion",
    }
}

fn per_group(values: [f64; 6]) -> PerGroup<f64> {
    let [weight, bias, embedding, input_scale, activation, member] = values;
    PerGroup { weight, bias, embedding, input_scale, activation, member }
}

/// Settings besides loss and rule, one at a time and together.
fn settings(plain: Settings) -> Vec<(&'static str, Settings)> {
    let coupled = per_group([0.01, 0.02, 0.03, 0.04, 0.05, 0.06]);
    let rates = per_group([0.5, 2.0, 0.25, 3.0, 0.1, 1.5]);
    let long = 1000.0;
    vec![
        ("l1 and l2", Settings { l1: 1e-3, l2: 1e-2, ..plain }),
        ("clipped values", Settings { clip_value: Some(0.02), ..plain }),
        ("clipped norm", Settings { clip_norm: Some(0.05), ..plain }),
        ("norm not reached", Settings { clip_norm: Some(long), ..plain }),
        ("coupled decay", Settings { decay: coupled, ..plain }),
        ("decoupled decay", Settings { decay: coupled, rule: UpdateRule::AdamW, ..plain }),
        ("decoupled decay of Lion", Settings { decay: coupled, rule: UpdateRule::Lion, ..plain }),
        ("coupled decay of SGD", Settings { decay: coupled, rule: DESCENT, ..plain }),
        ("rates", Settings { rates, ..plain }),
        ("rates of SGD", Settings { rates, rule: DESCENT, ..plain }),
        ("betas", Settings { betas: [0.5, 0.9], ..plain }),
        (
            "all",
            Settings {
                l1: 1e-3,
                l2: 1e-2,
                clip_value: Some(0.05),
                clip_norm: Some(0.1),
                decay: coupled,
                rates,
                seed: 9,
                ..plain
            },
        ),
    ]
}

/// Networks behind every kind of embedding, alone and as ensembles, with and without their extras.
fn embedded() -> Vec<Case> {
    let columns = [Column::Category(4), Column::Number, Column::Number, Column::Plain, Column::Number];
    let kinds = [
        ("no embedding", None, 6),
        ("categories", Some(NumberEmbedding::Plain), 4 + 5),
        ("periodic", Some(NumberEmbedding::Periodic(20, 7)), 3 * 7 + 1 + 5),
        ("piecewise-linear of 16", Some(NumberEmbedding::PiecewiseLinear(edges(), 16)), 3 * 16 + 1 + 5),
        // Some of these numbers lie in two panels of the memory.
        ("piecewise-linear of 27", Some(NumberEmbedding::PiecewiseLinear(edges(), 27)), 3 * 27 + 1 + 5),
    ];
    let mut all = Vec::new();
    for (kind, numbers, inputs) in kinds {
        let embedding = numbers.map(|numbers| InputEmbedding { columns: columns.to_vec(), numbers, category_width: 5 });
        for (ensemble, members, share_batches) in
            [("one network", 1, true), ("shared batches", 3, true), ("own batches", 3, false)]
        {
            let base = Extras { embedding: embedding.clone(), members, ..Extras::default() };
            // Factors of the inputs are those of the members, if there are several.
            let alpha = Extras { input_scale: members == 1, parametric: true, ..base.clone() };
            let further = [
                ("nothing more", base.clone(), Activation::Relu),
                ("input scale and alpha", alpha, Activation::Mish),
                ("NTK", Extras { ntk: true, ..base.clone() }, Activation::Tanh),
            ];
            for (name, extras, f) in further {
                // Batches of twice as many rows as there are bins make fields joint; 3 times 180 rows are more than a chunk.
                let batch = if members > 1 && f == Activation::Tanh { 180 } else { 90 };
                let dropout = if f == Activation::Relu { 0.2 } else { 0.0 };
                for rule in [UpdateRule::AdamW, DESCENT] {
                    let decay = if rule == UpdateRule::AdamW { [0.01, 0.0, 0.02, 0.0, 0.0, 0.01] } else { [0.0; 6] };
                    let decay = per_group(decay);
                    let settings = Settings { rule, batch, share_batches, dropout, decay, ..Settings::default() };
                    let name = format!("{kind}, {ensemble}, {name}, {}", name_of(rule));
                    let case = Case::new(name, &[inputs, 72, 36, 2], f, settings, batch + 30);
                    all.push(Case { extras: extras.clone(), ..case });
                }
            }
        }
    }
    all
}

/// Instruction sets that are not the one that is chosen here, but would be elsewhere.
pub(crate) fn others() -> Vec<Arch> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
    let mut others = vec![Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    others.extend(pulp::x86::V3::try_new().map(Arch::V3));
    others
}
