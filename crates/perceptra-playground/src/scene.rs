//! The content of a page: points and axes once per run, surfaces and weights in every picture.

use burn::tensor::{Device, Tensor, TensorData};
use perceptra_data::{ColumnKind, Matrix, Table, Task, Values};
use perceptra_model::Session;
use perceptra_nn::FeedForward;
use serde_json::{Value, json};

use crate::error::Refusal;

/// Number of grid points of a surface along each axis.
pub(crate) const GRID: usize = 40;
/// Maximum number of data points shown.
const POINTS: usize = 800;
/// Maximum number of losses sent with a picture.
const LOSSES: usize = 40;
/// Margin around the data points, as a share of their range.
const MARGIN: f64 = 0.1;

/// The axes of a run, and the grid of inputs for which its network is evaluated.
pub(crate) struct Scene {
    axes: [Axis; 2],
    /// Encoded inputs `[GRID·GRID, inputs]`, row by row from the bottom.
    grid: Tensor<2>,
}

struct Axis {
    name: String,
    low: f64,
    high: f64,
}

impl Scene {
    /// A scene over two numeric features, by default the first two. The other features are held at their median or their most
    /// frequent value.
    pub(crate) fn new(session: &Session, axes: Option<&[String; 2]>, device: &Device) -> Result<Self, Refusal> {
        let features = &session.about().schema.features;
        let numeric: Vec<&str> =
            features.iter().filter(|f| f.kind == ColumnKind::Numeric).map(|f| f.name.as_str()).collect();
        let [x, y] = match (axes, numeric.as_slice()) {
            (Some([x, y]), _) => [x.as_str(), y.as_str()],
            (None, [x, y, ..]) => [*x, *y],
            (None, _) => {
                let found = numeric.len();
                return Err(Refusal::Request(format!("two numeric features are needed as axes, there are {found}")));
            }
        };
        if let Some(other) = [x, y].iter().find(|axis| !numeric.contains(axis)) {
            return Err(Refusal::Request(format!("the axis {other:?} is not a numeric feature")));
        }
        if x == y {
            return Err(Refusal::Request(format!("both axes are {x:?}")));
        }
        let (train, _) = session.tables();
        let mut rows = train.take(&[0; GRID * GRID]);
        let mut found = Vec::new();
        for feature in features {
            let notation = session.about().schema.notation(&feature.name);
            let summary = train.summary(&feature.name, feature.kind, &notation)?;
            rows = match summary.values {
                // A feature without any value stays missing.
                Values::Numbers(None) => rows,
                Values::Numbers(Some(n)) if [x, y].contains(&feature.name.as_str()) => {
                    let margin = if n.most > n.least { MARGIN * (n.most - n.least) } else { 1.0 };
                    let axis = Axis { name: feature.name.clone(), low: n.least - margin, high: n.most + margin };
                    let numbers =
                        (0..GRID * GRID).map(|i| axis.at(if feature.name == x { i % GRID } else { i / GRID }));
                    let rows = rows.with_numbers(&feature.name, numbers.collect())?;
                    found.push(axis);
                    rows
                }
                Values::Numbers(Some(n)) if feature.kind == ColumnKind::Numeric => {
                    rows.with_numbers(&feature.name, vec![n.median; GRID * GRID])?
                }
                Values::Numbers(Some(n)) => {
                    let days = train.numbers(&feature.name, feature.kind, &notation)?;
                    let away = |day: &Option<f64>| day.map_or(f64::INFINITY, |day| (day - n.median).abs());
                    let nearest = (0..days.len()).min_by(|a, b| away(&days[*a]).total_cmp(&away(&days[*b])));
                    rows.with_column(&feature.name, train, nearest.unwrap_or(0))?
                }
                Values::Categories(all) => {
                    let texts = train.texts(&feature.name, &notation)?;
                    let frequent = all.first().map(|(text, _)| text);
                    let row = texts.iter().position(|text| text.as_ref() == frequent);
                    rows.with_column(&feature.name, train, row.unwrap_or(0))?
                }
            };
        }
        let [Some(first), Some(second)] = [found.pop(), found.pop()] else {
            return Err(Refusal::Request(format!("{x:?} or {y:?} has no value in the training rows")));
        };
        let axes = if first.name == x { [first, second] } else { [second, first] };
        let (inputs, _) = session.about().encoder.inputs(&rows)?;
        let data = TensorData::new(inputs.values, [inputs.rows, inputs.columns]);
        Ok(Self { axes, grid: Tensor::from_data(data, device) })
    }

    /// Everything that does not change during training, as JSON.
    pub(crate) fn describe(&self, session: &Session) -> Result<Value, Refusal> {
        let (train, validation) = session.tables();
        let mut points = self.points(session, train, 0)?;
        points.extend(validation.map(|rows| self.points(session, rows, 1)).transpose()?.unwrap_or_default());
        let axis = |axis: &Axis| json!({ "name": axis.name, "low": axis.low, "high": axis.high });
        let network = session.network();
        let heights = points.iter().filter_map(|p| p[2].as_f64());
        let (low, high) = heights.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        Ok(json!({
            "type": "scene",
            "task": session.about().schema.task.to_string(),
            "target": session.about().schema.targets[0],
            "classes": session.about().encoder.labels(),
            "axes": [axis(&self.axes[0]), axis(&self.axes[1])],
            "points": points,
            "range": if session.about().schema.task == Task::Regression { json!([low, high]) } else { json!([0, 1]) },
            "inputs": session.about().encoder.input_names(),
            "widths": network.widths().iter().map(|(_, width)| *width).collect::<Vec<_>>(),
            "network": network.to_string(),
            "rows": [train.rows(), validation.map_or(0, Table::rows)],
            "dropped": session.about().schema.dropped,
            "loss": session.about().loss.to_string(),
            "grid": GRID,
        }))
    }

    /// Rows of a table as `[x, y, target, part]`, with numbers for classes; `part` is 0 for training rows, 1 for held-out ones.
    fn points(&self, session: &Session, table: &Table, part: u32) -> Result<Vec<Value>, Refusal> {
        let table = crate::problem::evenly(table.clone(), POINTS / 2);
        let schema = &session.about().schema;
        let number = |axis: &Axis| table.numbers(&axis.name, ColumnKind::Numeric, &schema.notation(&axis.name));
        let (x, y) = (number(&self.axes[0])?, number(&self.axes[1])?);
        let targets: Vec<f64> = match session.about().encoder.labels() {
            Some(_) => session.about().encoder.class_numbers(&table)?.into_iter().map(f64::from).collect(),
            None => table.target_values(&schema.targets[0], &schema.notation(&schema.targets[0]))?,
        };
        let rows = x.into_iter().zip(y).zip(targets);
        Ok(rows.filter_map(|((x, y), target)| Some(json!([x?, y?, target, part]))).collect())
    }

    /// A picture of the network: the length of the header in four bytes (little-endian), the header as JSON, and the surfaces of the
    /// hidden units and of the outputs, `GRID`² bytes each, where 0 and 255 stand for the ends of the range in the header.
    ///
    /// `seen` is the number of epochs whose losses were in earlier pictures.
    pub(crate) fn picture(&self, session: &Session, seen: usize, mut header: Value) -> Result<Vec<u8>, Refusal> {
        let network = session.network();
        let mut surfaces = Vec::new();
        let mut ranges = Vec::new();
        let mut x = self.grid.clone();
        let (last, hidden) = network.layers().split_last().ok_or_else(|| Refusal::Request("no layers".into()))?;
        for layer in hidden {
            x = layer.activation.forward(layer.linear.forward(x));
            add(&mut surfaces, &mut ranges, &read(x.clone().transpose())?, None);
        }
        let outputs = network.output_activation().forward(last.linear.forward(x));
        let columns = network.outputs();
        let outputs = Matrix { rows: GRID * GRID, columns, values: read(outputs)? };
        let fixed = session.about().encoder.labels().map(|_| (0.0, 1.0));
        let outputs = session.about().encoder.decode(&outputs);
        let column = |j: usize| outputs.values.iter().skip(j).step_by(columns).copied();
        add(&mut surfaces, &mut ranges, &(0..columns).flat_map(column).collect::<Vec<f64>>(), fixed);
        let epochs = session.epochs();
        let (training, held_out) = match epochs.last() {
            Some(epoch) => (epoch.train_loss, epoch.validation_loss),
            None => session.losses()?,
        };
        let new = &epochs[seen.min(epochs.len())..];
        let step = new.len().div_ceil(LOSSES).max(1);
        let losses: Vec<_> =
            (new.iter().rev().step_by(step)).map(|e| json!([e.epoch, e.train_loss, e.validation_loss])).rev().collect();
        header["type"] = json!("picture");
        header["epoch"] = json!(epochs.len());
        header["training"] = json!(training);
        header["held_out"] = json!(held_out);
        header["losses"] = json!(losses);
        header["ranges"] = json!(ranges);
        header["weights"] = json!(weights(network)?);
        Ok(framed(&header, &surfaces))
    }
}

impl Axis {
    fn at(&self, i: usize) -> f64 {
        self.low + (self.high - self.low) * i as f64 / (GRID - 1) as f64
    }
}

/// A binary message: the length of the header in four bytes (little-endian), the header as JSON, and `bytes`.
pub(crate) fn framed(header: &Value, bytes: &[u8]) -> Vec<u8> {
    let header = header.to_string().into_bytes();
    [&(header.len() as u32).to_le_bytes(), header.as_slice(), bytes].concat()
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Refusal> {
    tensor.try_into_vec_as::<f32>().map_err(|e| Refusal::Request(format!("the device: {e:?}")))
}

/// Appends surfaces as bytes, scaled from their own range or a fixed one. `values` holds one surface after another.
fn add<T: Copy + Into<f64>>(
    surfaces: &mut Vec<u8>,
    ranges: &mut Vec<[f64; 2]>,
    values: &[T],
    fixed: Option<(f64, f64)>,
) {
    for values in values.chunks(GRID * GRID) {
        let values = || values.iter().map(|v| (*v).into());
        let ends = || values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v: f64| (l.min(v), h.max(v)));
        let (low, high) = fixed.unwrap_or_else(ends);
        let width = (high - low).max(f64::MIN_POSITIVE);
        ranges.push([low, high]);
        surfaces.extend(values().map(|v: f64| (255.0 * (v - low) / width).round() as u8));
    }
}

/// Weights `[inputs, outputs]`, row by row, and biases of each layer.
fn weights(network: &FeedForward) -> Result<Vec<[Vec<f32>; 2]>, Refusal> {
    let layer = |layer: &perceptra_nn::Layer| {
        let bias = layer.linear.bias.as_ref().map_or(Ok(Vec::new()), |b| read(b.val()))?;
        Ok([read(layer.linear.weight.val())?, bias])
    };
    network.layers().iter().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_model::{RunConfig, Tables};

    fn session(text: &str, target: &str) -> Session {
        let table = Table::from_csv("t.csv", text, &Default::default()).unwrap();
        let mut run = RunConfig::default();
        run.data.schema.target = vec![target.to_owned()];
        run.network.hidden = vec![3, 2];
        run.split.test = 0.0;
        Session::new(&run, &Tables::from(table), &Device::flex()).unwrap()
    }

    fn rows(n: usize) -> String {
        let row =
            |i: usize| format!("{},{},{},2024-01-{:02},{}\n", i % 9, i % 7, ["u", "v", "u"][i % 3], 1 + i % 9, i % 5);
        format!("a,b,c,d,y\n{}", (0..n).map(row).collect::<String>())
    }

    #[test]
    fn a_picture_holds_the_outputs_of_the_network() {
        let session = session(&rows(100).replace(",y\n", ",target\n"), "target");
        let scene = Scene::new(&session, None, &Device::flex()).unwrap();
        let described = scene.describe(&session).unwrap();
        assert_eq!(described["axes"][0]["name"], "a");
        assert!((described["axes"][1]["low"].as_f64().unwrap() + 0.6).abs() < 1e-9);
        assert_eq!(described["points"].as_array().unwrap().len(), 100);
        let bytes = scene.picture(&session, 0, json!({})).unwrap();
        let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[4..4 + length]).unwrap();
        let surfaces = &bytes[4 + length..];
        let units = 3 + 2 + session.network().outputs();
        assert_eq!(surfaces.len(), units * GRID * GRID);
        assert_eq!(header["ranges"].as_array().unwrap().len(), units);
        assert_eq!(header["weights"][0][0].as_array().unwrap().len(), 3 * session.about().encoder.width());
        // The upper right corner, by a table of one row: a = 8.8, b = 6.6, the middle date, the most frequent text.
        let row = "a,b,c,d\n8.8,6.6,u,2024-01-05\n";
        let row = Table::from_csv("r.csv", row, &Default::default()).unwrap();
        let about = session.about();
        let (inputs, _) = about.encoder.inputs(&row).unwrap();
        let mut predictor = perceptra_nn::Predictor::new(session.network(), about.loss.takes_logits()).unwrap();
        let predicted = predictor.predict(&inputs.values).unwrap();
        let predicted = perceptra_train::probabilities(&predicted, about.encoder.outputs(), about.loss);
        for (j, p) in predicted.iter().enumerate() {
            let byte = surfaces[(5 + j + 1) * GRID * GRID - 1];
            assert!((f32::from(byte) / 255.0 - p).abs() < 0.003, "class {j}: {byte} {p}");
        }
    }

    #[test]
    fn axes_must_be_two_numeric_columns() {
        let session = session(&rows(60), "y");
        let error = |axes: [&str; 2]| {
            Scene::new(&session, Some(&axes.map(str::to_owned)), &Device::flex()).err().unwrap().to_string()
        };
        assert_eq!(error(["a", "c"]), "the axis \"c\" is not a numeric feature");
        assert_eq!(error(["a", "a"]), "both axes are \"a\"");
        assert!(error(["a", "nothing"]).contains("nothing"));
        assert!(Scene::new(&session, Some(&["b".into(), "a".into()]), &Device::flex()).is_ok());
    }
}
