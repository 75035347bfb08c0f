//! Comparison of a network with simpler models, on the same rows.

use std::time::Instant;

use burn::tensor::Device;
use perceptra_data::{Matrix, Table, Task};
use perceptra_model::{
    MetricValues, Metrics, Model, ModelError, NetworkConfig, Partition, Preset, RunConfig, Tables, train,
};
use perceptra_train::{ClassificationMetrics, Metric, RegressionMetrics};
use serde::Serialize;

use crate::svm::{Kernel, Svm, SvmConfig, SvmError};

/// Settings of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareOptions {
    /// Number of cross-validation folds; `None` for the split of the run into training and test rows.
    pub folds: Option<usize>,
    /// C of the support vector machines, see [`SvmConfig`].
    pub c: f64,
    /// ε of their regression, in standard deviations of the target.
    pub epsilon: f64,
    /// Maximum number of rows on which a support vector machine is trained; memory and time grow with its square.
    pub svm_rows: usize,
    /// Presets to train besides the network of the run.
    pub presets: Vec<Preset>,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { folds: None, c: 1.0, epsilon: 0.1, svm_rows: 5000, presets: Vec::new() }
    }
}

/// Scores of several models on the same test rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Task of the run.
    pub task: Task,
    /// The positive one of two classes, of which F1 is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The metrics, in the order of the scores.
    pub metrics: Vec<Metric>,
    /// Number of test rows of each fold.
    pub test_rows: Vec<usize>,
    /// The models: the network, one neuron, three support vector machines, the constant prediction (the mean, or the most frequent
    /// class), and the presets.
    pub contenders: Vec<Contender>,
    /// A recommendation in a sentence or two: the best model by the first metric (the simplest of equally good ones), or a simpler model
    /// whose paired difference from the best over the folds is within two standard errors of 0.
    pub advice: String,
}

/// The kinds of models of a comparison, from simple to complex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Constant,
    Neuron,
    LinearMachine,
    KernelMachine,
    Network,
    Preset,
}

/// One model of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contender {
    #[serde(skip)]
    kind: Kind,
    /// Description of the model.
    pub name: String,
    /// Scores on the test rows, `[folds][metrics]`.
    pub scores: Vec<Vec<f64>>,
    /// Seconds of training and testing, the mean over the folds.
    pub seconds: f64,
    /// Number of parameters, the mean over the folds.
    pub parameters: f64,
    /// Number of support vectors, the mean over the folds; `None` for other models.
    pub support_vectors: Option<f64>,
    /// A remark, such as that the model was trained on fewer rows; `None` for no remark.
    pub note: Option<String>,
}

impl Contender {
    /// The mean of the score with index `metric` over the folds, and for two or more folds its standard deviation.
    pub fn score(&self, metric: usize) -> (f64, Option<f64>) {
        let values: Vec<f64> = self.scores.iter().map(|scores| scores[metric]).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, (values.len() > 1).then(|| variance.sqrt()))
    }

    /// This model's score minus that of `other` on the same fold: the mean over the folds, the standard deviation (`None` for a single
    /// fold), and the number of folds in which the difference is positive.
    fn difference(&self, other: &Self, metric: usize) -> (f64, Option<f64>, usize) {
        let pairs = self.scores.iter().zip(&other.scores);
        let scores: Vec<Vec<f64>> = pairs.map(|(a, b)| vec![a[metric] - b[metric]]).collect();
        let more = scores.iter().filter(|s| s[0] > 0.0).count();
        let (mean, deviation) = Self { scores, ..self.clone() }.score(0);
        (mean, deviation, more)
    }
}

impl Comparison {
    /// The recommendation for these scores.
    fn advise(&self) -> String {
        let less_is_better = self.task == Task::Regression;
        let sign = if less_is_better { -1.0 } else { 1.0 };
        // Rounded, so that the mean of the same scores in another order is equal.
        let merit = |c: &Contender| sign * f64::from(c.score(0).0 as f32);
        let rank = |a: &&Contender, b: &&Contender| merit(b).total_cmp(&merit(a)).then(a.kind.cmp(&b.kind));
        let Some(best) = self.contenders.iter().min_by(rank) else {
            return String::new();
        };
        let folds = best.scores.len();
        let metric = self.metrics[0];
        let number = |x: f64| format!("{x:.3}").trim_end_matches('0').trim_end_matches('.').to_owned();
        if folds < 2 {
            let score = number(best.score(0).0);
            let level = |c: &&Contender| c.name != best.name && merit(c) == merit(best);
            let others = match self.contenders.iter().filter(level).count() {
                0 => String::new(),
                1 => ", as has one other, which is not simpler".to_owned(),
                n => format!(", as have {n} others, none of them simpler"),
            };
            return format!(
                "{} has the best {metric} on these test rows, {score}{others}. One set of rows cannot tell small differences: \
                 compare over folds.",
                best.name
            );
        }
        let behind = |c: &Contender| {
            let (mean, deviation, more) = best.difference(c, 0);
            let ahead = if less_is_better { folds - more } else { more };
            (sign * mean, deviation.unwrap_or(0.0), ahead)
        };
        let level = |c: &&Contender| {
            let (mean, deviation, _) = behind(c);
            c.name != best.name && mean <= 2.0 * deviation / (folds as f64).sqrt()
        };
        let simpler = self.contenders.iter().filter(level).min_by_key(|c| c.kind).filter(|c| c.kind < best.kind);
        let apart = |c: &Contender| {
            let (mean, deviation, ahead) = behind(c);
            format!("{} ± {} ({ahead} of {folds} folds)", number(mean), number(deviation))
        };
        match simpler {
            Some(simple) => format!(
                "{} has the best {metric}, but is ahead of {} by {} only, which is not significant over these folds: use {}, which is \
                 simpler.",
                best.name,
                simple.name,
                apart(simple),
                simple.name
            ),
            None => {
                let others = self.contenders.iter().filter(|c| c.name != best.name);
                let second = others.min_by(rank).map_or_else(String::new, |c| match merit(c) == merit(best) {
                    true => format!(", as has {}, which is not simpler", c.name),
                    false => format!(": ahead of {} by {}", c.name, apart(c)),
                });
                format!("Use {}, which has the best {metric}{second}.", best.name)
            }
        }
    }
}

/// Trains the network of the run, one neuron (linear, logistic or softmax, by the task) with the same training settings, and support
/// vector machines with three kernels, and scores all of them and the mean (or the most frequent class) on the same test rows.
///
/// The support vector machines are trained on the encoded columns of the network. As they need no early stopping, they are trained on the
/// validation rows too; they ignore row and class weights. γ is 1 / (columns · variance of all inputs), and the polynomial kernel is (γ x·x′ + 1)³. `progress`
/// is called with the name of each model before its training.
///
/// # Errors
///
/// As [`train`]; [`ModelError::Settings`] for a run without test rows, a streamed table, or wrong options.
pub fn compare(
    run: &RunConfig,
    tables: &Tables,
    options: &CompareOptions,
    device: &Device,
    progress: &mut dyn FnMut(&str),
) -> Result<Comparison, ModelError> {
    let problem = |text: String| ModelError::Settings(vec![text]);
    if tables.is_streamed() {
        return Err(problem("stream is set, and models are compared on tables in memory".to_owned()));
    }
    if options.svm_rows < 2 {
        return Err(problem(format!("svm_rows is {}, it must be at least 2", options.svm_rows)));
    }
    let parts = match options.folds {
        Some(folds) => Partition::folds(run, &tables.table, folds)?,
        None => vec![Partition::of(run, tables)?],
    };
    let run = parts[0].settle(run);
    let mut neuron = run.clone();
    // Nothing of the network's shape is the neuron's: no embeddings, members or normalization.
    neuron.network = NetworkConfig { hidden: Vec::new(), dropout: 0.0, ..NetworkConfig::default() };
    neuron.encoder.embed_above = None;

    let mut comparison = Comparison {
        task: Task::Regression,
        positive: None,
        metrics: Vec::new(),
        test_rows: Vec::new(),
        contenders: Vec::new(),
        advice: String::new(),
    };
    for (fold, part) in parts.iter().enumerate() {
        let of = if parts.len() > 1 { format!(" of fold {} of {}", fold + 1, parts.len()) } else { String::new() };
        let test =
            part.test.as_ref().ok_or_else(|| problem("test is 0: there are no rows to compare on".to_owned()))?;
        comparison.test_rows.push(test.rows());
        // Every fold has the same contenders in the same order.
        let mut added = 0;
        let mut add = |contender: Contender| {
            match comparison.contenders.get_mut(added) {
                None => comparison.contenders.push(contender),
                Some(sum) => {
                    sum.scores.extend(contender.scores);
                    sum.seconds += contender.seconds;
                    sum.parameters += contender.parameters;
                    sum.support_vectors = sum.support_vectors.zip(contender.support_vectors).map(|(a, b)| a + b);
                }
            }
            added += 1;
        };
        let mut encoder = None;
        for (kind, title, run) in [(Kind::Network, "network", &run), (Kind::Neuron, "one neuron", &neuron)] {
            progress(&format!("{title}{of}"));
            let start = Instant::now();
            let trained = train(run, &part.tables(), device, &mut ())?;
            let seconds = start.elapsed().as_secs_f64();
            let model = trained.model;
            let name = match (kind == Kind::Network, model.about().schema.task) {
                (true, _) => {
                    let sentence = model.network().to_string();
                    let shape = sentence.rsplit_once(", ").map_or(sentence.as_str(), |(shape, _)| shape);
                    shape.replace("FeedForward", "network")
                }
                (false, Task::Regression) => "one neuron, linear".to_owned(),
                (false, Task::Binary) => "one neuron, logistic".to_owned(),
                (false, Task::Multiclass) => "one neuron a class, softmax".to_owned(),
            };
            // Training has scored the test rows already.
            let scores = model.about().metrics.as_ref().map(scores_of).unwrap_or_default();
            comparison.positive = model.about().encoder.positive().map(str::to_owned);
            (comparison.task, comparison.metrics) = (model.about().schema.task, metrics_of(model.about().schema.task));
            let parameters = parameters(&model);
            let scores = vec![scores];
            add(Contender { kind, name, scores, seconds, parameters, support_vectors: None, note: None });
            encoder.get_or_insert(model);
        }
        let Some(model) = encoder else { continue };
        let rows = SvmRows::new(&model, part, options.svm_rows)?;
        let gamma = Kernel::scale(&rows.inputs.values, rows.inputs.columns);
        let kernels = [
            (Kind::LinearMachine, "SVM, linear", Kernel::Linear),
            (
                Kind::KernelMachine,
                "SVM, polynomial of degree 3",
                Kernel::Polynomial { degree: 3, gamma, constant: 1.0 },
            ),
            (Kind::KernelMachine, "SVM, radial", Kernel::Radial { gamma }),
        ];
        for (kind, name, kernel) in kernels {
            progress(&format!("{name}{of}"));
            let config = SvmConfig { kernel, c: options.c, epsilon: options.epsilon, ..SvmConfig::default() };
            let start = Instant::now();
            let (svm, scores) = rows.run(&config, &model, test)?;
            let contender = Contender {
                kind,
                name: name.to_owned(),
                scores: vec![scores],
                seconds: start.elapsed().as_secs_f64(),
                parameters: svm.parameters() as f64,
                support_vectors: Some(svm.support_vectors.len() as f64),
                note: rows.note.clone(),
            };
            add(contender);
        }
        add(constant_prediction(&model, part, test)?);
        for preset in &options.presets {
            progress(&format!("preset {}{of}", preset.name()));
            let run = preset.apply(&run, model.about().schema.task, part.train.rows());
            let start = Instant::now();
            let trained = train(&run, &part.tables(), device, &mut ())?;
            let seconds = start.elapsed().as_secs_f64();
            let scores = vec![trained.model.about().metrics.as_ref().map(scores_of).unwrap_or_default()];
            let parameters = parameters(&trained.model);
            let name = format!("preset {}", preset.name());
            let kind = Kind::Preset;
            add(Contender { kind, name, scores, seconds, parameters, support_vectors: None, note: None });
        }
    }
    let folds = parts.len() as f64;
    for contender in &mut comparison.contenders {
        contender.seconds /= folds;
        contender.parameters /= folds;
        contender.support_vectors = contender.support_vectors.map(|n| n / folds);
    }
    comparison.advice = comparison.advise();
    Ok(comparison)
}

/// The constant prediction: the means of the targets, or the frequencies of the classes, of the training rows.
fn constant_prediction(model: &Model, part: &Partition, test: &Table) -> Result<Contender, ModelError> {
    let start = Instant::now();
    let (encoder, rows) = (&model.about().encoder, test.rows());
    let (name, scores, parameters) = match encoder.labels() {
        Some(labels) => {
            let mut shares = vec![0.0; labels.len()];
            for class in encoder.class_numbers(&part.train)? {
                shares[class as usize] += 1.0 / part.train.rows() as f32;
            }
            let truth = encoder.class_numbers(test)?;
            let metrics = ClassificationMetrics::of(&shares.repeat(rows), &truth, labels.len(), None);
            let scores = CLASSIFICATION.iter().filter_map(|&k| metrics.get(k)).collect();
            ("the most frequent class", scores, labels.len())
        }
        None => {
            let targets = encoder.numbers_of(&part.train)?;
            let columns = targets.columns;
            let mean = |j: usize| targets.values.iter().skip(j).step_by(columns).sum::<f64>() / targets.rows as f64;
            let means: Vec<f64> = (0..columns).map(mean).collect();
            let truth = encoder.numbers_of(test)?;
            let metrics = RegressionMetrics::of(&means.repeat(rows), &truth.values, columns, None);
            ("the mean", REGRESSION.iter().filter_map(|&k| metrics.get(k)).collect(), columns)
        }
    };
    Ok(Contender {
        kind: Kind::Constant,
        name: name.to_owned(),
        scores: vec![scores],
        seconds: start.elapsed().as_secs_f64(),
        parameters: parameters as f64,
        support_vectors: None,
        note: None,
    })
}

const REGRESSION: [Metric; 3] = [Metric::Rmse, Metric::Mae, Metric::R2];
const CLASSIFICATION: [Metric; 3] = [Metric::Accuracy, Metric::BalancedAccuracy, Metric::F1];

fn metrics_of(task: Task) -> Vec<Metric> {
    if task.is_classification() { CLASSIFICATION } else { REGRESSION }.to_vec()
}

fn scores_of(metrics: &Metrics) -> Vec<f64> {
    match &metrics.values {
        MetricValues::Regression(m) => REGRESSION.iter().filter_map(|&k| m.get(k)).collect(),
        MetricValues::Classification { metrics: m, .. } => CLASSIFICATION.iter().filter_map(|&k| m.get(k)).collect(),
    }
}

/// The number of parameters of a model, of all its networks together.
fn parameters(model: &Model) -> f64 {
    model.about().network.parameters() as f64 * model.members().count() as f64
}

/// The encoded training rows of the support vector machines.
struct SvmRows {
    inputs: Matrix,
    targets: Matrix,
    classes: Option<Vec<u32>>,
    note: Option<String>,
}

impl SvmRows {
    fn new(model: &Model, part: &Partition, most: usize) -> Result<Self, ModelError> {
        let encoder = &model.about().encoder;
        let mut tables = vec![&part.train];
        tables.extend(&part.validation);
        let count: usize = tables.iter().map(|t| t.rows()).sum();
        // Evenly spaced rows, since a table may be sorted.
        let keep = |start: usize, table: &Table| -> Vec<u32> {
            let taken = |i: usize| i * most / count;
            let wanted = |i: usize| count <= most || taken(start + i + 1) > taken(start + i);
            (0..table.rows()).filter(|&i| wanted(i)).map(|i| i as u32).collect()
        };
        let mut inputs = Matrix { rows: 0, columns: encoder.width(), values: Vec::new() };
        let mut targets = Matrix { rows: 0, columns: encoder.outputs(), values: Vec::new() };
        let mut classes = encoder.labels().map(|_| Vec::new());
        let mut start = 0;
        for table in tables {
            let part = table.take(&keep(start, table));
            start += table.rows();
            for (all, more) in [(&mut inputs, encoder.inputs(&part)?.0), (&mut targets, encoder.outputs_of(&part)?)] {
                all.rows += more.rows;
                all.values.extend(more.values);
            }
            if let Some(classes) = &mut classes {
                classes.extend(encoder.class_numbers(&part)?);
            }
        }
        let note = (count > most).then(|| format!("trained on {most} of {count} rows"));
        Ok(Self { inputs, targets, classes, note })
    }

    fn run(&self, config: &SvmConfig, model: &Model, test: &Table) -> Result<(Svm, Vec<f64>), ModelError> {
        let failed = |e: SvmError| ModelError::Settings(vec![e.to_string()]);
        let encoder = &model.about().encoder;
        let (inputs, columns) = (&self.inputs.values, self.inputs.columns);
        let unseen = encoder.inputs(test)?.0.values;
        match (&self.classes, encoder.labels()) {
            (Some(classes), Some(labels)) => {
                let svm = config.classify(inputs, columns, classes).map_err(failed)?;
                // The predicted class gets the probability 1.
                let predicted = svm.classes(&unseen);
                let mut probabilities = vec![0.0_f64; predicted.len() * labels.len()];
                predicted
                    .iter()
                    .enumerate()
                    .for_each(|(row, class)| probabilities[row * labels.len() + *class as usize] = 1.0);
                let truth = encoder.class_numbers(test)?;
                let metrics = ClassificationMetrics::of(&probabilities, &truth, labels.len(), None);
                Ok((svm, CLASSIFICATION.iter().filter_map(|&k| metrics.get(k)).collect()))
            }
            _ => {
                let outputs = self.targets.columns;
                let svm = config.regress(inputs, columns, &self.targets.values, outputs).map_err(failed)?;
                let values = svm.decide(&unseen).into_iter().map(|f| f as f32).collect();
                let predictions = encoder.decode(&Matrix { rows: test.rows(), columns: outputs, values });
                let truth = encoder.numbers_of(test)?;
                let metrics = RegressionMetrics::of(&predictions.values, &truth.values, outputs, None);
                Ok((svm, REGRESSION.iter().filter_map(|&k| metrics.get(k)).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_data::{Pattern, Points};

    fn moons() -> (RunConfig, Table) {
        let points = Points::draw(Pattern::Moons, 300, 0.15, 3);
        let rows: String = points
            .inputs
            .values
            .chunks(2)
            .zip(&points.classes)
            .map(|(p, c)| format!("{},{},{}\n", p[0], p[1], if *c == 0 { "up" } else { "down" }))
            .collect();
        let table = Table::from_csv("moons.csv", format!("x1,x2,moon\n{rows}"), &Default::default()).unwrap();
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["moon".into()];
        run.network.hidden = vec![32, 32];
        run.network.dropout = 0.0;
        run.train.learning_rate = 0.02;
        run.train.patience = Some(100);
        (run, table)
    }

    fn accuracies(comparison: &Comparison) -> Vec<f64> {
        comparison.contenders.iter().map(|c| c.score(0).0).collect()
    }

    #[test]
    fn curved_classes_need_a_network_or_a_kernel() {
        let (run, table) = moons();
        let device = Device::flex();
        let mut told = Vec::new();
        let options = CompareOptions { c: 10.0, ..CompareOptions::default() };
        let mut tell = |what: &str| told.push(what.to_owned());
        let comparison = compare(&run, &Tables::from(table.clone()), &options, &device, &mut tell).unwrap();
        let names: Vec<&str> = comparison.contenders.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "network 2-32-32-1 (relu, sigmoid)",
                "one neuron, logistic",
                "SVM, linear",
                "SVM, polynomial of degree 3",
                "SVM, radial",
                "the most frequent class"
            ]
        );
        assert_eq!(comparison.metrics, CLASSIFICATION);
        assert_eq!((comparison.test_rows.as_slice(), comparison.task), ([60].as_slice(), Task::Binary));
        let got = accuracies(&comparison);
        // Half of the rows are of each class.
        assert!((got[5] - 0.5).abs() < 0.01, "{got:?}");
        assert!(got[0] > got[1] + 0.05 && got[4] > got[2] + 0.05 && got[4] > 0.93, "{got:?}");
        assert_eq!(comparison.contenders[0].parameters, 1185.0);
        assert_eq!(comparison.contenders[1].parameters, 3.0);
        assert!(comparison.contenders[4].support_vectors.unwrap() >= 2.0);
        assert_eq!(told, ["network", "one neuron", "SVM, linear", "SVM, polynomial of degree 3", "SVM, radial"]);
        // The network is the one that `train` makes.
        let alone = train(&run, &Tables::from(table), &device, &mut ()).unwrap();
        assert_eq!(comparison.contenders[0].scores[0], scores_of(alone.model.about().metrics.as_ref().unwrap()));
    }

    #[test]
    fn folds_test_every_row_and_large_tables_are_thinned_for_the_machines() {
        let (run, table) = moons();
        let presets = vec![Preset::Fast];
        let options = CompareOptions { folds: Some(3), svm_rows: 100, presets, ..CompareOptions::default() };
        let comparison = compare(&run, &Tables::from(table), &options, &Device::flex(), &mut |_| ()).unwrap();
        assert_eq!(comparison.test_rows, [100, 100, 100]);
        for contender in &comparison.contenders {
            assert_eq!(contender.scores.len(), 3);
            assert!(contender.score(0).1.is_some());
            let note = contender.support_vectors.map(|_| "trained on 100 of 200 rows");
            assert_eq!(contender.note.as_deref(), note);
            assert!(contender.support_vectors.is_none_or(|n| n <= 100.0));
        }
        // The preset is a run of its own, on the same rows.
        let (run, table) = moons();
        let part = &Partition::folds(&run, &table, 3).unwrap()[1];
        let preset = Preset::Fast.apply(&part.settle(&run), Task::Binary, 200);
        assert_eq!(preset.network, RunConfig::default().network);
        let alone = train(&preset, &part.tables(), &Device::flex(), &mut ()).unwrap();
        assert_eq!(comparison.contenders[6].name, "preset fast");
        assert_eq!(comparison.contenders[6].scores[1], scores_of(alone.model.about().metrics.as_ref().unwrap()));
    }

    #[test]
    fn regressions_are_compared_in_the_units_of_the_target() {
        let rows: String = (0..200).map(|i| format!("{i},{}\n", 50.0 * f64::from(i) + 1000.0)).collect();
        let table = Table::from_csv("t.csv", format!("x,y\n{rows}"), &Default::default()).unwrap();
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.train.learning_rate = 0.01;
        let comparison =
            compare(&run, &Tables::from(table), &CompareOptions::default(), &Device::flex(), &mut |_| ()).unwrap();
        assert_eq!(comparison.metrics, REGRESSION);
        // The machines have no penalty for errors up to a tenth of the target's standard deviation, 2890.
        let line = &comparison.contenders[2];
        assert!((100.0..300.0).contains(&line.score(0).0) && line.score(2).0 > 0.98, "{line:?}");
        assert!(comparison.contenders[1].score(2).0 > 0.98, "{comparison:?}");
    }

    #[test]
    fn advice_follows_paired_differences() {
        let contender = |(kind, name): &(Kind, &str), scores: &[f64]| Contender {
            kind: *kind,
            name: (*name).to_owned(),
            scores: scores.iter().map(|s| vec![*s]).collect(),
            seconds: 0.0,
            parameters: 0.0,
            support_vectors: None,
            note: None,
        };
        let comparison = |task: Task, scores: [&[f64]; 6]| {
            let names = [
                (Kind::Network, "network"),
                (Kind::Neuron, "one neuron"),
                (Kind::LinearMachine, "SVM, linear"),
                (Kind::KernelMachine, "SVM, polynomial"),
                (Kind::KernelMachine, "SVM, radial"),
                (Kind::Constant, "the mean"),
            ];
            Comparison {
                task,
                positive: None,
                metrics: metrics_of(task),
                test_rows: vec![10; scores[0].len()],
                contenders: names.iter().zip(scores).map(|(name, scores)| contender(name, scores)).collect(),
                advice: String::new(),
            }
        };
        // The second model is behind by 1, 2 and 3: in all folds.
        let clear = [&[1.0, 2.0, 3.0][..], &[2.0, 4.0, 6.0], &[9.0; 3], &[9.0; 3], &[9.0; 3], &[9.0; 3]];
        let clear = comparison(Task::Regression, clear);
        assert_eq!(clear.contenders[1].difference(&clear.contenders[0], 0), (2.0, Some(1.0), 3));
        let text = clear.advise();
        assert_eq!(text, "Use network, which has the best rmse: ahead of one neuron by 2 ± 1 (3 of 3 folds).");
        // The network is ahead in some folds only.
        let noise = [&[0.9, 0.8, 0.95][..], &[0.85, 0.85, 0.9], &[0.5; 3], &[0.5; 3], &[0.5; 3], &[0.4; 3]];
        let text = comparison(Task::Binary, noise).advise();
        assert!(text.ends_with("is not significant over these folds: use one neuron, which is simpler."), "{text}");
        let one = [&[1.0][..], &[2.0], &[3.0], &[3.0], &[3.0], &[9.0]];
        let text = comparison(Task::Regression, one).advise();
        assert!(text.starts_with("network has the best rmse on these test rows, 1."), "{text}");
        // Of equally good models, the simplest is recommended.
        let equal = [&[0.5][..], &[1.0], &[1.0], &[0.5], &[1.0], &[0.4]];
        let text = comparison(Task::Binary, equal).advise();
        let expected =
            "one neuron has the best accuracy on these test rows, 1, as have 2 others, none of them simpler. One set";
        assert!(text.starts_with(expected), "{text}");
        let equal = [&[0.7, 0.8, 0.9][..], &[0.1; 3], &[0.2; 3], &[0.3; 3], &[0.9, 0.7, 0.8], &[0.1; 3]];
        let text = comparison(Task::Binary, equal).advise();
        assert_eq!(text, "Use SVM, radial, which has the best accuracy, as has network, which is not simpler.");
    }

    #[test]
    fn wrong_options_are_errors() {
        let (mut run, table) = moons();
        let message = |run: &RunConfig, options: CompareOptions| {
            compare(run, &Tables::from(table.clone()), &options, &Device::flex(), &mut |_| ()).unwrap_err().to_string()
        };
        let options = CompareOptions::default();
        assert!(message(&run, CompareOptions { folds: Some(1), ..options.clone() }).contains("1 folds"));
        assert!(message(&run, CompareOptions { c: -1.0, ..options.clone() }).contains("c is -1, it must be above 0"));
        assert!(message(&run, CompareOptions { svm_rows: 0, ..options.clone() }).contains("svm_rows is 0"));
        run.split.test = 0.0;
        assert!(message(&run, options).contains("test is 0"));
    }
}
