//! Any bytes are a table or an error; a table has a schema or an error, and what is encoded is finite.
#![no_main]

use libfuzzer_sys::fuzz_target;
use perceptra_data::{DataError, Encoder, EncoderOptions, Scaling, Schema, SchemaOptions, Split, Table};

fuzz_target!(|bytes: &[u8]| {
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
    let scaling = [Scaling::Standard, Scaling::MinMax, Scaling::Robust, Scaling::Quantile][usize::from(choice) % 4];
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
});
