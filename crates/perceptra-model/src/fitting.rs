//! Which losses and metrics fit a task.

use perceptra_data::Task;
use perceptra_nn::{Activation, Loss};
use perceptra_train::Metric;

/// The usual loss of a task.
pub(crate) fn usual_loss(task: Task) -> Loss {
    match task {
        Task::Regression => Loss::MeanSquared,
        Task::Binary => Loss::BinaryCrossEntropy,
        Task::Multiclass => Loss::CategoricalCrossEntropy,
    }
}

/// Whether `loss` can be used for `task`: a cross-entropy only for the task whose usual loss it is, any other loss for every task.
pub(crate) fn loss_fits(loss: Loss, task: Task) -> bool {
    !loss.takes_logits() || loss == usual_loss(task)
}

/// The metric by which models of a task are judged where none is named: one that is of the predicted numbers, or probabilities.
pub fn usual_metric(task: Task) -> Metric {
    match task {
        Task::Regression => Metric::Rmse,
        Task::Binary | Task::Multiclass => Metric::LogLoss,
    }
}

/// Whether a run with this task can monitor `metric`.
pub(crate) fn metric_fits(metric: Metric, task: Task) -> bool {
    metric == Metric::Loss || metric.is_of_classes() == task.is_classification()
}

/// How numeric targets must be scaled for an activation of the output to act in their own units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetScale {
    /// Shifted and scaled.
    Any,
    /// Scaled and not shifted: where the activation bends is 0 in every unit.
    KeepsZero,
    /// Not at all: it has values of its own, such as the 1 at which a sigmoid ends.
    Unscaled,
}

/// The scale that an activation of the output needs.
pub(crate) fn target_scale(output: Activation) -> TargetScale {
    match output {
        Activation::Identity => TargetScale::Any,
        // Softplus is as good as 0 or x a few units away from 0, in which a unit is a standard deviation.
        Activation::Relu | Activation::LeakyRelu | Activation::Softplus => TargetScale::KeepsZero,
        Activation::Step
        | Activation::Sign
        | Activation::Sigmoid
        | Activation::Tanh
        | Activation::Elu
        | Activation::Selu
        | Activation::Gelu
        | Activation::Silu
        | Activation::Mish
        | Activation::Dendritic
        | Activation::Softmax => TargetScale::Unscaled,
    }
}

/// The least and the largest output that an activation has.
pub(crate) fn output_range(output: Activation) -> [f32; 2] {
    match output {
        Activation::Identity | Activation::LeakyRelu => [f32::NEG_INFINITY, f32::INFINITY],
        Activation::Step | Activation::Sigmoid | Activation::Dendritic | Activation::Softmax => [0.0, 1.0],
        Activation::Sign | Activation::Tanh => [-1.0, 1.0],
        Activation::Relu | Activation::Softplus => [0.0, f32::INFINITY],
        Activation::Elu => [-1.0, f32::INFINITY],
        Activation::Selu => [-1.758_1, f32::INFINITY],
        Activation::Gelu => [-0.17, f32::INFINITY],
        Activation::Silu => [-0.278_5, f32::INFINITY],
        Activation::Mish => [-0.308_9, f32::INFINITY],
    }
}

/// The losses that fit a task, as a hint.
pub(crate) fn loss_hint(task: Task) -> String {
    use_one_of(Loss::ALL.iter().filter(|loss| loss_fits(**loss, task)).map(|loss| loss.name()))
}

/// A hint that lists the metrics that a run with this task can monitor.
pub(crate) fn metric_hint(task: Task) -> String {
    use_one_of(Metric::ALL.iter().filter(|metric| metric_fits(**metric, task)).map(|metric| metric.name()))
}

fn use_one_of<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.split_last() {
        Some((last, [])) => format!("use {last}"),
        Some((last, others)) => format!("use {} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor, TensorData};

    #[test]
    fn scales_and_ranges_of_targets_are_those_of_the_activation() {
        for &activation in Activation::ALL.iter().filter(|f| **f != Activation::Softmax) {
            let f = |z: &[f32]| {
                let z = Tensor::from_data(TensorData::new(z.to_vec(), [1, z.len()]), &Device::flex());
                activation.forward(z).try_into_vec_as::<f32>().unwrap()
            };
            // The same function in every unit: nothing is bent but at 0, where softplus is bent smoothly.
            let (z, w) = ([-20.0_f32, -2.0, 2.0, 20.0], [-60.0, -6.0, 6.0, 60.0]);
            let soft = if activation == Activation::Softplus { 0.5 } else { 1e-4 };
            let same = f(&w).iter().zip(f(&z)).all(|(w, z)| (w - 3.0 * z).abs() < soft);
            assert_eq!(same, target_scale(activation) != TargetScale::Unscaled, "{activation}");
            let values = f(&(-4000..=4000).map(|i| 0.01 * i as f32).collect::<Vec<_>>());
            let ends = values.iter().fold([f32::MAX, f32::MIN], |[a, b], y| [a.min(*y), b.max(*y)]);
            let range = output_range(activation);
            for (end, limit) in ends.into_iter().zip(range) {
                assert!(if limit.is_finite() { (end - limit).abs() < 2e-3 } else { end.abs() > 0.3 }, "{activation}");
            }
            assert!(values.iter().all(|y| *y > range[0] - 1e-6 && *y < range[1] + 1e-6), "{activation}");
        }
    }

    #[test]
    fn hints_name_what_fits_the_task_and_nothing_else() {
        assert_eq!(loss_hint(Task::Regression), "use mse, half-sse, mae or huber");
        for task in [Task::Regression, Task::Binary, Task::Multiclass] {
            let named = |hint: &str, name: &str| hint.split([' ', ',']).any(|word| word == name);
            for &loss in Loss::ALL {
                assert_eq!(named(&loss_hint(task), loss.name()), loss_fits(loss, task), "{task} {loss}");
            }
            for &metric in Metric::ALL {
                assert_eq!(named(&metric_hint(task), metric.name()), metric_fits(metric, task), "{task} {metric}");
            }
            assert!(loss_fits(usual_loss(task), task));
        }
    }
}
