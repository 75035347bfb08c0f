//! Metrics against the numbers of scikit-learn, which `scores/make.py` wrote to `scores/scores.json`, and against their definitions.

use proptest::prelude::*;
use serde_json::Value;

use crate::*;

fn reference() -> Value {
    serde_json::from_str(include_str!("scores/scores.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn weights(case: &Value) -> Option<Vec<f32>> {
    case["weights"].as_array().map(|all| all.iter().map(|x| x.as_f64().unwrap() as f32).collect())
}

#[test]
fn metrics_of_each_target_are_scikit_learns() {
    for case in reference()["numbers"].as_array().unwrap() {
        let (truth, predicted, weights) = (numbers(&case["truth"]), numbers(&case["predicted"]), weights(case));
        let each = RegressionMetrics::each(&predicted, &truth, 2, weights.as_deref());
        let mean = RegressionMetrics::of(&predicted, &truth, 2, weights.as_deref());
        for metric in Metric::ALL.iter().filter(|metric| each[0].get(**metric).is_some()) {
            let name = metric.name().replace('-', "_");
            let got: Vec<f64> = each.iter().filter_map(|m| m.get(*metric)).collect();
            let want: Vec<f64> = case["each"].as_array().unwrap().iter().map(|m| m[&name].as_f64().unwrap()).collect();
            for (got, want) in got.iter().zip(&want) {
                approx::assert_relative_eq!(got, want, max_relative = 1e-9);
            }
            approx::assert_relative_eq!(mean.get(*metric).unwrap(), (want[0] + want[1]) / 2.0, max_relative = 1e-9);
        }
        // The far target is predicted well, the near one badly.
        assert!(each[1].r2 > 0.99 && each[0].r2 < 0.7, "{each:?}");
    }
}

#[test]
fn metrics_of_classes_with_ties_and_weights_are_scikit_learns() {
    for case in reference()["classes"].as_array().unwrap() {
        let classes = case["classes"].as_u64().unwrap() as usize;
        let (p, weights) = (numbers(&case["p"]), weights(case));
        let truth: Vec<u32> = numbers(&case["truth"]).into_iter().map(|class| class as u32).collect();
        let found = ClassificationMetrics::of(&p, &truth, classes, weights.as_deref());
        for metric in Metric::ALL.iter().filter(|metric| found.get(**metric).is_some()) {
            let Some(want) = case[metric.name().replace('-', "_")].as_f64() else { continue };
            approx::assert_relative_eq!(found.get(*metric).unwrap(), want, max_relative = 1e-9);
        }
        assert!(case["average_precision"].is_f64());
    }
}

#[test]
fn a_class_without_rows_has_no_average_precision() {
    let of = |truth: &[u32]| ClassificationMetrics::of(&[0.2, 0.8, 0.7, 0.3], truth, 2, None).average_precision;
    assert!(of(&[0, 0]).is_nan());
    assert_eq!([of(&[1, 1]), of(&[1, 0]), of(&[0, 1])], [1.0, 1.0, 0.5]);
}

proptest! {
    #[test]
    fn ranking_is_as_defined(rows in prop::collection::vec((0_u8..6, any::<bool>(), 0_u8..4), 1..40)) {
        let p: Vec<f64> = rows.iter().flat_map(|(p, ..)| [1.0 - f64::from(*p) / 6.0, f64::from(*p) / 6.0]).collect();
        let truth: Vec<u32> = rows.iter().map(|(_, is, _)| u32::from(*is)).collect();
        let weights: Vec<f32> = rows.iter().map(|(.., weight)| f32::from(*weight)).collect();
        let found = ClassificationMetrics::of(&p, &truth, 2, Some(&weights));
        let total = |f: &dyn Fn(u8, bool) -> bool| -> f64 {
            rows.iter().filter(|(p, is, _)| f(*p, *is)).map(|(.., weight)| f64::from(*weight)).sum()
        };
        let positives = total(&|_, is| is);
        // Each pair of a row of the class and another one, by who is ahead.
        let pairs: f64 = (rows.iter().filter(|(_, is, _)| *is))
            .map(|(p, _, weight)| {
                f64::from(*weight) * (total(&|q, is| !is && q < *p) + 0.5 * total(&|q, is| !is && q == *p))
            })
            .sum();
        let area = pairs / (positives * total(&|_, is| !is));
        // The precision at each threshold, weighted by the recall that it adds.
        let mut expected = 0.0;
        for threshold in (0..6).rev() {
            let hits = total(&|q, is| is && q >= threshold);
            let added = total(&|q, is| is && q == threshold);
            if added > 0.0 {
                expected += added / positives * hits / total(&|q, _| q >= threshold);
            }
        }
        if positives == 0.0 {
            prop_assert!(found.average_precision.is_nan() && found.roc_auc.is_nan());
        } else {
            prop_assert!((found.average_precision - expected).abs() < 1e-12, "{} {expected}", found.average_precision);
            prop_assert!(area.is_nan() == found.roc_auc.is_nan());
            prop_assert!(area.is_nan() || (found.roc_auc - area).abs() < 1e-12, "{} {area}", found.roc_auc);
        }
    }
}
