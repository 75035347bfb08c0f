//! Many networks at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;

use crate::{Dataset, Fitted, Network, TrainConfig, TrainError, fit, threads, with_threads};

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

/// Trains all `members`, each by a thread of its own, as many at once as the CPU has threads: a small network fits a core's
/// cache, and threads that share one wait for each other at every step. Each result is that of [`fit`] for the member alone,
/// to the bit; they come in the order of the members, and one that fails does not touch the others.
///
/// On a device with memory of its own the members take turns.
pub fn fit_many<N: Network>(members: Vec<Member<'_, N>>) -> Vec<Result<Fitted<N>, TrainError>> {
    let Some(device) = members.first().map(|m| m.train.device()) else { return Vec::new() };
    let slots: Vec<Mutex<Option<Member<'_, N>>>> = members.into_iter().map(|m| Mutex::new(Some(m))).collect();
    parallel(&device, slots.len(), |i| {
        // Each is asked for once.
        let member = slots[i].lock().unwrap_or_else(PoisonError::into_inner).take();
        member.map_or(Err(TrainError::Empty("training")), |m| fit(m.network, m.train, m.validation, &m.config, &mut ()))
    })
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
        network.layers.iter().flat_map(|l| of(l.linear.weight.val())).collect()
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
        let results = fit_many(members.clone());
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
        assert!(fit_many::<FeedForward>(Vec::new()).is_empty());
    }
}
