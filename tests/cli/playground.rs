//! The playground's server, through its sockets; `browser.rs` tests the page in a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::{Folder, data};

/// A running playground, stopped on drop.
pub(crate) struct Playground {
    child: Child,
    /// `127.0.0.1:PORT`
    pub(crate) host: String,
}

impl Playground {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_on("cpu", args)
    }

    fn start_on(device: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_perceptra"))
            .args(["playground", "--port", "0", "--device", device])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let host = line.strip_prefix("http://").unwrap().split(' ').next().unwrap().to_owned();
        Self { child, host }
    }

    fn page(&self) -> Page {
        self.greeted().0
    }

    /// A page, and the server's first message to it.
    fn greeted(&self) -> (Page, Value) {
        let mut page = Page { socket: self.connect(&self.host, &format!("http://{}", self.host)).unwrap() };
        let hello = page.text();
        assert_eq!(hello["type"], "hello");
        (page, hello)
    }

    fn connect(&self, host: &str, origin: &str) -> Result<WebSocket<TcpStream>, String> {
        let mut request = format!("ws://{}/socket", self.host).into_client_request().unwrap();
        request.headers_mut().insert("host", host.parse().unwrap());
        if !origin.is_empty() {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        tungstenite::client(request, stream).map(|(socket, _)| socket).map_err(|e| e.to_string())
    }

    /// Bytes of memory that the program uses.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    }

    fn get(&self, path: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        // If it has ended already there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Page {
    socket: WebSocket<TcpStream>,
}

enum Heard {
    Text(Value),
    Bytes(Value, Vec<u8>),
}

impl Page {
    fn ask(&mut self, ask: &Value) {
        self.socket.send(Message::text(ask.to_string())).unwrap();
    }

    fn hear(&mut self) -> Result<Heard, String> {
        loop {
            match self.socket.read().map_err(|e| e.to_string())? {
                Message::Text(text) => return Ok(Heard::Text(serde_json::from_str(&text).unwrap())),
                Message::Binary(bytes) => {
                    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
                    let header: Value = serde_json::from_slice(&bytes[4..4 + length]).unwrap();
                    if header["playing"] == true {
                        self.ask(&json!({ "do": "drawn" }));
                    }
                    return Ok(Heard::Bytes(header, bytes[4 + length..].to_vec()));
                }
                Message::Close(frame) => return Err(frame.map_or_else(|| "closed".into(), |f| f.reason.to_string())),
                _ => {}
            }
        }
    }

    fn text(&mut self) -> Value {
        loop {
            if let Heard::Text(text) = self.hear().unwrap() {
                return text;
            }
        }
    }

    fn bytes(&mut self) -> (Value, Vec<u8>) {
        loop {
            match self.hear().unwrap() {
                Heard::Bytes(header, bytes) => return (header, bytes),
                Heard::Text(text) => assert_ne!(text["type"], "error", "{text}"),
            }
        }
    }

    /// Starts a run and returns its scene.
    fn set_up(&mut self, spec: &Value) -> Value {
        self.ask(&json!({ "do": "setup", "spec": spec }));
        let scene = self.text();
        assert_eq!(scene["type"], "scene", "{scene}");
        scene
    }

    fn error(&mut self, ask: &str) -> String {
        self.socket.send(Message::text(ask)).unwrap();
        let answer = self.text();
        assert_eq!(answer["type"], "error", "{ask}: {answer}");
        answer["message"].as_str().unwrap().to_owned()
    }
}

fn spec(change: &Value) -> Value {
    let mut spec = json!({
        "data": "xor", "rows": 200, "noise": 0.2, "held_out": 0.3, "hidden": [4, 2], "activation": "tanh", "loss": null,
        "optimizer": "adam", "tuning": { "learning_rate": 0.03, "batch": 10, "l1": 0.0, "l2": 0.0 }, "seed": 1,
        "target": null, "axes": null,
    });
    for (key, value) in change.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

/// Index of the point of a surface that is nearest to (x, y).
fn at(scene: &Value, x: f64, y: f64) -> usize {
    let n = scene["grid"].as_u64().unwrap() as usize;
    let place = |axis: usize, v: f64| {
        let [low, high] = ["low", "high"].map(|end| scene["axes"][axis][end].as_f64().unwrap());
        ((v - low) / (high - low) * (n - 1) as f64).round() as usize
    };
    place(1, y) * n + place(0, x)
}

#[test]
fn a_network_learns_xor_and_one_neuron_does_not() {
    let playground = Playground::start(&[]);
    let mut page = playground.page();
    let scene = page.set_up(&spec(&json!({})));
    assert_eq!(scene["classes"], json!(["blue", "orange"]));
    assert_eq!(scene["rows"], json!([140, 60]));
    assert_eq!(scene["widths"], json!([4, 2, 1]));
    let (first, _) = page.bytes();
    assert_eq!(first["epoch"], 0);
    page.ask(&json!({ "do": "play", "speed": 5 }));
    let (mut header, mut surfaces) = page.bytes();
    for _ in 0..2000 {
        (header, surfaces) = page.bytes();
        if header["training"].as_f64().unwrap() < 0.05 {
            break;
        }
    }
    assert!(header["training"].as_f64().unwrap() < 0.05 && header["held_out"].as_f64().unwrap() < 0.1, "{header}");
    // The last surface is that of the output: the probability of orange, which lies where the signs are the same.
    let n = scene["grid"].as_u64().unwrap() as usize;
    let output = &surfaces[surfaces.len() - n * n..];
    for (x, y) in [(1.0, 1.0), (-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0)] {
        assert_eq!(output[at(&scene, x, y)] > 127, x == y, "{x} {y}");
    }
    // Another run on the same page: no hidden layer.
    let scene = page.set_up(&spec(&json!({ "hidden": [] })));
    assert_eq!(scene["widths"], json!([1]));
    page.bytes();
    page.ask(&json!({ "do": "play", "speed": 0 }));
    loop {
        let (header, _) = page.bytes();
        if header["epoch"].as_u64().unwrap() > 500 {
            assert!(header["training"].as_f64().unwrap() > 0.6, "{header}");
            break;
        }
    }
}

/// `.ci/run` runs this test on wgpu too, by its name.
#[test]
fn backends_all_have_a_playground() {
    let devices = Folder::new().json(&["devices", "--json"])["devices"].clone();
    for device in devices.as_array().unwrap() {
        let flag = device["flag"].as_str().unwrap();
        let playground = Playground::start_on(flag, &[]);
        let mut page = playground.page();
        let scene = page.set_up(&spec(&json!({ "noise": 0.1, "rows": 40 })));
        let first = page.bytes().0["training"].as_f64().unwrap();
        let (mut header, mut surfaces) = (Value::Null, Vec::new());
        for _ in 0..40 {
            page.ask(&json!({ "do": "step" }));
            (header, surfaces) = page.bytes();
        }
        assert_eq!(header["epoch"], 40);
        assert!(header["training"].as_f64().unwrap() < 0.7 * first, "{flag}: {first}, then {header}");
        let n = scene["grid"].as_u64().unwrap() as usize;
        assert_eq!(surfaces.len(), 7 * n * n, "{flag}");
        page.ask(&json!({ "do": "model" }));
        assert!(page.bytes().1.len() > 1000, "{flag}");
    }
}

#[test]
fn downloaded_files_are_those_of_train() {
    let playground = Playground::start(&[]);
    let mut page = playground.page();
    let folder = Folder::new();
    for (data, extra) in [("moons", json!({})), ("wave", json!({ "optimizer": "sgd", "noise": 0.0, "loss": "mae" }))] {
        let mut spec = spec(&extra);
        spec["data"] = json!(data);
        page.set_up(&spec);
        page.bytes();
        page.ask(&json!({ "do": "tune", "tuning": { "learning_rate": 0.01, "batch": 0, "l1": 0.0, "l2": 0.001 } }));
        for epoch in 1..=3 {
            page.ask(&json!({ "do": "step" }));
            assert_eq!(page.bytes().0["epoch"], epoch);
        }
        page.ask(&json!({ "do": "run-file" }));
        let file = page.text();
        let name = file["name"].as_str().unwrap().to_owned();
        folder.write(&name, file["text"].as_str().unwrap());
        folder.write(file["table"].as_str().unwrap(), file["rows"].as_str().unwrap());
        page.ask(&json!({ "do": "model" }));
        let (header, model) = page.bytes();
        let downloaded = header["name"].as_str().unwrap();
        assert_eq!(downloaded, format!("{data}.perceptra"));
        let report = folder.json(&["train", "--config", &name, "--device", "cpu", "--json", "-o", "trained.perceptra"]);
        assert_eq!(report["history"]["epochs"].as_array().unwrap().len(), 3);
        assert!(std::fs::read(folder.path("trained.perceptra")).unwrap() == model, "{data}");
        folder.write(downloaded, &model);
        let said = folder.ok(&["predict", downloaded, file["table"].as_str().unwrap(), "--device", "cpu"]);
        assert_eq!(said.lines().count(), 201);
    }
}

#[test]
fn an_uploaded_table_is_shown_over_two_columns() {
    let playground = Playground::start(&[&data("penguins.csv")]);
    let mut page = playground.page();
    let columns = page.text();
    assert_eq!((&columns["type"], &columns["rows"]), (&json!("columns"), &json!(344)));
    assert!(columns["numeric"].as_array().unwrap().contains(&json!("bill_depth_mm")));
    let axes = json!(["flipper_length_mm", "bill_length_mm"]);
    let spec = spec(&json!({ "data": "table", "target": "species", "axes": axes, "hidden": [6] }));
    let scene = page.set_up(&spec);
    assert_eq!(scene["classes"], json!(["Adelie", "Chinstrap", "Gentoo"]));
    assert_eq!(scene["axes"][1]["name"], "bill_length_mm");
    page.bytes();
    page.ask(&json!({ "do": "play", "speed": 0 }));
    let (header, surfaces) = loop {
        let (header, surfaces) = page.bytes();
        if header["training"].as_f64().unwrap() < 0.05 {
            break (header, surfaces);
        }
    };
    assert_eq!(header["ranges"].as_array().unwrap().len(), 6 + 3);
    // Long flippers are a Gentoo's.
    let n = scene["grid"].as_u64().unwrap() as usize;
    let class = |k: usize| surfaces[(6 + k) * n * n + at(&scene, 225.0, 50.0)];
    assert!(class(2) > class(0) && class(2) > class(1), "{} {} {}", class(0), class(1), class(2));
    page.ask(&json!({ "do": "pause" }));
    page.ask(&json!({ "do": "run-file" }));
    let file = page.text();
    assert_eq!((&file["name"], &file["table"]), (&json!("penguins.toml"), &json!(data("penguins.csv"))));
    // A table that the page sends takes its place, by its name alone.
    let text = "a,b,y\n1,2,3\n2,1,5\n3,3,4\n4,2,6\n5,1,7\n6,2,9\n7,7,7\n";
    page.ask(&json!({ "do": "table", "name": "../../etc/mine.csv", "text": text }));
    let mine = page.text();
    assert_eq!((&mine["name"], &mine["target"], &mine["rows"]), (&json!("mine.csv"), &json!("y"), &json!(7)));
    let error = page.error(&json!({ "do": "table", "name": "x.csv", "text": "a,b\n1,2\n3\n" }).to_string());
    assert!(error.starts_with("x.csv:3: "), "{error}");
}

#[test]
fn every_value_of_a_menu_is_understood() {
    let playground = Playground::start(&[]);
    let (mut page, hello) = playground.greeted();
    let menu = |name: &str| hello["menus"][name].as_array().unwrap();
    assert!(menu("activation").contains(&json!("dendritic")) && !menu("activation").contains(&json!("softmax")));
    for key in ["activation", "optimizer"] {
        for value in menu(key) {
            page.set_up(&spec(&json!({ "rows": 20, key: value })));
        }
    }
    // Losses of classes do not fit a regression, others do not fit classes in every case; each fits one of the two.
    for loss in menu("loss").iter().filter(|loss| *loss != "categorical-cross-entropy") {
        let data = if loss == "binary-cross-entropy" { "xor" } else { "plane" };
        page.set_up(&spec(&json!({ "rows": 20, "data": data, "loss": loss })));
    }
    page.set_up(&spec(&json!({ "rows": 30, "data": "blobs", "loss": "categorical-cross-entropy" })));
}

#[test]
fn requests_beyond_the_limits_are_refused() {
    let playground = Playground::start(&[]);
    let mut page = playground.page();
    let refused =
        |page: &mut Page, change: Value| page.error(&json!({ "do": "setup", "spec": spec(&change) }).to_string());
    for (change, message) in [
        (
            json!({ "hidden": [1, 1, 1, 1, 1, 1, 1] }),
            "7 hidden layers are too many for the playground, the maximum is 6",
        ),
        (json!({ "hidden": [1_000_000_000_u64] }), "1000000000 units of a layer are too many"),
        (json!({ "rows": 1_000_000_000_000_u64 }), "rows are too many"),
        (json!({ "rows": 0 }), "0 rows are too few"),
        (json!({ "noise": -1.0 }), "the noise is -1, it must be between 0 and 2"),
        (json!({ "held_out": 2.0 }), "validation"),
        (json!({ "data": "nothing" }), "there is no data set \"nothing\"; choose one of xor, and"),
        (json!({ "data": "table" }), "no table has been uploaded yet"),
        (json!({ "hidden": [0] }), "the width of hidden layer 1 is 0, a network needs at least 1"),
        (json!({ "activation": "nothing" }), "unknown variant"),
        (json!({ "loss": "categorical-cross-entropy" }), "categorical-cross-entropy"),
        (json!({ "axes": ["x1", "x1"] }), "both axes are \"x1\""),
        (json!({ "more": 1 }), "unknown field"),
    ] {
        let error = refused(&mut page, change.clone());
        assert!(error.contains(message), "{change}: {error}");
    }
    let header = (0..65).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    let row = ["1"; 65].join(",");
    let wide = json!({ "do": "table", "name": "wide.csv", "text": format!("{header}\n{row}\n{row}\n") });
    assert!(page.error(&wide.to_string()).contains("65 columns are too many"));
    for (ask, message) in [
        ("{\"do\":\"step\"}", "no run has been started yet"),
        ("{\"do\":\"model\"}", "no run has been started yet"),
        ("junk", "invalid message"),
        ("{\"do\":\"nothing\"}", "invalid message"),
        ("[]", "invalid message"),
        (&"[".repeat(100_000), "invalid message"),
    ] {
        let error = page.error(ask);
        assert!(error.contains(message), "{}: {error}", &ask[..ask.len().min(50)]);
    }
    // After all that the page works, up to what diverges, which is told.
    let tuning = json!({ "learning_rate": 1e30, "batch": 10, "l1": 0.0, "l2": 0.0 });
    page.set_up(&spec(&json!({ "data": "plane", "activation": "identity", "optimizer": "sgd", "tuning": tuning })));
    page.ask(&json!({ "do": "play", "speed": 5 }));
    let error = page.text();
    assert!(error["message"].as_str().unwrap().contains("NaN or infinite"), "{error}");
    page.set_up(&spec(&json!({})));
}

#[test]
fn other_sites_are_kept_out() {
    let playground = Playground::start(&[]);
    let host = playground.host.clone();
    let port = host.rsplit_once(':').unwrap().1.to_owned();
    let page = playground.get("/", &host);
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(playground.get("/", &format!("localhost:{port}")).starts_with("HTTP/1.1 200"));
    for path in ["/", "/page.js", "/socket"] {
        let answer = playground.get(path, &format!("evil.example:{port}"));
        assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("<html"), "{path}: {answer}");
    }
    assert!(playground.get("/../Cargo.toml", &host).starts_with("HTTP/1.1 404"));
    let here = format!("http://{host}");
    for (host, origin) in [
        (host.as_str(), "http://evil.example"),
        (host.as_str(), ""),
        (host.as_str(), "null"),
        (host.as_str(), "https://127.0.0.1"),
        ("evil.example", "http://evil.example"),
        ("evil.example", here.as_str()),
    ] {
        let error = playground.connect(host, origin).err();
        assert!(error.as_ref().is_some_and(|e| e.contains("403")), "{host} {origin}: {error:?}");
    }
    playground.page();
}

#[test]
fn pages_that_flood_vanish_or_send_garbage_do_not_disturb_others() {
    let playground = Playground::start(&[]);
    let mut good = playground.page();
    good.set_up(&spec(&json!({})));
    // Bytes, a message beyond the limit, no WebSocket at all.
    for message in [Message::binary(vec![0; 10]), Message::text("x".repeat(5 << 20))] {
        let mut page = playground.page();
        // The server may have closed before all is written.
        let _ = page.socket.send(message);
        while page.hear().is_ok() {}
    }
    let mut raw = TcpStream::connect(&playground.host).unwrap();
    raw.write_all(&[0xFF; 10_000]).unwrap();
    drop(raw);
    // A flood of work: it is cut off, or answered in order.
    let mut flood = playground.page();
    let setup = json!({ "do": "setup", "spec": spec(&json!({ "rows": 5000 })) }).to_string();
    let sent = (0..2000).take_while(|_| flood.socket.send(Message::text(setup.clone())).is_ok()).count();
    let mut heard = 0;
    while flood.hear().is_ok() {
        heard += 1;
    }
    assert!(heard < 2 * sent, "{heard} of {sent}");
    // Pages that go while their runs play, and pages that take no pictures.
    let mut silent = Vec::new();
    for i in 0..20 {
        let mut page = playground.page();
        page.set_up(&spec(&json!({ "hidden": [16, 16, 16, 16, 16, 16] })));
        page.ask(&json!({ "do": "play", "speed": 0 }));
        if i % 2 == 0 {
            silent.push(page);
        }
    }
    good.ask(&json!({ "do": "play", "speed": 1 }));
    for _ in 0..20 {
        good.bytes();
    }
    // A silent page got what may be under way, and then its run waited.
    let mut page = silent.pop().unwrap();
    page.socket.get_ref().set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
    let mut pictures = 0;
    while let Ok(message) = page.socket.read() {
        pictures += usize::from(matches!(message, Message::Binary(_)));
    }
    assert!((2..=4).contains(&pictures), "{pictures}");
}

#[test]
#[cfg(target_os = "linux")]
fn steps_leave_nothing_behind() {
    let playground = Playground::start(&[]);
    let mut page = playground.page();
    page.set_up(&spec(&json!({ "rows": 20, "hidden": [4, 4] })));
    page.bytes();
    let mut steps = |n: usize| {
        for _ in 0..n {
            page.ask(&json!({ "do": "step" }));
            page.bytes();
        }
        playground.memory()
    };
    let before = steps(500);
    let after = steps(2000);
    // The history has grown by some 200 kB.
    assert!(after < before + (6 << 20), "{before} bytes, then {after}");
}

/// Plays on 20 pages for this long and checks that the memory does not grow.
fn load(seconds: u64) {
    let playground = Playground::start(&[]);
    let host = &playground;
    let end = Instant::now() + Duration::from_secs(seconds);
    let early = Instant::now() + Duration::from_secs(seconds / 5);
    let (pictures, memory) = std::thread::scope(|scope| {
        let pages: Vec<_> = (0..20)
            .map(|i| {
                scope.spawn(move || {
                    let mut page = host.page();
                    page.set_up(&spec(
                        &json!({ "data": (["xor", "moons", "circles", "wave"][i % 4]), "hidden": [4, 4] }),
                    ));
                    page.bytes();
                    page.ask(&json!({ "do": "play", "speed": 1 }));
                    let mut pictures = 0;
                    while Instant::now() < end {
                        page.bytes();
                        pictures += 1;
                    }
                    pictures
                })
            })
            .collect();
        std::thread::sleep(early.saturating_duration_since(Instant::now()));
        let memory = host.memory();
        (pages.into_iter().map(|page| page.join().unwrap()).collect::<Vec<usize>>(), memory)
    });
    crate::say(&format!("20 pages, {seconds} s: {pictures:?} pictures; {memory} bytes, then {}", playground.memory()));
    assert!(pictures.iter().all(|n| *n > 0), "{pictures:?}");
    assert!(playground.memory() < memory + (64 << 20), "{memory} bytes, then {}", playground.memory());
    assert!(playground.memory() < 600 << 20, "{}", playground.memory());
}

#[test]
fn twenty_pages_play_at_once() {
    load(4);
}

#[test]
#[ignore = "takes a minute; .ci/run runs it"]
fn twenty_pages_play_for_a_minute_in_bounded_memory() {
    load(60);
}

#[test]
#[cfg(unix)]
fn the_server_ends_in_order() {
    let mut playground = Playground::start(&[]);
    let mut page = playground.page();
    page.set_up(&spec(&json!({})));
    page.ask(&json!({ "do": "play", "speed": 5 }));
    let kill = Command::new("kill").args(["-INT", &playground.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(playground.child.wait().unwrap().code(), Some(130));
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let out = folder.run(&["playground", "--port", &taken.local_addr().unwrap().port().to_string()]);
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("cannot listen on") && out.stderr.contains("hint: another program"), "{}", out.stderr);
}
