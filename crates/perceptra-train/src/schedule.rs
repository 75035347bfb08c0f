//! Schedules of the learning rate, weight decay and dropout over a run.

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::lr_scheduler::{
    LrScheduler, LrSchedulerRecord, cosine::CosineAnnealingLrSchedulerConfig,
    exponential::ExponentialLrSchedulerConfig, linear::LinearLrSchedulerConfig, step::StepLrSchedulerConfig,
};
use perceptra_kernel::StepRates;

use crate::choices::Schedule;
use crate::config::TrainConfig;

/// The learning rate, decay and dropout of each step of a run, one step after another.
pub(crate) struct Schedules {
    /// The learning rate that the schedule starts from.
    base: f64,
    rate: Option<ModuleLrScheduler>,
    decay: Option<ModuleLrScheduler>,
    dropout: Option<ModuleLrScheduler>,
    /// Factor of all further learning rates: the product of the factors of the schedule `plateau` and of an observer.
    scale: f64,
}

impl Schedules {
    /// The schedules of a run of `steps` steps.
    pub(crate) fn new(config: &TrainConfig, steps: usize) -> Self {
        let settings = config.step_settings();
        let of = |kind: Schedule| schedule(kind, steps);
        let [rate, decay, dropout] = [settings.schedule, settings.decay_schedule, settings.dropout_schedule].map(of);
        Self { base: settings.learning_rate, rate, decay, dropout, scale: 1.0 }
    }

    /// Multiplies the schedule's learning rates by `factor` from now on; replaces an earlier factor.
    pub(crate) fn scale_rate(&mut self, factor: f64) {
        self.scale = factor;
    }

    /// The rates of the next step.
    pub(crate) fn next(&mut self) -> StepRates {
        let of = |schedule: &mut Option<ModuleLrScheduler>| schedule.as_mut().map_or(1.0, |s| s.step().base());
        let rate = self.base * self.scale * of(&mut self.rate);
        StepRates { rate, decay: of(&mut self.decay), dropout: of(&mut self.dropout) }
    }

    /// Skips the steps that were made before the run was resumed.
    pub(crate) fn skip(&mut self, steps: usize) {
        (0..steps).for_each(|_| {
            self.next();
        });
    }
}

/// The schedule over `steps` training steps, as a factor; `None` if the factor is always 1.
fn schedule(kind: Schedule, steps: usize) -> Option<ModuleLrScheduler> {
    let steps = steps.max(1);
    // Burn refuses rates outside (0, 1], factors outside (0, 1) and 0 steps: none of these occurs here.
    match kind {
        Schedule::Constant | Schedule::Plateau => None,
        Schedule::Linear => LinearLrSchedulerConfig::new(1.0, 0.01, steps).init().ok(),
        Schedule::Cosine => CosineAnnealingLrSchedulerConfig::new(1.0, steps).init().ok(),
        Schedule::Exponential => ExponentialLrSchedulerConfig::new(1.0, 0.01_f64.powf(1.0 / steps as f64)).init().ok(),
        Schedule::Step => StepLrSchedulerConfig::new(1.0, steps.div_ceil(3)).init().ok(),
        Schedule::FlatCosine => Some(shaped(steps, |t| if t < 0.5 { 1.0 } else { fall(2.0 * t - 1.0) })),
        Schedule::OneCycle => Some(shaped(steps, |t| match t {
            t if t < 0.3 => 1.0 - (1.0 - 1.0 / 25.0) * fall(t / 0.3),
            t => 1e-4 / 25.0 + (1.0 - 1e-4 / 25.0) * fall((t - 0.3) / 0.7),
        })),
        Schedule::Coslog4 => {
            Some(shaped(steps, |t| 0.5 * (1.0 - (std::f64::consts::TAU * (1.0 + 15.0 * t).log2()).cos())))
        }
    }
}

/// Half a cosine, which falls from 1 at t = 0 to 0 at t = 1.
fn fall(t: f64) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * t).cos())
}

/// A schedule whose factor is a function of the fraction of the run that is over.
#[derive(Clone)]
struct Shape {
    at: usize,
    steps: usize,
    factor: fn(f64) -> f64,
}

fn shaped(steps: usize, factor: fn(f64) -> f64) -> ModuleLrScheduler {
    ModuleLrScheduler::new(Shape { at: 0, steps, factor })
}

impl LrScheduler for Shape {
    fn step(&mut self) -> f64 {
        let t = self.at as f64 / self.steps as f64;
        self.at += 1;
        (self.factor)(t.min(1.0))
    }

    // Resumed runs call `Schedules::skip`: nothing has to be recorded.
    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new()
    }

    fn load_record(&mut self, _: LrSchedulerRecord) {}
}
