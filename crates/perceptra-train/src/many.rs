//! Many networks at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use crate::{
    Control, Dataset, Event, Fitted, Network, Observer, TrainConfig, TrainError, fit, population, threads, with_threads,
};

/// One network of several that are trained side by side, with rows and settings of its own.
#[derive(Debug, Clone)]
pub struct Member<'a, N> {
    /// The network.
    pub network: N,
    /// Rows to train on; members may share them.
    pub train: &'a Dataset,
    /// Rows to stop by.
    pub validation: Option<&'a Dataset>,
    /// How it is trained.
    pub config: TrainConfig,
}

/// Trains all `members`: each result is that of [`fit`] for the member alone; they come in the order of the members, and one
/// that fails does not touch the others. `interrupt` ends them all early, each after its first epoch.
///
/// On the CPU each is trained by a thread of its own, as many at once as there are threads, and the results are those of `fit`
/// to the bit: a small network fits a core's cache, and threads that share one wait for each other at every step.
///
/// On devices with memory of their own, where a launch costs more than the work of a small network, members of one depth, with
/// the same activations, loss, optimiser and batch, are trained in one tensor program (a [`Population`](perceptra_nn::Population)):
/// their learning rates, momenta, decays, dropout rates, seeds, rows and widths may differ, each stops on its own, and those
/// that have stopped are taken out. Results are those of `fit` but for rounding. Several devices work at once; members that
/// a population does not take have their turns.
pub fn fit_many<N: Network>(
    members: Vec<Member<'_, N>>,
    interrupt: Option<&AtomicBool>,
) -> Vec<Result<Fitted<N>, TrainError>> {
    let mut devices: Vec<(Device, Vec<Numbered<'_, N>>)> = Vec::new();
    for (place, member) in members.into_iter().enumerate() {
        let device = member.train.device();
        match devices.iter_mut().find(|(known, _)| *known == device) {
            Some((_, members)) => members.push((place, member)),
            None => devices.push((device, vec![(place, member)])),
        }
    }
    let mut results: Vec<Placed<N>> = if devices.len() == 1 {
        devices.into_iter().flat_map(|(device, members)| on_device(&device, members, interrupt)).collect()
    } else {
        std::thread::scope(|scope| {
            let start = |(device, members)| scope.spawn(move || on_device(&device, members, interrupt));
            let work: Vec<_> = devices.into_iter().map(start).collect();
            let joined = work.into_iter().map(|thread| thread.join());
            joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        })
    };
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// A member and its place.
type Numbered<'a, N> = (usize, Member<'a, N>);
/// A result and its place.
pub(crate) type Placed<N> = (usize, Result<Fitted<N>, TrainError>);

fn on_device<N: Network>(
    device: &Device,
    members: Vec<Numbered<'_, N>>,
    interrupt: Option<&AtomicBool>,
) -> Vec<Placed<N>> {
    let own_memory = device.memory_pool_usage().is_some();
    let (together, alone): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|(_, m)| own_memory && population::takes(m));
    let mut results = population::fit_population(together, interrupt);
    let slots: Vec<Mutex<Option<Numbered<'_, N>>>> = alone.into_iter().map(|m| Mutex::new(Some(m))).collect();
    results.extend(
        parallel(device, slots.len(), |i| {
            // Each is asked for once.
            let member = slots[i].lock().unwrap_or_else(PoisonError::into_inner).take();
            let fit = |(place, m): Numbered<'_, N>| {
                (place, fit(m.network, m.train, m.validation, &m.config, &mut Quiet(interrupt)))
            };
            member.map(fit)
        })
        .into_iter()
        .flatten(),
    );
    results
}

/// An observer that only passes an interrupt on.
#[derive(Debug, Clone, Copy)]
pub struct Quiet<'a>(pub Option<&'a AtomicBool>);

impl Observer for Quiet<'_> {
    fn observe(&mut self, _: &Event<'_>) -> Control {
        Control::Continue
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        self.0
    }
}

/// Does `count` pieces of work, as many at once as the CPU has threads, and gives their results in order. Training within a
/// piece has its share of the threads; that does not change results. On a device with memory of its own pieces take turns.
pub fn parallel<T: Send>(device: &Device, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let workers = if device.memory_pool_usage().is_none() { threads().min(count) } else { 1 };
    if workers <= 1 {
        return (0..count).map(work).collect();
    }
    let (share, next) = (threads() / workers, AtomicUsize::new(0));
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let worker = || {
            let mut done = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= count {
                    return done;
                }
                done.push((i, with_threads(share, || work(i))));
            }
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.flat_map(|done| done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Tensor;
    use perceptra_nn::{Activation, FeedForward, FeedForwardConfig, Norm};

    use crate::{Batch, Optimizer};

    fn weights(network: &FeedForward) -> Vec<f32> {
        let of = |t: Tensor<2>| t.try_into_vec_as::<f32>().unwrap();
        network.layers().iter().flat_map(|l| of(l.linear.weight.val())).collect()
    }

    #[test]
    fn members_are_the_networks_trained_alone() {
        let device = Device::flex();
        let rows = |n: usize, shift: f32| {
            let x: Vec<f32> = (0..n).map(|i| i as f32 / n as f32 + shift).collect();
            let y = x.iter().map(|x| x * x).collect();
            Dataset::from_rows(x, y, (1, 1), &device).unwrap()
        };
        let (short, long) = (rows(30, 0.0), rows(70, -0.5));
        let members: Vec<Member<'_, FeedForward>> = (0..12)
            .map(|i| {
                // Normalisation goes by autodiff, the others by the fused engine.
                let norm = if i % 4 == 3 { Norm::Batch } else { Norm::None };
                let shape = FeedForwardConfig::new(1, 1).with_widths(&[4 + i], Activation::Tanh).with_norm(norm);
                Member {
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
            .chain([Member {
                network: FeedForwardConfig::new(2, 1).init(&device).unwrap(),
                train: &short,
                validation: None,
                config: TrainConfig::default(),
            }])
            .collect();
        let results = fit_many(members.clone(), None);
        assert_eq!(results.len(), 13);
        for (member, result) in members.into_iter().zip(results) {
            let alone = fit(member.network, member.train, member.validation, &member.config, &mut ());
            match (result, alone) {
                (Ok(a), Ok(b)) => {
                    assert_eq!(weights(&a.network), weights(&b.network));
                    let losses =
                        |f: &Fitted<FeedForward>| f.history.epochs.iter().map(|e| e.train_loss).collect::<Vec<_>>();
                    assert_eq!(losses(&a), losses(&b));
                }
                // The last one does not fit its rows.
                (Err(a), Err(b)) => assert_eq!(a, b),
                (a, b) => panic!("{:?} {:?}", a.err(), b.err()),
            }
        }
        assert!(fit_many::<FeedForward>(Vec::new(), None).is_empty());
    }
}
