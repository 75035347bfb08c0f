//! The training loop against closed forms and its documentation.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Initializer, Loss, Norm};
use perceptra_random::{Purpose, Stream};

use super::ENGINES;
use crate::*;

fn device() -> Device {
    Device::flex()
}

/// y = 2x₁ − 3x₂ + 1 + noise, and its least-squares solution by the normal equations.
fn line(rows: usize, noise: f32) -> (Vec<f32>, Vec<f32>, [f64; 3]) {
    let stream = Stream::new(5, Purpose::Data, 0);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let mut normal = [[0.0f64; 4]; 3];
    for row in 0..rows {
        let mut v = [0.0; 3];
        stream.fill_normal(row as u32, &mut v);
        let target = 2.0 * v[0] - 3.0 * v[1] + 1.0 + noise * v[2];
        let a = [f64::from(v[0]), f64::from(v[1]), 1.0, f64::from(target)];
        for i in 0..3 {
            for j in 0..4 {
                normal[i][j] += a[i] * a[j];
            }
        }
        x.extend(&v[..2]);
        y.push(target);
    }
    // Gauss and Jordan.
    for i in 0..3 {
        let pivot = normal[i][i];
        normal[i].iter_mut().for_each(|v| *v /= pivot);
        for k in (0..3).filter(|&k| k != i) {
            let (factor, row) = (normal[k][i], normal[i]);
            normal[k].iter_mut().zip(row).for_each(|(v, r)| *v -= factor * r);
        }
    }
    (x, y, [normal[0][3], normal[1][3], normal[2][3]])
}

fn neuron(inputs: usize) -> FeedForward {
    FeedForwardConfig::new(inputs, 1).with_initializer(Initializer::Zeros).init(&device()).unwrap()
}

fn weights(network: &FeedForward) -> Vec<f64> {
    let linear = &network.layers()[0].linear;
    let mut w: Vec<f32> = linear.weight.val().try_into_vec_as().unwrap();
    w.extend(linear.bias.as_ref().unwrap().val().try_into_vec_as::<f32>().unwrap());
    w.into_iter().map(f64::from).collect()
}

fn sgd(rate: f64, batch: Batch, epochs: usize) -> TrainConfig {
    TrainConfig {
        optimizer: Optimizer::Sgd,
        learning_rate: rate,
        batch,
        epochs,
        patience: None,
        ..TrainConfig::default()
    }
}

#[test]
fn full_batch_descent_reaches_least_squares() {
    let (x, y, solution) = line(200, 0.5);
    let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
    let fitted = Fit::new(neuron(2), &data).run(&sgd(0.3, Batch::Full, 200)).unwrap();
    for (got, want) in weights(&fitted.network).into_iter().zip(solution) {
        assert_abs_diff_eq!(got, want, epsilon = 1e-4);
    }
}

#[test]
fn logistic_regression_is_newtons_solution() {
    let rows = 200;
    let (x, _, _) = line(rows, 0.0);
    let mut noise = vec![0.0; rows];
    Stream::new(11, Purpose::Data, 0).fill_normal(0, &mut noise);
    let y: Vec<f32> =
        x.chunks(2).zip(&noise).map(|(x, n)| f32::from(1.5 * x[0] - x[1] + 0.3 + 1.5 * n > 0.0)).collect();
    let data = Dataset::from_rows(x.clone(), y.clone(), (2, 1), &device()).unwrap();
    let network = FeedForwardConfig::new(2, 1).with_output_activation(Activation::Sigmoid).init(&device()).unwrap();
    let config = TrainConfig { loss: Some(Loss::BinaryCrossEntropy), ..sgd(2.0, Batch::Full, 3000) };
    let fitted = Fit::new(network, &data).run(&config).unwrap().network;

    // Newton (Cox, 1958; McCullagh, Nelder, 1989): w += (Σ p(1-p) x xᵀ)⁻¹ Σ (y - p) x, x with a 1.
    let mut w = [0.0f64; 3];
    let with_one = |x: &[f32]| [f64::from(x[0]), f64::from(x[1]), 1.0];
    let p = |w: &[f64; 3], x: [f64; 3]| 1.0 / (1.0 + (-w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).exp());
    for _ in 0..30 {
        let (mut h, mut g) = ([[0.0f64; 3]; 3], [0.0f64; 3]);
        for (x, y) in x.chunks(2).zip(&y) {
            let x = with_one(x);
            let p = p(&w, x);
            for i in 0..3 {
                g[i] += (f64::from(*y) - p) * x[i];
                (0..3).for_each(|j| h[i][j] += p * (1.0 - p) * x[i] * x[j]);
            }
        }
        // By Cramer's rule.
        let det = |m: &[[f64; 3]; 3]| {
            m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
                + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
        };
        for k in 0..3 {
            let mut column = h;
            (0..3).for_each(|i| column[i][k] = g[i]);
            w[k] += det(&column) / det(&h);
        }
    }
    let [weight, bias] = [weights(&fitted)[..2].to_vec(), weights(&fitted)[2..].to_vec()];
    for (got, want) in weight.iter().chain(&bias).zip(w) {
        approx::assert_relative_eq!(*got, want, max_relative = 1e-3);
    }
    let predicted = fitted.forward(Tensor::<1>::from_floats(x.as_slice(), &device()).reshape([rows, 2]));
    for (got, x) in predicted.try_into_vec_as::<f32>().unwrap().into_iter().zip(x.chunks(2)) {
        assert!((f64::from(got) - p(&w, with_one(x))).abs() < 1e-4);
    }
}

#[test]
fn an_observer_changes_the_learning_rate() {
    let (x, y, _) = line(40, 0.5);
    let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
    for engine in ENGINES {
        let config = |rate| TrainConfig { engine, ..sgd(rate, Batch::Rows(8), 5) };
        let mut halve = |event: &Event<'_>| match event {
            Event::Epoch { epoch, .. } if epoch.epoch == 2 => Control::Scale(0.5),
            Event::Epoch { epoch, .. } if epoch.epoch == 3 => Control::Scale(2.0),
            _ => Control::Continue,
        };
        let changed = Fit::new(neuron(2), &data).observe(&mut halve).run(&config(0.1)).unwrap();
        let rates: Vec<f64> = changed.history.epochs.iter().map(|e| e.learning_rate).collect();
        assert_eq!(rates, [0.1, 0.1, 0.05, 0.1, 0.1]);
        // The same by hand: two epochs, one at half the rate, two more.
        let mut state = None;
        for (rate, until) in [(0.1, 2), (0.05, 3), (0.1, 5)] {
            let mut keep = None;
            let mut observer = |event: &Event<'_>| match event {
                Event::Epoch { epoch, run: Some(run), .. } if epoch.epoch == until => {
                    keep = Some(run.state().unwrap());
                    Control::Stop
                }
                _ => Control::Continue,
            };
            match &state {
                None => Fit::new(neuron(2), &data).observe(&mut observer).run(&config(rate)),
                Some(state) => Fit::new(neuron(2), &data).resume(state).observe(&mut observer).run(&config(rate)),
            }
            .unwrap();
            state = keep;
        }
        let by_hand = state.unwrap();
        let losses = |epochs: &[Epoch]| epochs.iter().map(|e| e.train_loss).collect::<Vec<_>>();
        assert_eq!(losses(&by_hand.epochs), losses(&changed.history.epochs), "{engine:?}");
    }
}

#[test]
fn reduction_decides_whether_a_step_grows_with_the_batch() {
    let (x, y, _) = line(8, 0.1);
    let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
    for (loss, engine) in [
        (Loss::HalfSumSquared, Engine::Autodiff),
        (Loss::HalfSumSquared, Engine::Fused),
        (Loss::MeanSquared, Engine::Fused),
        (Loss::MeanSquared, Engine::Autodiff),
    ] {
        let step = |reduction, rate: f64| {
            let config = TrainConfig { loss: Some(loss), reduction, engine, ..sgd(rate, Batch::Full, 1) };
            let fitted = Fit::new(neuron(2), &data).run(&config).unwrap();
            (weights(&fitted.network), fitted.history.epochs[0].train_loss)
        };
        let (sum, total) = step(Some(Reduction::Sum), 0.01);
        let (mean, average) = step(Some(Reduction::Mean), 0.08);
        approx::assert_relative_eq!(total, 8.0 * average, max_relative = 1e-6);
        sum.iter().zip(&mean).for_each(|(a, b)| assert!((a - b).abs() < 1e-6, "{loss} {engine:?}: {a} {b}"));
        let default = if loss.is_sum() { step(Some(Reduction::Sum), 0.01) } else { step(Some(Reduction::Mean), 0.01) };
        assert_eq!(step(None, 0.01), default);
    }
}

#[test]
fn row_weights_reach_weighted_least_squares() {
    // Rows of weight 0 with wild targets change nothing; weight 2 is the row twice.
    let (mut x, mut y, _) = line(50, 0.5);
    let twice = Dataset::from_rows(
        [x.clone(), x[..40].to_vec()].concat(),
        [y.clone(), y[..20].to_vec()].concat(),
        (2, 1),
        &device(),
    );
    let mut w: Vec<f32> = (0..50).map(|i| if i < 20 { 2.0 } else { 1.0 }).collect();
    x.extend([3.0, 3.0]);
    y.push(1e3);
    w.push(0.0);
    let weighted = Dataset::from_rows(x, y, (2, 1), &device()).unwrap().with_weights(w).unwrap();
    let config = sgd(0.3, Batch::Full, 300);
    let a = Fit::new(neuron(2), &twice.unwrap()).run(&config).unwrap();
    let b = Fit::new(neuron(2), &weighted).run(&config).unwrap();
    for (a, b) in weights(&a.network).into_iter().zip(weights(&b.network)) {
        assert_abs_diff_eq!(a, b, epsilon = 1e-4);
    }
    assert_relative_eq!(
        a.history.best().unwrap().train_loss,
        b.history.best().unwrap().train_loss,
        max_relative = 1e-4
    );
}

#[test]
fn one_row_at_a_time_makes_the_steps_computed_by_hand() {
    // ½(y−f)², one weight without bias: w ← w − ρ(wx − y)x for each row of the epoch's order.
    let (x, y) = ([1.0f32, 2.0, -1.0], [1.0f32, 3.0, 0.5]);
    let data = Dataset::from_rows(x.to_vec(), y.to_vec(), (1, 1), &device()).unwrap();
    let network =
        FeedForwardConfig::new(1, 1).with_bias(false).with_initializer(Initializer::Zeros).init(&device()).unwrap();
    let config = TrainConfig { loss: Some(Loss::HalfSumSquared), seed: 3, ..sgd(0.1, Batch::Rows(1), 2) };
    let mut losses = Vec::new();
    let mut w = 0.0f32;
    for epoch in 1..=2 {
        let mut total = 0.0;
        for row in Stream::new(3, Purpose::Shuffle, epoch).permutation(3) {
            let (x, y) = (x[row as usize], y[row as usize]);
            total += 0.5 * (w * x - y).powi(2);
            w -= 0.1 * (w * x - y) * x;
        }
        losses.push(f64::from(total));
    }
    let fitted = Fit::new(network, &data).run(&config).unwrap();
    for (epoch, loss) in fitted.history.epochs.iter().zip(losses) {
        assert_relative_eq!(epoch.train_loss, loss, max_relative = 1e-5);
    }
    let got = f64::from(fitted.network.layers()[0].linear.weight.val().into_scalar::<f32>());
    assert_relative_eq!(got, f64::from(w), max_relative = 1e-5);
}

#[test]
fn a_short_last_batch_is_trained_unless_it_is_dropped() {
    let steps = |drop_last| {
        let (x, y, _) = line(10, 0.1);
        let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
        let config = TrainConfig { drop_last, ..sgd(0.01, Batch::Rows(4), 1) };
        let mut seen = 0;
        let mut observer = |event: &Event<'_>| {
            if let Event::Started { steps, .. } = event {
                seen = *steps;
            }
            Control::Continue
        };
        let fitted = Fit::new(neuron(2), &data).observe(&mut observer).run(&config).unwrap();
        (seen, weights(&fitted.network))
    };
    let (all, with_last) = steps(false);
    let (whole, without_last) = steps(true);
    assert_eq!((all, whole), (3, 2));
    assert_ne!(with_last, without_last);
}

fn xor() -> Dataset {
    Dataset::from_rows(vec![0., 0., 0., 1., 1., 0., 1., 1.], vec![0., 1., 1., 0.], (2, 1), &device()).unwrap()
}

#[test]
fn every_optimizer_learns_xor() {
    // The learning rate and the momentum of each.
    let settings = |optimizer: Optimizer| match optimizer {
        Optimizer::Sgd => (0.5, 0.9),
        Optimizer::RmsProp => (0.01, 0.5),
        Optimizer::AdaGrad => (0.3, 0.0),
        Optimizer::Lion => (0.01, 0.0),
        Optimizer::Adam
        | Optimizer::AdamW
        | Optimizer::Adan
        | Optimizer::Lamb
        | Optimizer::Adafactor
        | Optimizer::Muon => (0.05, 0.0),
    };
    for optimizer in Optimizer::ALL.iter().copied() {
        let (rate, momentum) = settings(optimizer);
        let network = FeedForwardConfig::new(2, 1)
            .with_widths(&[8], Activation::Tanh)
            .with_output_activation(Activation::Sigmoid)
            .with_seed(1)
            .init(&device())
            .unwrap();
        let config = TrainConfig {
            loss: Some(Loss::BinaryCrossEntropy),
            optimizer,
            momentum,
            nesterov: optimizer == Optimizer::Sgd,
            target: Some(0.05),
            ..sgd(rate, Batch::Full, 2000)
        };
        let fitted = Fit::new(network, &xor()).run(&config).unwrap();
        assert_eq!(fitted.history.stop, StopReason::Target, "{optimizer:?}: {:?}", fitted.history.best());
        let out: Vec<f32> = fitted.network.forward(xor().inputs).try_into_vec_as().unwrap();
        assert!(out.iter().zip([0.0, 1.0, 1.0, 0.0]).all(|(p, y)| (p - y).abs() < 0.2), "{optimizer:?}: {out:?}");
    }
}

#[test]
fn schedules_end_at_their_documented_values() {
    let rates = |schedule| -> Vec<f64> {
        let config = TrainConfig { schedule, ..sgd(2.0, Batch::Full, 10) };
        // With targets and weights of 0 the rate does not matter.
        let data = Dataset::from_rows(vec![1.0; 4], vec![0.0; 4], (1, 1), &device()).unwrap();
        let history = Fit::new(neuron(1), &data).run(&config).unwrap().history;
        history.epochs.iter().map(|e| e.learning_rate).collect()
    };
    // One step an epoch, of ten: at 0, 0.1, ... of the run.
    let half = |t: f64| 0.5 * (1.0 + (std::f64::consts::PI * t).cos());
    for schedule in Schedule::ALL {
        let rates = rates(*schedule);
        // Falling rates, the last of them the value before or at the end of the curve.
        let falls_to = |last: f64| {
            assert!(rates.is_sorted_by(|a, b| a > b), "{schedule:?} {rates:?}");
            assert!((rates[9] - last).abs() < 0.25 && rates[0] > 1.2, "{schedule:?} {rates:?}");
        };
        match schedule {
            // The plateau's patience is longer than the run.
            Schedule::Constant | Schedule::Plateau => assert!(rates.iter().all(|r| *r == 2.0), "{schedule:?}"),
            Schedule::Linear | Schedule::Exponential => falls_to(0.02),
            Schedule::Cosine => falls_to(0.0),
            Schedule::Step => {
                assert_relative_eq!(rates[0], 2.0);
                assert_relative_eq!(rates[5], 0.2, max_relative = 1e-9);
                assert_relative_eq!(rates[9], 0.02, max_relative = 1e-9);
            }
            Schedule::FlatCosine => {
                assert!(rates[..6].iter().all(|r| *r == 2.0), "{rates:?}");
                assert_relative_eq!(rates[8], 2.0 * half(0.6), max_relative = 1e-9);
            }
            Schedule::OneCycle => {
                assert_relative_eq!(rates[0], 2.0 / 25.0, max_relative = 1e-9);
                assert_relative_eq!(rates[3], 2.0, max_relative = 1e-9);
                let (rise, fall) = (rates[..4].is_sorted(), rates[3..].is_sorted_by(|a, b| a > b));
                assert!(rise && fall && rates[9] < 0.2, "{rates:?}");
            }
            Schedule::Coslog4 => {
                // t = 0.2: 1 + 15t = 4, the end of the second wave; t = 0.4: 7.
                assert!(rates[0] == 0.0 && rates[2].abs() < 1e-9, "{rates:?}");
                let wave = 1.0 - (std::f64::consts::TAU * 7f64.log2()).cos();
                assert_relative_eq!(rates[4], wave, max_relative = 1e-9);
            }
        }
    }
}

#[test]
fn smoothed_labels_by_hand() {
    // One neuron that gives z = 0 for both rows: its gradient is p − y, with y smoothed.
    for (columns, y, expected) in [
        (1, vec![1.0, 1.0], vec![0.5 - 0.9]),
        (4, [[1.0, 0.0, 0.0, 0.0]; 2].concat(), vec![0.25 - 0.85, 0.25 - 0.05, 0.25 - 0.05, 0.25 - 0.05]),
    ] {
        let data = Dataset::from_rows(vec![0.0; 2], y, (1, columns), &device()).unwrap();
        let g = if columns == 1 { Activation::Sigmoid } else { Activation::Softmax };
        for engine in ENGINES {
            let network = FeedForwardConfig::new(1, columns)
                .with_initializer(perceptra_nn::Initializer::Zeros)
                .with_output_activation(g)
                .init(&device())
                .unwrap();
            let loss = if columns == 1 { Loss::BinaryCrossEntropy } else { Loss::CategoricalCrossEntropy };
            let config = TrainConfig { loss: Some(loss), label_smoothing: 0.2, engine, ..sgd(1.0, Batch::Full, 1) };
            let fitted = Fit::new(network, &data).run(&config).unwrap();
            let bias: Vec<f32> =
                fitted.network.layers()[0].linear.bias.as_ref().unwrap().val().try_into_vec_as().unwrap();
            for (b, slope) in bias.iter().zip(&expected) {
                assert!((b + slope).abs() < 1e-6, "{engine:?}: {bias:?} {expected:?}");
            }
        }
    }
}

#[test]
fn the_best_weights_come_back_whatever_ends_the_run() {
    // A rate so large that the loss rises: the best epoch is the first.
    let (x, y, _) = line(64, 0.1);
    let data = Dataset::from_rows(x.clone(), y.clone(), (2, 1), &device()).unwrap();
    let validation = Dataset::from_rows(x[..40].to_vec(), y[..20].to_vec(), (2, 1), &device()).unwrap();
    let base = sgd(1.02, Batch::Full, 12);
    let asked = |event: &Event<'_>| match event {
        Event::Epoch { epoch, .. } if epoch.epoch == 5 => Control::Stop,
        _ => Control::Continue,
    };
    let runs = [
        (base.clone(), StopReason::Epochs, 12),
        (TrainConfig { patience: Some(3), ..base.clone() }, StopReason::Patience, 4),
        (TrainConfig { no_progress: Some(2), ..base.clone() }, StopReason::NoProgress, 3),
        (TrainConfig { time_limit: Some(1e-9), ..base.clone() }, StopReason::TimeLimit, 1),
    ];
    for (config, stop, epochs) in runs {
        let fitted = Fit::new(neuron(2), &data).validation(&validation).run(&config).unwrap();
        check(&fitted, &validation, stop, epochs);
    }
    let mut asked = asked;
    let fitted = Fit::new(neuron(2), &data).validation(&validation).observe(&mut asked).run(&base).unwrap();
    check(&fitted, &validation, StopReason::Asked, 5);

    fn check(fitted: &Fitted<FeedForward>, validation: &Dataset, stop: StopReason, epochs: usize) {
        let history = &fitted.history;
        assert_eq!((history.stop, history.epochs.len()), (stop, epochs), "{history:?}");
        let losses: Vec<f64> = history.epochs.iter().filter_map(|e| e.validation_loss).collect();
        let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
        assert_eq!(losses[history.best_epoch - 1], best);
        let now = evaluate_loss(&fitted.network, validation, Loss::MeanSquared).unwrap();
        assert_relative_eq!(now, best, max_relative = 1e-6);
    }
}

#[test]
fn min_delta_decides_what_counts_as_progress() {
    let (x, y, _) = line(64, 0.1);
    let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
    let epochs = |min_delta| {
        let config = TrainConfig { patience: Some(3), min_delta, ..sgd(0.05, Batch::Full, 100) };
        Fit::new(neuron(2), &data).run(&config).unwrap().history.epochs.len()
    };
    assert!(epochs(0.1) < epochs(0.0), "{} {}", epochs(0.1), epochs(0.0));
}

#[test]
fn the_monitored_metric_is_in_the_targets_units_and_decides() {
    let (x, y, _) = line(100, 0.5);
    let standardized: Vec<f32> = y.iter().map(|y| y / 4.0).collect();
    let data = || {
        Dataset::from_rows(x.clone(), standardized.clone(), (2, 1), &device()).unwrap().with_target_scales(vec![4.0])
    };
    let config = TrainConfig { monitor: Metric::Rmse, target: Some(0.7), ..sgd(0.1, Batch::Full, 300) };
    let fitted = Fit::new(neuron(2), &data()).validation(&data()).run(&config).unwrap();
    let last = fitted.history.epochs.last().unwrap();
    assert_eq!(fitted.history.stop, StopReason::Target);
    assert_relative_eq!(last.monitored.unwrap(), 4.0 * last.validation_loss.unwrap().sqrt(), max_relative = 1e-5);
    assert!(last.monitored.unwrap() <= 0.7);
}

#[test]
fn class_weights_count_in_training_and_validation() {
    // 90 rows of class 0, 10 of class 1, no input that tells them: a bias alone. With balanced weights p = ½.
    let targets: Vec<f32> = (0..100).map(|i| if i < 90 { 0.0 } else { 1.0 }).collect();
    let data = Dataset::from_rows(vec![0.0; 100], targets, (1, 1), &device()).unwrap();
    let p = |class_weights| {
        let network = FeedForwardConfig::new(1, 1)
            .with_output_activation(Activation::Sigmoid)
            .with_initializer(Initializer::Zeros)
            .init(&device())
            .unwrap();
        let loss = Some(Loss::BinaryCrossEntropy);
        let config = TrainConfig { loss, class_weights, ..sgd(1.0, Batch::Full, 200) };
        let fitted = Fit::new(network, &data).validation(&data).run(&config).unwrap();
        let last = fitted.history.epochs.last().unwrap();
        let p = fitted.network.forward(Tensor::zeros([1, 1], &device())).into_scalar::<f32>();
        (p, last.train_loss, last.validation_loss.unwrap())
    };
    let (plain, ..) = p(ClassWeights::Equal);
    assert_abs_diff_eq!(plain, 0.1, epsilon = 1e-3);
    let (balanced, train, validation) = p(ClassWeights::Balanced);
    assert_abs_diff_eq!(balanced, 0.5, epsilon = 1e-3);
    assert_relative_eq!(train, std::f64::consts::LN_2, max_relative = 1e-4);
    assert_relative_eq!(validation, std::f64::consts::LN_2, max_relative = 1e-4);
    let (given, ..) = p(ClassWeights::Given(vec![1.0, 27.0]));
    assert_abs_diff_eq!(given, 0.75, epsilon = 1e-2);
    let error = class_weight_error(&data);
    assert_eq!(error, TrainError::ClassWeights { found: 3, expected: 2 });
}

fn class_weight_error(data: &Dataset) -> TrainError {
    let config = TrainConfig { class_weights: ClassWeights::Given(vec![1.0; 3]), ..TrainConfig::default() };
    Fit::new(neuron(1), data).run(&config).unwrap_err()
}

#[test]
fn a_run_that_diverges_ends_with_its_best_epoch() {
    let (x, y, _) = line(64, 0.1);
    let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
    for engine in ENGINES {
        // Too large a rate: each epoch is worse, and none is better than the first.
        let config = TrainConfig { engine, ..sgd(1e10, Batch::Full, 50) };
        let fitted = Fit::new(neuron(2), &data).run(&config).unwrap();
        let History { epochs, best_epoch, stop, .. } = &fitted.history;
        assert_eq!((*stop, *best_epoch), (StopReason::Diverged, 1), "{engine:?}");
        assert!((1..10).contains(&epochs.len()) && epochs.iter().all(|e| e.train_loss.is_finite()), "{epochs:?}");
        assert!(weights(&fitted.network).iter().all(|w| w.is_finite()));
        // In the first epoch there are no best weights yet.
        let config = TrainConfig { engine, ..sgd(1e38, Batch::Rows(8), 50) };
        let error = Fit::new(neuron(2), &data).run(&config).unwrap_err();
        assert_eq!(error, TrainError::Diverged { epoch: 1 });
        assert!(error.hint().unwrap().contains("learning rate"));
        // The loss of the only step is finite, the weights after it are not.
        let config = TrainConfig { engine, ..sgd(f64::from(f32::MAX), Batch::Full, 1) };
        let data = Dataset::from_rows(vec![1e3, 1.0], vec![1e3], (2, 1), &device()).unwrap();
        let error = Fit::new(neuron(2), &data).run(&config).unwrap_err();
        assert_eq!(error, TrainError::Diverged { epoch: 1 }, "{engine:?}");
    }
}

#[test]
fn an_epoch_with_a_value_that_is_not_finite_is_never_the_best() {
    let (x, y, _) = line(32, 0.1);
    let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
    let validation = Dataset::from_rows(vec![f32::NAN, 1.0], vec![0.0], (2, 1), &device()).unwrap();
    // No epoch has a finite value: early stopping ends the run, and no epoch can be chosen.
    let config = TrainConfig { patience: Some(4), ..sgd(0.1, Batch::Full, 50) };
    let error = Fit::new(neuron(2), &data).validation(&validation).run(&config).unwrap_err();
    assert_eq!(error, TrainError::Undefined { monitor: "loss".into(), epochs: 4 });
    // R² of a constant target is not a number either, where more is better.
    let constant = Dataset::from_rows(vec![0.0, 1.0, 1.0, 0.0], vec![1.0, 1.0], (2, 1), &device()).unwrap();
    let config = TrainConfig { monitor: Metric::R2, ..config };
    let error = Fit::new(neuron(2), &data).validation(&constant).run(&config).unwrap_err();
    assert_eq!(error, TrainError::Undefined { monitor: "r2".into(), epochs: 4 });
    // An input that overflows the loss of the first epochs only: patience starts with the first finite value.
    let far = Dataset::from_rows(vec![3e19, 0.0], vec![0.0], (2, 1), &device()).unwrap();
    let mut seen = Vec::new();
    let mut note = |event: &Event<'_>| {
        if let Event::Epoch { epoch, improved, .. } = event {
            seen.push((epoch.validation_loss.unwrap().is_finite(), *improved));
        }
        Control::Continue
    };
    let opposite = Dataset::from_rows(vec![1.0, 0.0, -1.0, 0.0], vec![0.0; 2], (2, 1), &device()).unwrap();
    let mut network = neuron(2);
    network.layers_mut()[0].linear.weight = Param::from_data(TensorData::from([[4.0f32], [0.0]]), &device());
    let config = TrainConfig { patience: None, ..sgd(0.4, Batch::Full, 6) };
    Fit::new(network, &opposite).validation(&far).observe(&mut note).run(&config).unwrap();
    assert_eq!(seen[0], (false, false));
    assert!(seen.contains(&(true, true)), "{seen:?}");
    assert!(seen.iter().all(|(finite, improved)| *finite || !improved));
}

#[test]
fn histories_store_nan_and_infinities() {
    let epoch =
        |v, m| Epoch { epoch: 1, train_loss: 0.1, validation_loss: v, monitored: m, learning_rate: 0.2, seconds: 0.0 };
    for (v, m) in [(None, None), (Some(0.1 + 0.2), Some(f64::INFINITY)), (Some(f64::NEG_INFINITY), Some(1e-300))] {
        let text = serde_json::to_string(&epoch(v, m)).unwrap();
        assert_eq!(serde_json::from_str::<Epoch>(&text).unwrap(), epoch(v, m), "{text}");
    }
    let text = serde_json::to_string(&epoch(Some(f64::NAN), None)).unwrap();
    assert!(serde_json::from_str::<Epoch>(&text).unwrap().validation_loss.unwrap().is_nan(), "{text}");
}

#[test]
fn weight_decay_spares_biases() {
    // Targets and inputs of 0: only decay moves anything.
    for &optimizer in Optimizer::ALL {
        let mut network = neuron(1);
        network.layers_mut()[0].linear.weight = Param::from_data(TensorData::from([[1.0f32]]), &device());
        let data = Dataset::from_rows(vec![0.0; 4], vec![0.0; 4], (1, 1), &device()).unwrap();
        let config = TrainConfig { optimizer, weight_decay: 0.5, ..sgd(0.1, Batch::Full, 3) };
        network.layers_mut()[0].linear.bias = Some(Param::from_data(TensorData::from([0.0f32]), &device()));
        let fitted = Fit::new(network, &data).run(&TrainConfig { epochs: 1, ..config }).unwrap();
        let last = weights(&fitted.network);
        // The others divide by the size of the gradient, or of the weight.
        match optimizer {
            Optimizer::Sgd | Optimizer::AdamW | Optimizer::Lion => {
                assert_relative_eq!(last[0], 0.95, max_relative = 1e-6);
            }
            Optimizer::Adam
            | Optimizer::RmsProp
            | Optimizer::AdaGrad
            | Optimizer::Adan
            | Optimizer::Lamb
            | Optimizer::Adafactor
            | Optimizer::Muon => assert!((-1e-6..0.96).contains(&last[0]), "{optimizer:?}: {last:?}"),
        }
        assert_eq!(last[1], 0.0, "{optimizer:?}");
    }
}

#[test]
fn penalties_and_clipping_change_the_step_as_computed_by_hand() {
    // w = 2, b = 0, one row x = 1, y = 0: R = ½·2² = 2, ∂R/∂w = 2, ∂R/∂b = 2. Steps of size 1.
    let step = |config: TrainConfig| {
        let mut network = neuron(1);
        network.layers_mut()[0].linear.weight = Param::from_data(TensorData::from([[2.0f32]]), &device());
        let data = Dataset::from_rows(vec![1.0], vec![0.0], (1, 1), &device()).unwrap();
        let config = TrainConfig { loss: Some(Loss::HalfSumSquared), ..config };
        weights(&Fit::new(network, &data).run(&config).unwrap().network)
    };
    let base = || sgd(1.0, Batch::Full, 1);
    let table = [
        (base(), [0.0, -2.0]),
        (TrainConfig { l2: 0.25, ..base() }, [-0.5, -2.0]),
        (TrainConfig { l1: 0.25, ..base() }, [-0.25, -2.0]),
        (TrainConfig { clip_value: Some(0.5), ..base() }, [1.5, -0.5]),
        // ‖(2, 2)‖ = √8, clipped to 1: each is 1/√2.
        (TrainConfig { clip_norm: Some(1.0), ..base() }, [2.0 - 0.5f64.sqrt(), -(0.5f64.sqrt())]),
        (TrainConfig { clip_norm: Some(100.0), ..base() }, [0.0, -2.0]),
    ];
    for (config, expected) in table {
        for (got, want) in step(config).into_iter().zip(expected) {
            assert_abs_diff_eq!(got, want, epsilon = 1e-5);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_does_not() {
    #[allow(deprecated)] // ndarray is kept because it was asked for.
    let devices = [Device::flex(), Device::ndarray()];
    for device in devices {
        let run = |seed| {
            let (x, y, _) = line(100, 0.5);
            let data = Dataset::from_rows(x, y, (2, 1), &device).unwrap();
            let network = FeedForwardConfig::new(2, 1)
                .with_widths(&[8, 4], Activation::Relu)
                .with_dropout(0.2)
                .init(&device)
                .unwrap();
            let config = TrainConfig { batch: Batch::Rows(16), epochs: 5, seed, ..TrainConfig::default() };
            let fitted = Fit::new(network, &data).run(&config).unwrap();
            let w: Vec<f32> = fitted.network.layers()[0].linear.weight.val().try_into_vec_as().unwrap();
            (w.into_iter().map(f32::to_bits).collect::<Vec<_>>(), fitted.history.epochs[4].train_loss)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
    }
}

#[test]
fn normalized_networks_are_evaluated_with_running_averages() {
    for &norm in Norm::ALL.iter().filter(|norm| **norm != Norm::None) {
        let (x, y, _) = line(256, 0.1);
        let data = Dataset::from_rows(x, y, (2, 1), &device()).unwrap();
        let network =
            FeedForwardConfig::new(2, 1).with_widths(&[16], Activation::Relu).with_norm(norm).init(&device()).unwrap();
        let config = TrainConfig { epochs: 60, learning_rate: 0.02, ..TrainConfig::default() };
        let fitted = Fit::new(network, &data).validation(&data).run(&config).unwrap();
        let best = fitted.history.best().unwrap().validation_loss.unwrap();
        assert!(best < 0.6, "{norm:?}: {best}");
        // The state of the best epoch, not of the last.
        let again = evaluate_loss(&fitted.network, &data, Loss::MeanSquared).unwrap();
        assert_relative_eq!(again, best, max_relative = 1e-6);
        assert!(!fitted.network.devices().iter().any(Device::is_autodiff));
    }
}

#[test]
fn data_and_networks_that_do_not_fit_are_errors() {
    let tensor = |r, c| Tensor::<2>::zeros([r, c], &device());
    let error = Dataset::new(tensor(3, 2), tensor(4, 1)).unwrap_err();
    assert_eq!(error, TrainError::Rows { what: "targets", found: 4, expected: 3 });
    assert_eq!(Dataset::new(tensor(0, 2), tensor(0, 1)).unwrap_err(), TrainError::Empty("data"));
    let data = Dataset::new(tensor(3, 2), tensor(3, 1)).unwrap();
    let error = data.clone().with_weights(vec![1.0]).unwrap_err();
    assert_eq!(error, TrainError::Rows { what: "weights", found: 1, expected: 3 });
    let error = Fit::new(neuron(5), &data).run(&TrainConfig::default()).unwrap_err();
    assert_eq!(error, TrainError::Width { what: "inputs", network: 5, data: 2 });
    let two = FeedForwardConfig::new(2, 2).init(&device()).unwrap();
    let error = Fit::new(two, &data).run(&TrainConfig::default()).unwrap_err();
    assert_eq!(error, TrainError::Width { what: "outputs", network: 2, data: 1 });
}
