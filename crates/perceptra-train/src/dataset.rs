//! Rows on a device.

use burn::tensor::{Device, Tensor, TensorData};

use crate::error::TrainError;

/// Inputs, targets and optional row weights, on one device.
#[derive(Debug, Clone)]
pub struct Dataset {
    pub(crate) inputs: Tensor<2>,
    pub(crate) targets: Tensor<2>,
    pub(crate) weights: Option<Tensor<2>>,
    pub(crate) target_scales: Option<Vec<f32>>,
}

impl Dataset {
    /// Creates a data set from tensors.
    ///
    /// # Shapes
    ///
    /// - inputs: `[rows, inputs]`
    /// - targets: `[rows, outputs]`: numbers, or 0 and 1 in one column, or one-hot classes
    ///
    /// # Errors
    ///
    /// [`TrainError::Rows`] if the rows differ in number, [`TrainError::Empty`] if there are none.
    pub fn new(inputs: Tensor<2>, targets: Tensor<2>) -> Result<Self, TrainError> {
        let ([expected, _], [found, _]) = (inputs.dims(), targets.dims());
        if found != expected {
            return Err(TrainError::Rows { what: "targets", found, expected });
        }
        if expected == 0 {
            return Err(TrainError::Empty("data"));
        }
        Ok(Self { inputs: inputs.inner(), targets: targets.inner(), weights: None, target_scales: None })
    }

    /// Creates a data set from values stored row by row: `inputs` with `shape.0` columns and `targets` with `shape.1`.
    ///
    /// # Errors
    ///
    /// As [`Dataset::new`].
    pub fn from_rows(
        inputs: Vec<f32>,
        targets: Vec<f32>,
        shape: (usize, usize),
        device: &Device,
    ) -> Result<Self, TrainError> {
        let tensor = |values: Vec<f32>, columns: usize| {
            let rows = values.len() / columns.max(1);
            Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), device)
        };
        Self::new(tensor(inputs, shape.0), tensor(targets, shape.1))
    }

    /// Gives each row a weight of 0 or more, which counts in losses and metrics.
    ///
    /// # Errors
    ///
    /// [`TrainError::Rows`] if there are not as many weights as rows.
    pub fn with_weights(mut self, weights: Vec<f32>) -> Result<Self, TrainError> {
        let (found, expected) = (weights.len(), self.rows());
        if found != expected {
            return Err(TrainError::Rows { what: "weights", found, expected });
        }
        self.weights = Some(Tensor::from_data(TensorData::new(weights, [found, 1]), &self.device()));
        Ok(self)
    }

    /// Sets the standard deviation by which each target was divided, so that regression metrics are computed in the targets' units.
    #[must_use]
    pub fn with_target_scales(mut self, scales: Vec<f32>) -> Self {
        self.target_scales = Some(scales);
        self
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.inputs.dims()[0]
    }

    /// The number of columns of the inputs, and of the targets.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.inputs.dims()[1], self.targets.dims()[1])
    }

    /// The device on which the rows are stored.
    pub(crate) fn device(&self) -> Device {
        self.inputs.device()
    }
}
