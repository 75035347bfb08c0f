//! The choice of the units that a training step drops.

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};

/// Key of the random choice of units that a training step drops. It is a function of the seed, the epoch and the rows, the same on
/// every backend.
#[derive(Debug, Clone, Copy)]
pub struct DropoutDraw<'a> {
    /// Seed of the run.
    pub seed: u64,
    /// Number of the epoch, counted from 1.
    pub epoch: u32,
    /// Numbers of the batch's rows in the training set.
    pub rows: &'a [u32],
    /// Whether the members of a batch ensemble share the rows; else `rows` is `[members·batch]`, one member after another.
    pub share_batches: bool,
    /// Factor of the network's dropout rate: 1, or less where a schedule lowers it.
    pub part: f64,
}

impl DropoutDraw<'_> {
    /// The dropout mask of a layer's units, `[batch, width]`: 0 where a unit is dropped, else 1/(1 − rate).
    pub(crate) fn mask(&self, rate: f64, layer: u16, width: usize, device: &Device) -> Tensor<2> {
        let mut values = vec![0.0; self.rows.len() * width];
        for (row, units) in self.rows.iter().zip(values.chunks_exact_mut(width)) {
            self.fill(rate, layer, *row, 0, units);
        }
        Tensor::from_data(TensorData::new(values, [self.rows.len(), width]), &device.clone().inner())
    }

    /// Like [`DropoutDraw::mask`], for each member of a batch ensemble: `[members, batch, width]`.
    pub(crate) fn member_masks(
        &self,
        rate: f64,
        layer: u16,
        members: usize,
        width: usize,
        device: &Device,
    ) -> Tensor<3> {
        if self.share_batches {
            let mask = self.mask(rate, layer, members * width, device);
            return mask.reshape([self.rows.len(), members, width]).swap_dims(0, 1);
        }
        let batch = self.rows.len() / members;
        let mut values = vec![0.0; members * batch * width];
        for (i, (row, units)) in self.rows.iter().zip(values.chunks_exact_mut(width)).enumerate() {
            self.fill(rate, layer, *row, i / batch * width, units);
        }
        Tensor::from_data(TensorData::new(values, [members, batch, width]), &device.clone().inner())
    }

    /// Writes the mask of one row to `units`, which are the layer's units from number `first` on.
    #[doc(hidden)]
    pub fn fill(&self, rate: f64, layer: u16, row: u32, first: usize, units: &mut [f32]) {
        let rate = rate * self.part;
        let stream = Stream::new(self.seed, Purpose::Dropout(layer), self.epoch);
        let (block, before) = ((first / 4) as u32, first % 4);
        if before == 0 {
            stream.fill_uniform_from(row, block, units);
        } else {
            let mut all = vec![0.0; before + units.len()];
            stream.fill_uniform_from(row, block, &mut all);
            units.copy_from_slice(&all[before..]);
        }
        let (rate, kept) = (rate as f32, (1.0 / (1.0 - rate)) as f32);
        units.iter_mut().for_each(|u| *u = if *u < rate { 0.0 } else { kept });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::testing::values;

    #[test]
    fn dropout_drops_its_share_and_keeps_the_mean() {
        let device = Device::flex();
        let draw = DropoutDraw { seed: 1, epoch: 1, rows: &[3, 9], share_batches: true, part: 1.0 };
        let mask = values(draw.mask(0.3, 0, 1000, &device));
        let kept = mask.iter().filter(|&&m| m != 0.0).count() as f32 / 2000.0;
        assert!((kept - 0.7).abs() < 0.04, "{kept}");
        assert!(mask.iter().all(|&m| m == 0.0 || (m - 1.0 / 0.7).abs() < 1e-6));
        // A row's mask does not depend on the batch it is in.
        let alone = values(DropoutDraw { rows: &[9], ..draw }.mask(0.3, 0, 1000, &device));
        assert_eq!(alone, mask[1000..]);
        let other = values(DropoutDraw { epoch: 2, ..draw }.mask(0.3, 0, 1000, &device));
        assert_ne!(other, mask);
    }
}
