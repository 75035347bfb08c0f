//! Which losses and metrics fit a task.

use perceptra_data::Task;
use perceptra_nn::Loss;
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

/// Whether a run with this task can monitor `metric`.
pub(crate) fn metric_fits(metric: Metric, task: Task) -> bool {
    metric == Metric::Loss || metric.is_of_classes() == task.is_classification()
}

/// A hint that lists the losses that fit a task.
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
