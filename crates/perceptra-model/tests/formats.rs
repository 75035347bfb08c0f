//! One table in five formats: models that are trained on each predict each, with the same bits.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use burn::tensor::Device;
use perceptra_data::Table;
use perceptra_model::{Model, RunConfig, Tables, train};

const ROWS: i64 = 120;
/// Beyond what 64-bit floats tell apart.
const LARGE: i64 = 9_007_199_254_740_993;

/// The cells of a row as a CSV file has them; none where a value is missing.
fn row(i: i64) -> Vec<Option<String>> {
    let day = chrono::DateTime::from_timestamp(i * 7 * 86_400, 0).unwrap();
    let time = chrono::DateTime::from_timestamp(i * 54_321, 0).unwrap();
    vec![
        Some(LARGE + i % 5).map(|x| x.to_string()),
        (i % 9 != 0).then(|| (i % 13).to_string()),
        (i % 11 != 0).then(|| (i as f64 / 8.0 - 3.0).to_string()),
        (i % 10 != 0).then(|| (i % 3 == 0).to_string()),
        (i % 12 != 0).then(|| day.format("%Y-%m-%d").to_string()),
        Some(time.format("%Y-%m-%d %H:%M:%S").to_string()),
        // NA and -999 are missing, and so is the empty text.
        Some(["red", "green", "NA", "blue"][i as usize % 4].to_owned()).filter(|text| text != "NA"),
        Some(if i % 17 == 0 { -999 } else { i % 6 }).map(|x| x.to_string()),
    ]
}

const NAMES: [&str; 8] = ["id", "int", "float", "flag", "day", "time", "color", "marked"];

/// The table as a record batch, with a target of whole numbers or of numbers.
fn batch(target: &[Option<String>]) -> RecordBatch {
    let rows: Vec<Vec<Option<String>>> = (0..ROWS).map(row).collect();
    let column = |j: usize| rows.iter().map(move |row| row[j].clone());
    let float = |text: Option<String>| text.map(|text| text.parse::<f64>().unwrap());
    let int = |text: Option<String>| text.map(|text| text.parse::<i64>().unwrap());
    let days = (0..ROWS).map(|i| (i % 12 != 0).then_some(i as i32 * 7));
    let times = (0..ROWS).map(|i| Some(i * 54_321 * 1_000_000_000));
    let whole = target.iter().flatten().all(|text| text.parse::<i64>().is_ok());
    let target: ArrayRef = match whole {
        true => Arc::new(target.iter().cloned().map(int).collect::<Int64Array>()),
        false => Arc::new(target.iter().cloned().map(float).collect::<Float64Array>()),
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(column(0).map(int).collect::<Int64Array>())),
        ("int", Arc::new(column(1).map(int).collect::<Int64Array>())),
        ("float", Arc::new(column(2).map(float).collect::<Float64Array>())),
        ("flag", Arc::new(column(3).map(|text| text.map(|text| text == "true")).collect::<BooleanArray>())),
        ("day", Arc::new(days.collect::<Date32Array>())),
        ("time", Arc::new(times.collect::<TimestampNanosecondArray>())),
        ("color", Arc::new(column(6).collect::<StringArray>())),
        ("marked", Arc::new(column(7).map(int).collect::<Int64Array>())),
        ("y", target),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn create(path: &Path) -> File {
    File::options().write(true).create_new(true).open(path).unwrap()
}

/// The files of the five formats.
fn files(folder: &Path, target: &[Option<String>]) -> Vec<PathBuf> {
    let path = |name: &str| folder.join(name);
    let mut csv = format!("{},y\n", NAMES.join(","));
    let mut json = String::new();
    for (i, y) in (0..ROWS).zip(target) {
        let cells: Vec<Option<String>> = row(i).into_iter().chain([y.clone()]).collect();
        csv += &(cells.iter().map(|cell| cell.clone().unwrap_or_default()).collect::<Vec<_>>().join(",") + "\n");
        let value = |(name, cell): (&&str, &Option<String>)| match cell {
            None => format!("\"{name}\": null"),
            Some(text) if ["day", "time", "color"].contains(name) => format!("\"{name}\": \"{text}\""),
            Some(text) => format!("\"{name}\": {text}"),
        };
        let members: Vec<String> = NAMES.iter().chain([&"y"]).zip(&cells).map(value).collect();
        json += &format!("{{{}}}\n", members.join(", "));
    }
    for (name, text) in [("t.csv", &csv), ("t.jsonl", &json)] {
        create(&path(name)).write_all(text.as_bytes()).unwrap();
    }
    let mut gz = flate2::write::GzEncoder::new(create(&path("t.csv.gz")), Default::default());
    gz.write_all(csv.as_bytes()).unwrap();
    gz.finish().unwrap();
    let batch = batch(target);
    let file = create(&path("t.parquet"));
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let file = create(&path("t.arrow"));
    let mut writer = arrow::ipc::writer::FileWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    ["t.csv", "t.csv.gz", "t.jsonl", "t.parquet", "t.arrow"].map(path).to_vec()
}

#[test]
fn every_format_trains_and_predicts_as_every_other() {
    let numbers = |i: i64| (i % 13) as f64 / 4.0 + (i % 5) as f64;
    let targets = [
        (0..ROWS).map(|i| Some(numbers(i).to_string())).collect::<Vec<_>>(),
        (0..ROWS).map(|i| Some((i * 5 % 3 + 1).to_string())).collect(),
    ];
    let device = Device::flex();
    for target in targets {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), &target);
        let mut run = RunConfig::new("t", ["y"]);
        run.data.schema.categorical = vec!["id".into()];
        run.data.read.missing.push("-999".into());
        run.network.hidden = vec![8];
        run.train.epochs = 3;
        let tables: Vec<Table> = files.iter().map(|path| Table::read(path, &run.data.read).unwrap()).collect();
        let models: Vec<Model> = (tables.iter())
            .map(|table| train(&run, &Tables::from(table.clone()), &device, &mut ()).unwrap().model)
            .collect();
        let bytes = models[0].to_bytes().unwrap();
        let expected = models[0].predict(&tables[0]).unwrap();
        assert_eq!(
            models[0].about().encoder.features().map(|(_, _, width)| width).sum::<usize>(),
            models[0].about().encoder.width()
        );
        for (model, trained) in models.iter().zip(&files) {
            assert_eq!(model.to_bytes().unwrap(), bytes, "trained on {}", trained.display());
            for (table, read) in tables.iter().zip(&files) {
                let predictions = model.predict(table).unwrap();
                assert_eq!(predictions, expected, "trained on {}, predicts {}", trained.display(), read.display());
            }
        }
    }
}
