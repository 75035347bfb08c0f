//! Embeddings of input columns before the first dense layer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::error::NetworkError;
use crate::role::EmbeddingTensor;

/// The kind of an input column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    /// A number that is embedded, as the [`NumberEmbedding`] says.
    Number,
    /// A number that is passed on unchanged, such as an indicator of a one-hot code.
    Plain,
    /// The index of a category, counted from 0, which becomes a learned vector. The field is the number of categories.
    Category(usize),
}

impl Column {
    /// Place of this kind of column in the inputs of the first dense layer: embedded numbers first, then plain columns, then
    /// categories.
    fn rank(self) -> usize {
        match self {
            Self::Number => 0,
            Self::Plain => 1,
            Self::Category(_) => 2,
        }
    }

    /// The number of categories; `None` for numbers.
    fn categories(self) -> Option<usize> {
        match self {
            Self::Category(n) => Some(n),
            Self::Number | Self::Plain => None,
        }
    }
}

/// How each number is embedded: turned into inputs of the first dense layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberEmbedding {
    /// No embedding: numbers are passed to the first dense layer unchanged.
    #[default]
    None,
    /// A number x becomes (cos(2πwx + b)·V + c, x) with learned w, b, V and c: the embedding PBLD (Gorishniy, Rubachev, Babenko,
    /// 2022; Holzmüller, Grinsztajn, Steinwart, 2024).
    Periodic {
        /// How many cosines are computed from each number.
        frequencies: usize,
        /// Standard deviation of the initial frequencies w.
        sigma: f64,
        /// How many values each number becomes, including the number itself; at least 2.
        width: usize,
    },
    /// A number x becomes the sum of two terms. One is linear in x, the other in the piecewise-linear code of x: for each bin, the
    /// share of the bin that lies below x (Gorishniy, Rubachev, Babenko, 2022; version "B" of TabM, in which the second term is
    /// initially 0).
    PiecewiseLinear {
        /// Edges of the bins of each number, ascending, at least 2.
        edges: Vec<Vec<f32>>,
        /// How many values a number becomes.
        width: usize,
    },
}

/// Describes how input columns become inputs of the first dense layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingConfig {
    /// The kind of each input column.
    pub columns: Vec<Column>,
    /// How columns of the kind [`Column::Number`] are embedded.
    pub numbers: NumberEmbedding,
    /// How many values a category becomes: the length of its vector.
    pub category_width: usize,
}

/// The most values that a number or a category may become, and the most frequencies of a periodic embedding.
const MAX_WIDTH: usize = 1 << 12;

/// Turns input columns into the inputs of the first dense layer: those of numbers first, then plain columns, then categories.
#[derive(Module, Debug)]
pub(crate) struct Embedding {
    pub(crate) periodic: Option<Periodic>,
    pub(crate) piecewise: Option<PiecewiseLinear>,
    /// The vectors of each column of categories, `[categories, width]`.
    pub(crate) tables: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    pub(crate) config: EmbeddingConfig,
}

#[derive(Module, Debug)]
pub(crate) struct Periodic {
    /// Frequencies w, `[numbers, frequencies]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// Phases b, `[numbers, frequencies]`.
    pub(crate) phase: Param<Tensor<2>>,
    /// Weights V of the cosines, `[numbers·frequencies, width − 1]`.
    pub(crate) output: Param<Tensor<2>>,
    /// Biases c, `[numbers, width − 1]`.
    pub(crate) bias: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
pub(crate) struct PiecewiseLinear {
    /// Weights of the linear term, `[numbers, width]`.
    pub(crate) weight: Param<Tensor<2>>,
    /// Biases of the linear term, `[numbers, width]`.
    pub(crate) bias: Param<Tensor<2>>,
    /// Weights of the piecewise-linear code, `[numbers·bins, width]`.
    pub(crate) output: Param<Tensor<2>>,
    #[module(skip)]
    code: Code,
}

/// The piecewise-linear code of numbers: the share of each bin that lies below the number. The fields have a value for each number
/// and bin: left edge, 1/width, and least and greatest value of the code. A bin that a number lacks has the code 0.
#[derive(Debug, Clone)]
struct Code {
    bins: usize,
    left: Vec<f32>,
    scale: Vec<f32>,
    least: Vec<f32>,
    most: Vec<f32>,
}

impl Code {
    fn new(edges: &[Vec<f32>]) -> Self {
        let bins = edges.iter().map(|e| e.len() - 1).max().unwrap_or(1);
        let mut code = Self { bins, left: vec![], scale: vec![], least: vec![], most: vec![] };
        for edges in edges {
            let present = edges.len() - 1;
            for j in 0..bins {
                let (left, right) = if j < present { (edges[j], edges[j + 1]) } else { (0.0, f32::INFINITY) };
                code.left.push(left);
                code.scale.push(1.0 / (right - left).max(f32::MIN_POSITIVE));
                code.least.push(if j == 0 { f32::MIN } else { 0.0 });
                code.most.push(if j + 1 == present { f32::MAX } else { 1.0 });
            }
        }
        code
    }

    /// The codes of numbers `[batch, numbers]`: `[batch, numbers, bins]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<3> {
        let [batch, numbers] = x.dims();
        let (device, dtype) = (x.device().inner(), x.dtype());
        let shape = [1, numbers, self.bins];
        let of = |values: &[f32]| Tensor::<3>::from_data(TensorData::new(values.to_vec(), shape), &device).cast(dtype);
        let all = [batch, numbers, self.bins];
        ((x.unsqueeze_dim::<3>(2) - of(&self.left)) * of(&self.scale))
            .max_pair(of(&self.least).expand(all))
            .min_pair(of(&self.most).expand(all))
    }
}

impl EmbeddingConfig {
    /// How many columns are numbers to be embedded.
    fn numbers(&self) -> usize {
        self.columns.iter().filter(|c| **c == Column::Number).count()
    }

    /// How many values a number becomes.
    fn number_width(&self) -> usize {
        match self.numbers {
            NumberEmbedding::None => 1,
            NumberEmbedding::Periodic { width, .. } | NumberEmbedding::PiecewiseLinear { width, .. } => width,
        }
    }

    /// Number of inputs of the first dense layer: all values that the columns become.
    pub(crate) fn outputs(&self) -> usize {
        self.sections().iter().sum()
    }

    /// How many inputs of the first dense layer each column becomes, in the order of these inputs ([`Column::rank`]).
    pub(crate) fn sections(&self) -> Vec<usize> {
        let mut columns = self.columns.clone();
        columns.sort_by_key(|column| column.rank());
        let width = |column: Column| match column {
            Column::Number => self.number_width(),
            Column::Plain => 1,
            Column::Category(_) => self.category_width,
        };
        columns.into_iter().map(width).collect()
    }

    /// Every tensor of the [`Embedding`] with its shape.
    pub(crate) fn tensors(&self) -> Vec<(EmbeddingTensor, [usize; 2])> {
        let n = self.numbers();
        let mut tensors = match &self.numbers {
            _ if n == 0 => vec![],
            NumberEmbedding::None => vec![],
            NumberEmbedding::Periodic { frequencies: q, width, .. } => vec![
                (EmbeddingTensor::PeriodicWeight, [n, *q]),
                (EmbeddingTensor::PeriodicPhase, [n, *q]),
                (EmbeddingTensor::PeriodicOutput, [n * q, width - 1]),
                (EmbeddingTensor::PeriodicBias, [n, width - 1]),
            ],
            NumberEmbedding::PiecewiseLinear { edges, width } => vec![
                (EmbeddingTensor::PiecewiseWeight, [n, *width]),
                (EmbeddingTensor::PiecewiseBias, [n, *width]),
                (EmbeddingTensor::PiecewiseOutput, [n * Code::new(edges).bins, *width]),
            ],
        };
        let tables = self.columns.iter().filter_map(|column| column.categories()).enumerate();
        tensors.extend(tables.map(|(i, k)| (EmbeddingTensor::Category(i), [k, self.category_width])));
        tensors
    }

    pub(crate) fn validate(&self) -> Result<(), NetworkError> {
        let wrong = |what: String| Err(NetworkError::Embedding { what });
        if self.columns.iter().any(|column| column.categories() == Some(0)) {
            return wrong("a column has 0 categories".to_owned());
        }
        if self.category_width == 0 {
            return wrong("categories become 0 values".to_owned());
        }
        let frequencies =
            if let NumberEmbedding::Periodic { frequencies, .. } = self.numbers { frequencies } else { 0 };
        if [self.number_width(), self.category_width, frequencies].iter().any(|n| *n > MAX_WIDTH) {
            return wrong(format!("its widths and frequencies are at most {MAX_WIDTH}"));
        }
        match &self.numbers {
            NumberEmbedding::None => Ok(()),
            NumberEmbedding::Periodic { frequencies: 0, .. } => wrong("it has 0 frequencies".to_owned()),
            NumberEmbedding::Periodic { width: 0..=1, .. } => {
                wrong("a periodic embedding makes at least 2 values of each number".to_owned())
            }
            NumberEmbedding::Periodic { sigma, .. } if !(*sigma > 0.0 && sigma.is_finite()) => {
                wrong(format!("the spread of its frequencies is {sigma}, it must be above 0"))
            }
            NumberEmbedding::Periodic { .. } => Ok(()),
            NumberEmbedding::PiecewiseLinear { width: 0, .. } => wrong("numbers become 0 values".to_owned()),
            NumberEmbedding::PiecewiseLinear { edges, .. } if edges.len() != self.numbers() => {
                wrong(format!("it has bins for {} of {} numbers", edges.len(), self.numbers()))
            }
            NumberEmbedding::PiecewiseLinear { edges, .. } => {
                let sound =
                    |e: &Vec<f32>| e.len() >= 2 && e.iter().all(|x| x.is_finite()) && e.windows(2).all(|w| w[0] < w[1]);
                match edges.iter().position(|e| !sound(e)) {
                    Some(i) => wrong(format!("the edges of the bins of number {} do not ascend", i + 1)),
                    None => Ok(()),
                }
            }
        }
    }

    /// Builds the embedding with initial values: periodic ones are drawn as in `pytabkit`, piecewise-linear ones as in
    /// `rtdl_num_embeddings`, vectors of categories from N(0, 1).
    pub(crate) fn init(&self, seed: u64, device: &Device) -> Embedding {
        let stream = Stream::new(seed, Purpose::Embedding, 0);
        // Each tensor draws from the row of random numbers whose number is the tensor's index in this list.
        let tensors = self.tensors();
        let fresh = |row: usize, fill: &dyn Fn(u32, &mut [f32])| {
            let [n, m] = tensors[row].1;
            let mut values = vec![0.0; n * m];
            fill(row as u32, &mut values);
            Param::from_data(TensorData::new(values, [n, m]), device)
        };
        let param = |tensor: EmbeddingTensor, fill: &dyn Fn(u32, &mut [f32])| {
            let row = tensors.iter().position(|(known, _)| *known == tensor);
            fresh(row.expect("the list has every tensor of its embedding"), fill)
        };
        let normal = |deviation: f64| {
            move |row: u32, values: &mut [f32]| {
                stream.fill_normal(row, values);
                values.iter_mut().for_each(|x| *x = (f64::from(*x) * deviation) as f32);
            }
        };
        let uniform = |bound: f64| {
            move |row: u32, values: &mut [f32]| {
                stream.fill_uniform(row, values);
                values.iter_mut().for_each(|x| *x = (f64::from(*x).mul_add(2.0, -1.0) * bound) as f32);
            }
        };
        let (mut periodic, mut piecewise) = (None, None);
        match &self.numbers {
            _ if self.numbers() == 0 => {}
            NumberEmbedding::None => {}
            NumberEmbedding::Periodic { frequencies, sigma, .. } => {
                let bound = 1.0 / (*frequencies as f64).sqrt();
                periodic = Some(Periodic {
                    weight: param(EmbeddingTensor::PeriodicWeight, &normal(*sigma)),
                    phase: param(EmbeddingTensor::PeriodicPhase, &uniform(std::f64::consts::PI)),
                    output: param(EmbeddingTensor::PeriodicOutput, &uniform(bound)),
                    bias: param(EmbeddingTensor::PeriodicBias, &uniform(bound)),
                });
            }
            NumberEmbedding::PiecewiseLinear { edges, width } => {
                let bound = 1.0 / (*width as f64).sqrt();
                piecewise = Some(PiecewiseLinear {
                    weight: param(EmbeddingTensor::PiecewiseWeight, &uniform(bound)),
                    bias: param(EmbeddingTensor::PiecewiseBias, &uniform(bound)),
                    output: param(EmbeddingTensor::PiecewiseOutput, &|_, _| ()),
                    code: Code::new(edges),
                });
            }
        }
        let categories = self.columns.iter().filter_map(|column| column.categories()).count();
        let tables = (0..categories).map(|i| param(EmbeddingTensor::Category(i), &normal(1.0))).collect();
        Embedding { periodic, piecewise, tables, config: self.clone() }
    }
}

impl Embedding {
    /// Computes the inputs of the first dense layer from the input columns.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, columns]`
    /// - result: `[batch, outputs]`, see [`EmbeddingConfig::outputs`]
    pub(crate) fn forward(&self, x: &Tensor<2>) -> Tensor<2> {
        // With the rank of the columns that they are computed from.
        let mut inputs = Vec::new();
        let (number, plain) = (Column::Number.rank(), Column::Plain.rank());
        inputs.extend(self.columns_of(x, number).map(|numbers| {
            let embedded = match (&self.periodic, &self.piecewise) {
                (Some(periodic), _) => periodic.forward(numbers),
                (None, Some(piecewise)) => piecewise.forward(numbers),
                (None, None) => numbers,
            };
            (number, embedded)
        }));
        inputs.extend(self.columns_of(x, plain).map(|numbers| (plain, numbers)));
        let columns = self.config.columns.iter().enumerate();
        let categories = columns.filter_map(|(i, column)| Some((i, column.rank(), column.categories()?)));
        for ((i, rank, k), table) in categories.zip(&self.tables) {
            let numbers = x.clone().narrow(1, i, 1).clamp(0.0, (k - 1) as f64).reshape([-1]);
            let numbers: Tensor<1, Int> = numbers.int();
            inputs.push((rank, table.val().select(0, numbers)));
        }
        inputs.sort_by_key(|(rank, _)| *rank);
        Tensor::cat(inputs.into_iter().map(|(_, values)| values).collect(), 1)
    }

    /// The columns of `x` of one rank, side by side; `None` if there are none.
    fn columns_of(&self, x: &Tensor<2>, rank: usize) -> Option<Tensor<2>> {
        let mut runs = Vec::new();
        let mut i = 0;
        let columns = &self.config.columns;
        while i < columns.len() {
            let length = columns[i..].iter().take_while(|column| column.rank() == rank).count();
            if length > 0 {
                runs.push(x.clone().narrow(1, i, length));
            }
            i += length.max(1);
        }
        match runs.len() {
            0 => None,
            1 => runs.pop(),
            _ => Some(Tensor::cat(runs, 1)),
        }
    }
}

/// Multiplies the terms of each number, x `[batch, numbers, terms]`, by the number's own weights, `[terms, width]` out of
/// `[numbers·terms, width]`. The result is `[batch, numbers, width]`.
fn by_number(x: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [_, numbers, terms] = x.dims();
    let width = weight.dims()[1];
    x.swap_dims(0, 1).matmul(weight.reshape([numbers, terms, width])).swap_dims(0, 1)
}

impl Periodic {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [batch, numbers] = x.dims();
        let x = x.unsqueeze_dim::<3>(2);
        let angles =
            x.clone() * (self.weight.val() * std::f64::consts::TAU).unsqueeze::<3>() + self.phase.val().unsqueeze();
        let waves = by_number(angles.cos(), self.output.val()) + self.bias.val().unsqueeze();
        let width = waves.dims()[2] + 1;
        Tensor::cat(vec![waves, x], 2).reshape([batch, numbers * width])
    }
}

impl PiecewiseLinear {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let [batch, numbers] = x.dims();
        let width = self.weight.lazy_shape()[1];
        let bent = by_number(self.code.forward(x.clone()), self.output.val());
        let line = x.unsqueeze_dim::<3>(2) * self.weight.val().unsqueeze::<3>() + self.bias.val().unsqueeze();
        (bent + line).reshape([batch, numbers * width])
    }
}
