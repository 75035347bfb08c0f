//! Rosenblatt's perceptron: learning without gradients.

use perceptra_nn::{Activation, Neuron};
use perceptra_random::{Purpose, Stream};

use crate::error::TrainError;

/// Settings for training a perceptron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerceptronConfig {
    /// Activation: step, for targets 0 and 1, or sign, for targets −1 and 1.
    pub activation: Activation,
    /// Learning rate ρ, above 0. It only scales the weights, because they start at 0.
    pub learning_rate: f64,
    /// Maximum number of passes over the rows, at least 1.
    pub max_epochs: usize,
    /// Gallant's pocket algorithm (*IEEE Trans. Neural Networks* 1:179, 1990): rows come in random order, and the weights with the fewest
    /// errors are kept. It is meant for rows that no neuron separates.
    pub pocket: bool,
    /// Seed of the random order.
    pub seed: u64,
}

impl Default for PerceptronConfig {
    fn default() -> Self {
        Self { activation: Activation::Step, learning_rate: 1.0, max_epochs: 1000, pocket: false, seed: 0 }
    }
}

/// Whether one neuron can separate the rows, as far as learning has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separability {
    /// The neuron separates the rows without an error.
    Separable,
    /// No neuron separates the rows: the weights returned to earlier ones, so the rule would repeat itself forever.
    NotSeparable,
    /// The rows were not separated within the epochs allowed.
    Undecided,
}

/// The result of training a perceptron.
#[derive(Debug, Clone, PartialEq)]
pub struct Perceptron {
    /// The neuron.
    pub neuron: Neuron,
    /// The number of corrections.
    pub updates: usize,
    /// The number of passes over the rows, including a last one without corrections, if there is one.
    pub epochs: usize,
    /// The number of rows that the neuron classifies wrongly.
    pub errors: usize,
    /// Whether the rows can be separated.
    pub separability: Separability,
}

impl std::fmt::Display for Separability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Separable => "linearly separable",
            Self::NotSeparable => "not linearly separable: the weights go round in circles",
            Self::Undecided => "not separated within the epochs allowed",
        })
    }
}

impl PerceptronConfig {
    /// Learns by Rosenblatt's rule (*Psychological Review* 65:386, 1958): each row that the neuron classifies wrongly moves the weights, w
    /// ← w + ρtx and b ← b + ρt, with t = 1 or −1 by the class of the row x. For step, t is y − f, the target minus the output.
    ///
    /// If some neuron separates the rows with margin γ, there are at most (R/γ)² corrections, where R is the length of the longest row,
    /// extended by a 1 for the bias (Novikoff, 1962; [`mistake_bound`]).
    ///
    /// # Shapes
    ///
    /// - inputs: `[rows, columns]`, row by row
    /// - targets: `[rows]`: 0 and 1, or −1 and 1 for sign
    ///
    /// # Errors
    ///
    /// [`TrainError::Settings`] for another activation or a target that is neither class; [`TrainError::Rows`],
    /// [`TrainError::Empty`].
    pub fn learn(&self, inputs: &[f32], targets: &[f32]) -> Result<Perceptron, TrainError> {
        let rows = Rows::new(inputs, targets, self.activation)?;
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            let problem = format!("learning_rate is {}, it must be above 0", self.learning_rate);
            return Err(TrainError::Settings(vec![problem]));
        }
        let mut weights = vec![0.0; rows.columns + 1];
        let (mut updates, mut run) = (0, 0);
        let mut pocket = Pocket { weights: weights.clone(), run: 0, errors: rows.errors(&weights, self.activation) };
        // Brent's cycle search: compare with an earlier state, renewed at powers of two.
        let (mut seen, mut since, mut power) = (weights.clone(), 0, 1);
        let mut order: Vec<usize> = (0..rows.count).collect();
        for epoch in 1..=self.max_epochs.max(1) {
            if self.pocket {
                Stream::new(self.seed, Purpose::Shuffle, epoch as u32).shuffle(&mut order);
            }
            let before = updates;
            for &row in &order {
                if rows.is_right(row, &weights, self.activation) {
                    run += 1;
                    if self.pocket && run > pocket.run {
                        pocket.offer(&weights, run, || rows.errors(&weights, self.activation));
                    }
                    continue;
                }
                let step = self.learning_rate * rows.classes[row];
                for (w, x) in weights.iter_mut().zip(rows.with_bias(row)) {
                    *w += step * x;
                }
                (updates, run) = (updates + 1, 0);
            }
            let done = |weights: &[f64], errors, separability| {
                let (bias, weights) = weights.split_last().unwrap_or((&0.0, &[]));
                let neuron = Neuron::new(weights.iter().map(|w| *w as f32).collect(), *bias as f32, self.activation);
                Ok(Perceptron { neuron, updates, epochs: epoch, errors, separability })
            };
            if updates == before {
                return done(&weights, 0, Separability::Separable);
            }
            since += 1;
            let errors = || rows.errors(&weights, self.activation);
            if !self.pocket && weights == seen {
                return done(&weights, errors(), Separability::NotSeparable);
            }
            if since == power {
                (seen, since, power) = (weights.clone(), 0, power * 2);
            }
            if epoch >= self.max_epochs {
                return match self.pocket {
                    true => done(&pocket.weights, pocket.errors, Separability::Undecided),
                    false => done(&weights, errors(), Separability::Undecided),
                };
            }
        }
        Err(TrainError::Empty("training"))
    }
}

/// The weights with the fewest errors so far.
struct Pocket {
    weights: Vec<f64>,
    /// How many rows in succession they classified correctly.
    run: usize,
    errors: usize,
}

impl Pocket {
    /// Replaces the weights by `weights`, which have a longer run, if those make fewer errors.
    fn offer(&mut self, weights: &[f64], run: usize, errors: impl FnOnce() -> usize) {
        self.run = run;
        let errors = errors();
        if errors < self.errors {
            *self = Self { weights: weights.to_vec(), run, errors };
        }
    }
}

/// Upper bound (R/γ)² of a perceptron's corrections on rows that `neuron` separates with margin γ; `None` if it does not separate them.
///
/// R is the length of the longest row, γ the smallest distance of a row from the neuron's hyperplane, both with rows extended by a 1 for
/// the bias.
///
/// # Errors
///
/// As [`PerceptronConfig::learn`].
pub fn mistake_bound(neuron: &Neuron, inputs: &[f32], targets: &[f32]) -> Result<Option<f64>, TrainError> {
    let rows = Rows::new(inputs, targets, neuron.activation)?;
    if rows.columns != neuron.weights.len() {
        return Err(TrainError::Width { what: "inputs", network: neuron.weights.len(), data: rows.columns });
    }
    let weights: Vec<f64> = neuron.weights.iter().chain([&neuron.bias]).map(|w| f64::from(*w)).collect();
    let length = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let (mut radius, mut margin) = (0.0, f64::INFINITY);
    for row in 0..rows.count {
        radius = f64::max(radius, length(&mut rows.with_bias(row)));
        margin = f64::min(margin, rows.classes[row] * rows.sum(row, &weights) / length(&mut weights.iter().copied()));
    }
    Ok((margin > 0.0).then(|| (radius / margin).powi(2)))
}

/// Rows whose classes are coded as −1 and 1.
struct Rows<'a> {
    inputs: &'a [f32],
    classes: Vec<f64>,
    count: usize,
    columns: usize,
}

impl<'a> Rows<'a> {
    fn new(inputs: &'a [f32], targets: &[f32], activation: Activation) -> Result<Self, TrainError> {
        let low = match activation {
            Activation::Step => 0.0,
            Activation::Sign => -1.0,
            other => {
                let problem = format!("the activation is {other}, a perceptron has step or sign");
                return Err(TrainError::Settings(vec![problem]));
            }
        };
        let count = targets.len();
        if count == 0 {
            return Err(TrainError::Empty("training"));
        }
        let columns = inputs.len() / count;
        if columns == 0 || columns * count != inputs.len() {
            return Err(TrainError::Rows { what: "targets", found: count, expected: inputs.len() / columns.max(1) });
        }
        let class = |y: &f32| match *y {
            1.0 => Ok(1.0),
            y if y == low => Ok(-1.0),
            y => Err(TrainError::Settings(vec![format!("a target is {y}, those of {activation} are {low} and 1")])),
        };
        Ok(Self { inputs, classes: targets.iter().map(class).collect::<Result<_, _>>()?, count, columns })
    }

    /// A row, followed by a 1.
    fn with_bias(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        let x = &self.inputs[row * self.columns..(row + 1) * self.columns];
        x.iter().map(|x| f64::from(*x)).chain([1.0])
    }

    fn sum(&self, row: usize, weights: &[f64]) -> f64 {
        self.with_bias(row).zip(weights).map(|(x, w)| x * w).sum()
    }

    fn is_right(&self, row: usize, weights: &[f64], activation: Activation) -> bool {
        let sum = self.sum(row, weights);
        // At a sum of 0, step gives 1, and sign gives 0, which is neither class.
        match self.classes[row] > 0.0 {
            true => sum > 0.0 || (sum == 0.0 && activation == Activation::Step),
            false => sum < 0.0,
        }
    }

    fn errors(&self, weights: &[f64], activation: Activation) -> usize {
        (0..self.count).filter(|&row| !self.is_right(row, weights, activation)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CORNERS: [f32; 8] = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];

    fn targets(gate: [f32; 4], activation: Activation) -> Vec<f32> {
        gate.map(|y| if activation == Activation::Sign { 2.0 * y - 1.0 } else { y }).to_vec()
    }

    #[test]
    fn and_and_or_are_learned_and_xor_is_shown_to_be_impossible() {
        for activation in [Activation::Step, Activation::Sign] {
            let config = PerceptronConfig { activation, ..PerceptronConfig::default() };
            for gate in [[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]] {
                let learned = config.learn(&CORNERS, &targets(gate, activation)).unwrap();
                assert_eq!((learned.separability, learned.errors), (Separability::Separable, 0), "{learned:?}");
                let device = burn::tensor::Device::flex();
                let x = burn::tensor::Tensor::<1>::from_floats(CORNERS, &device).reshape([4, 2]);
                let y = learned.neuron.network(&device).unwrap().forward(x).try_into_vec_as::<f32>().unwrap();
                assert_eq!(y, targets(gate, activation));
            }
            let xor = config.learn(&CORNERS, &targets([0.0, 1.0, 1.0, 0.0], activation)).unwrap();
            assert_eq!(xor.separability, Separability::NotSeparable, "{xor:?}");
            assert!(xor.errors > 0 && xor.epochs < 100, "{xor:?}");
        }
        let short = PerceptronConfig { max_epochs: 2, ..PerceptronConfig::default() };
        let xor = short.learn(&CORNERS, &[0.0, 1.0, 1.0, 0.0]).unwrap();
        assert_eq!((xor.separability, xor.epochs), (Separability::Undecided, 2));
    }

    // By hand: AND with step from zero weights, rows in order. Corrections w1, w2, b after each wrong row.
    #[test]
    fn the_first_epoch_by_hand() {
        let config = PerceptronConfig { max_epochs: 1, ..PerceptronConfig::default() };
        // (0,0): 0 fires, wrong: b = -1. (0,1), (1,0): -1 is silent. (1,1): silent, wrong: 1, 1, 0.
        let learned = config.learn(&CORNERS, &[0.0, 0.0, 0.0, 1.0]).unwrap();
        assert_eq!(learned.neuron, Neuron::new(vec![1.0, 1.0], 0.0, Activation::Step));
        assert_eq!((learned.updates, learned.errors), (2, 3));
    }

    #[test]
    fn the_pocket_keeps_the_fewest_errors() {
        // Ten points on a line, one of them on the wrong side: one error is the best there is.
        let x: Vec<f32> = (0..10).map(|i| i as f32 - 4.5).collect();
        let mut y: Vec<f32> = x.iter().map(|&x| if x > 0.0 { 1.0 } else { 0.0 }).collect();
        y[1] = 1.0;
        let config = PerceptronConfig { pocket: true, max_epochs: 200, ..PerceptronConfig::default() };
        let learned = config.learn(&x, &y).unwrap();
        assert_eq!((learned.errors, learned.separability), (1, Separability::Undecided), "{learned:?}");
        assert_eq!(config.learn(&x, &y).unwrap(), learned);
    }

    proptest! {
        #[test]
        fn corrections_never_exceed_novikoffs_bound(
            points in prop::collection::vec((-1.0f32..1.0, -1.0f32..1.0), 5..60),
            angle in 0.0f32..6.3,
            offset in -0.5f32..0.5,
            rate in 0.01f64..10.0,
        ) {
            // Classes by a line, and no point closer to it than 0.1.
            let line = Neuron::new(vec![angle.cos(), angle.sin()], offset, Activation::Sign);
            let (mut x, mut y) = (Vec::new(), Vec::new());
            for (a, b) in points {
                let side = line.potential(&[a, b]);
                if side.abs() > 0.1 {
                    x.extend([a, b]);
                    y.push(side.signum() as f32);
                }
            }
            prop_assume!(!y.is_empty());
            let bound = mistake_bound(&line, &x, &y).unwrap().unwrap();
            let config = PerceptronConfig { activation: Activation::Sign, learning_rate: rate, max_epochs: 100_000, ..PerceptronConfig::default() };
            let learned = config.learn(&x, &y).unwrap();
            prop_assert_eq!(learned.separability, Separability::Separable);
            prop_assert!(learned.updates as f64 <= bound, "{} corrections, at most {}", learned.updates, bound);
        }
    }

    #[test]
    fn the_bound_of_and_by_hand() {
        // x1 + x2 - 1.5 = 0: margin 0.5 / |(1, 1, -1.5)|, longest row (1, 1, 1).
        let neuron = Neuron::new(vec![1.0, 1.0], -1.5, Activation::Step);
        let bound = mistake_bound(&neuron, &CORNERS, &[0.0, 0.0, 0.0, 1.0]).unwrap();
        approx::assert_relative_eq!(bound.unwrap(), 3.0 * 4.25 / 0.25, max_relative = 1e-12);
        assert_eq!(mistake_bound(&neuron, &CORNERS, &[0.0, 1.0, 1.0, 0.0]), Ok(None));
    }

    #[test]
    fn wrong_rows_and_settings_are_errors() {
        let config = PerceptronConfig::default();
        let message = |result: Result<Perceptron, TrainError>| result.unwrap_err().to_string();
        assert_eq!(message(config.learn(&[1.0], &[0.5])), "a target is 0.5, those of step are 0 and 1");
        assert_eq!(message(config.learn(&[], &[])), "the training set has no rows");
        assert!(config.learn(&[1.0, 2.0, 3.0], &[0.0, 1.0]).is_err());
        let smooth = PerceptronConfig { activation: Activation::Tanh, ..config };
        assert_eq!(message(smooth.learn(&[1.0], &[0.0])), "the activation is tanh, a perceptron has step or sign");
        let still = PerceptronConfig { learning_rate: 0.0, ..config };
        assert_eq!(message(still.learn(&[1.0], &[0.0])), "learning_rate is 0, it must be above 0");
        let neuron = Neuron::new(vec![1.0, 1.0], 0.0, Activation::Step);
        assert!(matches!(mistake_bound(&neuron, &[1.0], &[1.0]), Err(TrainError::Width { .. })));
    }
}
