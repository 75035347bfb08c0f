//! Reading, understanding and encoding tables, good and bad.

use std::io::Write;

use approx::assert_abs_diff_eq;
use proptest::prelude::*;

use crate::*;

fn csv(text: &str) -> Result<Table, DataError> {
    Table::from_csv("t.csv", text, &ReadOptions::default())
}

fn target(name: &str) -> SchemaOptions {
    SchemaOptions { target: vec![name.into()], ..Default::default() }
}

fn schema_error(text: &str, options: &SchemaOptions) -> String {
    match csv(text).and_then(|t| Schema::infer(&t, options)) {
        Ok(schema) => panic!("no error: {schema:?}"),
        Err(e) => match e.hint() {
            Some(hint) => format!("{e} | {hint}"),
            None => e.to_string(),
        },
    }
}

fn encode(text: &str, options: &SchemaOptions, encoding: &EncoderOptions) -> (Encoder, Matrix) {
    let table = csv(text).unwrap();
    let schema = Schema::infer(&table, options).unwrap();
    let labels = Encoder::labels_of(&table, &schema).unwrap();
    let encoder = Encoder::fit(&table, &schema, labels, encoding).unwrap();
    let inputs = encoder.inputs(&table).unwrap().0;
    (encoder, inputs)
}

/// The columns of a table with their values as text.
fn contents(table: &Table) -> Vec<(String, Vec<Option<String>>)> {
    table.columns().into_iter().map(|name| (name.clone(), table.texts(&name, &Default::default()).unwrap())).collect()
}

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::File::create_new(&path).unwrap().write_all(bytes).unwrap();
    (folder, path)
}

fn read_error(bytes: &[u8]) -> String {
    let (folder, path) = file("t.csv", bytes);
    let error = Table::read(&path, &ReadOptions::default()).unwrap_err();
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn each_file_that_is_no_table_has_its_message() {
    let table: [(&[u8], &str); 12] = [
        (b"", "t.csv: the file is empty"),
        (b"a,b\n", "t.csv: there is a header but no row of data"),
        (b"a,b", "t.csv: there is a header but no row of data"),
        (b"a,b\n1,2\n1,2,3\n", "t.csv:3: 3 fields, the header has 2"),
        (b"a,b\n\"x\ny\",2\n1\n", "t.csv:4: 1 fields, the header has 2"),
        (b"a,b\n1,\"open\n2,3\n4,5\n", "t.csv:2: the quote opened in this row never closes"),
        (b"a,b,a\n1,2,3\n", "t.csv: columns 1 and 3 are both named \"a\""),
        (b"a,b\n1,2\n3,caf\xe9\n", "t.csv:3, column \"b\": byte 4 of the field is not UTF-8"),
        (b"\xff\xfea\0,\0b\0", "t.csv: this looks like UTF-16 text, not like a table this program reads"),
        (
            b"PK\x03\x04rest",
            "t.csv: this looks like a zip archive that is no workbook, not like a table this program reads",
        ),
        (b"<!DOCTYPE html>\n<p>", "t.csv: this looks like a web page, not like a table this program reads"),
        (b"a\0,b\n1,2\n", "t.csv: this looks like binary data, not like a table this program reads"),
    ];
    for (bytes, message) in table {
        assert_eq!(read_error(bytes), message);
    }
    assert!(read_error(b"PAR1 and then nothing").starts_with("t.csv: the Parquet file is damaged"));
    assert!(read_error(b"ARROW1 and then nothing").starts_with("t.csv: the Arrow IPC file is damaged"));
    let folder = tempfile::tempdir().unwrap();
    let none = Table::read(&folder.path().join("none.csv"), &ReadOptions::default()).unwrap_err();
    assert!(matches!(none, DataError::NotFound { .. }), "{none}");
    let is_folder = Table::read(folder.path(), &ReadOptions::default()).unwrap_err();
    assert!(matches!(is_folder, DataError::IsFolder { .. }), "{is_folder}");
}

#[test]
fn dialects_are_one_table() {
    let expected = contents(&csv("a,b\n1,x\n2,y z\n").unwrap());
    let dialects: [&[u8]; 6] = [
        b"\xef\xbb\xbfa,b\r\n1,x\r\n2,y z\r\n",
        b"a;b\n1;x\n2;\"y z\"",
        b"a\tb\n1\tx\n2\ty z\n\n\n",
        b"a|b\n1|x\n2|y z\n",
        b"a,b\r1,x\r2,y z\r",
        b"\"a\",\"b\"\n\n\"1\",\"x\"\n2,y z\n",
    ];
    for bytes in dialects {
        let (_folder, path) = file("t.csv", bytes);
        let table = Table::read(&path, &ReadOptions::default()).unwrap();
        assert_eq!(contents(&table), expected, "{:?}", String::from_utf8_lossy(bytes));
    }
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(b"a,b\n1,x\n2,y z\n").unwrap();
    let (_folder, path) = file("t.csv.gz", &gz.finish().unwrap());
    assert_eq!(contents(&Table::read(&path, &ReadOptions::default()).unwrap()), expected);
    let options = ReadOptions { comment: Some('#'), delimiter: Some(' '.into()), ..Default::default() };
    let table = Table::from_csv("t", "# first\na b\n1 x\n# 9 9\n2 \"y z\"\n", &options).unwrap();
    assert_eq!(contents(&table), expected);
}

#[test]
fn arrow_files_give_the_same_encoding_as_csv() {
    use arrow::array::{ArrayRef, BooleanArray, Date32Array, Int64Array, RecordBatch, StringArray};
    use std::sync::Arc;
    let batch = RecordBatch::try_from_iter([
        ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(4), Some(7)])) as ArrayRef),
        ("c", Arc::new(StringArray::from(vec!["u", "v", "u", "v"])).clone()),
        (
            "d",
            Arc::new(
                arrow::compute::cast(
                    &StringArray::from(vec!["p", "q", "p", "q"]),
                    &arrow::datatypes::DataType::Dictionary(
                        Box::new(arrow::datatypes::DataType::Int8),
                        Box::new(arrow::datatypes::DataType::Utf8),
                    ),
                )
                .unwrap(),
            )
            .clone(),
        ),
        ("t", Arc::new(BooleanArray::from(vec![true, false, false, true]))),
        ("when", Arc::new(Date32Array::from(vec![0, 1, 365, 20_000]))),
        ("y", Arc::new(arrow::array::Float32Array::from(vec![1.5, f32::NAN, 2.5, 4.0]))),
    ])
    .unwrap();
    let mut parquet_bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut parquet_bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut ipc_bytes = Vec::new();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut ipc_bytes, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    let text = "n,c,d,t,when,y\n1,u,p,true,1970-01-01,1.5\n,v,q,FALSE,1970-01-02,NaN\n4,u,p,false,1971-01-01,2.5\n7,v,q,True,\
                2024-10-04,4\n";
    let options = target("t");
    let (encoder, expected) = encode(text, &options, &EncoderOptions::default());
    for bytes in [parquet_bytes, ipc_bytes] {
        let (_folder, path) = file("table", &bytes);
        let table = Table::read(&path, &ReadOptions::default()).unwrap();
        assert_eq!(encoder.inputs(&table).unwrap().0, expected);
        assert_eq!(encoder.class_numbers(&table).unwrap(), [1, 0, 0, 1]);
        let schema = Schema::infer(&table, &options).unwrap();
        assert_eq!(schema, Schema::infer(&csv(text).unwrap(), &options).unwrap());
    }
}

#[test]
fn parquet_cut_off_anywhere_is_an_error() {
    use arrow::array::{ArrayRef, Int32Array, RecordBatch};
    let batch =
        RecordBatch::try_from_iter([("a", std::sync::Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    for length in 4..bytes.len() {
        let (_folder, path) = file("t.parquet", &bytes[..length]);
        assert!(Table::read(&path, &ReadOptions::default()).is_err(), "{length} bytes");
    }
}

#[test]
fn kinds_and_tasks_are_inferred_and_can_be_forced() {
    let text = "id,n,b,c,d,k\nu1,1,true,x,2024-01-01,3\nu2,2.5,false,y,2024-01-02,3\nu3,-1e3,true,x,2024-01-03,3\n";
    let table = csv(text).unwrap();
    let kinds = |schema: &Schema| schema.features.iter().map(|f| (f.name.clone(), f.kind)).collect::<Vec<_>>();
    let schema = Schema::infer(&table, &target("n")).unwrap();
    assert_eq!(schema.task, Task::Regression);
    let kind = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(
        kinds(&schema),
        [
            kind("id", ColumnKind::Categorical),
            kind("b", ColumnKind::Boolean),
            kind("c", ColumnKind::Categorical),
            kind("d", ColumnKind::Date)
        ]
    );
    assert_eq!(schema.dropped, [("k".to_owned(), "it has one value only".to_owned())]);
    assert_eq!(Schema::infer(&table, &target("b")).unwrap().task, Task::Binary);
    let asked = SchemaOptions { task: Some(Task::Multiclass), ..target("b") };
    assert_eq!(Schema::infer(&table, &asked).unwrap().task, Task::Binary);
    assert_eq!(Schema::infer(&table, &target("id")).unwrap().task, Task::Multiclass);
    let forced = SchemaOptions { categorical: vec!["n".into()], ignore: vec!["id".into()], ..target("c") };
    assert_eq!(kinds(&Schema::infer(&table, &forced).unwrap())[0], kind("n", ColumnKind::Categorical));

    // Whole numbers: few are classes, many are numbers, and the task can be forced.
    let few: String = (0..60).map(|i| format!("{i},{}\n", i % 3)).collect();
    let table = csv(&format!("x,y\n{few}")).unwrap();
    assert_eq!(Schema::infer(&table, &target("y")).unwrap().task, Task::Multiclass);
    let forced = SchemaOptions { task: Some(Task::Regression), ..target("y") };
    assert_eq!(Schema::infer(&table, &forced).unwrap().task, Task::Regression);
    assert_eq!(Schema::infer(&table, &target("x")).unwrap().task, Task::Regression);
    // Texts that identify rows are left out unless they are asked for.
    let names: String = (0..60).map(|i| format!("name {i},{i}.5\n")).collect();
    let text = format!("x,y\n{names}");
    assert!(schema_error(&text, &target("y")).contains("identify rows"));
    let keep = SchemaOptions { categorical: vec!["x".into()], ..target("y") };
    assert_eq!(Schema::infer(&csv(&text).unwrap(), &keep).unwrap().features.len(), 1);
}

#[test]
fn each_wrong_column_has_its_message() {
    let numbers: String = (0..40).map(|i| format!("{i},{}\n", i * 2)).collect();
    let with = |row: &str| format!("age,y\n{numbers}{row}\n");
    let table: Vec<(String, SchemaOptions, &str)> = vec![
        ("a,income\n1,2\n".into(), target("incone"), "t.csv: there is no column \"incone\" | did you mean \"income\"?"),
        ("a,y\n1,5\n2,5\n".into(), target("y"), "the target \"y\" is 5 in every row: there is nothing to learn"),
        (
            "a,y\n1,5\n2,\n3,?\n".into(),
            target("y"),
            "t.csv:3, column \"y\": the target is missing (2 such values in the column) | \"?\" is taken as missing: keep the text as a value, or remove the rows without a target",
        ),
        (
            "a,y\n1,5\n2,1e400\n".into(),
            SchemaOptions { task: Some(Task::Regression), ..target("y") },
            "t.csv:3, column \"y\": 1e400 is not finite in 32-bit floats | remove or replace the value, or leave it empty to have it imputed",
        ),
        (
            with("abc,1"),
            target("y"),
            "t.csv:42, column \"age\": \"abc\" is not a number | take \"abc\" as a missing value, or column \"age\" as categorical, or ignore the column",
        ),
        (
            "a,y\nx,1\ny,2\n".into(),
            SchemaOptions { numeric: vec!["y".into(), "nope".into()], ..target("a") },
            "t.csv: there is no column \"nope\"",
        ),
        (
            "a,y\n,1\n,2\n".into(),
            SchemaOptions { numeric: vec!["a".into()], ..target("y") },
            "column \"a\" has no value at all | ignore column \"a\"",
        ),
        ("a,y\n,1\n,2\n".into(), target("y"), "no usable feature column is left: \"a\": it has no value at all"),
        (
            "a:y\n1:1\n2:2\n".into(),
            target("y"),
            "t.csv: there is no column \"y\" | the table has one column only: set the separator",
        ),
        ("a,y\n1,1\n1,2\n".into(), target("y"), "no usable feature column is left: \"a\": it has one value only"),
        (
            "y\n1\n2\n".into(),
            target("y"),
            "no usable feature column is left: the table has no column besides those with another role",
        ),
        (
            "a,y\n1,1\n2,2\n".into(),
            SchemaOptions { ignore: vec!["y".into()], ..target("y") },
            "column \"y\" cannot be the target and ignored at once",
        ),
        (
            "a,y\n1,x\n2,z\n".into(),
            SchemaOptions { task: Some(Task::Regression), ..target("y") },
            "t.csv:2, column \"y\": \"x\" is not a number (2 such values in the column, the next in line 3) | choose another task, or have it inferred: regression, binary, multiclass",
        ),
        (
            "a,y\n1,x\n2,z\n3,w\n".into(),
            SchemaOptions { task: Some(Task::Binary), ..target("y") },
            "the target \"y\" does not fit the task binary: it has 3 different values | choose another task, or have it inferred: regression, binary, multiclass",
        ),
        (
            "a,y,z\n1,x,1\n2,z,2\n3,w,3\n".into(),
            SchemaOptions { target: vec!["y".into(), "z".into()], ..Default::default() },
            "the target \"y\" does not fit the task regression: several targets must all be numbers | choose another task, or have it inferred: regression, binary, multiclass",
        ),
        (
            "a,y\n11/12/2024,1\n01/02/2024,2\n".into(),
            target("y"),
            "column \"a\" has dates such as \"11/12/2024\": is the day first, or the month? | set the order of dates to day-first or month-first, or ignore column \"a\", or take it as categorical",
        ),
    ];
    for (text, options, message) in table {
        assert_eq!(schema_error(&text, &options), message);
    }
}

#[test]
fn values_that_do_not_fit_are_found_with_their_place() {
    let (encoder, _) = encode("n,c,y\n1,u,0.5\n2,v,1.5\n3,u,2.5\n", &target("y"), &EncoderOptions::default());
    let inputs = |text: &str| encoder.inputs(&csv(text).unwrap());
    assert_eq!(
        inputs("c,n\nu,1\nv,\"2\n\"\nu,x\n").unwrap_err().to_string(),
        "t.csv:5, column \"n\": \"x\" is not a number"
    );
    assert_eq!(
        inputs("c,n\nu,inf\n").unwrap_err().to_string(),
        "t.csv:2, column \"n\": inf is not finite in 32-bit floats"
    );
    let error = inputs("N,extra\n1,2\n").unwrap_err();
    assert_eq!(error.to_string(), "t.csv: 2 columns that the model needs are missing: \"n\", \"c\"");
    assert_eq!(error.hint(), Some(Hint::DidYouMean("N".into())));
    // A column that the model has a use for is not a misspelt one.
    let (encoder, _) = encode("width,width_2,y\n1,5,0.5\n2,6,1.5\n3,8,2.5\n", &target("y"), &EncoderOptions::default());
    assert_eq!(encoder.inputs(&csv("width,y\n1,2\n").unwrap()).unwrap_err().hint(), None);
    let weights = |text: &str| csv(text).unwrap().row_weights("w").unwrap_err().to_string();
    assert_eq!(weights("a,w\n1,1\n1,-2\n"), "t.csv:3, column \"w\": the weight -2 is below 0");
    assert_eq!(weights("a,w\n1,1\n1,\n"), "t.csv:3, column \"w\": the weight is missing");
    let (classes, _) = encode("n,y\n1,u\n2,v\n", &target("y"), &EncoderOptions::default());
    let error = classes.class_numbers(&csv("n,y\n1,w\n").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "t.csv:2, column \"y\": the class \"w\" did not occur in training");
}

#[test]
fn columns_are_encoded_as_documented() {
    let text = "n,b,c,y\n1,true,red,1\n,false,red,2\n3,,blue,3\n5,true,,4\n3,true,rare,5\n";
    let options = EncoderOptions { min_category_rows: 1, ..Default::default() };
    let (encoder, x) = encode(text, &target("y"), &options);
    assert_eq!(encoder.input_names(), ["n", "n (missing)", "b", "c=blue", "c=rare", "c=red", "c (missing)"]);
    // n: mean 3, standard deviation √2 of 1, 3, 5, 3.
    let s = 2f32.sqrt();
    let expected = [
        [-s, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [s, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0],
    ];
    for (got, want) in x.values.iter().zip(expected.as_flattened()) {
        assert_abs_diff_eq!(*got, *want, epsilon = 1e-6);
    }
    // Rare ones share an input, which unseen ones take too; both are counted. What is missing as rarely has no input of its own.
    let options = EncoderOptions { min_category_rows: 2, ..options };
    let (encoder, _) = encode(text, &target("y"), &options);
    assert_eq!(encoder.input_names(), ["n", "b", "c=red", "c (other)"]);
    let (x, report) = encoder.inputs(&csv("c,b,n\ngreen,true,3\nNA,,\n").unwrap()).unwrap();
    assert_eq!(x.values, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(report.unseen, [("c".to_owned(), 1)]);
    assert_eq!(report.missing, ["n", "b", "c"].map(|c| (c.to_owned(), 1)));
}

fn close(got: Vec<f32>, want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (g, w) in got.into_iter().zip(want) {
        assert_abs_diff_eq!(f64::from(g), *w, epsilon = 1e-5);
    }
}

#[test]
fn scalings_by_hand() {
    let values = |scaling, test: &str| {
        let text = "n,y\n0,1\n1,2\n2,3\n3,4\n4,5\n";
        let options = EncoderOptions { scaling, ..Default::default() };
        let (encoder, _) = encode(text, &target("y"), &options);
        encoder.inputs(&csv(&format!("n\n{test}\n")).unwrap()).unwrap().0.values
    };
    close(values(Scaling::Standard, "2\n4\n1000\n-1000"), &[0.0, 2f64.sqrt(), 6.0, -6.0]);
    close(values(Scaling::MinMax, "0\n1\n6"), &[0.0, 0.25, 1.5]);
    // Median 2, quartiles 1 and 3: z = 1 at 4, then 1/√(1+1/9).
    close(values(Scaling::Robust, "2\n4\n1e9"), &[0.0, (10.0f64 / 9.0).powf(-0.5), 3.0]);
    // Quantile ½ at 2, ¾ at 3, between them by line, and the middle of the first and of the last fifth at the ends:
    // Φ⁻¹ by scipy.stats.norm.ppf.
    let ends = [-1.281_552, -1.281_552, 1.281_552];
    close(values(Scaling::Quantile, "2\n3\n2.5"), &[0.0, 0.674_490, 0.318_639]);
    close(values(Scaling::Quantile, "0\n-9\n9"), &ends);
    close(values(Scaling::None, "2\n-7.5"), &[2.0, -7.5]);
}

#[test]
fn quantiles_of_values_that_occur_often() {
    let values = |training: &str, test: &str| {
        let options = EncoderOptions { scaling: Scaling::Quantile, ..Default::default() };
        let (encoder, _) = encode(&format!("n,y\n{training}"), &target("y"), &options);
        encoder.inputs(&csv(&format!("n\n{test}\n")).unwrap()).unwrap().0.values
    };
    // Of ten rows four are 0 and three are 4: the middles of their ranks are 0.2 and 0.85.
    let training = "0,1\n0,2\n0,3\n0,4\n1,5\n2,6\n3,7\n4,8\n4,9\n4,10\n";
    close(values(training, "0\n-1\n4\n4.5"), &[-0.841_621, -0.841_621, 1.036_433, 1.036_433]);
    // Nine in ten of a hundred rows are 0: their middle is 0.45; the one in ten, 0.95, is not a far outlier.
    let training: String = (0..100).map(|i| format!("{},{i}\n", u8::from(i % 10 == 0))).collect();
    close(values(&training, "0\n1\n7"), &[-0.125_661, 1.644_854, 1.644_854]);
    // One value in all training rows, though not in the table: it and others say nothing.
    let table = csv("n,y\n3,1\n3,2\n5,3\n-5,4\n").unwrap();
    let schema = Schema::infer(&table, &target("y")).unwrap();
    let options = EncoderOptions { scaling: Scaling::Quantile, ..Default::default() };
    let encoder = Encoder::fit(&table.take(&[0, 1]), &schema, None, &options).unwrap();
    close(encoder.inputs(&table).unwrap().0.values, &[0.0; 4]);
}

#[test]
fn targets_round_trip_in_their_own_units() {
    let options = SchemaOptions { target: vec!["y".into(), "z".into()], ..Default::default() };
    let text = "x,y,z\n1,1000,0.001\n2,3000,0.002\n3,2000,0.006\n";
    let (encoder, _) = encode(text, &options, &EncoderOptions::default());
    let table = csv(text).unwrap();
    let y = encoder.outputs_of(&table).unwrap();
    assert_eq!((y.rows, y.columns, encoder.outputs()), (3, 2, 2));
    let first: f32 = y.values.iter().step_by(2).sum();
    assert_abs_diff_eq!(first, 0.0, epsilon = 1e-6);
    let truth = [1000.0, 0.001, 3000.0, 0.002, 2000.0, 0.006];
    assert_eq!(encoder.numbers_of(&table).unwrap().values, truth);
    for (got, want) in encoder.decode(&y).values.iter().zip(truth) {
        assert_abs_diff_eq!(*got, want, epsilon = want * 1e-5);
    }
    // Two classes are one output; numbers are ordered as numbers.
    let (binary, _) = encode("x,y\n1,no\n2,yes\n3,no\n", &target("y"), &EncoderOptions::default());
    assert_eq!((binary.outputs(), binary.labels().unwrap()), (1, &["no".to_owned(), "yes".to_owned()][..]));
    let (three, _) = encode("x,y\n1,10\n2,9\n3,2\n", &target("y"), &EncoderOptions::default());
    assert_eq!((three.outputs(), three.labels().unwrap().join(",")), (3, "2,9,10".to_owned()));
    assert_eq!(three.outputs_of(&csv("x,y\n1,9\n").unwrap()).unwrap().values, [0.0, 1.0, 0.0]);
}

#[test]
fn extreme_scales_encode_to_finite_numbers() {
    for scaling in Scaling::ALL.iter().copied().filter(|scaling| *scaling != Scaling::None) {
        for scale in ["e-30", "e30", "e-38", "e37"] {
            let rows: String = (1..20).map(|i| format!("{i}{scale},{i}\n")).collect();
            let options = EncoderOptions { scaling, ..Default::default() };
            let (_, x) = encode(&format!("n,y\n{rows}"), &target("y"), &options);
            assert!(x.values.iter().all(|v| v.is_finite()), "{scaling:?} {scale}");
            let spread =
                x.values.iter().copied().fold(f32::MIN, f32::max) - x.values.iter().copied().fold(f32::MAX, f32::min);
            assert!((0.9..12.0).contains(&spread), "{scaling:?} {scale}: {spread}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_a_table_or_an_error(text in "[a-c,;\"\n\r 0-9.#-]{0,80}") {
        let _ = csv(&text).map(|table| Schema::infer(&table, &target("a")).map(|schema| {
            let labels = Encoder::labels_of(&table, &schema).unwrap();
            let encoder = Encoder::fit(&table, &schema, labels, &EncoderOptions::default());
            if let Ok(encoder) = encoder {
                let (inputs, _) = encoder.inputs(&table).unwrap();
                assert!(inputs.values.iter().all(|v| v.is_finite()));
            }
        }));
    }

    #[test]
    fn fields_round_trip_through_quotes(cells in prop::collection::vec("[ -~äß\n]{0,8}", 4..=4)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b", "c"]).unwrap();
        // A row without any value would be left out.
        for row in cells.chunks(2) {
            writer.write_record(row.iter().map(String::as_str).chain(["x"])).unwrap();
        }
        let options = ReadOptions { missing: Vec::new(), ..Default::default() };
        let table = Table::from_csv("t", writer.into_inner().unwrap(), &options).unwrap();
        for (i, cell) in cells.iter().enumerate() {
            let read = table.column(["a", "b"][i % 2]).unwrap().written().nth(i / 2).flatten();
            prop_assert_eq!(read.unwrap_or_default(), if cell.trim().is_empty() { "" } else { cell });
        }
    }
}

#[test]
fn each_way_of_writing_a_number_has_its_rule() {
    let read = |field: &str| {
        let options = ReadOptions { delimiter: Some(';'.into()), ..Default::default() };
        let (encoder, _) = encode(
            "n,y\n0,1\n1,2\n2,3\n",
            &target("y"),
            &EncoderOptions { scaling: Scaling::None, ..Default::default() },
        );
        let table = Table::from_csv("t.csv", format!("n;m\n{field};x\n"), &options).unwrap();
        encoder.inputs(&table).map(|(x, report)| (x.values[0], report.missing.len())).map_err(|e| e.to_string())
    };
    for (field, value) in [(" 1.5 ", 1.5), ("-0", -0.0), ("1e-50", 0.0), ("+.5", 0.5), ("1E3", 1000.0), ("\" 7\"", 7.0)]
    {
        assert_eq!(read(field), Ok((value, 0)), "{field}");
    }
    for field in ["NaN", "nan", "", " ", "NA", "null"] {
        // The mean in its place, and counted.
        assert_eq!(read(field), Ok((1.0, 1)), "{field}");
    }
    for field in ["inf", "-Infinity", "1e400", "1e39"] {
        let message = format!("t.csv:2, column \"n\": {field} is not finite in 32-bit floats");
        assert_eq!(read(field), Err(message));
    }
    for field in ["0x10", "1_000", "1,5", "1 000", "one", "--1"] {
        assert_eq!(read(field), Err(format!("t.csv:2, column \"n\": {field:?} is not a number")));
    }
}

#[test]
fn a_row_without_end_is_an_error_and_not_all_the_memory() {
    // A field of 10 MB is a field like others; a row of more than 64 MiB is none.
    let long = "x".repeat(10 << 20);
    let table = csv(&format!("a,b\n1,{long}\n2,y\n")).unwrap();
    assert_eq!((table.rows(), table.value_counts("b", false).unwrap().len()), (2, 2));
    struct Endless(usize);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len();
            assert!(self.0 < 100 << 20, "it is read on and on");
            buffer.fill(b'7');
            Ok(buffer.len())
        }
    }
    let ten = || crate::read::Reading { rows: 10, ..Default::default() };
    let input = std::io::Read::chain(&b"a,b\n1,2\n3,"[..], Endless(0));
    let mut reader = TableReader::from_stream("t.csv".into(), Box::new(input), &ReadOptions::default(), ten()).unwrap();
    let error = reader.next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "t.csv:3: the row is longer than 64 MiB");
    let error = TableReader::from_stream("t.csv".into(), Box::new(Endless(0)), &ReadOptions::default(), ten()).err();
    assert!(matches!(error, Some(DataError::RowTooLong { line: 1, .. })), "{error:?}");
}

#[test]
fn columns_without_a_value_in_the_training_rows_say_nothing() {
    let table = csv("a,b,y\n,1,1\n,2,2\n5,3,3\n").unwrap();
    let schema = Schema::infer(&table, &target("y")).unwrap();
    for &scaling in Scaling::ALL {
        let options = EncoderOptions { scaling, min_category_rows: 2, ..Default::default() };
        let encoder = Encoder::fit(&table.take(&[0, 1]), &schema, None, &options).unwrap();
        let (x, _) = encoder.inputs(&table).unwrap();
        assert_eq!((x.values[0], x.values[1], x.values[6], x.values[7]), (0.0, 1.0, 0.0, 0.0), "{scaling:?}");
    }
}

#[test]
fn far_values_stay_numbers_or_are_named() {
    // Found by the fuzz target `csv`: targets that are alike in the training rows, and one elsewhere that is not.
    let table = csv("x,y\n1,1e-30\n2,2e-30\n3,1e30\n1e30,0\n").unwrap();
    let schema = Schema::infer(&table, &target("y")).unwrap();
    for &scaling in Scaling::ALL {
        let options = EncoderOptions { scaling, min_category_rows: 2, ..Default::default() };
        let encoder = Encoder::fit(&table.take(&[0, 1]), &schema, None, &options).unwrap();
        assert!(encoder.inputs(&table).unwrap().0.values.iter().all(|x| x.is_finite()), "{scaling:?}");
        let error = encoder.outputs_of(&table).unwrap_err();
        let message =
            format!("t.csv:4, column \"y\": the target {} lies too far from those of the training rows", 1e30);
        assert_eq!(error.to_string(), message);
        assert!(error.hint().is_some());
    }
}

/// The same rows in the formats that can be streamed.
fn streamable(rows: usize) -> Vec<(&'static str, tempfile::TempDir, std::path::PathBuf)> {
    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use std::sync::Arc;
    let name = |i: usize| format!("a \"b\"\nline {i}, é");
    let text: String = (0..rows).map(|i| format!("{i},\"{}\"\r\n", name(i).replace('"', "\"\""))).collect();
    let text = format!("\u{feff}n,t\r\n# a comment\r\n{text}");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let batch = |range: std::ops::Range<usize>| {
        arrow::array::RecordBatch::try_from_iter([
            ("n", Arc::new(range.clone().map(|i| i as f64).collect::<Float64Array>()) as ArrayRef),
            ("t", Arc::new(range.map(|i| Some(name(i))).collect::<StringArray>())),
        ])
        .unwrap()
    };
    let mut parquet_bytes = Vec::new();
    let properties =
        parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(25)).build();
    let schema = batch(0..1).schema();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut parquet_bytes, schema.clone(), Some(properties)).unwrap();
    writer.write(&batch(0..rows)).unwrap();
    writer.close().unwrap();
    let mut ipc_bytes = Vec::new();
    let mut writer = arrow::ipc::writer::FileWriter::try_new(&mut ipc_bytes, &schema).unwrap();
    (0..rows).step_by(9).for_each(|i| writer.write(&batch(i..(i + 9).min(rows))).unwrap());
    writer.finish().unwrap();
    let mut files = Vec::new();
    for (format, bytes) in
        [("csv", text.into_bytes()), ("csv.gz", gz.finish().unwrap()), ("parquet", parquet_bytes), ("arrow", ipc_bytes)]
    {
        let (folder, path) = file(&format!("t.{format}"), &bytes);
        files.push((format, folder, path));
    }
    files
}

#[test]
fn a_stream_has_the_rows_of_the_table_in_any_order_of_its_pieces() {
    let options = ReadOptions { comment: Some('#'), ..Default::default() };
    let texts = |table: &Table, column: &str| {
        let column = table.column(column).unwrap();
        (0..table.rows()).map(|row| column.text(row).unwrap().into_owned()).collect::<Vec<_>>()
    };
    for (format, _folder, path) in streamable(100) {
        let whole = Table::read(&path, &options).unwrap();
        let mut first = Vec::new();
        let stream = TableStream::open(&path, &options, 8, |row, table| {
            first.push((row, texts(&table, "t"), (0..table.rows()).map(|r| table.place(r)).collect::<Vec<_>>()));
            Ok(())
        })
        .unwrap();
        assert_eq!(first.iter().flat_map(|(_, t, _)| t.clone()).collect::<Vec<_>>(), texts(&whole, "t"), "{format}");
        let places: Vec<_> = first.iter().flat_map(|(.., places)| places.clone()).collect();
        assert_eq!(places, (0..100).map(|row| whole.place(row)).collect::<Vec<_>>(), "{format}");
        stream
            .read(|pieces| {
                assert_eq!(pieces, first.len());
                Vec::new()
            })
            .unwrap();
        assert!(first.len() >= 11, "{format}: {}", first.len());
        for round in 0..3 {
            let order =
                perceptra_random::Stream::new(round, perceptra_random::Purpose::Pieces, 1).permutation(first.len());
            let again: Vec<_> = stream
                .read(|_| order.clone())
                .unwrap()
                .map(|piece| {
                    let (row, table) = piece.unwrap();
                    (row, texts(&table, "t"), (0..table.rows()).map(|r| table.place(r)).collect::<Vec<_>>())
                })
                .collect();
            let expected: Vec<_> = match format {
                "csv.gz" => first.clone(),
                _ => order.iter().map(|&piece| first[piece as usize].clone()).collect(),
            };
            assert_eq!(again, expected, "{format}");
        }
    }
}

#[test]
fn a_stream_notices_that_its_file_has_changed_and_not_that_it_was_replaced() {
    let rows = |n: usize| (0..n).map(|i| format!("{i}\n")).collect::<String>();
    let (folder, path) = file("t.csv", format!("n\n{}", rows(50)).as_bytes());
    let stream = TableStream::open(&path, &ReadOptions::default(), 8, |_, _| Ok(())).unwrap();
    let other = folder.path().join("other.csv");
    std::fs::File::create_new(&other).unwrap().write_all(b"n\n1\n").unwrap();
    std::fs::rename(&other, &path).unwrap();
    assert_eq!(stream.read(|_| vec![0, 6]).unwrap().map(|p| p.unwrap().1.rows()).collect::<Vec<_>>(), [8, 2]);
    let stream = TableStream::open(&path, &ReadOptions::default(), 8, |_, _| Ok(())).unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
    assert!(matches!(stream.read(|_| vec![0]), Err(DataError::Changed { .. })));
    for (path, expected) in [("-", "ReadOnce"), ("/dev/null", "ReadOnce"), ("/none", "NotFound")] {
        let error = TableStream::open(std::path::Path::new(path), &ReadOptions::default(), 8, |_, _| Ok(())).err();
        assert!(format!("{error:?}").contains(expected), "{path}: {error:?}");
    }
}

#[test]
fn a_sample_keeps_the_smallest_keys_in_the_order_of_the_rows() {
    let rows: String = (0..1000).map(|i| format!("{i}\n")).collect();
    let table = csv(&format!("n\n{rows}")).unwrap();
    let key = |i: u32| ((i * 7919) % 1000) as f32;
    let mut sample = Sample::new(30);
    for start in (0..1000).step_by(100) {
        let part: Vec<u32> = (start..start + 100).collect();
        let keys: Vec<_> = part.iter().map(|&i| (i % 2 == 0).then(|| key(i))).collect();
        sample.offer(&table.take(&part), &keys).unwrap();
    }
    let (kept, threshold) = sample.finish().unwrap();
    let mut expected: Vec<u32> = (0..1000).filter(|i| i % 2 == 0).collect();
    expected.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    expected.truncate(30);
    expected.sort_unstable();
    let kept = kept.unwrap();
    let column = kept.column("n").unwrap();
    let got: Vec<u32> = (0..kept.rows()).map(|r| column.text(r).unwrap().parse().unwrap()).collect();
    assert_eq!(got, expected);
    assert!(expected.iter().all(|&i| key(i) < threshold));
    let (few, threshold) = Sample::new(30).finish().map(|(t, n)| (t.is_none(), n)).unwrap();
    assert!(few && threshold.is_infinite());
}

#[test]
fn parquet_and_arrow_with_any_byte_changed_are_tables_or_errors() {
    for (format, _folder, path) in streamable(20) {
        if format.starts_with("csv") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let (_folder, path) = file("damaged", b"");
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1 << (i % 8);
            std::fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap().write_all(&damaged).unwrap();
            // Neither a panic nor an end of the process.
            let _ = Table::read(&path, &ReadOptions::default());
            let _ = TableStream::open(&path, &ReadOptions::default(), 8, |_, _| Ok(()));
        }
    }
}

#[test]
fn many_categories_become_numbers_and_other_columns_are_squashed() {
    let rows: String = (0..60)
        .map(|i| {
            format!(
                "{},{},{},{}\n",
                i,
                if [7, 8, 10].contains(&i) { String::new() } else { format!("c{}", i % 6) },
                ["u", "v"][i % 2],
                i % 10
            )
        })
        .collect();
    let encoding = EncoderOptions {
        embed_above: Some(4),
        scale_categories: true,
        clamp_target: true,
        scaling: Scaling::Robust,
        ..EncoderOptions::default()
    };
    let schema = SchemaOptions { target: vec!["y".into()], task: Some(Task::Regression), ..SchemaOptions::default() };
    let (encoder, inputs) = encode(&format!("n,c,f,y\n{rows}"), &schema, &encoding);
    // Six categories, rare and unseen ones, missing ones.
    let kinds = [InputKind::Number, InputKind::Category(8), InputKind::Code, InputKind::Code];
    assert_eq!(encoder.kinds(), kinds);
    assert_eq!(encoder.input_names(), ["n", "c", "f=u", "f=v"]);
    let row = |i: usize| &inputs.values[4 * i..4 * i + 4];
    assert_eq!([row(0)[1], row(7)[1], row(14)[1], row(11)[1]], [0.0, 7.0, 2.0, 5.0]);
    // Half of the rows have it: the quartiles are 0 and 1, the median one half. z/√(1 + (z/3)²) of −½ and ½.
    let half = 0.5 / (1.0 + (0.5f32 / 3.0).powi(2)).sqrt();
    assert!((row(0)[2] - half).abs() < 1e-6 && (row(0)[3] + half).abs() < 1e-6, "{:?}", row(0));
    let other = Table::from_csv("o.csv", "n,c,f\n1,nowhere,u\n", &Default::default()).unwrap();
    let (new, report) = encoder.inputs(&other).unwrap();
    assert_eq!(new.values[1], 6.0);
    assert_eq!(report.unseen, [("c".to_owned(), 1)]);
    // Predictions stay among the targets, 0 to 9.
    let mut said = Matrix::<f64> { rows: 3, columns: 1, values: vec![-5.0, 4.5, 1e9] };
    encoder.clamp(&mut said);
    assert_eq!(said.values, [0.0, 4.5, 9.0]);
    assert!(encoder.is_sound());
    let (plain, _) = encode(&format!("n,c,f,y\n{rows}"), &schema, &EncoderOptions::default());
    let mut said = Matrix::<f64> { rows: 1, columns: 1, values: vec![-5.0] };
    plain.clamp(&mut said);
    assert_eq!(said.values, [-5.0]);
}

#[test]
fn far_targets_are_decoded_without_loss() {
    // Seconds since 1970 within some minutes: 32-bit floats are 128 apart there.
    let seconds = |i: usize| 1_700_000_000.0 + (i * 37 % 101) as f64 + (i % 10) as f64 / 10.0;
    let rows: String = (0..200).map(|i| format!("{i},{}\n", seconds(i))).collect();
    let text = format!("x,y\n{rows}");
    let clamped = EncoderOptions { clamp_target: true, ..EncoderOptions::default() };
    let (encoder, _) = encode(&text, &target("y"), &clamped);
    let table = csv(&text).unwrap();
    let truth: Vec<f64> = (0..200).map(seconds).collect();
    assert_eq!(encoder.numbers_of(&table).unwrap().values, truth);
    let mut decoded = encoder.decode(&encoder.outputs_of(&table).unwrap());
    encoder.clamp(&mut decoded);
    let [step] = encoder.target_steps()[..] else { panic!() };
    assert!((1e-6..1e-5).contains(&step), "{step}");
    for (got, want) in decoded.values.iter().zip(&truth) {
        assert_abs_diff_eq!(*got, *want, epsilon = 2.0 * step);
    }
    let mut far = Matrix { rows: 2, columns: 1, values: vec![0.0, 2e9] };
    encoder.clamp(&mut far);
    let ends = truth.iter().fold([f64::MAX, f64::MIN], |[a, b], y| [a.min(*y), b.max(*y)]);
    assert_eq!(far.values, ends);
}

#[test]
fn targets_may_be_scaled_and_not_shifted() {
    let text = "x,y\n1,10.5\n2,30.5\n3,20.5\n";
    let (mut encoder, _) = encode(text, &target("y"), &EncoderOptions::default());
    encoder.keep_zero();
    let outputs = encoder.outputs_of(&csv(text).unwrap()).unwrap();
    let deviation = (200.0f64 / 3.0).sqrt();
    for (got, y) in outputs.values.iter().zip([10.5, 30.5, 20.5]) {
        assert_abs_diff_eq!(f64::from(*got), y / deviation, epsilon = 1e-6);
    }
    let zero = Matrix { rows: 1, columns: 1, values: vec![0.0] };
    assert_eq!(encoder.decode(&zero).values, [0.0]);
    assert_eq!(encoder.target_steps(), [0.0]);
}

#[test]
fn each_cell_of_a_csv_file_is_parsed_once() {
    let n = 500_u32;
    let rows: String = (0..n)
        .map(|i| {
            let part = if i % 5 == 0 { "val" } else { "train" };
            format!(
                "{},{}.5,2024-01-{:02},{},c{},1,{part},note {i},{}.25\n",
                i % 7,
                i % 30,
                1 + i % 28,
                i % 2 == 0,
                i % 9,
                i
            )
        })
        .collect();
    let table = csv(&format!("a,b,day,flag,c,w,part,note,y\n{rows}")).unwrap();
    let options = SchemaOptions {
        weights: Some("w".into()),
        split: Some("part".into()),
        ignore: vec!["note".into()],
        ..target("y")
    };
    let parsed = |work: &mut dyn FnMut()| {
        let before = crate::cell::PARSED.get();
        work();
        crate::cell::PARSED.get() - before
    };
    let mut encoder = None;
    let count = parsed(&mut || {
        // A preset looks at the schema before the run does.
        Schema::infer(&table, &options).unwrap();
        let schema = Schema::infer(&table, &options).unwrap();
        let labels = Encoder::labels_of(&table, &schema).unwrap();
        let split = Split::from_column(&table, "part").unwrap();
        crate::split::groups_of_ten(&table.target_values("y", &Default::default()).unwrap());
        let (train, validation) = (table.take(&split.train), table.take(&split.validation));
        let fitted = Encoder::fit(&train, &schema, labels, &EncoderOptions::default()).unwrap();
        let encode = |part: &Table| {
            fitted.inputs(part).unwrap();
            fitted.outputs_of(part).unwrap();
            part.row_weights("w").unwrap();
        };
        encode(&train);
        encode(&validation);
        // Copies of rows keep their values.
        encode(&train.take(&[0, 1, 2, 3]));
        encode(&validation.with_column("a", &train, 3).unwrap());
        encoder = Some(fitted);
    });
    // The column of parts and the ignored one are never parsed.
    assert_eq!(count, 7 * n as usize);
    // A table to predict: categories are looked up as text.
    let new = csv("c,flag,day,b,a\nc1,true,2024-02-01,1,2\nc2,false,2024-02-01,1e3,4\n").unwrap();
    assert_eq!(parsed(&mut || drop(encoder.as_ref().unwrap().inputs(&new).unwrap())), 2 * 4);
}

#[test]
fn rows_of_a_table_are_a_table() {
    let rows: String =
        (0..100).map(|i| format!("{i},{}\n", if i % 4 == 0 { "x".into() } else { (i * i).to_string() })).collect();
    let table = csv(&format!("n,t\n{rows}")).unwrap();
    let kind = |table: &Table| table.column("t").unwrap().kind();
    assert_eq!(kind(&table), None);
    // Few rows are copied, many are not: both are the same table.
    for rows in [vec![9, 5, 5], (1..100).rev().filter(|i| i % 4 != 0).collect::<Vec<_>>()] {
        let part = table.take(&rows);
        assert_eq!((part.rows(), part.line(0)), (rows.len(), Some(u64::from(rows[0]) + 2)));
        assert_eq!(
            part.texts("n", &Default::default()).unwrap(),
            rows.iter().map(|i| Some(i.to_string())).collect::<Vec<_>>()
        );
        // The rows that are text are not among them.
        assert_eq!(kind(&part), Some(ColumnKind::Numeric));
        let squares: Vec<_> = rows.iter().map(|&i| Some(f64::from(i * i))).collect();
        assert_eq!(part.numbers("t", ColumnKind::Numeric, &Default::default()).unwrap(), squares);
        assert_eq!(
            part.take(&[2, 1]).numbers("t", ColumnKind::Numeric, &Default::default()).unwrap(),
            [squares[2], squares[1]]
        );
    }
    let error = table.take(&[3, 7, 8]).numbers("t", ColumnKind::Numeric, &Default::default()).unwrap_err();
    assert_eq!(error.to_string(), "t.csv:10, column \"t\": \"x\" is not a number");
}

#[test]
fn columns_of_unknown_types_can_be_ignored() {
    use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, UInt64Array};
    use std::sync::Arc;
    let batch = RecordBatch::try_from_iter([
        ("bytes", Arc::new(BinaryArray::from(vec![b"a".as_slice(), b"b", b"c", b"d"])) as ArrayRef),
        ("x", Arc::new(Int64Array::from(vec![1, 2, 3, -4]))),
        ("y", Arc::new(UInt64Array::from(vec![5, u64::MAX, 7, 9]))),
    ])
    .unwrap();
    let table = Table::from_batch("batch", &batch, &Default::default()).unwrap();
    let error = Schema::infer(&table, &target("y")).unwrap_err();
    assert_eq!(error.to_string(), "batch, column \"bytes\": columns of type Binary are not supported");
    assert_eq!(error.hint(), Some(Hint::IgnoreColumn("bytes".into())));
    let ignoring = SchemaOptions { ignore: vec!["bytes".into()], ..target("y") };
    for table in [table.clone(), Table::concat(vec![table.clone(), table.clone()]).unwrap().unwrap()] {
        let schema = Schema::infer(&table, &ignoring).unwrap();
        assert_eq!(schema.features, [ColumnSpec { name: "x".into(), kind: ColumnKind::Numeric }]);
        let part = table.take(&[3, 1]);
        assert_eq!(part.numbers("x", ColumnKind::Numeric, &Default::default()).unwrap(), [Some(-4.0), Some(2.0)]);
        assert_eq!(
            part.texts("y", &Default::default()).unwrap(),
            [Some("9".into()), Some("18446744073709551615".into())]
        );
        assert!(part.texts("bytes", &Default::default()).is_err());
        // A row keeps the place that it has in the source.
        let weights = part.row_weights("x").unwrap_err().to_string();
        assert_eq!(weights, "batch, row 4, column \"x\": the weight -4 is below 0");
    }
}

/// A hash of what a table is encoded to: of the schema, the names and the bits of inputs and targets, for all scalings.
fn encoding_hash(path: &std::path::Path, target: &str, options: &SchemaOptions) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| bytes.iter().for_each(|b| hash = (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let table = Table::read(path, &ReadOptions::default()).unwrap();
    let schema = Schema::infer(&table, &SchemaOptions { target: vec![target.into()], ..options.clone() }).unwrap();
    add(format!("{:?} {:?} {}", schema.features, schema.targets, schema.task).as_bytes());
    let labels = Encoder::labels_of(&table, &schema).unwrap();
    let split = Split::holdout(table.rows(), 0.2, 0.2, None, 0).unwrap();
    for &scaling in Scaling::ALL {
        for embed_above in [None, Some(4)] {
            let options = EncoderOptions { scaling, embed_above, scale_categories: true, ..Default::default() };
            let encoder = Encoder::fit(&table.take(&split.train), &schema, labels.clone(), &options).unwrap();
            add(encoder.input_names().join("|").as_bytes());
            for rows in [&split.train, &split.validation, &split.test] {
                let part = table.take(rows);
                let (inputs, report) = encoder.inputs(&part).unwrap();
                let (missing, unseen) = (&report.missing, &report.unseen);
                add(format!("EncodeReport {{ missing: {missing:?}, unseen: {unseen:?} }}").as_bytes());
                inputs.values.iter().for_each(|x| add(&x.to_bits().to_le_bytes()));
                encoder.outputs_of(&part).unwrap().values.iter().for_each(|x| add(&x.to_bits().to_le_bytes()));
            }
        }
    }
    hash
}

#[test]
fn encodings_keep_their_bits() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
    let options = SchemaOptions::default();
    let categorical = SchemaOptions { categorical: vec!["year".into(), "flipper_length_mm".into()], ..options.clone() };
    // Whole numbers, also beyond 63 bits and with a -0 among them, dates, booleans, spaces, missing values.
    let rows: String = (0..200_u64)
        .map(|i| {
            let some = |field: String, every: u64| if i % every == 1 { String::new() } else { field };
            let day = format!("20{:02}-0{}-1{}", i % 20, 1 + i % 9, i % 10);
            let columns = [
                some(format!("{}", i * 37 % 101), 9),
                if i == 7 { "-0".to_owned() } else { (i % 5).to_string() },
                (9_223_372_036_854_775_000 + i * i).to_string(),
                some(format!(" {day} "), 13),
                some(format!("{day}T0{}:30", i % 10), 17),
                some(["True", "false", "TRUE"][(i % 3) as usize].to_owned(), 11),
                some(["u", " v", "01", "x"][(i % 4) as usize].to_owned(), 7),
                format!("{}e-{}", i * 7919 % 200, i % 3),
            ];
            columns.join(",") + "\n"
        })
        .collect();
    let (_folder, mixed) = file("mixed.csv", format!("n,zero,large,day,time,b,c,y\n{rows}").as_bytes());
    for (path, target, options, hash) in [
        (&folder.join("penguins.csv"), "species", &options, "6f9f5597499bd88f"),
        (&folder.join("penguins.csv"), "island", &categorical, "49282794d81f5efe"),
        (&folder.join("concrete.csv"), "compressive_strength", &options, "92c18f114e5032ad"),
        (&mixed, "y", &options, "b18ea0d0d0e3f2b7"),
        (&mixed, "zero", &options, "74f5394e4be0d367"),
    ] {
        assert_eq!(format!("{:016x}", encoding_hash(path, target, options)), hash, "{} {target}", path.display());
    }
}

#[test]
fn names_are_found_again() {
    fn check<
        T: Copy + PartialEq + std::fmt::Debug + std::fmt::Display + serde::Serialize + serde::de::DeserializeOwned,
    >(
        all: &[T],
    ) {
        use serde::de::IntoDeserializer;
        for variant in all {
            let name = variant.to_string();
            let read: Result<T, serde::de::value::Error> = T::deserialize(name.as_str().into_deserializer());
            assert_eq!(read, Ok(*variant));
            let wrong = T::deserialize("other".into_deserializer()).map_err(|e: serde::de::value::Error| e.to_string());
            assert!(wrong.unwrap_err().contains(&format!("`{name}`")));
        }
    }
    check(Scaling::ALL);
    check(Tails::ALL);
    check(Task::ALL);
    check(ColumnKind::ALL);
}

#[test]
fn files_of_every_kind_are_read_or_refused_whole_and_in_a_stream() {
    use crate::file_kind::FileKind;
    for kind in FileKind::ALL {
        let start: &[u8] = match kind {
            FileKind::Empty => b"",
            FileKind::Text => b"a,b\n1,2\n",
            FileKind::JsonLines => b"{\"a\": 1, \"b\": 2}\n",
            FileKind::JsonArray => b"[{\"a\": 1}]",
            FileKind::Compound => b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            FileKind::Gzip => b"\x1f\x8b",
            FileKind::Bzip2 => b"BZh91AY&SY",
            FileKind::Xz => b"\xfd7zXZ\0",
            FileKind::Zstd => b"\x28\xb5\x2f\xfd",
            FileKind::Parquet => b"PAR1",
            FileKind::Arrow => b"ARROW1",
            FileKind::Zip => b"PK\x03\x04",
            FileKind::Utf16 => b"\xff\xfea\0",
            FileKind::Html => b"<html>",
            FileKind::Model => b"\x08\x01\0\0\0\0\0\0{}",
        };
        assert_eq!(FileKind::of(start), *kind);
        let (_folder, path) = file("t", start);
        let whole = Table::read(&path, &ReadOptions::default()).map(drop);
        let stream = TableStream::open(&path, &ReadOptions::default(), 8, |_, _| Ok(())).map(drop);
        let right = [FileKind::Text, FileKind::JsonLines].contains(kind);
        assert_eq!((whole.is_ok(), stream.is_ok()), (right, right), "{kind:?}");
        let refused =
            |result: Result<(), DataError>| matches!(result, Err(DataError::Foreign { .. } | DataError::Empty { .. }));
        // Archives that are no workbooks are refused, too.
        let refuses = kind.table().is_none() || [FileKind::Zip, FileKind::Compound].contains(kind);
        assert_eq!((refused(whole), refused(stream)), (refuses, refuses), "{kind:?}");
    }
    assert_eq!(
        Hint::ReadableFiles.to_string(),
        "files of these kinds are read: CSV or TSV, JSON lines, Parquet, Arrow IPC, workbooks of Excel (.xlsx, .xlsb) and \
         OpenDocument (.ods), old ones of Excel (.xls), any of them compressed by gzip, by bzip2, by xz, by zstd"
    );
}

/// A table with the columns x, c, y and w.
fn weighted_table(rows: impl IntoIterator<Item = (f64, &'static str, f64, f64)>) -> Table {
    let rows: String = rows.into_iter().map(|(x, c, y, w)| format!("{x},{c},{y},{w}\n")).collect();
    Table::from_csv("w.csv", format!("x,c,y,w\n{rows}"), &ReadOptions::default()).unwrap()
}

fn weighted_options() -> SchemaOptions {
    SchemaOptions {
        target: vec!["y".into()],
        weights: Some("w".into()),
        task: Some(Task::Regression),
        ..Default::default()
    }
}

#[test]
fn a_row_of_weight_2_is_encoded_as_two_rows_and_one_of_weight_0_as_none() {
    let row = |i: usize| {
        let x = (i * i % 37) as f64 + if i.is_multiple_of(5) { 0.25 } else { 0.0 };
        (x, ["a", "b", "c"][i % 3], x * 2.0 - i as f64, [1.0, 2.0, 3.0, 0.0, 1.0][i % 5])
    };
    let all: Vec<_> = (0..60).map(row).collect();
    let scaled = |factor: f64| weighted_table(all.iter().map(|(x, c, y, w)| (*x, *c, *y, w * factor)));
    let repeated = weighted_table(all.iter().flat_map(|&(x, c, y, w)| std::iter::repeat_n((x, c, y, 1.0), w as usize)));
    let without = weighted_table(all.iter().copied().filter(|row| row.3 > 0.0));
    let schema = Schema::infer(&repeated, &weighted_options()).unwrap();
    let near = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() <= 2e-6 * a.abs().max(1.0), "{a} {b}"));
    };
    for &scaling in Scaling::ALL {
        for &tails in Tails::ALL {
            let options = EncoderOptions { scaling, tails, scale_categories: true, ..Default::default() };
            let fit = |table: &Table| Encoder::fit(table, &schema, None, &options).unwrap();
            let probe = weighted_table((0..50).map(|i| (f64::from(i) - 5.0, "a", f64::from(i), 1.0)));
            let values = |encoder: &Encoder| {
                let inputs = encoder.inputs(&probe).unwrap().0.values;
                (inputs, encoder.outputs_of(&probe).unwrap().values)
            };
            let expected = values(&fit(&repeated));
            for factor in [1.0, 0.1, 1e5] {
                let found = values(&fit(&scaled(factor)));
                near(&found.0, &expected.0);
                near(&found.1, &expected.1);
            }
            // The same bits.
            assert_eq!(fit(&scaled(1.0)), fit(&without), "{scaling}");
            let unweighted = Schema { weights: None, ..schema.clone() };
            assert_eq!(fit(&repeated), Encoder::fit(&repeated, &unweighted, None, &options).unwrap(), "{scaling}");
        }
    }
    // By hand: the mean of 0 of weight 3 and 10 of weight 1 is 2.5, the deviation √(3·2.5² + 7.5²)/2 = 2.5·√3.
    let two = weighted_table([(0.0, "a", 0.0, 3.0), (10.0, "a", 10.0, 1.0)]);
    let schema = Schema::infer(&two, &SchemaOptions { ignore: vec!["c".into()], ..weighted_options() }).unwrap();
    let encoder = Encoder::fit(&two, &schema, None, &EncoderOptions::default()).unwrap();
    let expected = [-2.5, 7.5].map(|x| (x / (2.5 * 3f64.sqrt())) as f32);
    assert_eq!(encoder.inputs(&two).unwrap().0.values, expected);
    assert_eq!(encoder.outputs_of(&two).unwrap().values, expected);
    let negative = weighted_table([(0.0, "a", 0.0, 3.0), (10.0, "a", 10.0, -1.0)]);
    let error = Encoder::fit(&negative, &schema, None, &EncoderOptions::default()).unwrap_err();
    assert!(matches!(error, DataError::NegativeWeight { .. }), "{error}");
}

fn fit_x(values: &[f64], options: &EncoderOptions) -> Encoder {
    let rows: String = values.iter().zip(0..).map(|(x, i)| format!("{x:?},{}\n", i * 7 % 5)).collect();
    let table = Table::from_csv("t.csv", format!("x,y\n{rows}"), &ReadOptions::default()).unwrap();
    let schema = Schema::infer(
        &table,
        &SchemaOptions { target: vec!["y".into()], numeric: vec!["x".into()], ..Default::default() },
    );
    Encoder::fit(&table, &schema.unwrap(), None, options).unwrap()
}

fn encode_x(encoder: &Encoder, values: &[f64]) -> (Vec<f32>, EncodeReport) {
    let rows: String = values.iter().map(|x| format!("{x:?}\n")).collect();
    let (inputs, report) =
        encoder.inputs(&Table::from_csv("n.csv", format!("x\n{rows}"), &ReadOptions::default()).unwrap()).unwrap();
    (inputs.values, report)
}

#[test]
fn logarithmic_tails_are_smooth_and_keep_values_apart() {
    let values: Vec<f64> = (0..101).map(|i| f64::from(i) - 50.0).collect();
    let deviation = (values.iter().map(|x| x * x).sum::<f64>() / 101.0).sqrt();
    let options = EncoderOptions { tails: Tails::Log, ..Default::default() };
    let encoder = fit_x(&values, &options);
    assert_eq!(encoder.tails("x").as_deref(), Some("logarithmic beyond 3 deviations"));
    let at = |z: f64| f64::from(encode_x(&encoder, &[z * deviation]).0[0]);
    let by_hand = |z: f64| if z.abs() <= 3.0 { z } else { z.signum() * (3.0 + (z.abs() - 2.0).ln()) };
    for z in [-1e6, -40.0, -6.0, -3.0, -0.5, 0.0, 2.9, 3.0, 3.1, 6.0, 7.0, 1e3, 1e9] {
        assert!((at(z) - by_hand(z)).abs() < 1e-6 * by_hand(z).abs().max(1.0), "{z}: {}", at(z));
    }
    // The slope has no step at the bend.
    let slope = |z: f64| (at(z + 5e-3) - at(z - 5e-3)) / 1e-2;
    assert!((slope(2.99) - 1.0).abs() < 1e-3 && (slope(3.0 + 1e-2) - 1.0).abs() < 2e-2);
    let (_, report) = encode_x(&encoder, &[1e9, -1e4]);
    assert!(report.clipped.is_empty());
    let clip = fit_x(&values, &EncoderOptions::default());
    let (inputs, report) = encode_x(&clip, &[1e9, -6.1 * deviation, 5.9 * deviation]);
    assert_eq!(inputs[..2], [6.0, -6.0]);
    assert_eq!(report.clipped, [("x".to_owned(), 2)]);
}

#[test]
fn values_far_outside_of_the_training_range_are_counted() {
    let values: Vec<f64> = (0..11).map(f64::from).collect();
    for &scaling in Scaling::ALL {
        let encoder = fit_x(&values, &EncoderOptions { scaling, ..Default::default() });
        assert_eq!(encoder.range("x"), Some([0.0, 10.0]));
        let count = |x: &[f64]| encode_x(&encoder, x).1.outside;
        // Up to half of the width beyond is what new rows may have.
        assert_eq!(count(&[-5.0, 0.0, 7.0, 12.0, 15.0]), []);
        assert_eq!(count(&[-5.1, 15.1, 3.0, 1000.0]), [("x".to_owned(), 3)]);
        let clipped = |x: &[f64]| encode_x(&encoder, x).1.clipped.first().map_or(0, |(_, n)| *n);
        let expected = match scaling {
            Scaling::Standard => 1,
            Scaling::Quantile => 3,
            Scaling::MinMax | Scaling::Robust | Scaling::None => 0,
        };
        assert_eq!(clipped(&[-0.1, 10.1, 5.0, 100.0]), expected, "{scaling}");
    }
}

#[test]
fn neighboring_numbers_make_no_steep_scale() {
    for least in [0.1, 1.0, 1e9, -3.7e-5] {
        let values: Vec<f64> = (0..40).map(|i| if i % 2 == 0 { least } else { f64::next_up(least) }).collect();
        for &scaling in Scaling::ALL {
            let encoder = fit_x(&values, &EncoderOptions { scaling, ..Default::default() });
            let (inputs, _) = encode_x(&encoder, &[least, least * 2.0, 0.0, least + 1.0]);
            let most = if scaling == Scaling::None { 3.0 * least.abs() + 1.0 } else { 6.0 };
            assert!(inputs.iter().all(|x| f64::from(x.abs()) <= most), "{scaling} {least}: {inputs:?}");
        }
        // And where they are the quartiles of a wider column.
        let wide: Vec<f64> = values.iter().copied().chain([least - 1.0, least + 1.0]).collect();
        let encoder = fit_x(&wide, &EncoderOptions { scaling: Scaling::Robust, ..Default::default() });
        let (inputs, _) = encode_x(&encoder, &[least - 1.0, least - 0.5, least, least + 0.5, least + 1.0]);
        assert!(inputs.windows(2).all(|pair| pair[1] - pair[0] > 0.1), "{inputs:?}");
    }
}

#[test]
fn categories_with_enough_rows_have_a_place_of_their_own() {
    // 150 categories of 12 rows, 50 of 2.
    let rows: String = (0..200).map(|c| format!("c{c},{}\n", c % 7).repeat(if c < 150 { 12 } else { 2 })).collect();
    let table = Table::from_csv("t.csv", format!("c,y\n{rows}"), &ReadOptions::default()).unwrap();
    let schema = Schema::infer(&table, &SchemaOptions { target: vec!["y".into()], ..Default::default() }).unwrap();
    let fit = |max_categories, embed_above| {
        let options = EncoderOptions { max_categories, embed_above, ..Default::default() };
        let encoder = Encoder::fit(&table, &schema, None, &options).unwrap();
        (encoder.width(), encoder.inputs(&table).unwrap().1)
    };
    let report = |unseen: usize, grouped: usize| EncodeReport {
        unseen: vec![("c".into(), unseen)],
        grouped: vec![("c".into(), grouped)],
        ..Default::default()
    };
    assert_eq!(fit(None, None), (151, report(50 * 2, 50)));
    assert_eq!(fit(None, Some(9)), (1, report(50 * 2, 50)));
    assert_eq!(fit(Some(100), None), (101, report(50 * 12 + 50 * 2, 100)));
    // Reports of pieces add up to that of the whole.
    let encoder = Encoder::fit(&table, &schema, None, &EncoderOptions::default()).unwrap();
    let mut sum = EncodeReport::default();
    for rows in (0..table.rows() as u32).collect::<Vec<_>>().chunks(333) {
        sum += &encoder.inputs(&table.take(rows)).unwrap().1;
    }
    assert_eq!(sum, encoder.inputs(&table).unwrap().1);
    // Columns are bounded by the memory that they take.
    let most = |embed_above, rows: usize| EncoderOptions { embed_above, ..Default::default() }.most_categories(rows);
    assert_eq!([10, 1 << 16, 1 << 18, 1 << 30].map(|rows| most(None, rows)), [1000, 1000, 256, 100]);
    assert_eq!([most(Some(9), 1 << 30), most(Some(2000), 1 << 18)], [10_000, 256]);
}
