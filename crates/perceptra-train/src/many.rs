//! Training many networks at once.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use crate::error::TrainError;
use crate::fit::{Fit, Fitted};
use crate::job::{FitJob, Indexed, IndexedResult};
use crate::network::Network;
use crate::population;
use crate::threads::{has_own_memory, parallel};

/// Trains all `jobs`. Each result is that of a [`Fit`] of the job alone; results come in the order of the jobs, and a job that fails does
/// not affect the others. `interrupt` ends them all early, each after its first epoch at the earliest.
///
/// On the CPU each job is trained by one thread, as many jobs at once as there are threads, and the results are those of `Fit` to the
/// bit: a small network fits into a core's cache, and threads that share a network wait for each other at every step.
///
/// On devices with memory of their own, where a launch costs more than the work of a small network, jobs of the same depth, activations,
/// loss, optimizer and batch are trained in one tensor program (a population). Their learning rates, momenta,
/// decays, dropout rates, seeds, rows and widths may differ; each stops on its own. Results are those of `Fit` but for rounding. All other
/// jobs are trained one after another. Several devices work at once.
pub fn fit_many<N: Network>(
    jobs: Vec<FitJob<'_, N>>,
    interrupt: Option<&AtomicBool>,
) -> Vec<Result<Fitted<N>, TrainError>> {
    let mut devices: Vec<(Device, Vec<Indexed<'_, N>>)> = Vec::new();
    for (index, job) in jobs.into_iter().enumerate() {
        let device = job.train.device();
        match devices.iter_mut().find(|(known, _)| *known == device) {
            Some((_, jobs)) => jobs.push((index, job)),
            None => devices.push((device, vec![(index, job)])),
        }
    }
    let mut results: Vec<IndexedResult<N>> = if devices.len() == 1 {
        devices.into_iter().flat_map(|(device, jobs)| on_device(&device, jobs, interrupt)).collect()
    } else {
        std::thread::scope(|scope| {
            let start = |(device, jobs)| scope.spawn(move || on_device(&device, jobs, interrupt));
            let work: Vec<_> = devices.into_iter().map(start).collect();
            let joined = work.into_iter().map(std::thread::ScopedJoinHandle::join);
            joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    };
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn on_device<N: Network>(
    device: &Device,
    jobs: Vec<Indexed<'_, N>>,
    interrupt: Option<&AtomicBool>,
) -> Vec<IndexedResult<N>> {
    let own_memory = has_own_memory(device);
    let (together, alone): (Vec<_>, Vec<_>) =
        jobs.into_iter().partition(|(_, job)| own_memory && population::takes(job));
    let mut results = population::fit_population(together, interrupt);
    let slots: Vec<Mutex<Option<Indexed<'_, N>>>> = alone.into_iter().map(|m| Mutex::new(Some(m))).collect();
    results.extend(
        parallel(device, slots.len(), |i| {
            // Each slot is taken once.
            let job = slots[i].lock().unwrap_or_else(PoisonError::into_inner).take();
            job.map(|(index, job)| {
                let mut observer = interrupt;
                let fit = Fit::new(job.network, job.train).validation(job.validation).observe(&mut observer);
                (index, fit.run(&job.config))
            })
        })
        .into_iter()
        .flatten(),
    );
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;
    use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Norm};

    use crate::choices::{Batch, Optimizer};
    use crate::config::TrainConfig;
    use crate::dataset::Dataset;

    fn weights(network: &FeedForward) -> Vec<f32> {
        let of = |t: Tensor<2>| t.try_into_vec_as::<f32>().unwrap();
        network.layers().iter().flat_map(|l| of(l.linear.weight.val())).collect()
    }

    #[test]
    fn jobs_give_the_networks_of_single_fits() {
        let device = Device::flex();
        let rows = |n: usize, shift: f32| {
            let x: Vec<f32> = (0..n).map(|i| i as f32 / n as f32 + shift).collect();
            let y = x.iter().map(|x| x * x).collect();
            Dataset::from_rows(x, y, (1, 1), &device).unwrap()
        };
        let (short, long) = (rows(30, 0.0), rows(70, -0.5));
        let jobs: Vec<FitJob<'_, FeedForward>> = (0..12)
            .map(|i| {
                // Networks with normalization are trained by autodiff, the others by the fused engine.
                let norm = if i % 4 == 3 { Norm::Batch } else { Norm::None };
                let shape = FeedForwardConfig::new(1, 1).with_widths(&[4 + i], Activation::Tanh).with_norm(norm);
                FitJob {
                    network: shape.with_seed(i as u64).with_dropout(0.1).init(&device).unwrap(),
                    train: if i % 2 == 0 { &short } else { &long },
                    validation: (i % 3 == 0).then_some(&short),
                    config: TrainConfig {
                        optimizer: if i % 5 == 0 { Optimizer::Sgd } else { Optimizer::Adam },
                        learning_rate: 0.002 * (1 + i) as f64,
                        batch: Batch::Rows(8 + i),
                        epochs: 5 + i,
                        seed: i as u64,
                        ..TrainConfig::default()
                    },
                }
            })
            .chain([FitJob {
                network: FeedForwardConfig::new(2, 1).init(&device).unwrap(),
                train: &short,
                validation: None,
                config: TrainConfig::default(),
            }])
            .collect();
        let results = fit_many(jobs.clone(), None);
        assert_eq!(results.len(), 13);
        for (job, result) in jobs.into_iter().zip(results) {
            let alone = Fit::new(job.network, job.train).validation(job.validation).run(&job.config);
            match (result, alone) {
                (Ok(a), Ok(b)) => {
                    assert_eq!(weights(&a.network), weights(&b.network));
                    let losses =
                        |f: &Fitted<FeedForward>| f.history.epochs.iter().map(|e| e.train_loss).collect::<Vec<_>>();
                    assert_eq!(losses(&a), losses(&b));
                }
                // The last network does not fit its rows.
                (Err(a), Err(b)) => assert_eq!(a, b),
                (a, b) => panic!("{:?} {:?}", a.err(), b.err()),
            }
        }
        assert!(fit_many::<FeedForward>(Vec::new(), None).is_empty());
    }
}
