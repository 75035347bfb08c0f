//! Training a few epochs at a time.

use std::time::Instant;

use burn::tensor::Device;
use perceptra_data::Table;
use perceptra_nn::FeedForward;
use perceptra_train::{
    Control, Dataset, Epoch, Event, Fit, StopReason, TrainConfig, TrainError, TrainState, evaluate_loss, with_weights,
};

use crate::error::ModelError;
use crate::model::{About, Model};
use crate::prepared::Prepared;
use crate::run::{RunConfig, ValidRun};
use crate::tables::Tables;

/// A run that is trained a few epochs at a time. Between calls of [`Session::advance`], its network can be inspected, and learning rate,
/// batch and penalties can be changed. Without changes, its model is identical, to the bit, to that of [`train`](crate::train()) on the CPU
/// backends.
#[derive(Debug, Clone)]
pub struct Session {
    prepared: Prepared,
    train: Dataset,
    validation: Option<Dataset>,
    /// State after the latest epoch; `None` before the first.
    state: Option<TrainState>,
    network: FeedForward,
}

impl Session {
    /// Prepares a run, without training an epoch.
    ///
    /// # Errors
    ///
    /// As [`train`](crate::train()). Streams, ensembles and checkpoints are ignored.
    pub fn new(run: &RunConfig, tables: &Tables, device: &Device) -> Result<Self, ModelError> {
        let mut prepared = Prepared::new(ValidRun::new(run)?, tables, device)?;
        let train = prepared.train_data(device)?;
        let validation = prepared.validation_data(device)?;
        let network = prepared.network.clone();
        Ok(Self { prepared, train, validation, state: None, network })
    }

    /// Trains for `epochs` epochs, or until `deadline` but at least one. Once the run has stopped by its settings, such as early stopping,
    /// nothing is trained.
    ///
    /// # Errors
    ///
    /// [`TrainError::Diverged`], which leaves the session as it was, and errors of the device.
    pub fn advance(&mut self, epochs: usize, deadline: Option<Instant>) -> Result<(), ModelError> {
        let last = self.epochs().len() + epochs;
        let mut captured = None;
        let mut observer = |event: &Event<'_>| match event {
            Event::Epoch { epoch, run: Some(run), .. }
                if epoch.epoch >= last || deadline.is_some_and(|d| Instant::now() >= d) =>
            {
                captured = Some(run.state());
                Control::Stop
            }
            Event::Stopped { run: Some(run), .. } if captured.is_none() => {
                captured = Some(run.state());
                Control::Continue
            }
            _ => Control::Continue,
        };
        let (network, validation) = (self.prepared.network.clone(), self.validation.as_ref());
        let fit = Fit::new(network, &self.train).validation(validation).resume(&self.state);
        let history = fit.observe(&mut observer).run(&self.prepared.about.training)?.history;
        if history.stop == StopReason::Diverged {
            return Err(TrainError::Diverged { epoch: history.epochs.len() + 1 }.into());
        }
        if let Some(state) = captured {
            let state = state?;
            self.network = with_weights(self.prepared.network.clone(), &state.network)?;
            self.state = Some(state);
        }
        Ok(())
    }

    /// Changes settings of the training: the learning rate, the batch, penalties. The optimizer, the loss and the seed must stay.
    ///
    /// # Errors
    ///
    /// Invalid settings, which leave the session as it was.
    pub fn tune(&mut self, change: impl FnOnce(&mut TrainConfig)) -> Result<(), ModelError> {
        let mut training = self.prepared.about.training.clone();
        change(&mut training);
        training.validate()?;
        self.prepared.about.training = training;
        Ok(())
    }

    /// The network with its current weights, not those of the best epoch.
    pub fn network(&self) -> &FeedForward {
        &self.network
    }

    /// The epochs so far.
    pub fn epochs(&self) -> &[Epoch] {
        self.state.as_ref().map_or(&[], |state| &state.epochs)
    }

    /// The losses on the training and the validation rows with the current weights.
    ///
    /// # Errors
    ///
    /// Errors of the device.
    pub fn losses(&self) -> Result<(f64, Option<f64>), ModelError> {
        let loss = |rows: &Dataset| evaluate_loss(&self.network, rows, self.prepared.about.loss);
        Ok((loss(&self.train)?, self.validation.as_ref().map(loss).transpose()?))
    }

    /// The schema, the encoder and the settings of the run, without history and scores: only the model of [`Session::model`] has these.
    pub fn about(&self) -> &About {
        &self.prepared.about
    }

    /// The training and the validation rows.
    pub fn tables(&self) -> (&Table, Option<&Table>) {
        (&self.prepared.train_table, self.prepared.validation.as_ref())
    }

    /// The model with the weights of the best epoch so far, as [`train`](crate::train()) returns it.
    ///
    /// # Errors
    ///
    /// [`ModelError::Settings`] before the first epoch.
    pub fn model(&self) -> Result<Model, ModelError> {
        let Some(state) = &self.state else {
            return Err(ModelError::Settings(vec!["nothing is trained yet, there is no model".to_owned()]));
        };
        let config = TrainConfig { epochs: state.epochs.len(), ..self.prepared.about.training.clone() };
        let (network, validation) = (self.prepared.network.clone(), self.validation.as_ref());
        let fitted = Fit::new(network, &self.train).validation(validation).resume(state).run(&config)?;
        let mut prepared = self.prepared.clone();
        prepared.about.training = config;
        Ok(prepared.finish(fitted)?.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::train;
    use std::time::Duration;

    fn run() -> (RunConfig, Tables) {
        let rows: String = (0..120).map(|i| format!("{},{},{}\n", i % 11, i % 7, (i % 11) * (i % 7))).collect();
        let table = Table::from_csv("t.csv", format!("a,b,y\n{rows}"), &Default::default()).unwrap();
        let mut run = RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.network.hidden = vec![8];
        (run.train.epochs, run.train.patience) = (12, None);
        (run, table.into())
    }

    #[test]
    fn a_few_epochs_at_a_time_make_the_same_model() {
        let (run, tables) = run();
        let device = Device::flex();
        let whole = train(&run, &tables, &device, &mut ()).unwrap().model;
        let mut session = Session::new(&run, &tables, &device).unwrap();
        assert!(session.model().unwrap_err().to_string().contains("nothing is trained yet"));
        let before = session.losses().unwrap();
        session.advance(5, None).unwrap();
        assert_eq!(session.epochs().len(), 5);
        session.advance(usize::MAX / 2, Some(Instant::now())).unwrap();
        assert_eq!(session.epochs().len(), 6);
        session.advance(1000, Some(Instant::now() + Duration::from_mins(1))).unwrap();
        assert_eq!(session.epochs().len(), 12);
        // The run has ended.
        session.advance(1, None).unwrap();
        assert_eq!(session.epochs().len(), 12);
        assert!(session.losses().unwrap().0 < before.0);
        assert_eq!(session.model().unwrap().to_bytes().unwrap(), whole.to_bytes().unwrap());
    }

    #[test]
    fn a_session_is_tuned_and_survives_a_divergence() {
        let (mut run, tables) = run();
        run.train.epochs = 1000;
        let rate = run.train.learning_rate;
        let mut session = Session::new(&run, &tables, &Device::flex()).unwrap();
        session.advance(2, None).unwrap();
        session.tune(|training| training.learning_rate = 0.5).unwrap();
        session.advance(1, None).unwrap();
        assert_eq!(session.epochs().iter().map(|e| e.learning_rate).collect::<Vec<_>>()[1..], [rate, 0.5]);
        assert!(session.tune(|training| training.learning_rate = -1.0).is_err());
        session.tune(|training| training.learning_rate = 1e30).unwrap();
        let error = (0..100).find_map(|_| session.advance(1, None).err()).unwrap();
        assert!(error.to_string().contains("NaN or infinite"), "{error}");
        let epochs = session.epochs().len();
        session.tune(|training| training.learning_rate = 1e-3).unwrap();
        // The session continues from the last finite epoch.
        session.advance(1, None).unwrap();
        assert_eq!(session.epochs().len(), epochs + 1);
    }
}
