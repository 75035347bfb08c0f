//! What becomes of input columns before the first dense layer.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use perceptra_random::{Purpose, Stream};
use serde::{Deserialize, Serialize};

use crate::NetworkError;

/// What a column of the input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Column {
    /// A number, which the [`NumberEmbedding`] takes.
    Number,
    /// A number that goes on as it is, such as one of a one-hot code.
    Plain,
    /// The number of one of so many categories, from 0: it becomes a vector of its own.
    Category(usize),
}

/// What becomes of each number.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberEmbedding {
    /// It goes on as it is.
    #[default]
    None,
    /// (cos(2πwx + b)·V + c, x), the embedding PBLD (Gorishniy, Rubachev, Babenko, 2022; Holzmüller, Grinsztajn, Steinwart, 2024).
    Periodic {
        /// Cosines of each number.
        frequencies: usize,
        /// Standard deviation of the w to begin with.
        sigma: f64,
        /// Numbers that each becomes, x among them; at least 2.
        width: usize,
    },
    /// Linear in x, plus linear in the piecewise-linear code of x: for each bin, how much of it lies below x (Gorishniy, Rubachev,
    /// Babenko, 2022, in the version "B" of TabM, in which the second part begins with 0).
    PiecewiseLinear {
        /// For each number, the edges of its bins, ascending, at least 2.
        edges: Vec<Vec<f32>>,
        /// Numbers that each becomes.
        width: usize,
    },
}

/// Describes an [`Embedding`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingConfig {
    /// What each column of the input is.
    pub columns: Vec<Column>,
    /// What becomes of numbers.
    pub numbers: NumberEmbedding,
    /// Numbers that a category becomes.
    pub category_width: usize,
}

/// The most numbers that one number becomes.
const MOST: usize = 1 << 12;

/// Columns to the inputs of the first dense layer: those of numbers first, then plain columns, then those of categories.
#[derive(Module, Debug)]
pub struct Embedding {
    periodic: Option<Periodic>,
    piecewise: Option<PiecewiseLinear>,
    /// `[categories, width]` each.
    tables: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    config: EmbeddingConfig,
}

#[derive(Module, Debug)]
struct Periodic {
    /// w and b, `[numbers, frequencies]`.
    weight: Param<Tensor<2>>,
    phase: Param<Tensor<2>>,
    /// V `[numbers·frequencies, width − 1]` and c `[numbers, width − 1]`.
    output: Param<Tensor<2>>,
    bias: Param<Tensor<2>>,
}

#[derive(Module, Debug)]
struct PiecewiseLinear {
    /// The linear part, `[numbers, width]`.
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<2>>,
    /// `[numbers·bins, width]`.
    output: Param<Tensor<2>>,
    #[module(skip)]
    code: Code,
}

/// Of each number, its bins: their left edge, 1/width, and the least and most of their codes. Absent bins have width ∞.
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
            let own = edges.len() - 1;
            for j in 0..bins {
                let (left, right) = if j < own { (edges[j], edges[j + 1]) } else { (0.0, f32::INFINITY) };
                code.left.push(left);
                code.scale.push(1.0 / (right - left).max(f32::MIN_POSITIVE));
                code.least.push(if j == 0 { f32::MIN } else { 0.0 });
                code.most.push(if j + 1 == own { f32::MAX } else { 1.0 });
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
    /// Columns of numbers.
    fn numbers(&self) -> usize {
        self.columns.iter().filter(|c| **c == Column::Number).count()
    }

    /// Numbers that a number becomes.
    fn number_width(&self) -> usize {
        match self.numbers {
            NumberEmbedding::None => 1,
            NumberEmbedding::Periodic { width, .. } | NumberEmbedding::PiecewiseLinear { width, .. } => width,
        }
    }

    /// Inputs of the first dense layer.
    pub fn outputs(&self) -> usize {
        self.sections().iter().sum()
    }

    /// How many inputs of the first dense layer each column becomes, in their order there.
    pub(crate) fn sections(&self) -> Vec<usize> {
        let of =
            |kind: fn(&Column) -> bool, width: usize| self.columns.iter().filter(move |c| kind(c)).map(move |_| width);
        of(|c| *c == Column::Number, self.number_width())
            .chain(of(|c| *c == Column::Plain, 1))
            .chain(of(|c| matches!(c, Column::Category(_)), self.category_width))
            .collect()
    }

    /// The shape of each tensor of an [`Embedding`], by its name.
    pub fn shapes(&self) -> Vec<(String, [usize; 2])> {
        let n = self.numbers();
        let mut shapes = match &self.numbers {
            _ if n == 0 => vec![],
            NumberEmbedding::None => vec![],
            NumberEmbedding::Periodic { frequencies: q, width, .. } => vec![
                ("periodic.weight".to_owned(), [n, *q]),
                ("periodic.phase".to_owned(), [n, *q]),
                ("periodic.output".to_owned(), [n * q, width - 1]),
                ("periodic.bias".to_owned(), [n, width - 1]),
            ],
            NumberEmbedding::PiecewiseLinear { edges, width } => vec![
                ("piecewise.weight".to_owned(), [n, *width]),
                ("piecewise.bias".to_owned(), [n, *width]),
                ("piecewise.output".to_owned(), [n * Code::new(edges).bins, *width]),
            ],
        };
        let categories = self.columns.iter().filter_map(|c| if let Column::Category(k) = c { Some(*k) } else { None });
        shapes.extend(categories.enumerate().map(|(i, k)| (format!("categories.{i}"), [k, self.category_width])));
        shapes
    }

    pub(crate) fn validate(&self) -> Result<(), NetworkError> {
        let wrong = |what: String| Err(NetworkError::Embedding { what });
        if self.columns.iter().any(|c| matches!(c, Column::Category(0))) {
            return wrong("a column has 0 categories".to_owned());
        }
        if self.category_width == 0 {
            return wrong("categories become 0 numbers".to_owned());
        }
        let frequencies =
            if let NumberEmbedding::Periodic { frequencies, .. } = self.numbers { frequencies } else { 0 };
        if [self.number_width(), self.category_width, frequencies].iter().any(|n| *n > MOST) {
            return wrong(format!("its widths and frequencies are at most {MOST}"));
        }
        match &self.numbers {
            NumberEmbedding::None => Ok(()),
            NumberEmbedding::Periodic { frequencies: 0, .. } => wrong("it has 0 frequencies".to_owned()),
            NumberEmbedding::Periodic { width: 0..=1, .. } => {
                wrong("a periodic embedding makes at least 2 numbers of each".to_owned())
            }
            NumberEmbedding::Periodic { sigma, .. } if !(*sigma > 0.0 && sigma.is_finite()) => {
                wrong(format!("the spread of its frequencies is {sigma}, it must be above 0"))
            }
            NumberEmbedding::Periodic { .. } => Ok(()),
            NumberEmbedding::PiecewiseLinear { width: 0, .. } => wrong("numbers become 0 numbers".to_owned()),
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

    /// Fresh tensors: those of periodic embeddings as PyTorch's `pytabkit` draws them, those of piecewise-linear ones as
    /// `rtdl_num_embeddings` does; vectors of categories from N(0, 1).
    pub(crate) fn init(&self, seed: u64, device: &Device) -> Embedding {
        let stream = Stream::new(seed, Purpose::Embedding, 0);
        let mut row = 0;
        let mut param = |[n, m]: [usize; 2], fill: &dyn Fn(u32, &mut [f32])| {
            let mut values = vec![0.0; n * m];
            fill(row, &mut values);
            row += 1;
            Param::from_data(TensorData::new(values, [n, m]), device)
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
        let mut shapes = self.shapes().into_iter().map(|(_, shape)| shape);
        let mut next = || shapes.next().unwrap_or([0, 0]);
        let (mut periodic, mut piecewise) = (None, None);
        match &self.numbers {
            _ if self.numbers() == 0 => {}
            NumberEmbedding::None => {}
            NumberEmbedding::Periodic { frequencies, sigma, .. } => {
                let bound = 1.0 / (*frequencies as f64).sqrt();
                periodic = Some(Periodic {
                    weight: param(next(), &normal(*sigma)),
                    phase: param(next(), &uniform(std::f64::consts::PI)),
                    output: param(next(), &uniform(bound)),
                    bias: param(next(), &uniform(bound)),
                });
            }
            NumberEmbedding::PiecewiseLinear { edges, width } => {
                let bound = 1.0 / (*width as f64).sqrt();
                piecewise = Some(PiecewiseLinear {
                    weight: param(next(), &uniform(bound)),
                    bias: param(next(), &uniform(bound)),
                    output: param(next(), &|_, _| ()),
                    code: Code::new(edges),
                });
            }
        }
        let tables = shapes.map(|shape| param(shape, &normal(1.0))).collect();
        Embedding { periodic, piecewise, tables, config: self.clone() }
    }
}

impl Embedding {
    /// The inputs of the first dense layer.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, columns]`
    /// - result: `[batch, outputs]`, see [`EmbeddingConfig::outputs`]
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut parts = Vec::new();
        if let Some(numbers) = self.columns_of(&x, |c| c == Column::Number) {
            parts.push(match (&self.periodic, &self.piecewise) {
                (Some(periodic), _) => periodic.forward(numbers),
                (_, Some(piecewise)) => piecewise.forward(numbers),
                _ => numbers,
            });
        }
        parts.extend(self.columns_of(&x, |c| c == Column::Plain));
        let categories = self.config.columns.iter().enumerate().filter(|(_, c)| matches!(c, Column::Category(_)));
        for ((i, column), table) in categories.zip(&self.tables) {
            let Column::Category(k) = column else { continue };
            let numbers = x.clone().narrow(1, i, 1).clamp(0.0, (k - 1) as f64).reshape([-1]);
            let numbers: Tensor<1, Int> = numbers.int();
            parts.push(table.val().select(0, numbers));
        }
        Tensor::cat(parts, 1)
    }

    /// Some of the columns, by runs of neighbours.
    fn columns_of(&self, x: &Tensor<2>, which: impl Fn(Column) -> bool) -> Option<Tensor<2>> {
        let mut runs = Vec::new();
        let mut i = 0;
        let columns = &self.config.columns;
        while i < columns.len() {
            let length = columns[i..].iter().take_while(|c| which(**c)).count();
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

    /// Its description.
    pub fn config(&self) -> &EmbeddingConfig {
        &self.config
    }

    /// Its tensors in the order of [`EmbeddingConfig::shapes`].
    pub(crate) fn params(&mut self) -> Vec<&mut Param<Tensor<2>>> {
        let mut all = Vec::new();
        if let Some(p) = &mut self.periodic {
            all.extend([&mut p.weight, &mut p.phase, &mut p.output, &mut p.bias]);
        }
        if let Some(p) = &mut self.piecewise {
            all.extend([&mut p.weight, &mut p.bias, &mut p.output]);
        }
        all.extend(&mut self.tables);
        all
    }
}

/// `[batch, numbers, terms]` times `[numbers·terms, width]` of each number's own: `[batch, numbers, width]`.
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
