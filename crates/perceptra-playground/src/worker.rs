//! The thread behind a page, which holds its run and answers its requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use perceptra_data::{ColumnKind, ReadOptions, Schema, SchemaOptions, Table, Values};
use perceptra_model::{RunConfig, Session, Tables};
use perceptra_train::with_threads;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender};

use crate::error::Refusal;
use crate::problem::{Problem, csv, evenly};
use crate::scene::{Scene, framed};
use crate::spec::{
    MAX_CLASSES, MAX_COLUMNS, MAX_EPOCHS, MAX_LAYERS, MAX_ROWS, MAX_UNITS, Request, Spec, Tuning, menus,
};

/// Maximum training time per picture; drawing comes on top.
const SLICE: Duration = Duration::from_millis(25);
/// Maximum number of pictures sent and not yet acknowledged.
const IN_FLIGHT: usize = 2;

/// A message to a page.
#[derive(Debug)]
pub(crate) enum Reply {
    Text(String),
    Bytes(Vec<u8>),
}

/// The current run of a page.
struct Run {
    session: Session,
    scene: Scene,
    config: RunConfig,
    /// Rows of a built-in data set as CSV, for the download; `None` for an uploaded table.
    text: Option<String>,
    /// Number of epochs whose losses have been sent.
    seen: usize,
}

pub(crate) struct Worker {
    device: Device,
    /// The uploaded table, before an upload the server's own; `None` without either.
    table: Option<Table>,
    run: Option<Run>,
    /// Number of epochs per picture while training, 0 for as many as the time for a picture allows; `None` while paused.
    playing: Option<usize>,
    /// Number of pictures that may still be sent before one is acknowledged.
    credit: usize,
    answers: Sender<Reply>,
}

/// Error of a message to a page that is closed.
struct Closed;

/// Answers the requests of a page until it is closed.
pub(crate) fn work(device: Device, table: Option<Arc<Table>>, mut asks: Receiver<String>, answers: Sender<Reply>) {
    let table = table.map(|table| Table::clone(&table));
    let mut worker = Worker { device, table, run: None, playing: None, credit: IN_FLIGHT, answers };
    // There can be many pages, with small networks: one thread for each.
    with_threads(1, || {
        if worker.greet().is_err() {
            return;
        }
        loop {
            let ask = match worker.playing.is_some() && worker.credit > 0 {
                true => asks.try_recv().ok(),
                false => match asks.blocking_recv() {
                    Some(ask) => Some(ask),
                    None => return,
                },
            };
            let done = match ask {
                Some(text) => worker.answer(&text),
                None if asks.is_closed() && asks.is_empty() => return,
                None => worker.play(),
            };
            if done.is_err() {
                return;
            }
        }
    });
}

impl Worker {
    fn send(&self, answer: Reply) -> Result<(), Closed> {
        self.answers.blocking_send(answer).map_err(|_| Closed)
    }

    fn tell(&self, value: &Value) -> Result<(), Closed> {
        self.send(Reply::Text(value.to_string()))
    }

    fn greet(&self) -> Result<(), Closed> {
        self.tell(&json!({
            "type": "hello",
            "problems": Problem::names(),
            "menus": menus(),
            "version": env!("CARGO_PKG_VERSION"),
            "most": { "layers": MAX_LAYERS, "units": MAX_UNITS, "rows": MAX_ROWS, "epochs": MAX_EPOCHS },
        }))?;
        match self.table.as_ref().map(columns) {
            Some(Ok(columns)) => self.tell(&columns),
            Some(Err(refusal)) => self.refuse(&refusal),
            None => Ok(()),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Result<(), Closed> {
        self.tell(&json!({ "type": "error", "message": refusal.to_string(), "hint": refusal.hint() }))
    }

    fn answer(&mut self, text: &str) -> Result<(), Closed> {
        let ask = match serde_json::from_str::<Request>(text) {
            Ok(ask) => ask,
            Err(error) => return self.refuse(&Refusal::Request(format!("invalid message: {error}"))),
        };
        let done = match ask {
            Request::Drawn => {
                self.credit = (self.credit + 1).min(IN_FLIGHT);
                return Ok(());
            }
            Request::Setup { spec } => self.set_up(&spec),
            Request::Play { speed } => {
                self.playing = Some(speed);
                Ok(Vec::new())
            }
            Request::Pause => {
                self.playing = None;
                self.picture().map(|picture| vec![picture])
            }
            Request::Step => {
                self.playing = None;
                self.advance(1, None).and_then(|()| self.picture()).map(|picture| vec![picture])
            }
            Request::Tune { tuning } => self.tune(tuning).map(|()| Vec::new()),
            Request::Table { name, text } => {
                self.take(&name, text).map(|columns| vec![Reply::Text(columns.to_string())])
            }
            Request::RunFile => self.run_file().map(|file| vec![Reply::Text(file.to_string())]),
            Request::Model => self.model().map(|model| vec![model]),
        };
        match done {
            Ok(answers) => answers.into_iter().try_for_each(|answer| self.send(answer)),
            Err(refusal) => {
                self.playing = None;
                self.refuse(&refusal)
            }
        }
    }

    /// Trains some epochs and sends a picture.
    fn play(&mut self) -> Result<(), Closed> {
        let speed = self.playing.unwrap_or(1);
        let done = (|| {
            if self.epochs() >= MAX_EPOCHS {
                self.playing = None;
                return Err(Refusal::Request(format!("the playground trains for at most {MAX_EPOCHS} epochs")));
            }
            let began = Instant::now();
            self.advance(if speed == 0 { MAX_EPOCHS } else { speed }, Some(began + SLICE))?;
            let picture = self.picture()?;
            // At most about 60 pictures per second.
            std::thread::sleep(Duration::from_millis(14).saturating_sub(began.elapsed()));
            Ok(picture)
        })();
        match done {
            Ok(picture) => {
                self.credit -= 1;
                self.send(picture)
            }
            Err(refusal) => {
                self.playing = None;
                self.refuse(&refusal)?;
                match self.picture() {
                    Ok(picture) => self.send(picture),
                    Err(_) => Ok(()),
                }
            }
        }
    }

    fn running(&mut self) -> Result<&mut Run, Refusal> {
        self.run.as_mut().ok_or_else(|| Refusal::Request("no run has been started yet".into()))
    }

    fn epochs(&self) -> usize {
        self.run.as_ref().map_or(0, |run| run.session.epochs().len())
    }

    fn advance(&mut self, epochs: usize, deadline: Option<Instant>) -> Result<(), Refusal> {
        Ok(self.running()?.session.advance(epochs, deadline)?)
    }

    fn tune(&mut self, tuning: Tuning) -> Result<(), Refusal> {
        let run = self.running()?;
        run.session.tune(|training| tuning.apply(training))?;
        tuning.apply(&mut run.config.train);
        Ok(())
    }

    fn picture(&mut self) -> Result<Reply, Refusal> {
        let playing = self.playing.is_some();
        let run = self.running()?;
        let picture = run.scene.picture(&run.session, run.seen, json!({ "playing": playing }))?;
        run.seen = run.session.epochs().len();
        Ok(Reply::Bytes(picture))
    }

    fn set_up(&mut self, spec: &Spec) -> Result<Vec<Reply>, Refusal> {
        spec.check()?;
        (self.run, self.playing) = (None, None);
        let (table, text, target, task) = match spec.data.as_str() {
            "table" => {
                let table = self.table.clone();
                let table = table.ok_or_else(|| Refusal::Request("no table has been uploaded yet".into()))?;
                let target = spec.target.clone().or_else(|| table.columns().pop()).unwrap_or_default();
                (table, None, target, None)
            }
            name => {
                let problem = Problem::named(name)?;
                let (text, target) = csv(problem, spec.rows, spec.noise, spec.seed);
                let table = Table::from_csv(&format!("{name}.csv"), text.clone(), &ReadOptions::default())?;
                // A few rows without noise have few distinct targets, from which classes would be inferred.
                let task = Some(problem.task()).filter(|task| !task.is_classification());
                (table, Some(text), target.to_owned(), task)
            }
        };
        let config = spec.run(table.name(), &target, task);
        let session = Session::new(&config, &Tables::from(table), &self.device)?;
        if let Some(classes) = session.about().encoder.labels().map(<[String]>::len).filter(|n| *n > MAX_CLASSES) {
            return Err(Refusal::Request(format!(
                "{classes} classes of {target:?} are too many for the playground, the maximum is {MAX_CLASSES}"
            )));
        }
        let scene = Scene::new(&session, spec.axes.as_ref(), &self.device)?;
        let described = Reply::Text(scene.describe(&session)?.to_string());
        self.run = Some(Run { session, scene, config, text, seen: 0 });
        Ok(vec![described, self.picture()?])
    }

    /// Keeps an uploaded table, and describes its columns.
    fn take(&mut self, name: &str, text: String) -> Result<Value, Refusal> {
        // Only the name, without folders, goes into run files.
        let name = name.rsplit(['/', '\\']).next().filter(|n| !n.is_empty()).unwrap_or("table.csv");
        let table = Table::from_csv(name, text, &ReadOptions::default())?;
        let found = columns(&table)?;
        self.table = Some(evenly(table, MAX_ROWS));
        Ok(found)
    }

    fn run_file(&mut self) -> Result<Value, Refusal> {
        let epochs = self.epochs();
        let run = self.running()?;
        let mut config = run.config.clone();
        config.train.epochs = if epochs == 0 { 100 } else { epochs };
        let (table, name) = (config.data.table.display().to_string(), stem(&config));
        Ok(
            json!({ "type": "run-file", "name": format!("{name}.toml"), "text": config.to_toml(), "table": table, "rows": run.text }),
        )
    }

    fn model(&mut self) -> Result<Reply, Refusal> {
        let run = self.running()?;
        let bytes = run.session.model()?.to_bytes()?;
        let name = stem(&run.config);
        Ok(Reply::Bytes(framed(&json!({ "type": "model", "name": format!("{name}.perceptra") }), &bytes)))
    }
}

/// Name of the files of a run: that of its table, without extension.
fn stem(config: &RunConfig) -> String {
    let stem = config.data.table.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| "table".to_owned())
}

/// Describes the columns of a table, with the last one as the default target, and those that can be axes.
pub(crate) fn columns(table: &Table) -> Result<Value, Refusal> {
    let names = table.columns();
    if names.len() > MAX_COLUMNS {
        return Err(Refusal::Request(format!(
            "{} columns are too many for the playground, the maximum is {MAX_COLUMNS}",
            names.len()
        )));
    }
    let target = names.last().cloned().unwrap_or_default();
    let options = SchemaOptions { target: vec![target.clone()], ..SchemaOptions::default() };
    let schema = Schema::infer(table, &options)?;
    // Any numeric column can become an axis, also the default target.
    let is_numeric = |name: &String| {
        let summary = table.summary(name, ColumnKind::Numeric, &schema.notation(name));
        summary.is_ok_and(|summary| matches!(summary.values, Values::Numbers(Some(_))))
    };
    let numeric: Vec<&String> = names.iter().filter(|name| is_numeric(name)).collect();
    Ok(json!({
        "type": "columns",
        "name": table.name(),
        "rows": table.rows().min(MAX_ROWS),
        "all_rows": table.rows(),
        "columns": names,
        "numeric": numeric,
        "target": target,
        "dropped": schema.dropped,
    }))
}
