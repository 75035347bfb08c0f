//! Row weights of 0, and the limits of encoders and predictions that are said.

use std::fmt::Write;

use crate::Folder;

const QUICK: [&str; 7] = ["--device", "cpu", "--hidden", "8", "--epochs", "6", "--json"];

/// Rows with the columns x, c, y, class, part and w; those that `zero` names have the weight 0 and odd values.
fn table(rows: usize, zero: impl Fn(usize) -> bool, keep_zeros: bool) -> String {
    let mut text = String::from("x,c,y,class,part,w\n");
    for i in 0..rows {
        let x = (i * 7919 % 1000) as f64 / 100.0;
        let part = ["train", "train", "train", "val", "test"][i % 5];
        if !zero(i) {
            let (c, class) = (["u", "v", "w"][i % 3], if (i * 37) % 10 < (x as usize) { "yes" } else { "no" });
            writeln!(text, "{x},{c},{:.3},{class},{part},{}", 3.0 * x + (i % 7) as f64, 1 + i % 3).unwrap();
        } else if keep_zeros {
            writeln!(text, "{},odd,{},maybe,{part},0", 1e6 * x, -1e6).unwrap();
        }
    }
    text
}

#[test]
fn rows_of_weight_0_are_rows_that_are_not_there() {
    let folder = Folder::new();
    folder.write("all.csv", table(400, |i| i % 6 == 1, true));
    folder.write("left.csv", table(400, |i| i % 6 == 1, false));
    let whole = ["--ensemble", "2"];
    for (target, ignore, more) in [
        ("y", "class,part", &[][..]),
        ("class", "y,part", &[]),
        ("y", "class", &["--split", "part"]),
        ("y", "class,part", &["--scaling", "quantile", "--embedding", "piecewise-linear"]),
        ("y", "class,part", &["--scaling", "robust", "--no-stratify"]),
        ("class", "y,part", &whole),
        ("y", "class,part", &["--preset", "tabm-ple", "--members", "2", "--set", "embedding_width=4"]),
    ] {
        let train = |name: &str| {
            // Under one name: the file holds the same bytes.
            std::fs::copy(folder.path(name), folder.path("t.csv")).unwrap();
            let base = ["train", "t.csv", "--target", target, "--ignore", ignore, "--weights", "w", "--seed", "3"];
            let out = folder.json(&[&base, &QUICK[..], more].concat());
            (std::fs::read(folder.path("t.perceptra")).unwrap(), out["rows"].clone(), out["test"].clone())
        };
        let (all, left) = (train("all.csv"), train("left.csv"));
        assert_eq!((&all.1, &all.2), (&left.1, &left.2), "{target} {more:?}");
        assert!(all.0 == left.0, "{target} {more:?}");
        // Scores leave them out too, and nobody asks for a class that they alone have.
        let score = |name: &str| folder.json(&["evaluate", "t.perceptra", name, "--device", "cpu", "--json"]);
        assert_eq!(score("all.csv"), score("left.csv"), "{target} {more:?}");
    }
    let out =
        folder.run(&["train", "all.csv", "--target", "y", "--ignore", "class,part", "--weights", "w", "--epochs", "1"]);
    assert!(out.stderr.contains("note: 67 rows of weight 0 are left out"), "{}", out.stderr);
    let out = folder.run(&["evaluate", "all.perceptra", "all.csv"]);
    assert!(out.stderr.contains("note: 67 rows of weight 0 are left out"), "{}", out.stderr);
}

#[test]
fn rows_of_weight_0_are_not_there_in_streams_and_folds() {
    let folder = Folder::new();
    folder.write("all.csv", table(3000, |i| i % 6 == 1, true));
    folder.write("left.csv", table(3000, |i| i % 6 == 1, false));
    let base = ["train", "--target", "class", "--ignore", "y", "--weights", "w", "--split", "part"];
    let train = |more: &[&str]| folder.json(&[&base, &QUICK[..], more].concat());
    let (all, left) = (train(&["--stream", "all.csv"]), train(&["--stream", "left.csv"]));
    // One piece each: the rows of the parts, their order and their blocks are the same.
    for key in ["rows", "test", "validation", "history"] {
        let text = |report: &serde_json::Value| {
            let mut part = report[key].clone();
            for epoch in part["epochs"].as_array_mut().into_iter().flatten() {
                epoch["seconds"] = 0.into();
            }
            part.to_string()
        };
        assert_eq!(text(&all), text(&left), "{key}");
    }
    assert_eq!(all["test"]["labels"], serde_json::json!(["no", "yes"]));
    let small = train(&["--stream", "all.csv", "--buffer", "100"]);
    assert_eq!(small["rows"]["train"], all["rows"]["train"]);
    // Folds, from the library.
    let folds = |name: &str| -> Vec<Vec<Option<String>>> {
        let table = perceptra::Table::read(&folder.path(name), &Default::default()).unwrap();
        let mut run = perceptra::RunConfig::default();
        run.data.schema.target = vec!["y".into()];
        run.data.schema.weights = Some("w".into());
        let folds = perceptra::model::Partition::folds(&run, &table, 3).unwrap();
        folds
            .iter()
            .flat_map(|fold| [&fold.train, fold.test.as_ref().unwrap()])
            .map(|t| t.texts("x", &Default::default()).unwrap())
            .collect()
    };
    assert_eq!(folds("all.csv"), folds("left.csv"));
}

#[test]
fn a_part_without_weight_is_an_error() {
    let folder = Folder::new();
    let names = ["train", "val", "test"];
    for (part, title) in [(0, "training"), (1, "validation"), (2, "test")] {
        let of = |i: usize| ["train", "train", "train", "val", "test"][i % 5] == names[part];
        folder.write("t.csv", table(100, of, true));
        for more in [&["--split", "part"][..], &["--split", "part", "--stream"]] {
            let base = ["train", "t.csv", "--target", "y", "--ignore", "class", "--weights", "w"];
            let out = folder.run(&[&base, &QUICK[..], more].concat());
            let expected =
                format!("error: t.csv, column \"w\": all rows of the {title} part have the weight 0\nhint: ");
            assert_eq!(out.code, Some(1));
            assert!(out.stderr.starts_with(&expected), "{}", out.stderr);
        }
    }
    folder.write("t.csv", table(100, |_| false, true));
    folder.write("zeros.csv", table(50, |_| true, true));
    for (flag, title) in [("--validation-file", "validation"), ("--test-file", "test")] {
        for stream in [&[][..], &["--stream"]] {
            let base =
                ["train", "t.csv", "--target", "y", "--ignore", "class,part", "--weights", "w", flag, "zeros.csv"];
            let out = folder.run(&[&base, &QUICK[..], stream].concat());
            let expected = format!("error: zeros.csv, column \"w\": all rows of the {title} part have the weight 0\n");
            assert!(out.stderr.starts_with(&expected), "{}", out.stderr);
        }
    }
    folder
        .json(&[&["train", "t.csv", "--target", "y", "--ignore", "class,part", "--weights", "w"], &QUICK[..]].concat());
    let out = folder.run(&["evaluate", "t.perceptra", "zeros.csv"]);
    assert!(out.stderr.starts_with("error: zeros.csv, column \"w\": all rows of the evaluated part"), "{}", out.stderr);
    let out = folder.run(&["train", "zeros.csv", "--target", "y", "--weights", "w"]);
    assert!(out.stderr.starts_with("error: zeros.csv, column \"w\": all rows of the training part"), "{}", out.stderr);
}

#[test]
fn equal_weights_are_no_weights_and_scaled_ones_are_the_same() {
    let folder = Folder::new();
    let text = table(300, |_| false, true);
    let weighted = |factor: f64, equal: bool| -> String {
        let scale = |line: &str| {
            let (rest, w) = line.rsplit_once(',').unwrap();
            let w: f64 = w.parse().unwrap_or(f64::NAN);
            if w.is_nan() { line.to_owned() } else { format!("{rest},{}", factor * if equal { 1.0 } else { w }) }
        };
        text.lines().map(|line| scale(line) + "\n").collect()
    };
    let predict = |text: &str, more: &[&str]| -> Vec<f64> {
        folder.write("t.csv", text);
        let base = ["train", "t.csv", "--target", "y"];
        folder.json(&[&base, &QUICK[..], &["--scaling", "quantile"], more].concat());
        let out = folder.ok(&["predict", "t.perceptra", "t.csv", "--device", "cpu"]);
        out.lines().skip(1).map(|line| line.parse().unwrap()).collect()
    };
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3 * a.abs().max(1.0));
    let weights = ["--ignore", "class,part", "--weights", "w"];
    let none = predict(&weighted(1.0, true), &["--ignore", "class,part,w"]);
    for factor in [1.0, 4.0] {
        assert!(near(&none, &predict(&weighted(factor, true), &weights)), "{factor}");
    }
    let some = predict(&weighted(1.0, false), &weights);
    assert!(near(&some, &predict(&weighted(4.0, false), &weights)));
    assert!(!near(&some, &none));
}

#[test]
fn values_that_lose_information_are_said() {
    let folder = Folder::new();
    let mut line = String::from("x,y\n");
    (0..300)
        .for_each(|i| writeln!(line, "{},{}", f64::from(i * 37 % 300) / 30.0, f64::from(i * 37 % 300) / 15.0).unwrap());
    folder.write("line.csv", &line);
    folder.ok(&["train", "line.csv", "--target", "y", "--epochs", "2", "--device", "cpu", "-q"]);
    folder.write("near.csv", "x\n-1\n5\n10.5\n14\n");
    folder.write("far.csv", "x,y\n5,10\n20,40\n1000,2000\n");
    assert_eq!(folder.run(&["predict", "line.perceptra", "near.csv"]).stderr, "");
    let warning = "warning: column \"x\": 2 values lie far outside of the range of the training rows (0.0";
    for args in [["predict", "line.perceptra", "far.csv"], ["evaluate", "line.perceptra", "far.csv"]] {
        let out = folder.run(&args);
        assert_eq!(out.code, Some(0));
        assert!(out.stderr.starts_with(warning), "{}", out.stderr);
    }
    assert_eq!(folder.run(&["predict", "line.perceptra", "far.csv", "-q"]).stderr, "");
    let shown = folder.ok(&["inspect", "line.perceptra"]);
    assert!(shown.contains("training range") && shown.contains("clipped at 6 deviations"), "{shown}");

    // An outlier of the training rows.
    folder.write("outlier.csv", line.clone() + "1000,5\n" + &"3,5\n".repeat(9));
    let train = |more: &[&str]| {
        let base = [
            "train",
            "outlier.csv",
            "--target",
            "y",
            "--epochs",
            "2",
            "--device",
            "cpu",
            "--test",
            "0",
            "--validation",
            "0",
        ];
        folder.run(&[&base, more].concat())
    };
    let clipped = "note: column \"x\": 1 values of the training rows beyond the ends of the scale are taken as these; --tails log";
    assert!(train(&[]).stderr.contains(clipped));
    for engine in ["fused", "autodiff"] {
        let out = train(&["--tails", "log", "--engine", engine]);
        assert_eq!((out.code, out.stderr.contains("ends of the scale")), (Some(0), false), "{}", out.stderr);
    }
    let shown = folder.ok(&["inspect", "outlier.perceptra"]);
    assert!(shown.contains("logarithmic beyond 3 deviations"), "{shown}");
    let out = train(&["--tails", "log", "--scaling", "robust"]);
    assert_eq!(out.stderr, "error: tails is log, which belongs to standard scaling, and scaling is robust\n");
}

#[test]
fn categories_that_share_an_input_are_said() {
    let folder = Folder::new();
    let mut shops = String::from("shop,y\n");
    (0..150 * 24).for_each(|i| writeln!(shops, "s{},{}", i % 150, (i % 150 * 37) % 101).unwrap());
    // Forty categories of one or two training rows are rare whatever the limit.
    (0..80).for_each(|i| writeln!(shops, "rare{},50", i % 40).unwrap());
    folder.write("shops.csv", &shops);
    let train = |more: &[&str]| {
        let base = ["train", "shops.csv", "--target", "y", "--epochs", "3", "--device", "cpu"];
        folder.run(&[&base, more].concat())
    };
    let out = train(&[]);
    assert!(out.stdout.contains(" 1 features as 151 inputs"), "{}", out.stdout);
    assert!(
        out.stderr.contains("note: column \"shop\": ") && out.stderr.contains("of its categories, in "),
        "{}",
        out.stderr
    );
    folder.write("new.csv", "shop\ns1\nrare1\nunknown\n");
    let out = folder.run(&["predict", "shops.perceptra", "new.csv"]);
    assert!(out.stderr.contains("\"shop\": 2 values are of the "), "{}", out.stderr);
    let out = train(&["--max-categories", "100"]);
    assert!(out.stdout.contains(" 1 features as 101 inputs"), "{}", out.stdout);
}

#[test]
fn predictions_keep_columns_of_the_table() {
    let folder = Folder::new();
    let mut text = String::from("id,x,note,prediction,y\n");
    // More rows than a piece has; cells that are rewritten easily.
    for i in 0..20_000_u32 {
        let note = ["NA", " 1.50 ", "\"a, b\"", "", "1e3"][i as usize % 5];
        writeln!(text, "{:06},{},{note},p,{}", i, i % 97, 2 * (i % 97)).unwrap();
    }
    folder.write("t.csv", &text);
    folder.ok(&[
        "train",
        "t.csv",
        "--target",
        "y",
        "--ignore",
        "id,note,prediction",
        "--epochs",
        "1",
        "--device",
        "cpu",
        "-q",
    ]);
    let predict = |more: &[&str]| folder.run(&[&["predict", "t.perceptra", "t.csv", "--device", "cpu"], more].concat());
    let plain = predict(&[]).stdout;
    let kept = predict(&["--keep", "note,id,id"]);
    assert!(!kept.stderr.contains("\"note\""), "{}", kept.stderr);
    let mut expected = String::from("note,id,prediction\n");
    for (line, prediction) in text.lines().skip(1).zip(plain.lines().skip(1)) {
        let (id, rest) = line.split_once(',').unwrap();
        let note =
            rest.split_once(',').unwrap().1.strip_suffix(&format!(",p,{}", rest.rsplit_once(',').unwrap().1)).unwrap();
        writeln!(expected, "{note},{id},{prediction}").unwrap();
    }
    assert!(kept.stdout == expected, "{}", &kept.stdout[..200]);

    let json = folder.path("out.jsonl");
    assert_eq!(predict(&["--keep", "id", "-o", json.to_str().unwrap()]).code, Some(0));
    let first: serde_json::Value = serde_json::from_str(folder.read("out.jsonl").lines().nth(3).unwrap()).unwrap();
    assert_eq!(first["id"], "000003");

    // A column that predictions have too.
    let out = predict(&["--keep", "all"]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("the column \"prediction\" of the table cannot be kept"), "{}", out.stderr);
    let out = predict(&["--keep", "notes"]);
    assert!(out.stderr.contains("there is no column \"notes\"\nhint: did you mean \"note\"?"), "{}", out.stderr);
    // From standard input, all of them.
    let out = folder.run_with(&["predict", "t.perceptra", "-", "--keep", "all"], b"x,extra\n1,007\n2,\n");
    assert!(out.stdout.starts_with("x,extra,prediction\n1,007,"), "{} {}", out.stdout, out.stderr);
}

#[test]
fn kept_columns_of_parquet_have_their_types() {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Float32Array, Int16Array, ListArray, RecordBatch, UInt64Array,
    };
    use arrow::datatypes::Int32Type;
    let folder = Folder::new();
    let x = Float32Array::from_iter_values((0..50).map(|i| i as f32));
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>((0..50).map(|i| Some([Some(i), None])));
    let columns: [(&str, ArrayRef); 7] = [
        ("x", Arc::new(x.clone())),
        ("y", Arc::new(Float32Array::from_iter_values(x.values().iter().map(|x| 2.0 * x)))),
        ("small", Arc::new((0..50).map(|i| (i != 3).then_some(i)).collect::<Int16Array>())),
        ("large", Arc::new(UInt64Array::from_iter_values((0..50).map(|i| u64::MAX - i)))),
        ("day", Arc::new(Date32Array::from_iter_values(19_000..19_050))),
        ("flag", Arc::new((0..50).map(|i| Some(i % 2 == 0)).collect::<BooleanArray>())),
        ("list", Arc::new(lists)),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    folder.write("t.parquet", writer.into_inner().unwrap());
    let ignored = "small,large,day,flag,list";
    folder.ok(&["train", "t.parquet", "--target", "y", "--ignore", ignored, "--epochs", "1", "--device", "cpu", "-q"]);
    let keep = "small,large,day,flag,list";
    folder.ok(&["predict", "t.perceptra", "t.parquet", "--keep", keep, "-o", "p.parquet", "-q"]);
    let file = std::fs::File::open(folder.path("p.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let read = reader.build().unwrap().next().unwrap().unwrap();
    assert_eq!(read.num_columns(), 6);
    for (i, name) in keep.split(',').enumerate() {
        assert_eq!(read.column(i).to_data(), batch.column_by_name(name).unwrap().to_data(), "{name}");
    }
    let csv = folder.ok(&["predict", "t.perceptra", "t.parquet", "--keep", keep, "-q"]);
    let line = csv.lines().nth(4).unwrap();
    assert!(line.starts_with(",18446744073709551612,2022-01-11,false,\"[3, ]\","), "{line}");
    folder.ok(&["predict", "t.perceptra", "t.parquet", "--keep", keep, "-q", "-o", "p.jsonl"]);
    let row: serde_json::Value = serde_json::from_str(folder.read("p.jsonl").lines().nth(3).unwrap()).unwrap();
    assert_eq!(row["small"], serde_json::Value::Null);
    assert_eq!((row["large"].as_u64(), &row["flag"]), (Some(u64::MAX - 3), &serde_json::json!(false)));
    assert_eq!(row["day"], "2022-01-11");
}

#[test]
fn numbers_one_unit_in_the_last_place_apart_make_no_steep_bins() {
    let folder = Folder::new();
    for (name, low) in [("one", 1.0_f64), ("tenth", 0.1)] {
        for wide in [false, true] {
            let mut text = String::from("x,z,y\n");
            for i in 0..200 {
                let x = if i % 2 == 0 { low } else { low.next_up() };
                // In a wide column the two are the largest quarter of the rows.
                let x = if wide && i % 4 < 3 { low - f64::from(i) / 200.0 } else { x };
                writeln!(text, "{x:?},{},{}", i % 13, i % 13 + i % 2).unwrap();
            }
            folder.write("t.csv", text);
            folder.write("new.csv", format!("x,z\n{low},5\n{},5\n{},5\n{},5\n", low + 1e-9, low + 2.0, low - 2.0));
            for scaling in ["standard", "min-max", "robust", "quantile", "none"] {
                let args = [
                    "train",
                    "t.csv",
                    "--target",
                    "y",
                    "--task",
                    "regression",
                    "--scaling",
                    scaling,
                    "--embedding",
                    "piecewise-linear",
                ];
                folder.json(&[&args, &QUICK[..]].concat());
                let out = folder.ok(&["predict", "t.perceptra", "new.csv", "--device", "cpu", "-q"]);
                let values: Vec<f64> = out.lines().skip(1).map(|line| line.parse().unwrap()).collect();
                // The targets are 0 to 13.
                assert!(values.iter().all(|y| y.abs() < 100.0), "{name} {wide} {scaling}: {values:?}");
                // Ranks tell the two apart, by less than the spread of the targets.
                let near = if scaling == "quantile" { 1.0 } else { 0.1 };
                assert!((values[0] - values[1]).abs() < near, "{name} {wide} {scaling}: {values:?}");
            }
        }
    }
}
