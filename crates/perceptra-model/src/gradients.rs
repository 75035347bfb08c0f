//! Gradient checks of a run's network.

use burn::tensor::Device;
use perceptra_data::{Encoder, Schema};
use perceptra_nn::FeedForward;
use perceptra_train::{GradientCheck, TrainConfig};

use crate::encoded::Encoded;
use crate::error::ModelError;
use crate::partition::Partition;
use crate::prepared::{build_network, fit_encoder, fitting_loss};
use crate::run::{RunConfig, ValidRun};
use crate::tables::Tables;

/// Checks the gradients of the network that `run` describes, with its initial weights, on up to `rows` training rows that are evenly
/// spaced: see [`perceptra_train::check_gradients`]. Up to `most` values of each tensor are checked.
///
/// # Errors
///
/// As [`train`](crate::train); [`ModelError::Settings`] for a streamed table or no rows.
pub fn check_gradients(
    run: &RunConfig,
    tables: &Tables,
    device: &Device,
    rows: usize,
    most: usize,
) -> Result<(FeedForward, GradientCheck), ModelError> {
    let run = ValidRun::new(run)?;
    let problem = |text: &str| Err(ModelError::Settings(vec![text.to_owned()]));
    if tables.stream.is_some() {
        return problem("stream is set, and gradients are checked on tables in memory");
    }
    if rows == 0 || most == 0 {
        return problem("gradients are checked on at least 1 row and 1 value of a tensor");
    }
    let weighted = tables.weighted(&run)?;
    let tables = weighted.as_ref().unwrap_or(tables);
    let schema = Schema::infer(&tables.table, &run.data.schema)?;
    let labels = Encoder::labels_of(&tables.table, &schema)?;
    let loss = fitting_loss(run.train.loss, schema.task)?;
    let train = Partition::of(&run, tables)?.train;
    let encoder = fit_encoder(&run, &train, &schema, labels)?;
    let every = train.rows().div_ceil(rows).max(1);
    let sample: Vec<u32> = (0..train.rows() as u32).step_by(every).collect();
    let (sample, _) = Encoded::of(&train.take(&sample), &encoder, &schema)?;
    let (_, network) = build_network(&run, &schema, &encoder, (&sample.inputs, None), device)?;
    let config = TrainConfig { loss: Some(loss), ..run.train.clone() };
    let check = perceptra_train::check_gradients(&network, &sample.dataset(&[], device)?, &config, most)?;
    Ok((network, check))
}
