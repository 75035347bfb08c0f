//! The metrics that are shown of a model.

use perceptra_model::{MetricValues, Metrics};

/// Titles and values of the metrics that tables and reports show, in their order.
#[doc(hidden)]
pub fn scores(metrics: &Metrics) -> Vec<(&'static str, f64)> {
    match &metrics.values {
        MetricValues::Regression(m) => vec![
            ("RMSE", m.rmse),
            ("MAE", m.mae),
            ("MSE", m.mse),
            ("R²", m.r2),
            ("explained variance", m.explained_variance),
        ],
        MetricValues::Classification { metrics: m, .. } => vec![
            ("accuracy", m.accuracy),
            ("balanced accuracy", m.balanced_accuracy),
            ("precision", m.precision),
            ("recall", m.recall),
            ("F1", m.f1),
            ("ROC AUC", m.roc_auc),
            ("log loss", m.log_loss),
            ("calibration error", m.calibration_error),
        ],
    }
}
