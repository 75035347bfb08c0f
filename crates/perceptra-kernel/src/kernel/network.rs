//! A network as its users see it: weights and predictions.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use pulp::{Arch, Simd, WithSimd};

use super::batch::{CHUNK, Chunk, share};
use super::forward::Forward;
use super::net::{Dense, Memory, Net, Param};
use super::scratch::{Scratch, lock};
use super::team::Team;
use super::work::Sharing;
use crate::embedding::Layout;
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

/// A tensor of a network's parameters. Layers and tensors are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Weights of a layer, `[inputs, outputs]`; those of the output layer of a batch ensemble are `[members, inputs, outputs]`.
    Weight(usize),
    /// Biases of a layer, `[outputs]`; `[members, outputs]` in a batch ensemble.
    Bias(usize),
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
            Self::Weight(layer) | Self::Bias(layer) | Self::S(layer) | Self::Alpha(layer) => {
                layer + usize::from(has_embedding)
            }
        }
    }
}

/// The place of a tensor in the memory of its layer.
enum Place<'a> {
    /// The panels of weights.
    Panels,
    /// Ranges of the embedding's parameters, one after another; none for a tensor that the layer does not have.
    Ranges(Vec<Range<usize>>),
    /// The rows of a parameter, each padded to a multiple of 16 values.
    Rows(&'a mut Param),
}

impl Dense {
    fn place(&mut self, part: Part) -> Place<'_> {
        Place::Rows(match part {
            Part::Weight(_) => return Place::Panels,
            Part::Embedding(tensor) => {
                let tensors = self.embedding.as_ref().map(Layout::tensors).unwrap_or_default();
                return Place::Ranges(tensors.into_iter().nth(tensor).unwrap_or_default());
            }
            Part::Bias(_) if !self.layer.bias => return Place::Ranges(Vec::new()),
            Part::Bias(_) => &mut self.bias,
            Part::R(_) => &mut self.r,
            Part::S(_) => &mut self.s,
            Part::Alpha(_) => &mut self.alpha,
        })
    }

    /// Number of copies of the weights: one for each member that has its own.
    fn copies(&self) -> usize {
        if self.per_member_weights { self.members } else { 1 }
    }

    fn set(&mut self, part: Part, values: &[f32]) {
        let (Layer { inputs, outputs, .. }, copies) = (self.layer, self.copies());
        let (dot_layout, shape) = (self.dot_layout, self.shape);
        match self.place(part) {
            Place::Panels => {
                assert!(values.len() == copies * inputs * outputs);
                let all = self.weight.values.all().chunks_mut(shape.len());
                for (to, from) in all.zip(values.chunks_exact(inputs * outputs)) {
                    shape.fill(to, |r, c| from[if dot_layout { c * outputs + r } else { r * outputs + c }]);
                }
                self.transpose_all();
            }
            Place::Ranges(ranges) => {
                let mut rest = values;
                for range in ranges {
                    let (own, others) = rest.split_at(range.len());
                    self.weight.values.all()[range].copy_from_slice(own);
                    rest = others;
                }
                assert!(rest.is_empty());
                self.transpose_all();
            }
            Place::Rows(param) => {
                let padded = values.len() / outputs * outputs.next_multiple_of(16);
                assert!(values.len().is_multiple_of(outputs) && padded == param.values.len());
                pad(values, outputs, param.values.all());
            }
        }
    }

    fn get(&mut self, part: Part) -> Vec<f32> {
        let (Layer { inputs, outputs, .. }, copies) = (self.layer, self.copies());
        let (dot_layout, shape) = (self.dot_layout, self.shape);
        match self.place(part) {
            Place::Panels => {
                let mut weights = vec![0.0; copies * inputs * outputs];
                let all = self.weight.values.all().chunks(shape.len());
                for (from, to) in all.zip(weights.chunks_exact_mut(inputs * outputs)) {
                    shape.for_each(from, |r, c, w| to[if dot_layout { c * outputs + r } else { r * outputs + c }] = w);
                }
                weights
            }
            Place::Ranges(ranges) => {
                let values = self.weight.values.all();
                ranges.into_iter().flat_map(|range| values[range].to_vec()).collect()
            }
            Place::Rows(param) => unpad(param.values.all(), outputs),
        }
    }
}

/// Copies rows of `width` values to rows that are padded to a multiple of 16 values.
fn pad(from: &[f32], width: usize, to: &mut [f32]) {
    let rows = to.chunks_exact_mut(width.next_multiple_of(16));
    rows.zip(from.chunks_exact(width)).for_each(|(to, from)| to[..width].copy_from_slice(from));
}

/// Rows of `width` values, without the padding that [`pad`] adds.
fn unpad(from: &[f32], width: usize) -> Vec<f32> {
    from.chunks_exact(width.next_multiple_of(16)).flat_map(|row| row[..width].to_vec()).collect()
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
        let arch = nets[0].settings.instructions.unwrap_or_default();
        Self { nets, scratch, chunk, team, arch, sharing: None }
    }

    /// Sets a tensor of the parameters, row by row.
    ///
    /// # Panics
    ///
    /// If there is no such layer, or there are more or fewer values than the network has: none for a tensor that it does not have.
    pub fn set(&mut self, part: Part, values: &[f32]) {
        for net in &mut self.nets {
            let layer = part.layer(net.layers[0].embedding.is_some());
            net.layers[layer].set(part, values);
        }
    }

    /// The values of a tensor of the parameters, row by row; none if the network does not have it.
    ///
    /// # Panics
    ///
    /// If there is no such layer.
    pub(super) fn get(&mut self, part: Part) -> Vec<f32> {
        let net = &mut self.nets[0];
        let layer = part.layer(net.layers[0].embedding.is_some());
        net.layers[layer].get(part)
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
