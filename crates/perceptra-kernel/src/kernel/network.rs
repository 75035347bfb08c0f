//! A network as its users see it: weights and predictions.

use std::sync::{Mutex, PoisonError};

use pulp::{Arch, Simd, WithSimd};

use super::batch::{CHUNK, Chunk, share};
use super::forward::Forward;
use super::net::{Memory, Net};
use super::scratch::{Scratch, lock};
use super::team::Team;
use super::work::Sharing;
use crate::error::Unsupported;
use crate::settings::{Extras, Layer, Settings};

/// A dense network with its weights, which computes outputs.
///
/// Memory is allocated for the rows that pass through the network at once, and kept from one call to the next.
pub struct Network {
    /// The weights and their memory. In training, if two threads take half of a batch each, every thread has a copy.
    pub(super) nets: Vec<Net>,
    pub(super) scratch: Vec<Mutex<Scratch>>,
    /// Number of rows for which there is memory.
    pub(super) chunk: usize,
    pub(super) team: Team,
    pub(super) arch: Arch,
    /// How predictions are shared among threads. `None` in training, where memory and threads depend on the batch size instead of
    /// the number of predicted rows.
    sharing: Option<Sharing>,
}

/// A tensor of parameters other than the weights and biases of dense layers. Layers and tensors are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A tensor of the input embedding, counted in this order: w, b, V and c of periodic embeddings, or the weights of x, biases
    /// and V of piecewise-linear ones; then the table of each column of categories.
    Embedding(usize),
    /// Factors r of a layer's inputs, `[members, inputs]`; in a single network, the input scale of the first layer, `[1, inputs]`.
    R(usize),
    /// Factors s of a layer's weighted sums, `[members, outputs]`.
    S(usize),
    /// α of a layer's parametric activations, `[outputs]`.
    Alpha(usize),
}

impl Part {
    /// Index of the layer that stores this tensor, if an input embedding counts as layer 0. r is stored with the layer before the
    /// one whose inputs it multiplies.
    fn layer(self, has_embedding: bool) -> usize {
        match self {
            Self::Embedding(_) => 0,
            Self::R(layer) => layer,
            Self::S(layer) | Self::Alpha(layer) => layer + usize::from(has_embedding),
        }
    }
}

/// Copies rows of `width` values to rows that are padded to a multiple of 16 values.
fn pad(from: &[f32], width: usize, to: &mut [f32]) {
    let rows = to.chunks_exact_mut(width.next_multiple_of(16));
    rows.zip(from.chunks_exact(width)).for_each(|(to, from)| to[..width].copy_from_slice(from));
}

/// The first `rows` rows of `width` values, without the padding that [`pad`] adds.
fn unpad(from: &[f32], width: usize, rows: usize) -> Vec<f32> {
    from.chunks_exact(width.next_multiple_of(16)).take(rows).flat_map(|row| row[..width].to_vec()).collect()
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let layers: Vec<Layer> = self.nets[0].layers.iter().map(|l| l.layer).collect();
        f.debug_struct("Network")
            .field("layers", &layers)
            .field("threads", &self.team.threads())
            .finish_non_exhaustive()
    }
}

impl Network {
    /// A network whose weights are all 0. It predicts with at most `threads` threads, with fewer if there are too few rows to
    /// share.
    ///
    /// # Errors
    ///
    /// [`Unsupported`], if the kernel cannot compute such a network.
    pub fn new(layers: &[Layer], extras: &Extras, threads: usize) -> Result<Self, Unsupported> {
        extras.check(layers)?;
        let net = Net::new(layers, extras, Settings::default(), 1, Memory::Predict);
        let sharing = Some(Sharing::new(layers, extras, threads));
        Ok(Self { sharing, ..Self::with(vec![net], 1, Team::new(1)) })
    }

    /// A network of one or more copies of the same weights, with memory for `chunk` rows.
    pub(super) fn with(nets: Vec<Net>, chunk: usize, team: Team) -> Self {
        let scratch = (0..team.threads()).map(|_| Mutex::default()).collect();
        Self { nets, scratch, chunk, team, arch: Arch::new(), sharing: None }
    }

    /// Sets the weights `[inputs, outputs]`, row by row, and the bias `[outputs]` of a layer. In a batch ensemble, the bias is `[members,
    /// outputs]`, and the weights of the output layer are `[members, inputs, outputs]`.
    ///
    /// # Panics
    ///
    /// If there are more or fewer values than that, or a bias for a layer without one.
    pub fn set_layer(&mut self, layer: usize, weight: &[f32], bias: &[f32]) {
        for net in &mut self.nets {
            let layer = layer + usize::from(net.layers[0].embedding.is_some());
            let dense = &mut net.layers[layer];
            let Layer { inputs, outputs, bias: has_bias, .. } = dense.layer;
            let copies = if dense.per_member_weights { dense.members } else { 1 };
            assert!(weight.len() == copies * inputs * outputs);
            assert!(bias.len() == if has_bias { dense.members * outputs } else { 0 });
            let (dot_layout, shape) = (dense.dot_layout, dense.shape);
            for (values, weight) in
                dense.weight.values.all().chunks_mut(shape.len()).zip(weight.chunks_exact(inputs * outputs))
            {
                shape.fill(values, |r, c| if dot_layout { weight[c * outputs + r] } else { weight[r * outputs + c] });
            }
            pad(bias, outputs, dense.bias.values.all());
            dense.transpose_all();
        }
    }

    /// The weights and the bias (empty if there is none) of a layer, as [`Network::set_layer`] takes them.
    pub fn layer(&mut self, layer: usize) -> (Vec<f32>, Vec<f32>) {
        let net = &mut self.nets[0];
        let layer = layer + usize::from(net.layers[0].embedding.is_some());
        let dense = &mut net.layers[layer];
        let Layer { inputs, outputs, bias, .. } = dense.layer;
        let (dot_layout, shape) = (dense.dot_layout, dense.shape);
        let mut weight = vec![0.0; if dense.per_member_weights { dense.members } else { 1 } * inputs * outputs];
        for (values, weight) in
            dense.weight.values.all().chunks(shape.len()).zip(weight.chunks_exact_mut(inputs * outputs))
        {
            shape.for_each(values, |r, c, w| weight[if dot_layout { c * outputs + r } else { r * outputs + c }] = w);
        }
        let biases = if bias { dense.members } else { 0 };
        (weight, unpad(dense.bias.values.all(), outputs, biases))
    }

    /// Sets a tensor other than the weights and biases of layers, row by row.
    ///
    /// # Panics
    ///
    /// If the network does not have this tensor, or there are more or fewer values than it has.
    pub fn set_part(&mut self, part: Part, values: &[f32]) {
        for net in &mut self.nets {
            let layer = part.layer(net.layers[0].embedding.is_some());
            let dense = &mut net.layers[layer];
            let (outputs, size) = (dense.layer.outputs, dense.layer.outputs.next_multiple_of(16));
            let param = match part {
                Part::Embedding(tensor) => {
                    let ranges = dense
                        .embedding
                        .as_ref()
                        .map(|embedding| embedding.tensors().swap_remove(tensor))
                        .unwrap_or_default();
                    let mut rest = values;
                    for range in ranges {
                        let (own, others) = rest.split_at(range.len());
                        dense.weight.values.all()[range].copy_from_slice(own);
                        rest = others;
                    }
                    assert!(rest.is_empty());
                    dense.transpose_all();
                    continue;
                }
                Part::Alpha(_) => &mut dense.alpha,
                Part::R(_) => &mut dense.r,
                Part::S(_) => &mut dense.s,
            };
            assert!(values.len().is_multiple_of(outputs) && values.len() / outputs * size == param.values.len());
            pad(values, outputs, param.values.all());
        }
    }

    /// The values, row by row, of a tensor other than the weights and biases of layers; empty if the layer has no such tensor.
    ///
    /// # Panics
    ///
    /// If there is no such layer, or the embedding has no tensor of this number.
    pub fn part(&mut self, part: Part) -> Vec<f32> {
        let net = &mut self.nets[0];
        let layer = part.layer(net.layers[0].embedding.is_some());
        let dense = &mut net.layers[layer];
        let outputs = dense.layer.outputs;
        let param = match part {
            Part::Embedding(tensor) => {
                let ranges = dense
                    .embedding
                    .as_ref()
                    .map(|embedding| embedding.tensors().swap_remove(tensor))
                    .unwrap_or_default();
                let values = dense.weight.values.all();
                return ranges.into_iter().flat_map(|range| values[range].to_vec()).collect();
            }
            Part::Alpha(_) => &mut dense.alpha,
            Part::R(_) => &mut dense.r,
            Part::S(_) => &mut dense.s,
        };
        let rows = param.values.len() / outputs.next_multiple_of(16);
        unpad(param.values.all(), outputs, rows)
    }

    /// Computes with the given instruction set instead of the one found at run time, so that other machines get the same bits.
    pub fn set_instructions(&mut self, instructions: Arch) {
        self.arch = instructions;
    }

    /// Computes the outputs of a network for `inputs` `[rows, inputs]`, without dropout. `outputs` is `[rows, outputs]`, and
    /// `[members, rows, outputs]` for a batch ensemble.
    ///
    /// # Panics
    ///
    /// If the lengths of `inputs` and `outputs` do not fit the network.
    pub fn predict(&mut self, inputs: &[f32], outputs: &mut [f32]) {
        let (n, m) = self.nets[0].shape();
        let rows = inputs.len() / n;
        let members = self.nets[0].members;
        assert!(inputs.len() == rows * n && outputs.len() == members * rows * m);
        self.reserve(rows);
        // Each thread needs at least one row of the buffers.
        let threads = self.team.threads().min(self.chunk);
        let each = rows.div_ceil(threads).max(1);
        // The rows of one thread, and their outputs by member.
        type Rows<'a> = Mutex<(&'a [f32], Vec<&'a mut [f32]>)>;
        let mut parts: Vec<Rows<'_>> = inputs.chunks(each * n).map(|rows| Mutex::new((rows, Vec::new()))).collect();
        for outputs in outputs.chunks_mut((rows * m).max(1)) {
            for (part, outputs) in parts.iter_mut().zip(outputs.chunks_mut(each * m)) {
                part.get_mut().unwrap_or_else(PoisonError::into_inner).1.push(outputs);
            }
        }
        let mut team = std::mem::replace(&mut self.team, Team::new(1));
        let network = &*self;
        team.run(&|thread, _| {
            if let Some(part) = parts.get(thread) {
                let (inputs, outputs) = &mut *lock(part);
                for (member, outputs) in outputs.iter_mut().enumerate() {
                    network.arch.dispatch(Predict { network, inputs, outputs, thread, threads, member });
                }
            }
        });
        self.team = team;
    }

    /// Provides memory and threads to predict `rows` rows. Does nothing in training, where both are fixed.
    fn reserve(&mut self, rows: usize) {
        let Some(sharing) = &self.sharing else { return };
        let chunk = rows.clamp(1, CHUNK);
        if chunk > self.chunk {
            self.nets[0].resize(chunk);
            self.chunk = chunk;
        }
        let threads = sharing.threads(chunk).min(chunk);
        if threads > self.team.threads() {
            self.team = Team::new(threads);
            self.scratch.resize_with(self.team.threads(), Mutex::default);
        }
    }
}

/// One thread's share of the rows of a prediction, for one member of a batch ensemble.
struct Predict<'a> {
    network: &'a Network,
    inputs: &'a [f32],
    outputs: &'a mut [f32],
    thread: usize,
    threads: usize,
    member: usize,
}

impl WithSimd for Predict<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { network, inputs, outputs, thread, threads, member } = self;
        let net = &network.nets[thread.min(network.nets.len() - 1)];
        let (n, m) = net.shape();
        // The thread's own rows of the buffers.
        let own = if network.nets.len() > 1 { 0..network.chunk } else { share(network.chunk, thread, threads) };
        let scratch = &mut *lock(&network.scratch[thread]);
        for (inputs, outputs) in inputs.chunks(own.len() * n).zip(outputs.chunks_mut(own.len() * m)) {
            let rows = own.start..own.start + inputs.len() / n;
            for (row, r) in rows.clone().enumerate() {
                net.put_row(simd, r, inputs, row);
            }
            for l in 0..net.layers.len() {
                let chunk = Chunk { start: member * network.chunk, ..Chunk::new(network.chunk) };
                simd.vectorize(Forward::<false> { net, l, rows: rows.clone(), chunk, scratch: &mut *scratch });
            }
            net.last().take_outputs(rows, outputs);
        }
    }
}
