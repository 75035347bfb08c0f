//! Reports, and the live view in a pseudo-terminal.

use crate::{Folder, data};

#[test]
fn a_report_is_complete_and_loads_nothing() {
    let folder = Folder::new();
    let (penguins, concrete) = (data("penguins.csv"), data("concrete.csv"));
    folder.ok(&[
        "train",
        &penguins,
        "--target",
        "species",
        "--device",
        "cpu",
        "--epochs",
        "5",
        "-o",
        "p.perceptra",
        "--report",
    ]);
    let page = folder.read("p.html");
    let quiet = [
        "train",
        &penguins,
        "--target",
        "species",
        "--device",
        "cpu",
        "--epochs",
        "1",
        "-o",
        "q.perceptra",
        "--report",
    ];
    assert_eq!(folder.json(&[&quiet[..], &["--json"]].concat())["report"], "q.html");
    for part in [
        "multiclass by",
        "rows of",
        "ROC: true positive rate over false positive rate",
        "Precision and recall",
        "Calibration",
        "true \\ predicted",
        "Gentoo",
        "bill_length_mm",
        "id=\"dependence\"",
        "probability of the true class",
        "perceptra train --config run.toml --report",
        "target = [&quot;species&quot;]",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for address in ["http://", "https://", "<script", "@import", "url("] {
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(address);
        assert!(!found, "{address} in the report");
    }
    let said = folder.ok(&["report", "p.perceptra", "--data", &penguins, "-o", "all.html", "--device", "cpu"]);
    assert_eq!(said, "report: all.html\n");
    let all = folder.read("all.html");
    assert!(all.contains("on 344 rows of") && all.contains("target = [&quot;species&quot;]"));
    // The same again, byte for byte.
    folder.ok(&["report", "p.perceptra", "--data", &penguins, "-o", "again.html", "--device", "cpu"]);
    assert!(folder.read("again.html") == all);

    // Numbers, several of them, and no run file.
    let targets = ["train", &concrete, "--target", "compressive_strength,age", "--device", "cpu", "--epochs", "5"];
    folder.ok(&[&targets[..], &["-o", "c.perceptra", "--ensemble", "2"]].concat());
    std::fs::remove_file(folder.path("c.toml")).unwrap();
    folder.ok(&["report", "c.perceptra", "--data", &concrete, "--device", "cpu", "--repeats", "2"]);
    let page = folder.read("c.html");
    for part in
        ["age: residuals", "compressive_strength: actual and predicted", "the first of 2 networks", "it was not found"]
    {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn names_and_values_are_escaped() {
    let folder = Folder::new();
    let rows: String =
        (0..60).map(|i| format!("{},<img src=x onerror=alert(1)>{},{}\n", i % 7, i % 3, i % 2)).collect();
    folder.write("t.csv", format!("a,<script>alert(1)</script>,y&<b>\n{rows}"));
    folder
        .ok(&["train", "t.csv", "--target", "y&<b>", "--device", "cpu", "--epochs", "2", "--test", "0.3", "--report"]);
    let page = folder.read("t.html");
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("<b>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("y&amp;&lt;b&gt;"));
}

#[test]
fn reports_that_cannot_be_made_are_errors() {
    let folder = Folder::new();
    folder.train_penguins();
    let penguins = data("penguins.csv");
    let run = |args: &[&str]| folder.run(&[&["report", "m.perceptra", "--device", "cpu"], args].concat());
    for (args, code, message) in [
        (vec!["--data", "nothing.csv"], 1, "nothing.csv"),
        (vec!["--data", &penguins, "-o", "m.perceptra"], 2, "the report would overwrite the model or the table"),
        (vec!["--data", &penguins, "-o", "no/where.html"], 1, "no/where.html"),
        (vec!["--data", &penguins, "--repeats", "0"], 1, "repeats is 0"),
    ] {
        let out = run(&args);
        assert_eq!(out.code, Some(code), "{args:?}: {}", out.stderr);
        assert!(out.stderr.contains(message), "{args:?}: {}", out.stderr);
    }
    let without = folder.write("u.csv", "bill_length_mm\n1\n");
    assert!(run(&["--data", without.to_str().unwrap()]).stderr.contains("columns that the model needs are missing"));
}

#[test]
fn live_without_a_terminal_is_an_ordinary_run() {
    let folder = Folder::new();
    let penguins = data("penguins.csv");
    let args = ["train", &penguins, "--target", "species", "--device", "cpu", "--epochs", "3", "--live"];
    let out = folder.run(&args);
    assert_eq!(out.code, Some(0), "{}", out.stderr);
    assert!(!out.stderr.contains('\u{1b}'), "{}", out.stderr);
    assert_eq!(folder.run(&[&args[..], &["--quiet"]].concat()).code, Some(2));
}

/// In a pseudo-terminal: keys are read, the screen is restored, the model is saved.
#[test]
#[cfg(target_os = "linux")]
fn a_live_run_is_stopped_by_its_keys() {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcsetwinsize};

    for (keys, code, stop) in [("+s", 0, "asked"), ("q", 0, "interrupted"), ("\u{3}", 130, "interrupted")] {
        let folder = Folder::new();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        tcsetwinsize(&master, Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let open = || {
            let path = std::path::Path::new(name.to_str().unwrap());
            std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
        };
        let concrete = data("concrete.csv");
        let args =
            ["train", &concrete, "--target", "compressive_strength", "--epochs", "1000000", "--patience", "1000000"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_perceptra"))
            .args([&args[..], &["--device", "cpu", "-o", "m.perceptra", "--live"]].concat())
            .current_dir(folder.path(""))
            .stdin(Stdio::from(open()))
            .stdout(Stdio::null())
            .stderr(Stdio::from(open()))
            .spawn()
            .unwrap();
        let mut terminal = std::fs::File::from(master.as_fd().try_clone_to_owned().unwrap());
        let mut screen = Vec::new();
        let mut bytes = [0; 4096];
        // Until there are numbers on the screen.
        while !String::from_utf8_lossy(&screen).contains("rows/s") || screen.len() < 4000 {
            let n = terminal.read(&mut bytes).unwrap();
            screen.extend(&bytes[..n]);
        }
        if let Some(scale) = keys.strip_suffix('s') {
            terminal.write_all(scale.as_bytes()).unwrap();
            while !String::from_utf8_lossy(&screen).contains("1.2500") {
                let n = terminal.read(&mut bytes).unwrap();
                screen.extend(&bytes[..n]);
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        terminal.write_all(&keys.as_bytes()[keys.len() - 1..]).unwrap();
        // The terminal is read on, so that the program can write; it ends with the program.
        let reader = std::thread::spawn(move || {
            while let Ok(n @ 1..) = terminal.read(&mut bytes) {
                screen.extend(&bytes[..n]);
            }
            screen
        });
        let end = std::time::Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(std::time::Instant::now() < end, "{keys:?} does not end the run");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(status.code(), Some(code), "{keys:?}");
        let text = String::from_utf8_lossy(&reader.join().unwrap()).into_owned();
        // The other screen, and back.
        assert!(text.contains("\u{1b}[?1049h") && text.contains("\u{1b}[?1049l"), "{keys:?}");
        let history = folder.json(&["inspect", "m.perceptra", "--json"])["history"].clone();
        assert_eq!(history["stop"], stop, "{keys:?}");
        assert!(history["epochs"].as_array().unwrap().len() < 1_000_000);
        let rates: Vec<f64> =
            history["epochs"].as_array().unwrap().iter().map(|e| e["learning_rate"].as_f64().unwrap()).collect();
        assert_eq!(rates.iter().all(|rate| *rate == rates[0]), keys != "+s" || rates.len() < 2, "{keys:?}");
    }
}
