//! The one list of a network's tensors, by role.

use burn::module::{Param, ParamId, RunningState};
use burn::tensor::{DType, Tensor, TensorData};

use crate::embedding::Embedding;
use crate::feed_forward::FeedForward;
use crate::role::{EmbeddingTensor, Role};

/// A tensor of a [`FeedForward`], with its role: see [`FeedForward::parameters`].
#[derive(Debug)]
pub struct Parameter<'a> {
    /// The role of the tensor, which prints as its name.
    pub role: Role,
    tensor: Place<&'a Param<Tensor<1>>, &'a Param<Tensor<2>>, &'a RunningState<Tensor<1>>>,
}

/// Field of a network that holds a tensor: a vector, a matrix or a running statistic.
#[derive(Debug, Clone, Copy)]
enum Place<V, M, S> {
    Vector(V),
    Matrix(M),
    Running(S),
}

impl Parameter<'_> {
    /// Shape of the tensor.
    pub fn shape(&self) -> Vec<usize> {
        match self.tensor {
            Place::Vector(param) => param.lazy_shape().dims::<1>().to_vec(),
            Place::Matrix(param) => param.lazy_shape().dims::<2>().to_vec(),
            Place::Running(state) => state.value().dims().to_vec(),
        }
    }

    /// Values of the tensor, row by row.
    pub fn values(&self) -> Tensor<1> {
        match self.tensor {
            Place::Vector(param) => param.val(),
            Place::Matrix(param) => param.val().flatten(0, 1),
            Place::Running(state) => state.value(),
        }
    }

    /// Element type of the tensor.
    pub(crate) fn dtype(&self) -> DType {
        match self.tensor {
            Place::Vector(param) => param.dtype(),
            Place::Matrix(param) => param.dtype(),
            Place::Running(state) => state.value().dtype(),
        }
    }

    /// Identifier by which optimizers know the tensor; `None` for running statistics.
    pub fn id(&self) -> Option<ParamId> {
        match self.tensor {
            Place::Vector(param) => Some(param.id),
            Place::Matrix(param) => Some(param.id),
            Place::Running(_) => None,
        }
    }

    /// Whether training changes the tensor by its gradient. Frozen tensors and running statistics are not trained.
    pub(crate) fn is_trained(&self) -> bool {
        match self.tensor {
            Place::Vector(param) => param.is_require_grad(),
            Place::Matrix(param) => param.is_require_grad(),
            Place::Running(_) => false,
        }
    }
}

/// Defines the function `$place`, which finds the tensor of a role. One definition serves both shared and mutable references.
macro_rules! place {
    ($place:ident, $get:ident, $as_ref:ident $(, $mut:tt)?) => {
        impl FeedForward {
            fn $place(
                &$($mut)? self,
                role: Role,
            ) -> Option<Place<&$($mut)? Param<Tensor<1>>, &$($mut)? Param<Tensor<2>>, &$($mut)? RunningState<Tensor<1>>>> {
                Some(match role {
                    Role::Embedding(tensor) => Place::Matrix(self.embedding.$as_ref()?.$place(tensor)?),
                    Role::InputScale => Place::Matrix(self.input_scale.$as_ref()?),
                    Role::Weight(i) => Place::Matrix(&$($mut)? self.layers.$get(i)?.linear.weight),
                    Role::Bias(i) => Place::Vector(self.layers.$get(i)?.linear.bias.$as_ref()?),
                    Role::Gamma(i) => {
                        let layer = self.layers.$get(i)?;
                        Place::Vector(match layer.batch_norm.$as_ref() {
                            Some(norm) => &$($mut)? norm.gamma,
                            None => &$($mut)? layer.layer_norm.$as_ref()?.gamma,
                        })
                    }
                    Role::Beta(i) => {
                        let layer = self.layers.$get(i)?;
                        Place::Vector(match layer.batch_norm.$as_ref() {
                            Some(norm) => &$($mut)? norm.beta,
                            None => layer.layer_norm.$as_ref()?.beta.$as_ref()?,
                        })
                    }
                    Role::RunningMean(i) => {
                        Place::Running(&$($mut)? self.layers.$get(i)?.batch_norm.$as_ref()?.running_mean)
                    }
                    Role::RunningVariance(i) => {
                        Place::Running(&$($mut)? self.layers.$get(i)?.batch_norm.$as_ref()?.running_var)
                    }
                    Role::Alpha(i) => Place::Matrix(self.layers.$get(i)?.mix.$as_ref()?),
                    Role::R(i) => Place::Matrix(&$($mut)? self.layers.$get(i)?.factors.$as_ref()?[0]),
                    Role::S(i) => Place::Matrix(&$($mut)? self.layers.$get(i)?.factors.$as_ref()?[1]),
                })
            }
        }

        impl Embedding {
            fn $place(&$($mut)? self, tensor: EmbeddingTensor) -> Option<&$($mut)? Param<Tensor<2>>> {
                Some(match tensor {
                    EmbeddingTensor::PeriodicWeight => &$($mut)? self.periodic.$as_ref()?.weight,
                    EmbeddingTensor::PeriodicPhase => &$($mut)? self.periodic.$as_ref()?.phase,
                    EmbeddingTensor::PeriodicOutput => &$($mut)? self.periodic.$as_ref()?.output,
                    EmbeddingTensor::PeriodicBias => &$($mut)? self.periodic.$as_ref()?.bias,
                    EmbeddingTensor::PiecewiseWeight => &$($mut)? self.piecewise.$as_ref()?.weight,
                    EmbeddingTensor::PiecewiseBias => &$($mut)? self.piecewise.$as_ref()?.bias,
                    EmbeddingTensor::PiecewiseOutput => &$($mut)? self.piecewise.$as_ref()?.output,
                    EmbeddingTensor::Category(i) => self.tables.$get(i)?,
                })
            }
        }
    };
}

place!(place, get, as_ref);
place!(place_mut, get_mut, as_mut, mut);

impl FeedForward {
    /// Every tensor of the network, in the order of [`FeedForwardConfig::tensors`](crate::FeedForwardConfig::tensors): files,
    /// engines and optimizers go by this list.
    ///
    /// ```
    /// # use burn::tensor::Device;
    /// use perceptra_nn::{Activation, FeedForwardConfig};
    ///
    /// let network = FeedForwardConfig::new(4, 1).with_widths(&[8], Activation::Relu).init(&Device::flex())?;
    /// let names: Vec<String> = network.parameters().iter().map(|p| p.role.to_string()).collect();
    /// assert_eq!(names, ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]);
    /// # Ok::<(), perceptra_nn::NetworkError>(())
    /// ```
    pub fn parameters(&self) -> Vec<Parameter<'_>> {
        let categories = self.embedding.as_ref().map_or(0, |embedding| embedding.tables.len());
        Role::all(self.layers.len(), categories).filter_map(|role| self.parameter(role)).collect()
    }

    /// The tensor with this role; `None` if the network does not have it.
    pub fn parameter(&self, role: Role) -> Option<Parameter<'_>> {
        Some(Parameter { role, tensor: self.place(role)? })
    }

    /// Replaces the values of the tensor with this role, row by row. Its shape stays, and whether it is trained.
    ///
    /// # Panics
    ///
    /// If the network has no such tensor, or if it has another number of values.
    pub fn set_values(&mut self, role: Role, values: Vec<f32>) {
        fn replace<const D: usize>(param: &mut Param<Tensor<D>>, values: Vec<f32>) {
            let new = |old: Tensor<D>| Tensor::from_data(TensorData::new(values, old.dims()), &old.device());
            *param = param.clone().map(new);
        }
        match self.place_mut(role) {
            Some(Place::Vector(param)) => replace(param, values),
            Some(Place::Matrix(param)) => replace(param, values),
            Some(Place::Running(state)) => {
                let old = state.value();
                *state = RunningState::new(Tensor::from_data(TensorData::new(values, old.dims()), &old.device()));
            }
            None => panic!("the network has no tensor {role}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    use burn::module::{Module, ModuleVisitor};
    use burn::tensor::Device;
    use proptest::prelude::*;

    use crate::testing::values;
    use crate::{Activation, Column, EmbeddingConfig, Extras, FeedForwardConfig, Norm, NumberEmbedding};

    fn embedding() -> impl Strategy<Value = EmbeddingConfig> {
        let column = prop_oneof![Just(Column::Number), Just(Column::Plain), (1usize..4).prop_map(Column::Category)];
        (prop::collection::vec(column, 1..5), 0..3, 2usize..4).prop_map(|(columns, kind, width)| {
            let n = columns.iter().filter(|c| **c == Column::Number).count();
            let numbers = match kind {
                0 => NumberEmbedding::None,
                1 => NumberEmbedding::Periodic { frequencies: width, sigma: 1.0, width },
                _ => NumberEmbedding::PiecewiseLinear { edges: vec![vec![-1.0, 0.0, 2.0]; n], width },
            };
            EmbeddingConfig { columns, numbers, category_width: width }
        })
    }

    /// Networks with every part that one can have, many of them with tensors of equal shapes.
    fn configs() -> impl Strategy<Value = FeedForwardConfig> {
        let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
        let widths = prop::collection::vec(2usize..4, 0..4);
        let norm = prop::sample::select(Norm::ALL.to_vec());
        (prop::option::of(embedding()), widths, flags, norm, 1usize..4).prop_map(
            |(embedding, widths, (input_scale, parametric, ntk, bias), norm, members)| {
                let inputs = embedding.as_ref().map_or(2, |e| e.columns.len());
                let members = if norm == Norm::None && bias && !widths.is_empty() { members } else { 1 };
                FeedForwardConfig::new(inputs, 2)
                    .with_widths(&widths, Activation::Tanh)
                    .with_norm(norm)
                    .with_bias(bias)
                    .with_parts(Some(Extras { embedding, input_scale, parametric, ntk, members }))
            },
        )
    }

    /// Collects the path at which Burn finds each tensor.
    #[derive(Default)]
    struct Paths {
        path: Vec<String>,
        found: Vec<(String, ParamId)>,
    }

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let mut path = self.path.join(".");
            for (field, name) in [
                (".linear.", "."),
                ("batch_norm", "norm"),
                ("layer_norm", "norm"),
                ("running_mean", "mean"),
                ("running_var", "variance"),
                ("factors.0", "factors.in"),
                ("factors.1", "factors.out"),
                ("tables.", "categories."),
            ] {
                path = path.replace(field, name);
            }
            self.found.push((path, param.id));
        }
    }

    proptest! {
        #[test]
        fn descriptions_and_networks_have_the_same_tensors(config in configs()) {
            let network = config.init(&Device::flex()).unwrap();
            let built: Vec<_> = network.parameters().iter().map(|p| (p.role, p.shape())).collect();
            prop_assert_eq!(built, config.tensors());
            prop_assert_eq!((network.inputs(), network.outputs()), (config.inputs, config.outputs));
        }

        #[test]
        fn each_name_is_that_of_the_field_of_its_tensor(config in configs()) {
            let network = config.init(&Device::flex()).unwrap();
            let mut paths = Paths::default();
            network.visit(&mut paths);
            let parameters = network.parameters();
            let mut names: Vec<String> = parameters.iter().map(|p| p.role.to_string()).collect();
            let by_id: HashMap<ParamId, &String> = paths.found.iter().map(|(path, id)| (*id, path)).collect();
            for (parameter, name) in parameters.iter().zip(&names) {
                if let Some(id) = parameter.id() {
                    prop_assert_eq!(by_id[&id], name);
                }
            }
            // All tensors that Burn knows, and none twice.
            let mut fields: Vec<String> = paths.found.into_iter().map(|(path, _)| path).collect();
            fields.sort();
            names.sort();
            prop_assert_eq!(fields, names);
        }

        #[test]
        fn values_go_where_their_name_says(config in configs()) {
            let mut network = config.init(&Device::flex()).unwrap();
            let mut expected = BTreeMap::new();
            for (i, (role, shape)) in config.tensors().into_iter().enumerate() {
                let numbered: Vec<f32> = (0..shape.iter().product()).map(|k| (1000 * i + k) as f32).collect();
                network.set_values(role, numbered.clone());
                expected.insert(role.to_string(), numbered);
            }
            let got: BTreeMap<_, _> = network.parameters().iter().map(|p| (p.role.to_string(), values(p.values()))).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
