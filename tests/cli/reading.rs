//! Tables as people have them: what the program says of how it reads them, and rows that come one by one.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::Folder;

/// Rows of a target that is a function of two columns, with these separators and ends of lines.
fn rows(count: usize, separator: &str, end: &str) -> String {
    let row = |i: usize| [i % 11, i % 7, (i % 11) * (i % 7)].map(|x| x.to_string()).join(separator) + end;
    (0..count).map(row).collect()
}

const SHORT: [&str; 6] = ["--device", "cpu", "--epochs", "2", "--hidden", "4"];

#[test]
fn every_command_says_once_what_it_left_out() {
    let folder = Folder::new();
    folder.write("t.csv", format!("a,b,y,,\n{}", rows(120, ",", ",,\n")).replacen("\n0,0,", "\n,,,,\n0,0,", 1));
    let notes = [
        "note: t.csv: 2 columns without a name and without a value are left out\n",
        "note: t.csv: a row without any value is left out, line 2\n",
    ];
    let train = ["train", "t.csv", "--target", "y", "-o", "m.perceptra"];
    let once = |args: &[&str], notes: &[&str]| {
        let out = folder.run(args);
        assert_eq!(out.code, Some(0), "{args:?}: {}", out.stderr);
        for note in notes {
            assert_eq!(out.stderr.matches(note).count(), 1, "{args:?}: {}", out.stderr);
        }
        let unnamed = out.stderr.contains("Unnamed");
        assert_eq!(unnamed, args.contains(&"--stream"), "{args:?}: {}", out.stderr);
        out
    };
    once(&[&train[..], &SHORT].concat(), &notes);
    once(&[&train[..], &SHORT, &["--preset", "fast"]].concat(), &notes);
    once(&["evaluate", "m.perceptra", "t.csv"], &notes);
    once(&["explain", "m.perceptra", "t.csv"], &notes);
    once(&["report", "m.perceptra", "--data", "t.csv"], &notes);
    let predicted = once(&["predict", "m.perceptra", "t.csv", "--strict"], &notes);
    assert_eq!(predicted.stdout.lines().count(), 121);
    once(&[&["compare", "t.csv", "--target", "y", "--presets", "none"][..], &SHORT].concat(), &notes);
    once(&[&["search", "t.csv", "--target", "y", "--grid", "lr=0.1,0.01"][..], &SHORT].concat(), &notes);
    once(&[&["gradcheck", "t.csv", "--target", "y"][..], &SHORT].concat(), &notes);
    // In a stream the schema speaks of the columns.
    let streamed = once(&[&train[..], &SHORT, &["--stream", "--buffer", "100"]].concat(), &notes[1..]);
    assert!(streamed.stderr.contains("\"Unnamed: 3\" is left out: it has no value at all"), "{}", streamed.stderr);
    let quiet = folder.run(&[&train[..], &SHORT, &["-q"]].concat());
    assert_eq!(quiet.stderr, "");
    let json = folder.json(&[&train[..], &SHORT, &["--json"]].concat());
    assert_eq!(json["notes"].as_array().map(Vec::len), Some(2), "{}", json["notes"]);
}

#[test]
fn what_a_message_advises_helps() {
    let folder = Folder::new();
    let body = |separator: &str| rows(120, separator, "\n");
    folder.write("title.csv", format!("Report of 2024\r\n\r\na,b,y\n{}", body(",")));
    folder.write("padded.csv", format!("Report,,\na,b,y\n{}", body(",")));
    folder.write("twice.csv", body(","));
    folder.write("bare.csv", format!("0,7,12\n{}", body(",")));
    folder.write("blank.txt", format!("a  b  y\n{}", body("   ")));
    folder.write("excel.csv", format!("sep=;\na;b;y\n{}", body(";")));
    folder.write(
        "rows.csv",
        format!("a,b,y\n{}", rows(120, ",", "\n").lines().map(|r| format!("r,{r}\n")).collect::<String>()),
    );
    let rows = body(",");
    let lines = rows.lines().map(|row| {
        let [a, b, y] = row.split(',').collect::<Vec<_>>().try_into().unwrap();
        format!("{{\"a\":{a},\"b\":{b},\"y\":{y}}}\n")
    });
    folder.write("t.jsonl", lines.collect::<String>());
    // Arguments, the message that they give, and what it advises.
    let cases: [(&[&str], &str, &[&str]); 3] = [
        (
            &["title.csv", "--target", "y"],
            "error: title.csv:3: this line looks like the header, and not the lines above it, which have fewer fields\n\
             hint: skip the lines above it with --skip-rows 2\n",
            &["--skip-rows", "2"],
        ),
        (
            &["padded.csv", "--target", "y"],
            "error: padded.csv:2: this line looks like the header, and not the lines above it, which have fewer fields\n\
             hint: skip the lines above it with --skip-rows 1\n",
            &["--skip-rows", "1"],
        ),
        (
            &["twice.csv", "--target", "3"],
            "error: twice.csv: columns 1 and 2 are both named \"0\"\nhint: if the file has no header, read it with --no-header\n",
            &["--no-header"],
        ),
    ];
    for (args, message, advice) in cases {
        let command = [&["train"], args, &SHORT, &["-o", "m.perceptra"]].concat();
        let out = folder.run(&command);
        assert_eq!((out.code, out.stderr.as_str()), (Some(1), message), "{args:?}");
        folder.ok(&[&command[..], advice].concat());
    }
    // The model of a table without a header needs columns with its names.
    let out = folder.run(&["predict", "m.perceptra", "title.csv", "--skip-rows", "2"]);
    let missing = "error: title.csv: 2 columns that the model needs are missing: \"1\", \"2\"\n\
                   hint: if the file has no header, read it with --no-header\n";
    assert_eq!((out.code, out.stderr.as_str()), (Some(1), missing));
    assert_eq!(folder.ok(&["predict", "m.perceptra", "twice.csv", "--no-header"]).lines().count(), 121);
    // A first row that is taken as names is told of.
    let bare = [&["train", "bare.csv", "--target", "12", "-o", "m.perceptra"][..], &SHORT].concat();
    let out = folder.run(&bare);
    let note = "note: bare.csv: the first line is read as the header, but \"0\" looks like a value of a row: if it is one, read \
                the table with --no-header\n";
    assert_eq!((out.code, out.stderr.starts_with(note)), (Some(0), true), "{}", out.stderr);
    // These are read as they are, with the same result.
    let table = |name: &str, more: &[&str]| {
        let args = [&["train", name, "--target", "y", "--json", "-o", "m.perceptra"][..], &SHORT, more].concat();
        folder.json(&args)["test"]["rmse"].as_f64().unwrap()
    };
    let expected = table("title.csv", &["--skip-rows", "2"]);
    for name in ["blank.txt", "excel.csv", "rows.csv", "t.jsonl"] {
        assert_eq!(table(name, &[]), expected, "{name}");
    }
    assert_eq!(table("t.jsonl", &["--stream"]), table("blank.txt", &["--stream", "--delimiter", "whitespace"]));
}

#[test]
fn rows_from_a_pipe_are_predicted_as_they_come() {
    let folder = Folder::new();
    folder.write("t.csv", format!("a,b,y\n{}", rows(120, ",", "\n")));
    folder.ok(&[&["train", "t.csv", "--target", "y", "-o", "m.perceptra"][..], &SHORT].concat());
    let predictions = folder.ok(&["predict", "m.perceptra", "t.csv"]);
    let expected: Vec<&str> = predictions.lines().skip(1).take(20).collect();
    let csv = |i: usize| format!("{},{}\n", i % 11, i % 7);
    let json = |i: usize| format!("{{\"a\":{},\"b\":{}}}\n", i % 11, i % 7);
    let inputs: [(&str, &dyn Fn(usize) -> String); 3] =
        [("a,b\n", &csv), ("", &json), ("a b\r\n", &|i| format!("{} \t {}\r\n", i % 11, i % 7))];
    for (at, (header, row)) in inputs.into_iter().enumerate() {
        let whitespace: &[&str] = if at == 2 { &["--delimiter", "whitespace"] } else { &[] };
        let mut child = Command::new(env!("CARGO_BIN_EXE_perceptra"))
            .args([&["predict", "m.perceptra", "-"], whitespace].concat())
            .current_dir(folder.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).for_each(|line| {
                let _ = send.send(line);
            });
        });
        // A program that holds predictions back would be waited for without end.
        let next = |what: &str| {
            lines.recv_timeout(Duration::from_mins(2)).unwrap_or_else(|_| panic!("no prediction of {what} has come"))
        };
        input.write_all(header.as_bytes()).unwrap();
        for (i, prediction) in expected.iter().enumerate() {
            // The second half of each third row comes later.
            let text = row(i);
            let (first, second) = text.split_at(if i % 3 == 0 { text.len() / 2 } else { text.len() });
            input.write_all(first.as_bytes()).unwrap();
            input.write_all(second.as_bytes()).unwrap();
            if i == 0 {
                assert_eq!(next("the header"), "prediction");
            }
            assert_eq!(next(&text), *prediction, "row {i}");
        }
        // Several at once, and the last one without an end of line.
        let rest: String = (0..3).map(row).collect();
        input.write_all(rest.trim_end().as_bytes()).unwrap();
        drop(input);
        (0..3).for_each(|i| assert_eq!(next("the rest"), expected[i]));
        reader.join().unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_text_that_is_kept_in_training_is_kept_afterwards() {
    let folder = Folder::new();
    let rows: String = (0..90).map(|i| format!("{},{}\n", i % 30, ["None", "Mild", "Severe"][i % 30 / 10])).collect();
    folder.write("t.csv", format!("a,y\n{rows}"));
    folder.ok(&[&["train", "t.csv", "--target", "y", "--keep-text", "None", "-o", "m.perceptra"][..], &SHORT].concat());
    let scores = folder.json(&["evaluate", "m.perceptra", "t.csv", "--device", "cpu", "--json"]);
    assert_eq!(scores["rows"], 90);
}
