//! Checks of the fuzz targets on one input each. The tests of the project replay the seeds through the same functions.

use std::collections::{BTreeMap, HashMap};

use burn::tensor::Device;
use perceptra_data::{DataError, Encoder, EncoderOptions, Scaling, Schema, SchemaOptions, Split, Table};
use perceptra_model::{Model, RunConfig};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

/// Any text is a run or an error; a run is written and read back as it is.
pub fn run_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let run = match RunConfig::from_toml("fuzz", text) {
        Ok(run) => run,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
            return;
        }
    };
    let _ = run.validate();
    let written = run.to_toml();
    let again = RunConfig::from_toml("again", &written).expect("what was written is read");
    // NaN is not equal to itself: compare what is written.
    assert_eq!(again.to_toml(), written);
}

/// Any bytes are a table or an error; a table has a schema or an error, and what is encoded is finite.
pub fn csv(bytes: &[u8]) {
    let Some((&choice, bytes)) = bytes.split_first() else { return };
    let table = match Table::from_csv("fuzz.csv", bytes, &Default::default()) {
        Ok(table) => table,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
            return;
        }
    };
    let columns = table.columns();
    let target = columns[usize::from(choice) % columns.len()].clone();
    let options = SchemaOptions { target: vec![target], ..SchemaOptions::default() };
    let Ok(schema) = Schema::infer(&table, &options) else { return };
    let Ok(labels) = Encoder::labels_of(&table, &schema) else { return };
    let Ok(split) = Split::holdout(table.rows(), 0.2, 0.2, None, 0) else { return };
    let scaling = Scaling::ALL[usize::from(choice) % Scaling::ALL.len()];
    let options = EncoderOptions { scaling, min_category_rows: 1, ..EncoderOptions::default() };
    let Ok(encoder) = Encoder::fit(&table.take(&split.train), &schema, labels, &options) else { return };
    assert!(encoder.is_sound());
    let whole = encoder.inputs(&table).expect("every row fits the schema that was inferred from it");
    assert!(whole.0.values.iter().all(|x| x.is_finite()));
    assert_eq!(whole.0.values.len(), table.rows() * encoder.width());
    match encoder.outputs_of(&table) {
        Ok(targets) => assert!(targets.values.iter().all(|x| x.is_finite())),
        Err(error) => assert!(matches!(error, DataError::FarTarget { .. }), "{error}"),
    }
}

/// Any bytes are a model or an error, and a model predicts.
///
/// Most changes to a file break its checksum, behind which the loader would never be tested. So the first byte chooses: the
/// rest is a file as it is; or it is a file whose checksum is set right; or it is a description in JSON, for which a file
/// with the tensors that it asks for is made.
pub fn model(bytes: &[u8]) {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let file = match choice % 3 {
        0 => rest.to_vec(),
        1 => match mended(rest) {
            Some(file) => file,
            None => return,
        },
        _ => match std::str::from_utf8(rest).ok().and_then(described) {
            Some(file) => file,
            None => return,
        },
    };
    match Model::from_bytes("fuzz", &file, &Device::flex()) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _ = error.hint();
        }
        Ok(model) => {
            let again = Model::from_bytes("again", &model.to_bytes().expect("a model is written"), &Device::flex());
            assert!(again.is_ok(), "what was written is read: {:?}", again.err());
            let columns: Vec<String> = model.about().schema.features.iter().map(|f| format!("{:?}", f.name)).collect();
            let row = vec!["1"; columns.len()].join(",");
            let Ok(table) = Table::from_csv("t", format!("{}\n{row}\n", columns.join(",")), &Default::default()) else {
                return;
            };
            if let Ok(predictions) = model.predict(&table) {
                assert_eq!(predictions.values.rows, 1);
            }
        }
    }
}

/// The entry with a checksum that is right.
fn with_checksum<'a>(json: &str, tensors: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let old = serde_json::from_str::<serde_json::Value>(json).ok()?.get("checksum")?.as_str()?.to_owned();
    let entry = |sum: &str| json.replacen(&format!("\"checksum\":\"{old}\""), &format!("\"checksum\":\"{sum}\""), 1);
    let mut crc = crc32fast::Hasher::new();
    crc.update(entry("").as_bytes());
    tensors.for_each(|bytes| crc.update(bytes));
    Some(entry(&format!("{:08x}", crc.finalize())))
}

fn written(tensors: &BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>, json: &str) -> Option<Vec<u8>> {
    let json = with_checksum(json, tensors.values().map(|(_, _, bytes)| bytes.as_slice()))?;
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect::<Result<_, safetensors::SafeTensorError>>();
    safetensors::serialize(views.ok()?, Some(HashMap::from([("perceptra".to_owned(), json)]))).ok()
}

/// A file with the right checksum for its contents.
fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let json = header.metadata().as_ref()?.get("perceptra")?;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let tensors = file
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect();
    written(&tensors, json)
}

/// A file with the tensors that the network in `json` asks for, as far as they are small.
fn described(json: &str) -> Option<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    let network = value.get("network")?;
    let number = |value: &serde_json::Value| value.as_u64().map(|n| n as usize);
    let mut widths = vec![number(network.get("inputs")?)?];
    for hidden in network.get("hidden")?.as_array()? {
        widths.push(number(hidden.get("width")?)?);
    }
    widths.push(number(network.get("outputs")?)?);
    let bias = network.get("bias").and_then(serde_json::Value::as_bool).unwrap_or(true);
    let mut tensors = BTreeMap::new();
    let mut tensor = |name: String, shape: Vec<usize>| {
        let count = shape.iter().try_fold(1usize, |n, width| n.checked_mul(*width)).filter(|n| *n < 4096)?;
        let bytes = (0..count).flat_map(|i| (i as f32 * 0.01).to_le_bytes()).collect();
        tensors.insert(name, (Dtype::F32, shape, bytes));
        Some(())
    };
    for (i, pair) in widths.windows(2).enumerate() {
        tensor(format!("layers.{i}.weight"), pair.to_vec())?;
        if bias {
            tensor(format!("layers.{i}.bias"), vec![pair[1]])?;
        }
    }
    written(&tensors, json)
}
