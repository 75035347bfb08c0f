//! The hints of errors in tables: each is followed in a shell, and must change the outcome.

use perceptra::data::Hint;

use crate::{Folder, Outcome};

/// Names the case of each hint; a hint without one does not compile.
macro_rules! cases {
    ($($pattern:pat => $case:expr),+ $(,)?) => {
        fn case_of(hint: &Hint) -> &'static str {
            match hint {
                $($pattern => $case),+
            }
        }

        const CASES: &[&str] = &[$($case),+];
    };
}

cases! {
    Hint::Advice(_) => "advice names no flag",
    Hint::ReadableFiles => "kinds of files are no flag",
    Hint::QuoteFields => "separator",
    Hint::DidYouMean(_) => "name",
    Hint::SetDelimiter => "one column",
    Hint::SkipRows(_) => "titles",
    Hint::NoHeader => "no header",
    Hint::IgnoreColumn(_) => "no value",
    Hint::DoNotStream => "stream",
    Hint::MissingOrCategorical { .. } => "not a number",
    Hint::KeepText(_) => "class called None",
    Hint::SetDateOrder(_) => "dates",
    Hint::SetSeparators(_) => "numbers",
    Hint::WriteOneWay(_) => "mixed",
    Hint::DoNotStandardize => "far target",
    Hint::DoNotStratify => "one row",
    Hint::AllowUnseen(_) => "unseen",
    Hint::FewerFolds => "folds",
    Hint::FewerCategories => "fewer categories need 16 GiB to see",
    Hint::ChangeTask => "task",
}

/// Hints that name no flag, or need more memory than a test has.
const NOTHING_TO_RUN: [&str; 3] =
    ["advice names no flag", "kinds of files are no flag", "fewer categories need 16 GiB to see"];

/// A table, a command that fails on it, and the parts of its hint that can be run.
struct Case {
    name: &'static str,
    table: String,
    command: &'static str,
    /// What the hint says to add to the command.
    flags: &'static [&'static str],
}

fn rows(cells: impl Fn(usize) -> String) -> String {
    (0..40).map(|i| cells(i) + "\n").collect()
}

fn cases() -> Vec<Case> {
    let case = |name, table, command, flags| Case { name, table, command, flags };
    let y = |i: usize| i * 37 % 40;
    vec![
        case(
            "separator",
            format!("a,x;y\n{}", rows(|i| format!("{i}{};{}", if i % 2 == 0 { "" } else { ",5" }, y(i)))),
            "train t.csv --target y",
            &["--delimiter ';'"],
        ),
        case(
            "name",
            format!("\"price, usd\",y\n{}", rows(|i| format!("{i},{}", y(i)))),
            "train t.csv --target 'price, us'",
            &[],
        ),
        case(
            "one column",
            format!("a:y\n{}", rows(|i| format!("{i}:{}", y(i)))),
            "train t.csv --target y",
            &["--delimiter :"],
        ),
        case(
            "titles",
            format!("Sales of the year\n\na,b,y\n{}", rows(|i| format!("{i},{},{}", i % 7, y(i)))),
            "train t.csv --target y",
            &["--skip-rows 2"],
        ),
        case("no header", rows(|i| format!("5,{},{}", i % 7, y(i))), "train t.csv --target 3", &["--no-header"]),
        case(
            "no value",
            format!("a,b,y\n{}", rows(|i| format!("{i},,{}", y(i)))),
            "train t.csv --target y --numeric b",
            &[],
        ),
        case("stream", format!("a,y\n{}", rows(|i| format!("{i},{}", y(i)))), "train - --stream --target y", &[]),
        case(
            "not a number",
            format!(
                "a,\"b, c\",y\n{}",
                rows(|i| format!("{i},{},{}", if i % 9 == 4 { "k.A.".to_owned() } else { (i * i).to_string() }, y(i)))
            ),
            "train t.csv --target y",
            &["--missing k.A.", "--categorical '\"b, c\"'", "--ignore '\"b, c\"'"],
        ),
        case(
            "class called None",
            format!("a,y\n{}", rows(|i| format!("{i},{}", ["None", "Mild", "Severe"][i % 3]))),
            "train t.csv --target y",
            &["--keep-text None"],
        ),
        case(
            "dates",
            format!("-d,a,y\n{}", rows(|i| format!("{}/{}/2024,{i},{}", i % 12 + 1, i % 11 + 1, y(i)))),
            "train t.csv --target y",
            &["--dates day-first", "--dates month-first", "--ignore=-d", "--categorical=-d"],
        ),
        case(
            "numbers",
            format!("a;b;y\n{}", rows(|i| format!("{},{:03};{i};{}", i + 1, i * 7, y(i)))),
            "train t.csv --target y",
            &["--decimal ,", "--thousands ,", "--ignore a", "--categorical a"],
        ),
        case(
            "mixed",
            format!(
                "a;b;y\n{}",
                rows(|i| format!("{};{i};{}", if i % 2 == 0 { format!("{i},5") } else { format!("{i}.5") }, y(i)))
            ),
            "train t.csv --target y",
            &["--ignore a", "--categorical a"],
        ),
        case(
            "far target",
            format!(
                "a,y,part\n{}",
                rows(|i| format!(
                    "{i},{},{}",
                    if i == 7 { "3e38".to_owned() } else { format!("{}e-5", y(i)) },
                    if i == 7 { "test" } else { "train" }
                ))
            ),
            "train t.csv --target y --split part --validation 0",
            &["--set standardize_target=false"],
        ),
        case(
            "one row",
            format!("a,y\n{}", rows(|i| format!("{i},{}", if i == 9 { "z" } else { ["u", "v"][i % 2] }))),
            "train t.csv --target y",
            &["--no-stratify"],
        ),
        case(
            "unseen",
            format!("a,y\n{}", rows(|i| format!("k{},{}", i % 4, y(i)))),
            "predict other.perceptra t.csv",
            &["--allow-unseen"],
        ),
        case(
            "folds",
            format!("a,y\n{}", rows(|i| format!("{i},{}", if i < 3 { "z" } else { ["u", "v"][i % 2] }))),
            "compare t.csv --target y --presets none --folds 5",
            &["--folds 3", "--no-stratify"],
        ),
        case(
            "task",
            format!("a,y\n{}", rows(|i| format!("{i},{}", ["u", "v", "w"][i % 3]))),
            "train t.csv --target y --task binary",
            &["--task auto", "--task multiclass"],
        ),
    ]
}

fn shell(folder: &Folder, command: &str) -> Outcome {
    let program = env!("CARGO_BIN_EXE_perceptra");
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("'{program}' {command}")])
        .current_dir(folder.path("").as_path())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn every_hint_can_be_followed() {
    let folder = Folder::new();
    let quick = |command: &str| match command.starts_with("train") || command.starts_with("compare") {
        true => format!("{command} --epochs 1 --device cpu"),
        false => command.to_owned(),
    };
    folder.write("t.csv", format!("a,y\n{}", rows(|i| format!("q{},{}", i % 3, i * 37 % 40))));
    assert_eq!(shell(&folder, &quick("train t.csv --target y -o other.perceptra")).code, Some(0));
    let cases = cases();
    for case in &cases {
        folder.write("t.csv", &case.table);
        let before = shell(&folder, &quick(case.command));
        assert_eq!(before.code, Some(1), "{}: {}", case.name, before.stderr);
        let hint = before.stderr.lines().find_map(|line| line.strip_prefix("hint: "));
        let hint = hint.unwrap_or_else(|| panic!("{}: no hint: {}", case.name, before.stderr));
        for flag in case.flags {
            let name = flag.split([' ', '=']).next().unwrap();
            // A separator or a number of folds is the user's to choose.
            let chosen = ["--delimiter", "--folds", "--task"].contains(&name);
            let said = if chosen { hint.contains(name) } else { hint.contains(flag) };
            assert!(said, "{}: the hint does not say {flag}: {hint}", case.name);
            // The flag takes the place of one that is there.
            let command: Vec<&str> = case.command.split(name).collect();
            let command = match command.as_slice() {
                [begin, rest] => format!("{begin}{}", rest.trim_start().split_once(' ').map_or("", |(_, rest)| rest)),
                _ => case.command.to_owned(),
            };
            let after = shell(&folder, &quick(&format!("{command} {flag}")));
            let error =
                |outcome: &Outcome| outcome.stderr.lines().find(|line| line.starts_with("error: ")).map(str::to_owned);
            assert_ne!(error(&before), error(&after), "{}: {flag} changes nothing", case.name);
            assert_eq!(after.code, Some(0), "{}: {flag}: {}", case.name, after.stderr);
        }
    }
    // Each hint has a case, or none that can be run.
    for name in CASES.iter().filter(|name| !NOTHING_TO_RUN.contains(name)) {
        assert!(cases.iter().any(|case| case.name == *name), "there is no case {name:?}");
    }
    assert!(NOTHING_TO_RUN.contains(&case_of(&Hint::ReadableFiles)));
}

#[test]
fn a_name_that_is_meant_can_be_written() {
    let folder = Folder::new();
    folder.write("t.csv", format!("\"price, usd\",-a,y\n{}", rows(|i| format!("{},{i},{}", i * i, i * 37 % 40))));
    let error = shell(&folder, "train t.csv --target 'price, usb'").stderr;
    assert!(error.contains("hint: did you mean \"price, usd\", written '\"price, usd\"'?"), "{error}");
    for target in ["'\"price, usd\"'", "'price, usd'", "=-a"] {
        let target = if target.starts_with('=') { format!("--target{target}") } else { format!("--target {target}") };
        let outcome = shell(&folder, &format!("train t.csv {target} --ignore y --epochs 1 --device cpu"));
        assert_eq!(outcome.code, Some(0), "{target}: {}", outcome.stderr);
    }
}
