//! The parts of a table: rows that occur in two of them, parts that are missing, and classes that do not suffice for all.

use crate::Folder;

const QUICK: [&str; 6] = ["--epochs", "1", "--device", "cpu", "-o", "m.perceptra"];

fn rows(n: usize, cells: impl Fn(usize) -> String) -> String {
    (0..n).map(|i| cells(i) + "\n").collect()
}

#[test]
fn rows_that_occur_in_two_parts_are_counted() {
    let folder = Folder::new();
    // Of 20 test rows, 5 are training rows too; 3 more have the features of one, and another target.
    let cells = |i: usize| match i {
        0..60 => format!("{},{},{},train", i * i, i % 7, i * 37 % 60),
        60..80 => format!("{},{},{},validation", i * i, i % 7, i * 37 % 60),
        80..85 => format!("{},{},{},test", (i - 80) * (i - 80), (i - 80) % 7, (i - 80) * 37 % 60),
        85..88 => format!("{},{},{},test", (i - 80) * (i - 80), (i - 80) % 7, 99),
        _ => format!("{},{},{},test", i * i, i % 7, i * 37 % 60),
    };
    folder.write("t.csv", format!("a,b,y,part\n{}", rows(100, cells)));
    for more in [&["--split", "part"][..], &["--split", "part", "--ensemble", "2"]] {
        let out = folder.run(&[&["train", "t.csv", "--target", "y"], more, &QUICK].concat());
        let note = "note: 5 of 20 test rows occur among 60 training rows too, with the same features and targets";
        assert!(out.stderr.contains(note) && out.code == Some(0), "{}", out.stderr);
        assert!(!out.stderr.contains("validation rows occur"), "{}", out.stderr);
    }
    let out = folder.run(&[&["train", "t.csv", "--target", "y", "--ignore", "part"][..], &QUICK].concat());
    assert!(
        out.stderr.contains("training rows too"),
        "a test row or a validation row is a training row: {}",
        out.stderr
    );
}

#[test]
fn a_split_column_without_validation_rows_leaves_some_to_validation() {
    let folder = Folder::new();
    let part = |i: usize| if i.is_multiple_of(5) { "test" } else { "train" };
    folder.write("t.csv", format!("a,y,part\n{}", rows(100, |i| format!("{},{},{}", i * i, i * 37 % 100, part(i)))));
    let train = ["train", "t.csv", "--target", "y", "--split", "part"];
    let out = folder.run(&[&train[..], &QUICK].concat());
    assert!(out.stdout.contains("68 training, 12 validation and 20 test rows"), "{}", out.stdout);
    let note = "note: column \"part\" names no validation rows: 12 of its training rows validate (--validation";
    assert!(out.stderr.contains(note), "{}", out.stderr);
    let none = folder.run(&[&train[..], &QUICK, &["--validation", "0"]].concat());
    assert!(none.stdout.contains("80 training, 0 validation and 20 test rows"), "{}", none.stdout);
    assert!(none.stderr.contains("note: there are no validation rows: the training loss decides"), "{}", none.stderr);
}

#[test]
#[cfg(all(feature = "baselines", feature = "search"))]
fn a_class_with_fewer_rows_than_folds_is_counted_in_the_whole_table() {
    let folder = Folder::new();
    let class = |i: usize| if i < 3 { "rare" } else { ["u", "v"][i % 2] };
    folder.write("t.csv", format!("a,y\n{}", rows(60, |i| format!("{},{}", i * i, class(i)))));
    let compare = folder.run(&["compare", "t.csv", "--target", "y", "--folds", "5", "--presets", "none"]);
    assert!(
        compare.stderr.contains("error: the class \"rare\" has 3 rows, fewer than the 5 folds"),
        "{}",
        compare.stderr
    );
    let class = |i: usize| if i < 5 { "rare" } else { ["u", "v"][i % 2] };
    folder.write("t.csv", format!("a,y\n{}", rows(60, |i| format!("{},{}", i * i, class(i)))));
    let search = folder.run(&["search", "t.csv", "--target", "y", "--folds", "5", "--grid", "lr=0.1", "-o", "s"]);
    let held_out = "error: the class \"rare\" has 5 rows, 1 of them for testing: the others are fewer than the 5 folds";
    assert!(search.stderr.contains(held_out), "{}", search.stderr);
}

#[test]
#[cfg(all(feature = "baselines", feature = "search"))]
fn commands_that_train_many_models_say_how_columns_are_read() {
    let folder = Folder::new();
    let mark = |i: usize| if i.is_multiple_of(9) { "-".to_owned() } else { (i * i).to_string() };
    folder.write("t.csv", format!("id,a,y\n{}", rows(60, |i| format!("{i},{},{}", mark(i), i * 37 % 60))));
    let quick = ["--epochs", "1", "--device", "cpu"];
    for command in [
        &["compare", "t.csv", "--target", "y", "--presets", "none"][..],
        &["search", "t.csv", "--target", "y", "--grid", "lr=0.1,0.01", "-o", "s"],
    ] {
        let out = folder.run(&[command, &quick].concat());
        for note in
            ["note: column \"a\": \"-\" in 7 rows is taken as missing", "note: column \"id\" is left out: it numbers"]
        {
            assert_eq!(out.stderr.matches(note).count(), 1, "{command:?}: {}", out.stderr);
        }
    }
}
