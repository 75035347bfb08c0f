//! The model file: one SafeTensors file.
//!
//! Tensors, all 32-bit floats: `layers.N.weight` [inputs, outputs] and `layers.N.bias` [outputs] of each dense layer; with batch
//! normalization also `layers.N.norm.gamma`, `.beta`, `.mean` and `.variance`, with layer normalization the first two, each [outputs].
//! Extra parts of a network have the tensors `embedding...`, `input_scale` [1, inputs], `layers.N.mix` [1, outputs] (the parameters α of
//! activations), `layers.N.factors.in` [members, inputs] and `layers.N.factors.out` [members, outputs] (the vectors r and s of a batch
//! ensemble). In a batch ensemble, biases are [members·outputs], and the weights of the output layer [members·inputs, outputs]. The
//! metadata entry `perceptra` is JSON: `format`, `checksum` (CRC-32 of this JSON with an empty checksum, then of all tensors' bytes in
//! order of their names), `version` of the program, and the schema, encoder, network, training, history and scores of the [`Model`].
//! Nothing in it is executed.
//!
//! An ensemble has format 2: its further members are in the JSON as `others`, each with its `share` and the entries of a model, and
//! their tensors are named `members.N.layers...`, N from 1.
//!
//! A checkpoint is a model file with `resume` in its JSON (the engine, a fingerprint of the data, the run as TOML) and three
//! tensors of bytes: `resume.network`, `resume.best` (Burn's records) and `resume.optimizer`.
//!
//! Nothing is allocated by a number from the file before that number has been checked against the file's own size: the
//! header's length, the tensors' places (they lie one after another and end with the file), every shape against the
//! network's description, and that against the sizes of the tensors.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{Read, Write};
use std::path::Path;

use burn::tensor::Device;
use perceptra_files::write_atomic;
use perceptra_nn::{FeedForward, FeedForwardConfig, Initializer, Parameter};
use perceptra_train::{Engine, TrainError, TrainState};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::encoded::Encoded;
use crate::error::ModelError;
use crate::model::{About, Model, fits};

/// The format numbers that this program writes: for one network, and for an ensemble.
const FORMATS: [u32; 2] = [1, 2];
/// The name of the metadata entry.
const ENTRY: &str = "perceptra";
/// The longest header that a SafeTensors file may have, in bytes.
const MAX_HEADER: u64 = 100_000_000;
/// The largest model file that is read, in bytes.
const MAX_FILE: u64 = 1 << 34;

#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    checksum: String,
    version: String,
    #[serde(flatten)]
    about: About,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    share: f64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Other>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resume: Option<Resume>,
}

/// A further member of an ensemble.
#[derive(Serialize, Deserialize)]
struct Other {
    share: f64,
    #[serde(flatten)]
    about: About,
}

fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(share: &f64) -> bool {
    *share == 1.0
}

/// Metadata that only a checkpoint has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Resume {
    pub(crate) engine: Engine,
    pub(crate) data: Fingerprint,
    pub(crate) run: String,
}

/// Size and checksum of the encoded training and validation rows; a run is resumed only with the same rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fingerprint {
    /// Numbers of training and validation rows.
    pub(crate) rows: [usize; 2],
    /// Number of encoded columns.
    pub(crate) inputs: usize,
    /// CRC-32 of the encoded values.
    pub(crate) checksum: String,
}

impl Fingerprint {
    /// The fingerprint of encoded training and validation rows, with their row weights.
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a Encoded>) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        let mut add = |values: &[f32]| {
            for chunk in values.chunks(1024) {
                let bytes: Vec<u8> = chunk.iter().flat_map(|x| x.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        };
        let mut fingerprint = Self::default();
        for (part, rows) in parts.zip(&mut fingerprint.rows) {
            *rows = part.inputs.rows;
            fingerprint.inputs = part.inputs.columns;
            add(&part.inputs.values);
            add(&part.targets.values);
            add(part.weights.as_deref().unwrap_or_default());
        }
        fingerprint.checksum = format!("{:08x}", hasher.finalize());
        fingerprint
    }

    /// Differences between the data of a checkpoint, `self`, and the data of the resumed run, `now`.
    pub(crate) fn differences(&self, now: &Self) -> Vec<String> {
        let mut all = Vec::new();
        let names = ["training rows", "validation rows"];
        for ((name, old), new) in names.into_iter().zip(self.rows).zip(now.rows) {
            if old != new {
                all.push(format!("{name} were {old}, are {new}"));
            }
        }
        if self.inputs != now.inputs {
            all.push(format!("encoded columns were {}, are {}", self.inputs, now.inputs));
        }
        if all.is_empty() && self.checksum != now.checksum {
            all.push("values in the table have changed".to_owned());
        }
        all
    }
}

/// Names of the tensors that only a checkpoint has.
const RESUME: [&str; 3] = ["resume.network", "resume.best", "resume.optimizer"];

/// The part of the metadata that every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
    checksum: String,
}

impl Model {
    /// Writes the model to a file, which appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ModelError::Write`].
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes()?;
        write_atomic(path, |file| file.write_all(&bytes))
            .map_err(|source| ModelError::Write { path: path.to_owned(), source })
    }

    /// Reads a model file onto `device`.
    ///
    /// # Errors
    ///
    /// [`ModelError::Read`], [`ModelError::Foreign`], [`ModelError::Version`], [`ModelError::Damaged`].
    pub fn load(path: &Path, device: &Device) -> Result<Self, ModelError> {
        Parsed::read(path)?.model(device)
    }

    /// The model as the bytes of its file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Device`] if the weights cannot be read from their device.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.bytes(None)
    }

    /// The bytes of the model file, or with `resume` those of a checkpoint.
    pub(crate) fn bytes(&self, resume: Option<(Resume, &TrainState)>) -> Result<Vec<u8>, ModelError> {
        let mut all: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = BTreeMap::new();
        for (k, (_, model)) in self.parts().enumerate() {
            for (name, (shape, values)) in tensors(model.network())? {
                let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                all.insert(prefix(k) + &name, (Dtype::F32, shape, bytes));
            }
        }
        let mut tensors = all;
        if let Some((_, state)) = &resume {
            for (name, bytes) in RESUME.into_iter().zip([&state.network, &state.best, &state.optimizer]) {
                tensors.insert(name.to_owned(), (Dtype::U8, vec![bytes.len()], bytes.clone()));
            }
        }
        let mut metadata = Metadata {
            format: FORMATS[usize::from(!self.others.is_empty())],
            checksum: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            about: self.about.clone(),
            share: self.share,
            others: self.others.iter().map(|(share, m)| Other { share: *share, about: m.about.clone() }).collect(),
            resume: resume.map(|(resume, _)| resume),
        };
        // The metadata is plain data with text keys: JSON can write all of it.
        let json = |metadata: &Metadata| serde_json::to_string(metadata).unwrap_or_default();
        metadata.checksum = checksum(&json(&metadata), tensors.values().map(|(_, _, bytes)| bytes.as_slice()));
        let entry = HashMap::from([(ENTRY.to_owned(), json(&metadata))]);
        let views = tensors.iter().filter_map(|(name, (dtype, shape, bytes))| {
            // The bytes were made from the shape.
            Some((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).ok()?))
        });
        Ok(safetensors::serialize(views, Some(entry)).unwrap_or_default())
    }

    /// Reads a model from the bytes of its file; `name` is for messages.
    ///
    /// # Errors
    ///
    /// As [`Model::load`].
    pub fn from_bytes(name: &str, bytes: &[u8], device: &Device) -> Result<Self, ModelError> {
        Parsed::new(name, bytes)?.model(device)
    }
}

/// A checked model file, before its tensors go to a device.
pub(crate) struct Parsed {
    name: String,
    pub(crate) about: About,
    share: f64,
    others: Vec<Other>,
    resume: Option<Resume>,
    tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)>,
}

impl Parsed {
    pub(crate) fn read(path: &Path) -> Result<Self, ModelError> {
        let read = |source| ModelError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        let metadata = file.metadata().map_err(read)?;
        if metadata.is_dir() {
            return Err(read(std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder")));
        }
        // Only a file with a plausible header is read to its end: a device or a pipe may have none.
        let mut file = file.take(MAX_FILE + 1);
        let mut bytes = Vec::new();
        file.by_ref().take(512).read_to_end(&mut bytes).map_err(read)?;
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if (2..=MAX_HEADER).contains(&header) {
            file.read_to_end(&mut bytes).map_err(read)?;
        }
        if bytes.len() as u64 > MAX_FILE {
            return Err(ModelError::Foreign {
                name: path.display().to_string(),
                reason: format!("it has more than {MAX_FILE} bytes, which models have at most"),
            });
        }
        Self::new(&path.display().to_string(), &bytes)
    }

    fn new(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let damaged = |reason: String| ModelError::Damaged { name: name.to_owned(), reason };
        let foreign = |reason: &str| ModelError::Foreign { name: name.to_owned(), reason: reason.to_owned() };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| match looks_like(bytes) {
            Some(kind) => foreign(kind),
            None => damaged(e.to_string()),
        })?;
        let Some(json) = header.metadata().as_ref().and_then(|m| m.get(ENTRY)) else {
            return Err(foreign("it is a SafeTensors file without the metadata of this program"));
        };
        let head: Head = serde_json::from_str(json).map_err(|e| damaged(format!("its metadata: {e}")))?;
        if head.format > FORMATS[1] {
            return Err(ModelError::Version { name: name.to_owned(), found: head.format, known: FORMATS[1] });
        }
        let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(e.to_string()))?;
        let tensors: BTreeMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
        let blank = json.replacen(&format!("\"checksum\":\"{}\"", head.checksum), "\"checksum\":\"\"", 1);
        if checksum(&blank, tensors.values().map(TensorView::data)) != head.checksum {
            return Err(damaged("its contents do not match its checksum".into()));
        }
        let Metadata { about, share, others, resume, .. } =
            serde_json::from_str(json).map_err(|e| damaged(format!("its metadata: {e}")))?;
        check(&about, share, &others, resume.is_some(), &tensors).map_err(damaged)?;
        let tensors = tensors.into_iter().map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())));
        Ok(Self { name: name.to_owned(), about, share, others, resume, tensors: tensors.collect() })
    }

    fn model(self, device: &Device) -> Result<Model, ModelError> {
        let Self { name, about, share, others, tensors, .. } = self;
        let build = |k: usize, about: About, share: f64| {
            let network = network(&about.network, &prefix(k), &tensors, device)
                .map_err(|reason| ModelError::Damaged { name: name.clone(), reason })?;
            Ok::<_, ModelError>((share, Model::new(about, network)))
        };
        let (_, mut model) = build(0, about, share)?;
        let others = others.into_iter().enumerate().map(|(k, other)| build(k + 1, other.about, other.share));
        (model.share, model.others) = (share, others.collect::<Result<_, _>>()?);
        Ok(model)
    }

    /// The metadata of a checkpoint, and the bytes of its network, its best network and its optimizer; `None` for a plain model.
    pub(crate) fn resume(mut self) -> Option<(Resume, [Vec<u8>; 3])> {
        let bytes = RESUME.map(|name| self.tensors.remove(name).map(|(_, bytes)| bytes).unwrap_or_default());
        Some((self.resume?, bytes))
    }
}

/// CRC-32 of the metadata and the tensors, in hexadecimal.
fn checksum<'a>(json: &str, tensors: impl Iterator<Item = &'a [u8]>) -> String {
    let mut crc = crc32fast::Hasher::new();
    crc.update(json.as_bytes());
    tensors.for_each(|bytes| crc.update(bytes));
    format!("{:08x}", crc.finalize())
}

/// The apparent kind of a file that is not a SafeTensors file, by its first bytes; `None` if it is not recognized.
fn looks_like(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [] => Some("it is empty"),
        [b'P', b'K', 3, 4, ..] => Some("it looks like a zip archive, as PyTorch and Keras write"),
        [0x80, 2..=5, ..] => Some("it looks like a Python pickle"),
        [0x89, b'H', b'D', b'F', ..] => Some("it looks like HDF5, as Keras writes"),
        [b'P', b'A', b'R', b'1', ..] => Some("it looks like Parquet"),
        [0x1f, 0x8b, ..] => Some("it looks like a gzip file"),
        _ if is_text(&bytes[..bytes.len().min(512)]) => Some("it looks like text"),
        _ => None,
    }
}

/// Whether bytes are text in UTF-8, whose last character may be cut off.
fn is_text(bytes: &[u8]) -> bool {
    let whole = match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(e) if e.error_len().is_none() => e.valid_up_to(),
        Err(_) => return false,
    };
    std::str::from_utf8(&bytes[..whole]).is_ok_and(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace()))
}

/// Shape and values of a tensor.
type Values = (Vec<usize>, Vec<f32>);

/// Every tensor of a network by name.
fn tensors(network: &FeedForward) -> Result<Vec<(String, Values)>, ModelError> {
    let tensor = |p: Parameter<'_>| -> Result<(String, Values), ModelError> {
        let values = p.values().try_into_vec_as().map_err(|e| TrainError::Device(e.to_string()))?;
        Ok((p.role.to_string(), (p.shape(), values)))
    };
    network.parameters().into_iter().map(tensor).collect()
}

/// Prefix of the names of the tensors of ensemble member `member`, counted from 0.
fn prefix(member: usize) -> String {
    if member == 0 { String::new() } else { format!("members.{member}.") }
}

/// Checks that `tensors` are exactly those of the described networks, plus those of a checkpoint if the file is one.
fn check(
    about: &About,
    share: f64,
    others: &[Other],
    is_checkpoint: bool,
    tensors: &BTreeMap<String, TensorView<'_>>,
) -> Result<(), String> {
    let mut expected = expected(about, "", tensors)?;
    let mut total = share;
    for (k, other) in others.iter().enumerate() {
        fits(about, &other.about)?;
        expected.extend(self::expected(&other.about, &prefix(k + 1), tensors)?);
        total += other.share;
    }
    let shares = || std::iter::once(share).chain(others.iter().map(|o| o.share));
    if !shares().all(|s| s > 0.0 && s <= 1.0) || (total - 1.0).abs() > 1e-6 {
        return Err(format!("the shares of its {} members do not add up to 1", others.len() + 1));
    }
    for (name, view) in tensors.iter().filter(|(name, _)| !expected.contains(*name)) {
        if !(is_checkpoint && RESUME.contains(&name.as_str()) && view.dtype() == Dtype::U8) {
            return Err(format!("the tensor {name} has no place in the network"));
        }
    }
    Ok(())
}

/// The names of the tensors of the network that `about` describes, if all are there with the right types and shapes; else what is wrong.
fn expected(
    about: &About,
    prefix: &str,
    tensors: &BTreeMap<String, TensorView<'_>>,
) -> Result<BTreeSet<String>, String> {
    let config = &about.network;
    if config.hidden.len() >= tensors.len() {
        return Err(format!("it has {} tensors for {} hidden layers", tensors.len(), config.hidden.len()));
    }
    config.validate().map_err(|e| e.to_string())?;
    let encoder = &about.encoder;
    if !encoder.is_sound() || encoder.width() != config.inputs || encoder.outputs() != config.outputs {
        return Err(format!(
            "its encoder makes {} inputs and {} outputs, its network has {} and {}",
            encoder.width(),
            encoder.outputs(),
            config.inputs,
            config.outputs
        ));
    }
    let numbers = if about.schema.task.is_classification() { 0 } else { encoder.outputs() };
    if !about.confidence.is_sound(numbers) {
        return Err("its temperature or its residuals are out of range".to_owned());
    }
    let mut names = BTreeSet::new();
    let shapes: BTreeMap<_, _> = config.tensors().into_iter().map(|(role, shape)| (role.to_string(), shape)).collect();
    for (name, shape) in shapes {
        let name = format!("{prefix}{name}");
        let Some(view) = tensors.get(&name) else { return Err(format!("the tensor {name} is missing")) };
        if view.dtype() != Dtype::F32 || view.shape() != shape.as_slice() {
            return Err(format!(
                "the tensor {name} is {:?} {:?}, the network needs F32 {shape:?}",
                view.dtype(),
                view.shape()
            ));
        }
        if !view.data().as_chunks::<4>().0.iter().all(|b| f32::from_le_bytes(*b).is_finite()) {
            return Err(format!("the tensor {name} holds NaN or infinite values"));
        }
        names.insert(name);
    }
    Ok(names)
}

/// Builds a network from its tensors.
fn network(
    config: &FeedForwardConfig,
    prefix: &str,
    tensors: &BTreeMap<String, (Vec<usize>, Vec<u8>)>,
    device: &Device,
) -> Result<FeedForward, String> {
    let mut network = config.clone().with_initializer(Initializer::Zeros).init(device).map_err(|e| e.to_string())?;
    for (role, _) in config.tensors() {
        let name = format!("{prefix}{role}");
        let Some((_, bytes)) = tensors.get(&name) else { return Err(format!("the tensor {name} is missing")) };
        network.set_values(role, bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect());
    }
    Ok(burn::module::Module::valid(&network))
}

#[cfg(test)]
mod tests {
    use super::*;
    use perceptra_nn::{Activation, Column, EmbeddingConfig, Extras, Norm, NumberEmbedding};

    #[test]
    fn tensors_of_equal_shapes_are_not_confused() {
        let device = Device::flex();
        let columns = vec![Column::Number, Column::Number, Column::Category(2), Column::Category(2)];
        let periodic = NumberEmbedding::Periodic { frequencies: 2, sigma: 1.0, width: 2 };
        let piecewise = NumberEmbedding::PiecewiseLinear { edges: vec![vec![0.0, 1.0]; 2], width: 2 };
        let embedded = |numbers| Some(EmbeddingConfig { columns: columns.clone(), numbers, category_width: 2 });
        for (norm, embedding, members) in [
            (Norm::None, None, 1),
            (Norm::Batch, None, 1),
            (Norm::Layer, embedded(NumberEmbedding::None), 1),
            (Norm::Batch, embedded(periodic.clone()), 1),
            (Norm::None, embedded(periodic), 8),
            (Norm::None, embedded(piecewise), 8),
        ] {
            let config = FeedForwardConfig::new(4, 8)
                .with_widths(&[8, 8], Activation::Tanh)
                .with_norm(norm)
                .with_parts(Some(Extras { embedding, input_scale: true, parametric: true, ntk: true, members }));
            let mut saved = config.init(&device).unwrap();
            for (i, (role, shape)) in config.tensors().into_iter().enumerate() {
                saved.set_values(role, (0..shape.iter().product()).map(|k| (1000 * i + k) as f32).collect());
            }
            let written = tensors(&saved).unwrap();
            let bytes = |(name, (shape, values)): &(String, Values)| {
                (name.clone(), (shape.clone(), values.iter().flat_map(|x| x.to_le_bytes()).collect()))
            };
            let loaded = network(&config, "", &written.iter().map(bytes).collect(), &device).unwrap();
            assert_eq!(tensors(&loaded).unwrap(), written);
            // All tensors have different values.
            let firsts: BTreeSet<u32> = written.iter().map(|(_, (_, values))| values[0] as u32).collect();
            assert_eq!(firsts.len(), config.tensors().len());
        }
    }
}
