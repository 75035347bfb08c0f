//! The playground and the report in a browser, driven through the DevTools protocol. These tests need Chromium: `cargo test --test cli -- --ignored
//! browser` runs them, and `.ci/run` does. Screenshots go to the folder PERCEPTRA_SCREENSHOTS, if that is set.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::playground::Playground;
use crate::{Folder, data};

struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: String,
    asked: u64,
    /// Errors that the page logged.
    complaints: Vec<String>,
    requests: Vec<String>,
    folder: Folder,
}

impl Browser {
    fn open(width: u32, height: u32) -> Self {
        let folder = Folder::new();
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let found = names.iter().find_map(|name| {
            Command::new(name)
                .args(["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "about:blank"])
                .arg(format!("--user-data-dir={}", folder.path("profile").display()))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        });
        let mut child = found.expect("Chromium is installed (on Debian: apt-get install chromium)");
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.map_while(Result::ok).find_map(|l| l.split("listening on ws://").nth(1).map(str::to_owned));
        let address = address.expect("Chromium says where it listens");
        let stream = TcpStream::connect(address.split('/').next().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://{address}"), stream).unwrap();
        let (complaints, requests) = (Vec::new(), Vec::new());
        let mut browser = Self { child, socket, session: String::new(), asked: 0, complaints, requests, folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        attached["sessionId"].as_str().unwrap().clone_into(&mut browser.session);
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser.call("Emulation.setDeviceMetricsOverride", size);
        browser
    }

    #[expect(clippy::needless_pass_by_value, reason = "parameters are written as `json!` where it is called")]
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == self.asked {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
            let params = &answer["params"];
            match answer["method"].as_str().unwrap_or_default() {
                "Runtime.exceptionThrown" => self.complaints.push(params.to_string()),
                "Runtime.consoleAPICalled" if params["type"] != "log" => self.complaints.push(params.to_string()),
                "Log.entryAdded" if params["entry"]["level"] == "error" => self.complaints.push(params.to_string()),
                "Network.requestWillBeSent" => self.requests.push(params["request"]["url"].to_string()),
                _ => {}
            }
        }
    }

    fn go(&mut self, url: &str) {
        self.call("Page.navigate", json!({ "url": url }));
        self.wait("document.readyState === 'complete'");
    }

    fn eval(&mut self, script: &str) -> Value {
        let params = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until a condition holds.
    fn wait(&mut self, condition: &str) {
        let end = Instant::now() + Duration::from_mins(1);
        while self.eval(condition) != true {
            let state = "document.body ? document.body.innerText.slice(0, 2000) : ''";
            assert!(Instant::now() < end, "{condition}: {}", self.eval(state));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Clicks in the middle of an element.
    fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center' }}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        );
        let place = self.eval(&place);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    fn key(&mut self, key: &str) {
        for (kind, text) in [("keyDown", key), ("keyUp", "")] {
            self.call("Input.dispatchKeyEvent", json!({ "type": kind, "key": key, "text": text }));
        }
    }

    fn screenshot(&mut self, name: &str) {
        let png = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        assert!(png["data"].as_str().unwrap().len() > 10_000, "{name} shows something");
        if let Some(folder) = std::env::var_os("PERCEPTRA_SCREENSHOTS") {
            let path = PathBuf::from(folder).join(format!("{name}.png"));
            let decode = "import base64, sys; sys.stdout.buffer.write(base64.b64decode(sys.stdin.read()))";
            let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).open(path).unwrap();
            let mut python =
                Command::new("python3").args(["-c", decode]).stdin(Stdio::piped()).stdout(file).spawn().unwrap();
            std::io::Write::write_all(&mut python.stdin.take().unwrap(), png["data"].as_str().unwrap().as_bytes())
                .unwrap();
            python.wait().unwrap();
        }
    }

    /// Checks that nothing is wider than the window, no error was logged, and only `host` was contacted.
    fn is_well(&mut self, host: &str) {
        let wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert!(self.eval(wide).as_i64().unwrap() <= 0, "no scrolling to the side");
        assert!(self.complaints.is_empty(), "{:#?}", self.complaints);
        let own = |url: &str| {
            ["\"data:", "\"blob:", "\"about:"].iter().any(|kind| url.starts_with(kind)) || url.contains(host)
        };
        let others: Vec<&String> = self.requests.iter().filter(|url| !own(url)).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // If it has ended already there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The color of the surface at a point of the axes: above 0 for blue.
const BLUE: &str = "(x, y) => { const c = document.getElementById('surface'), [a, b] = scene.axes; \
    const at = [(x - a.low) / (a.high - a.low), 1 - (y - b.low) / (b.high - b.low)].map((p) => Math.round(p * c.width)); \
    const d = c.getContext('2d').getImageData(at[0], at[1], 1, 1).data; return d[2] - d[0]; }";

#[test]
#[ignore = "needs Chromium; .ci/run runs it"]
fn browser_xor_needs_a_hidden_layer() {
    let playground = Playground::start(&[]);
    for (width, height) in [(1280, 800), (800, 600)] {
        let mut browser = Browser::open(width, height);
        browser.go(&format!("http://{}/", playground.host));
        browser.wait("scene !== null && picture !== null");
        browser.click("#neuron");
        browser.wait("scene.widths.length === 1");
        // By the keyboard: play.
        browser.key("p");
        browser.wait("picture && picture.epoch > 300");
        assert!(browser.eval("picture.training").as_f64().unwrap() > 0.6);
        browser.screenshot(&format!("neuron-{width}x{height}"));
        browser.click("#network");
        browser.wait("scene.widths.length === 3 && picture && picture.epoch === 0");
        // Without noise the corners are all there is.
        browser.eval("document.getElementById('noise').value = 0.1; document.getElementById('noise').oninput()");
        browser
            .wait("scene.points.every(([x, y]) => Math.abs(Math.abs(x) - 1) < 0.6 && Math.abs(Math.abs(y) - 1) < 0.6)");
        browser.click("#play");
        browser.wait("picture && picture.training < 0.02");
        browser.wait("Number(document.getElementById('training').textContent) < 0.02");
        browser.click("#play");
        browser.wait("document.getElementById('play').textContent === 'Play'");
        browser.screenshot(&format!("network-{width}x{height}"));
        // The surface alone, without the points that lie at its corners.
        browser.eval("scene.points = []; drawSurface()");
        for (x, y) in [(1, 1), (-1, -1), (1, -1), (-1, 1)] {
            let blue = browser.eval(&format!("({BLUE})({x}, {y})")).as_f64().unwrap();
            assert_eq!(blue > 0.0, x != y, "{x} {y}: {blue}");
        }
        browser.is_well(&playground.host);
    }
}

#[test]
#[ignore = "needs Chromium; .ci/run runs it"]
fn browser_layers_data_and_links() {
    let playground = Playground::start(&[&data("penguins.csv")]);
    let mut browser = Browser::open(1280, 800);
    let address = format!("http://{}/", playground.host);
    browser.go(&address);
    // The table given to the program is selected from the start.
    browser.wait("scene !== null && scene.target === 'year'");
    browser.eval("const t = document.getElementById('target'); t.value = 'species'; t.onchange()");
    browser.wait("scene.classes && scene.classes.length === 3 && picture !== null");
    browser.click("#more");
    browser.wait("scene.widths.length === 4");
    browser.click("#layers span:last-child button:last-child");
    browser.wait("scene.widths.join() === '4,2,5,3' && picture !== null");
    browser.eval("const s = document.getElementById('speed'); s.value = '0'; s.onchange()");
    browser.click("#play");
    browser.wait("picture && picture.training < 0.1");
    browser.click("#play");
    browser.screenshot("own-table");
    // The output shows the surface of the unit under the mouse.
    assert_eq!(browser.eval("document.querySelectorAll('#net canvas').length"), 4 + 2 + 5 + 3);
    browser.eval("document.querySelector('#net canvas').focus()");
    assert_eq!(browser.eval("look"), 0);
    browser.eval("document.querySelector('#net canvas').blur()");
    // Another data set; the address holds the whole state, and restores it in another page.
    browser.click("button[data-name=circles]");
    browser.wait("scene.target === 'class' && picture && picture.epoch === 0");
    browser.eval("const a = document.getElementById('activation'); a.value = 'relu'; a.onchange()");
    browser.wait("/relu/.test(scene.network) && picture !== null");
    let link = browser.eval("location.href").as_str().unwrap().to_owned();
    assert!(
        link.contains("data=circles") && link.contains("hidden=4%2C2%2C5") && link.contains("activation=relu"),
        "{link}"
    );
    browser.is_well(&playground.host);
    let other = Playground::start(&[]);
    let mut second = Browser::open(800, 600);
    second.go(&link.replace(&playground.host, &other.host));
    second.wait("scene !== null && scene.widths.join() === '4,2,5,1' && /relu/.test(scene.network)");
    second.is_well(&other.host);
    // An invalid link still opens a working page.
    second.go("about:blank");
    second.go(&format!("http://{}/#hidden=x,999&rows=nothing&evil=<b>&data=nothing", other.host));
    second.wait("document.getElementById('message').textContent.includes('there is no data set')");
    second.click("button[data-name=moons]");
    second.wait("scene !== null && scene.target === 'class'");
    second.is_well(&other.host);
    // The page waits for a server that is gone.
    drop(other);
    second.wait("document.getElementById('message').textContent.startsWith('Connection lost')");
}

#[test]
#[ignore = "needs Chromium; .ci/run runs it"]
fn browser_files_go_in_and_out() {
    let playground = Playground::start(&[]);
    let mut browser = Browser::open(1280, 800);
    browser.go(&format!("http://{}/", playground.host));
    browser.wait("scene !== null");
    let folder = browser.folder.path("downloads");
    std::fs::create_dir(&folder).unwrap();
    browser.call("Page.setDownloadBehavior", json!({ "behavior": "allow", "downloadPath": folder }));
    let document = browser.call("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
    let input = browser.call("DOM.querySelector", json!({ "nodeId": document, "selector": "#file" }))["nodeId"].clone();
    browser.call("DOM.setFileInputFiles", json!({ "nodeId": input, "files": [data("concrete.csv")] }));
    browser.wait("scene.target === 'compressive_strength' && picture !== null");
    assert_eq!(browser.eval("document.getElementById('axis-x').value"), "cement");
    browser.eval("const y = document.getElementById('axis-y'); y.value = 'age'; y.onchange()");
    browser.wait("scene.axes[1].name === 'age' && picture !== null");
    browser.click("#play");
    browser.wait("picture && picture.epoch >= 50");
    browser.click("#play");
    browser.wait("document.getElementById('play').textContent === 'Play'");
    browser.screenshot("concrete");
    for (button, file) in [("#run-file", "concrete.toml"), ("#model-file", "concrete.perceptra")] {
        browser.click(button);
        let end = Instant::now() + Duration::from_secs(30);
        while !folder.join(file).exists() {
            assert!(
                Instant::now() < end,
                "{file}: {:?}",
                browser.eval("document.getElementById('message').textContent")
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    std::fs::copy(data("concrete.csv"), folder.join("concrete.csv")).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_perceptra"));
        let out = command.args(args).args(["--device", "cpu"]).current_dir(&folder).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(run(&["predict", "concrete.perceptra", "concrete.csv"]).lines().count(), 1031);
    assert!(run(&["train", "--config", "concrete.toml", "-o", "again.perceptra"]).contains("compressive_strength"));
    let [a, b] = ["concrete", "again"].map(|name| std::fs::read(folder.join(format!("{name}.perceptra"))).unwrap());
    assert!(a == b, "the run file gives the model");
    browser.is_well(&playground.host);
}

#[test]
#[ignore = "needs Chromium; .ci/run runs it"]
fn browser_reports_open_from_disk() {
    let folder = Folder::new();
    for (table, target) in [("penguins", "species"), ("concrete", "compressive_strength")] {
        let (file, model) = (data(&format!("{table}.csv")), format!("{table}.perceptra"));
        folder.ok(&["train", &file, "--target", target, "--device", "cpu", "--epochs", "20", "-o", &model, "--report"]);
        for (width, height, dark) in [(1280, 800, false), (800, 600, true)] {
            let mut browser = Browser::open(width, height);
            let scheme = if dark { "dark" } else { "light" };
            let feature = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            browser.call("Emulation.setEmulatedMedia", feature);
            let path = folder.path(&format!("{table}.html"));
            browser.go(&format!("file://{}", path.display()));
            let sections = browser.eval("[...document.querySelectorAll('h2')].map((h) => h.textContent).join()");
            assert_eq!(
                sections,
                "Scores,Data,Network,Training,Predictions,Importance of features,Partial dependence,Worst predictions,\
                 Reproduce"
            );
            assert!(browser.eval("document.querySelectorAll('figure svg').length").as_u64().unwrap() >= 8);
            let empty = "[...document.querySelectorAll('figure svg')].filter((s) => s.getBoundingClientRect().height < 50).length";
            assert_eq!(browser.eval(empty), 0);
            let back = "getComputedStyle(document.body).backgroundColor";
            assert_eq!(browser.eval(back), if dark { "rgb(24, 24, 24)" } else { "rgb(255, 255, 255)" });
            browser.screenshot(&format!("report-{table}-{scheme}"));
            let pdf = browser.call("Page.printToPDF", json!({ "printBackground": true }));
            assert!(pdf["data"].as_str().unwrap().len() > 50_000);
            // On paper of A4 every table ends before the margin.
            browser.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
            let page = json!({ "width": 717, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
            browser.call("Emulation.setDeviceMetricsOverride", page);
            let ends =
                "Math.max(...[...document.querySelectorAll('table')].map((t) => t.getBoundingClientRect().right))";
            assert!(browser.eval(ends).as_f64().unwrap() <= 717.0, "{table}: {}", browser.eval(ends));
            browser.is_well(&format!("{table}.html"));
        }
    }
}
