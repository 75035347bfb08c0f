//! Metrics of predictions, computed on the host in 64-bit floats.

use perceptra_nn::Loss;
use serde::{Deserialize, Serialize};

use crate::names::names;

/// A measure of how good predictions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// The loss that is minimized.
    #[default]
    Loss,
    /// Root of the mean squared error.
    Rmse,
    /// Mean absolute error.
    Mae,
    /// Mean squared error.
    Mse,
    /// Coefficient of determination, 1 − Σ(y−f)² / Σ(y−ȳ)², for targets y with mean ȳ and predictions f.
    R2,
    /// Explained variance, 1 − var(y−f) / var(y), for targets y and predictions f.
    ExplainedVariance,
    /// Share of rows classified correctly.
    Accuracy,
    /// Recall of each class, averaged over the classes.
    BalancedAccuracy,
    /// Share of the rows predicted to be of a class that truly are. For two classes it is that of class 1, for more the mean over the
    /// classes.
    Precision,
    /// Share of the rows of a class that are predicted to be of it; averaged like precision.
    Recall,
    /// Harmonic mean of precision and recall; averaged like precision.
    F1,
    /// Area under the receiver operating characteristic; for more than two classes, the mean over the classes, each against the rest.
    RocAuc,
    /// Area under the curve of precision over recall, Σ (Rₙ − Rₙ₋₁) Pₙ over the thresholds from the highest probability down, without
    /// interpolation; of class 1 for two classes, one class against the rest, averaged, for more.
    AveragePrecision,
    /// Mean negative logarithm of the probability of the true class.
    LogLoss,
    /// Expected calibration error: the difference between the mean probability of the predicted class and the share of rows of which it is
    /// the true class, in 15 bins of that probability, averaged over the rows (Naeini, Cooper, Hauskrecht, 2015).
    CalibrationError,
}

names! {
    Metric:
    Loss = "loss",
    Rmse = "rmse",
    Mae = "mae",
    Mse = "mse",
    R2 = "r2",
    ExplainedVariance = "explained-variance",
    Accuracy = "accuracy",
    BalancedAccuracy = "balanced-accuracy",
    Precision = "precision",
    Recall = "recall",
    F1 = "f1",
    RocAuc = "roc-auc",
    AveragePrecision = "average-precision",
    LogLoss = "log-loss",
    CalibrationError = "calibration-error",
}

impl Metric {
    /// The name shown in tables and reports, such as `ROC AUC`.
    pub fn title(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Rmse => "RMSE",
            Self::Mae => "MAE",
            Self::Mse => "MSE",
            Self::R2 => "R²",
            Self::ExplainedVariance => "explained variance",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced accuracy",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::F1 => "F1",
            Self::RocAuc => "ROC AUC",
            Self::AveragePrecision => "average precision",
            Self::LogLoss => "log loss",
            Self::CalibrationError => "calibration error",
        }
    }

    /// Whether larger values are better.
    pub fn more_is_better(self) -> bool {
        match self {
            Self::Loss | Self::Rmse | Self::Mae | Self::Mse | Self::LogLoss | Self::CalibrationError => false,
            Self::R2
            | Self::ExplainedVariance
            | Self::Accuracy
            | Self::BalancedAccuracy
            | Self::Precision
            | Self::Recall
            | Self::F1
            | Self::RocAuc
            | Self::AveragePrecision => true,
        }
    }

    /// Whether `a` is better than `b` by more than `delta`. NaN is never better; anything else is better than NaN.
    pub fn better(self, a: f64, b: f64, delta: f64) -> bool {
        let gain = if self.more_is_better() { a - b } else { b - a };
        !a.is_nan() && (b.is_nan() || gain > delta)
    }

    /// Whether this is a metric of predicted classes, rather than of predicted numbers.
    pub fn is_of_classes(self) -> bool {
        match self {
            Self::Accuracy
            | Self::BalancedAccuracy
            | Self::Precision
            | Self::Recall
            | Self::F1
            | Self::RocAuc
            | Self::AveragePrecision
            | Self::LogLoss
            | Self::CalibrationError => true,
            Self::Loss | Self::Rmse | Self::Mae | Self::Mse | Self::R2 | Self::ExplainedVariance => false,
        }
    }

    /// Whether, for two classes, it is a metric of the second one, the positive class, rather than of both.
    pub fn is_of_positive_class(self) -> bool {
        match self {
            Self::Precision | Self::Recall | Self::F1 | Self::RocAuc | Self::AveragePrecision => true,
            Self::Accuracy
            | Self::BalancedAccuracy
            | Self::LogLoss
            | Self::CalibrationError
            | Self::Loss
            | Self::Rmse
            | Self::Mae
            | Self::Mse
            | Self::R2
            | Self::ExplainedVariance => false,
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Metrics of predicted numbers: of one target, or the mean over several.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RegressionMetrics {
    /// [`Metric::Mse`].
    pub mse: f64,
    /// [`Metric::Rmse`].
    pub rmse: f64,
    /// [`Metric::Mae`].
    pub mae: f64,
    /// [`Metric::R2`]; NaN where the target is constant.
    #[serde(with = "nan_as_null")]
    pub r2: f64,
    /// [`Metric::ExplainedVariance`]; NaN where the target is constant.
    #[serde(with = "nan_as_null")]
    pub explained_variance: f64,
}

/// Metrics of predicted classes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetrics {
    /// [`Metric::Accuracy`].
    pub accuracy: f64,
    /// [`Metric::BalancedAccuracy`], over the classes that occur.
    pub balanced_accuracy: f64,
    /// [`Metric::Precision`]; a class never predicted counts as 0.
    pub precision: f64,
    /// [`Metric::Recall`].
    pub recall: f64,
    /// [`Metric::F1`].
    pub f1: f64,
    /// [`Metric::RocAuc`]; NaN where a class does not occur or is the only one.
    #[serde(with = "nan_as_null")]
    pub roc_auc: f64,
    /// [`Metric::AveragePrecision`]; NaN where a class does not occur, and in files that were written without it.
    #[serde(with = "nan_as_null", default = "nan")]
    pub average_precision: f64,
    /// [`Metric::LogLoss`].
    pub log_loss: f64,
    /// [`Metric::CalibrationError`]; NaN in files that were written without it.
    #[serde(with = "nan_as_null", default = "nan")]
    pub calibration_error: f64,
    /// `confusion[true class][predicted class]`: sums of row weights, or numbers of rows if they have no weights.
    pub confusion: Vec<Vec<f64>>,
}

fn nan() -> f64 {
    f64::NAN
}

/// Reads and writes numbers that are not finite as `null`: JSON has no NaN.
mod nan_as_null {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(x: &f64, s: S) -> Result<S::Ok, S::Error> {
        x.is_finite().then_some(*x).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
        Ok(Option::<f64>::deserialize(d)?.unwrap_or(f64::NAN))
    }
}

impl RegressionMetrics {
    /// Compares `predictions` with `targets`, both row by row with `outputs` columns, weighted by `weights` (one a row): the mean over
    /// the columns.
    pub fn of<T: Copy + Into<f64>>(predictions: &[T], targets: &[T], outputs: usize, weights: Option<&[f32]>) -> Self {
        Self::mean(&Self::each(predictions, targets, outputs, weights))
    }

    /// Compares each column of `predictions` with that of `targets`, as [`RegressionMetrics::of`] does all of them.
    pub fn each<T: Copy + Into<f64>>(
        predictions: &[T],
        targets: &[T],
        outputs: usize,
        weights: Option<&[f32]>,
    ) -> Vec<Self> {
        let rows = targets.len() / outputs.max(1);
        let weight = |row: usize| weights.map_or(1.0, |w| f64::from(w[row]));
        let total: f64 = (0..rows).map(weight).sum();
        let of_column = |j: usize| {
            let pair = |i: usize| (predictions[i * outputs + j].into(), targets[i * outputs + j].into());
            let mean = |f: &dyn Fn(f64, f64) -> f64| {
                let term = |i: usize| {
                    let (prediction, target) = pair(i);
                    weight(i) * f(prediction, target)
                };
                (0..rows).map(term).sum::<f64>() / total
            };
            let mse = mean(&|f, y| (y - f).powi(2));
            let mean_y = mean(&|_, y| y);
            let mean_error = mean(&|f, y| y - f);
            let variance = mean(&|_, y| (y - mean_y).powi(2));
            let error_variance = mean(&|f, y| (y - f - mean_error).powi(2));
            let ratio = |x: f64| if variance > 0.0 { 1.0 - x / variance } else { f64::NAN };
            let mae = mean(&|f, y| (y - f).abs());
            Self { mse, rmse: mse.sqrt(), mae, r2: ratio(mse), explained_variance: ratio(error_variance) }
        };
        (0..outputs).map(of_column).collect()
    }

    /// The mean over several targets of each metric.
    pub fn mean(all: &[Self]) -> Self {
        let mean = |f: fn(&Self) -> f64| all.iter().map(|m| f(m) / all.len() as f64).sum();
        Self {
            mse: mean(|m| m.mse),
            rmse: mean(|m| m.rmse),
            mae: mean(|m| m.mae),
            r2: mean(|m| m.r2),
            explained_variance: mean(|m| m.explained_variance),
        }
    }

    /// The value of a metric of numbers; `None` for the loss and for metrics of classes.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Rmse => Some(self.rmse),
            Metric::Mae => Some(self.mae),
            Metric::Mse => Some(self.mse),
            Metric::R2 => Some(self.r2),
            Metric::ExplainedVariance => Some(self.explained_variance),
            Metric::Loss
            | Metric::Accuracy
            | Metric::BalancedAccuracy
            | Metric::Precision
            | Metric::Recall
            | Metric::F1
            | Metric::RocAuc
            | Metric::AveragePrecision
            | Metric::LogLoss
            | Metric::CalibrationError => None,
        }
    }
}

impl ClassificationMetrics {
    /// Number of bins of the calibration error, all of the same width.
    pub const BINS: usize = 15;

    /// Compares probabilities with the true classes, weighted by `weights` (one per row).
    ///
    /// `probabilities` has `classes` columns, row by row.
    pub fn of<T: Copy + PartialOrd + Into<f64>>(
        probabilities: &[T],
        truth: &[u32],
        classes: usize,
        weights: Option<&[f32]>,
    ) -> Self {
        let weight = |row: usize| weights.map_or(1.0, |w| f64::from(w[row]));
        let mut confusion = vec![vec![0.0; classes]; classes];
        let (mut log_loss, mut total) = (0.0, 0.0);
        // The sum over a bin's rows of the probability of the predicted class, minus 1 where it is the true class.
        let mut bins = [0.0; Self::BINS];
        for (i, (p, &class)) in probabilities.chunks_exact(classes).zip(truth).enumerate() {
            let w = weight(i);
            let predicted = argmax(p);
            confusion[class as usize][predicted] += w;
            let confidence: f64 = p[predicted].into();
            let bin = ((confidence * Self::BINS as f64) as usize).min(Self::BINS - 1);
            bins[bin] += w * (confidence - f64::from(u8::from(predicted == class as usize)));
            // As scikit-learn: a probability of 0 counts as the smallest step above it.
            let p: f64 = p[class as usize].into();
            log_loss -= w * p.max(f64::from(f32::EPSILON)).ln();
            total += w;
        }
        let hits = |c: usize| confusion[c][c];
        let actual = |c: usize| confusion[c].iter().sum::<f64>();
        let predicted = |c: usize| confusion.iter().map(|row| row[c]).sum::<f64>();
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let occurring: Vec<usize> = (0..classes).filter(|&c| actual(c) > 0.0).collect();
        let balanced = occurring.iter().map(|&c| hits(c) / actual(c)).sum::<f64>() / occurring.len().max(1) as f64;
        // For two classes, the metrics are those of class 1; for more, means over the classes that occur or are predicted.
        let averaged: Vec<usize> = match classes {
            2 => vec![1],
            _ => (0..classes).filter(|&c| actual(c) > 0.0 || predicted(c) > 0.0).collect(),
        };
        let mean =
            |f: &dyn Fn(usize) -> f64| averaged.iter().map(|&c| f(c)).sum::<f64>() / averaged.len().max(1) as f64;
        let ranked = |class: usize| {
            let scores: Vec<f64> = probabilities.iter().skip(class).step_by(classes).map(|p| (*p).into()).collect();
            ranking(&scores, |row| truth[row] as usize == class, weight)
        };
        let (roc_auc, average_precision) = match classes {
            2 => ranked(1),
            _ => {
                let all = (0..classes).map(ranked).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                (all.0 / classes as f64, all.1 / classes as f64)
            }
        };
        Self {
            accuracy: share((0..classes).map(hits).sum(), total),
            balanced_accuracy: balanced,
            precision: mean(&|c| share(hits(c), predicted(c))),
            recall: mean(&|c| share(hits(c), actual(c))),
            f1: mean(&|c| share(2.0 * hits(c), predicted(c) + actual(c))),
            roc_auc,
            average_precision,
            log_loss: share(log_loss, total),
            calibration_error: share(bins.iter().map(|b| b.abs()).sum(), total),
            confusion,
        }
    }

    /// The value of a metric of classes; `None` for the loss and for metrics of numbers.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Accuracy => Some(self.accuracy),
            Metric::BalancedAccuracy => Some(self.balanced_accuracy),
            Metric::Precision => Some(self.precision),
            Metric::Recall => Some(self.recall),
            Metric::F1 => Some(self.f1),
            Metric::RocAuc => Some(self.roc_auc),
            Metric::AveragePrecision => Some(self.average_precision),
            Metric::LogLoss => Some(self.log_loss),
            Metric::CalibrationError => Some(self.calibration_error),
            Metric::Loss | Metric::Rmse | Metric::Mae | Metric::Mse | Metric::R2 | Metric::ExplainedVariance => None,
        }
    }
}

/// The index of the largest value, the first of equals.
#[doc(hidden)]
pub fn argmax<T: Copy + PartialOrd>(values: &[T]) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if *v > values[best] {
            best = i;
        }
    }
    best
}

/// How well scores rank the rows of a class above the others: the area under the ROC curve and the average precision.
///
/// The first is the chance that a row of the class has a higher score than another row (Mann and Whitney, 1947); ties count half.
fn ranking(scores: &[f64], is: impl Fn(usize) -> bool, weight: impl Fn(usize) -> f64) -> (f64, f64) {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    rows.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // The weights of the rows of the class and of the others, for each score from the lowest on.
    let mut tied_rows = Vec::new();
    let (mut below, mut wins, mut positives) = (0.0, 0.0, 0.0);
    for tied in rows.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let sum = |positive: bool| tied.iter().filter(|&&r| is(r) == positive).map(|&r| weight(r)).sum::<f64>();
        let (p, n) = (sum(true), sum(false));
        wins += p * (below + 0.5 * n);
        below += n;
        positives += p;
        tied_rows.push((p, n));
    }
    let (mut hits, mut misses, mut precision) = (0.0, 0.0, 0.0);
    for (p, n) in tied_rows.into_iter().rev() {
        (hits, misses) = (hits + p, misses + n);
        if p > 0.0 {
            precision += p * hits / (hits + misses);
        }
    }
    let area = if below > 0.0 && positives > 0.0 { wins / (below * positives) } else { f64::NAN };
    (area, if positives > 0.0 { precision / positives } else { f64::NAN })
}

/// Turns the outputs of a network, in the form that `loss` takes, into class probabilities, stored row by row; a single output becomes two
/// columns.
#[doc(hidden)]
pub fn probabilities(outputs: &[f32], columns: usize, loss: Loss) -> Vec<f32> {
    let sigmoid = |z: f32| 1.0 / (1.0 + (-z).exp());
    match columns {
        1 => outputs
            .iter()
            .flat_map(|&z| {
                let p = if loss.takes_logits() { sigmoid(z) } else { z.clamp(0.0, 1.0) };
                // 1 − p loses digits where p is near 1.
                [if loss.takes_logits() { sigmoid(-z) } else { 1.0 - p }, p]
            })
            .collect(),
        _ if loss.takes_logits() => {
            let mut out = outputs.to_vec();
            for row in out.chunks_exact_mut(columns) {
                let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                row.iter_mut().for_each(|z| *z = (*z - max).exp());
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|p| *p /= sum);
            }
            out
        }
        _ => {
            // Under a regression loss, probabilities are the positive parts of the outputs, scaled to a sum of 1.
            let mut out = outputs.to_vec();
            for row in out.chunks_exact_mut(columns) {
                row.iter_mut().for_each(|p| *p = p.max(0.0));
                let sum: f32 = row.iter().sum();
                let even = 1.0 / columns as f32;
                row.iter_mut().for_each(|p| *p = if sum > 0.0 { *p / sum } else { even });
            }
            out
        }
    }
}

/// The value of `metric` for `outputs` and `targets`, stored row by row. For regression metrics, column j of both is first multiplied by
/// `scales[j]`.
pub(crate) fn monitored(
    mut outputs: Vec<f32>,
    targets: &[f32],
    columns: usize,
    weights: Option<&[f32]>,
    scales: Option<&[f32]>,
    loss: Loss,
    metric: Metric,
) -> f64 {
    if metric.is_of_classes() {
        let truth: Vec<u32> = match columns {
            1 => targets.iter().map(|&t| u32::from(t > 0.5)).collect(),
            _ => targets.chunks_exact(columns).map(|t| argmax(t) as u32).collect(),
        };
        let p = probabilities(&outputs, columns, loss);
        let m = ClassificationMetrics::of(&p, &truth, columns.max(2), weights);
        return m.get(metric).unwrap_or(f64::NAN);
    }
    let mut targets = targets.to_vec();
    if let Some(scales) = scales {
        for row in outputs.chunks_exact_mut(columns).chain(targets.chunks_exact_mut(columns)) {
            row.iter_mut().zip(scales).for_each(|(x, scale)| *x *= scale);
        }
    }
    RegressionMetrics::of(&outputs, &targets, columns, weights).get(metric).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    // sklearn 1.7: mean_squared_error, mean_absolute_error, r2_score, explained_variance_score, also with
    // sample_weight=[1, 2, 1, 0].
    #[test]
    fn regression_metrics_are_scikit_learns() {
        let (y, f) = ([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]);
        let m = RegressionMetrics::of(&f, &y, 1, None);
        for (got, want) in [
            (m.mse, 0.375),
            (m.rmse, 0.612_372_435_695_794_5),
            (m.mae, 0.5),
            (m.r2, 0.948_608_137_044_967_9),
            (m.explained_variance, 0.957_173_447_537_473_2),
        ] {
            assert_relative_eq!(got, want, max_relative = 1e-9);
        }
        let w = RegressionMetrics::of(&f, &y, 1, Some(&[1.0, 2.0, 1.0, 0.0]));
        assert_relative_eq!(w.mse, 0.1875, max_relative = 1e-9);
        assert_relative_eq!(w.r2, 1.0 - 0.1875 / 2.375, max_relative = 1e-9);
        // Two outputs: the mean of each one's.
        let two = RegressionMetrics::of(&[2.5, 1.0, 0.0, 1.0], &[3.0, 1.0, -0.5, 2.0], 2, None);
        assert_relative_eq!(two.mse, (0.25 + 0.5) / 2.0, max_relative = 1e-9);
        assert!(RegressionMetrics::of(&[1.0, 2.0], &[5.0, 5.0], 1, None).r2.is_nan());
    }

    // sklearn 1.7: accuracy_score, balanced_accuracy_score, precision_score, recall_score, f1_score, roc_auc_score,
    // log_loss of p(1) = [.1, .4, .35, .8, .4] against [0, 0, 1, 1, 1].
    #[test]
    fn binary_metrics_are_scikit_learns() {
        let p: Vec<f32> = [0.1, 0.4, 0.35, 0.8, 0.4].iter().flat_map(|&p: &f32| [1.0 - p, p]).collect();
        let m = ClassificationMetrics::of(&p, &[0, 0, 1, 1, 1], 2, None);
        assert_eq!(m.confusion, [[2.0, 0.0], [2.0, 1.0]]);
        for (got, want) in [
            (m.accuracy, 0.6),
            (m.balanced_accuracy, 2.0 / 3.0),
            (m.precision, 1.0),
            (m.recall, 1.0 / 3.0),
            (m.f1, 0.5),
            (m.roc_auc, 0.75),
            (m.log_loss, (-(0.9f64.ln()) - 0.6f64.ln() - 0.35f64.ln() - 0.8f64.ln() - 0.4f64.ln()) / 5.0),
        ] {
            assert_relative_eq!(got, want, max_relative = 1e-6);
        }
        let w = ClassificationMetrics::of(&p, &[0, 0, 1, 1, 1], 2, Some(&[1.0, 1.0, 0.0, 3.0, 1.0]));
        assert_relative_eq!(w.accuracy, 5.0 / 6.0, max_relative = 1e-9);
        assert_relative_eq!(w.roc_auc, 7.5 / 8.0, max_relative = 1e-9);
    }

    // The averages are sklearn's average="macro" and multi_class="ovr".
    #[test]
    fn multiclass_metrics_by_hand() {
        let p = [0.7, 0.2, 0.1, 0.5, 0.4, 0.1, 0.1, 0.2, 0.7, 0.6, 0.1, 0.3];
        let m = ClassificationMetrics::of(&p, &[0, 1, 2, 2], 3, None);
        assert_eq!(m.confusion, [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0]]);
        assert_relative_eq!(m.accuracy, 0.5);
        assert_relative_eq!(m.balanced_accuracy, 0.5, max_relative = 1e-9);
        assert_relative_eq!(m.precision, (1.0 / 3.0 + 0.0 + 1.0) / 3.0, max_relative = 1e-9);
        assert_relative_eq!(m.f1, (0.5 + 0.0 + 2.0 / 3.0) / 3.0, max_relative = 1e-9);
        assert_relative_eq!(m.roc_auc, (1.0 + 1.0 + 1.0) / 3.0, max_relative = 1e-9);
    }

    #[test]
    fn every_metric_is_the_loss_or_one_of_numbers_or_of_classes() {
        let numbers = RegressionMetrics::of(&[1.0, 2.0], &[1.5, 2.0], 1, None);
        let classes = ClassificationMetrics::of(&[0.2, 0.8, 0.7, 0.3], &[1, 0], 2, None);
        for metric in Metric::ALL.iter().copied() {
            let found = (numbers.get(metric).is_some(), classes.get(metric).is_some());
            assert_eq!(found, (metric != Metric::Loss && !metric.is_of_classes(), metric.is_of_classes()), "{metric}");
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{metric}\""));
        }
        // A perfect prediction is better than another by every metric.
        let perfect = (
            RegressionMetrics::of(&[1.0, 2.0], &[1.0, 2.0], 1, None),
            ClassificationMetrics::of(&[0.0, 1.0, 1.0, 0.0], &[1, 0], 2, None),
        );
        let poor = ClassificationMetrics::of(&[0.6, 0.4, 0.3, 0.7], &[1, 0], 2, None);
        for metric in Metric::ALL.iter().copied().filter(|m| *m != Metric::Loss) {
            let of = |m: &(RegressionMetrics, ClassificationMetrics)| m.0.get(metric).or(m.1.get(metric)).unwrap();
            assert!(metric.better(of(&perfect), of(&(numbers, poor.clone())), 0.0), "{metric}");
        }
    }

    #[test]
    fn nan_is_never_better() {
        for metric in Metric::ALL.iter().copied() {
            assert!(!metric.better(f64::NAN, 1.0, 0.0));
            assert!(!metric.better(f64::NAN, f64::NAN, 0.0));
            assert!(metric.better(1.0, f64::NAN, 0.0));
            assert!(!metric.better(1.0, 1.0, 0.0));
        }
        assert!(Metric::Loss.better(0.8, 1.0, 0.1) && !Metric::Loss.better(0.95, 1.0, 0.1));
        assert!(Metric::R2.better(1.0, 0.8, 0.1) && !Metric::R2.better(0.8, 1.0, 0.0));
    }

    #[test]
    fn outputs_become_probabilities() {
        assert_eq!(probabilities(&[0.0], 1, Loss::BinaryCrossEntropy), [0.5, 0.5]);
        assert_eq!(probabilities(&[0.25, 7.0], 1, Loss::MeanSquared), [0.75, 0.25, 0.0, 1.0]);
        assert_eq!(probabilities(&[5.0, 5.0, -1e30, 5.0], 2, Loss::CategoricalCrossEntropy), [0.5, 0.5, 0.0, 1.0]);
        assert_eq!(probabilities(&[3.0, 1.0, -1.0, -2.0], 2, Loss::MeanSquared), [0.75, 0.25, 0.5, 0.5]);
    }
}
