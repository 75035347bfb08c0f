//! What stands behind a page: its run, and the messages that it answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use perceptra_data::{ColumnKind, ReadOptions, Schema, SchemaOptions, Table, Task, Values};
use perceptra_model::{RunConfig, Session, Tables};
use perceptra_train::with_threads;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender};

use crate::error::Refusal;
use crate::problem::{PROBLEMS, csv, evenly};
use crate::scene::{Scene, framed};
use crate::spec::{Ask, MOST_CLASSES, MOST_COLUMNS, MOST_EPOCHS, MOST_LAYERS, MOST_ROWS, MOST_UNITS, Spec, Tuning};

/// What a picture's epochs take, at most; the drawing comes on top.
const SLICE: Duration = Duration::from_millis(25);
/// Pictures that may be under way to a page.
const UNDER_WAY: usize = 2;

/// What goes to a page.
#[derive(Debug)]
pub(crate) enum Answer {
    Text(String),
    Bytes(Vec<u8>),
}

/// A page's run.
struct Run {
    session: Session,
    scene: Scene,
    config: RunConfig,
    /// The rows as CSV, of the playground's own problems.
    text: Option<String>,
    /// Epochs that were in a picture.
    seen: usize,
}

pub(crate) struct Worker {
    device: Device,
    /// The page's own table.
    table: Option<Table>,
    run: Option<Run>,
    /// Epochs a picture, while it plays.
    playing: Option<usize>,
    credit: usize,
    answers: Sender<Answer>,
}

/// The page has gone.
struct Gone;

/// Answers a page until it goes.
pub(crate) fn work(device: Device, table: Option<Arc<Table>>, mut asks: Receiver<String>, answers: Sender<Answer>) {
    let table = table.map(|table| Table::clone(&table));
    let mut worker = Worker { device, table, run: None, playing: None, credit: UNDER_WAY, answers };
    // Pages are many and their networks small: one thread each.
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
    fn send(&self, answer: Answer) -> Result<(), Gone> {
        self.answers.blocking_send(answer).map_err(|_| Gone)
    }

    fn tell(&self, value: &Value) -> Result<(), Gone> {
        self.send(Answer::Text(value.to_string()))
    }

    fn greet(&self) -> Result<(), Gone> {
        self.tell(&json!({
            "type": "hello",
            "problems": PROBLEMS,
            "version": env!("CARGO_PKG_VERSION"),
            "most": { "layers": MOST_LAYERS, "units": MOST_UNITS, "rows": MOST_ROWS, "epochs": MOST_EPOCHS },
        }))?;
        match self.table.as_ref().map(columns) {
            Some(Ok(columns)) => self.tell(&columns),
            Some(Err(refusal)) => self.refuse(&refusal),
            None => Ok(()),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Result<(), Gone> {
        self.tell(&json!({ "type": "error", "message": refusal.to_string(), "hint": refusal.hint() }))
    }

    fn answer(&mut self, text: &str) -> Result<(), Gone> {
        let ask = match serde_json::from_str::<Ask>(text) {
            Ok(ask) => ask,
            Err(error) => return self.refuse(&Refusal::Asked(format!("the message is not understood: {error}"))),
        };
        let done = match ask {
            Ask::Drawn => {
                self.credit = (self.credit + 1).min(UNDER_WAY);
                return Ok(());
            }
            Ask::Setup { spec } => self.set_up(&spec),
            Ask::Play { speed } => {
                self.playing = Some(speed);
                Ok(Vec::new())
            }
            Ask::Pause => {
                self.playing = None;
                self.picture().map(|picture| vec![picture])
            }
            Ask::Step => {
                self.playing = None;
                self.advance(1, None).and_then(|()| self.picture()).map(|picture| vec![picture])
            }
            Ask::Tune { tuning } => self.tune(tuning).map(|()| Vec::new()),
            Ask::Table { name, text } => self.take(&name, text).map(|columns| vec![Answer::Text(columns.to_string())]),
            Ask::RunFile => self.run_file().map(|file| vec![Answer::Text(file.to_string())]),
            Ask::Model => self.model().map(|model| vec![model]),
        };
        match done {
            Ok(answers) => answers.into_iter().try_for_each(|answer| self.send(answer)),
            Err(refusal) => {
                self.playing = None;
                self.refuse(&refusal)
            }
        }
    }

    /// Some epochs and a picture.
    fn play(&mut self) -> Result<(), Gone> {
        let speed = self.playing.unwrap_or(1);
        let done = (|| {
            if self.epochs() >= MOST_EPOCHS {
                self.playing = None;
                return Err(Refusal::Asked(format!("{MOST_EPOCHS} epochs are as many as the playground makes")));
            }
            let began = Instant::now();
            self.advance(if speed == 0 { MOST_EPOCHS } else { speed }, Some(began + SLICE))?;
            let picture = self.picture()?;
            // No more than some sixty pictures a second.
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
        self.run.as_mut().ok_or_else(|| Refusal::Asked("there is no run yet".into()))
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

    fn picture(&mut self) -> Result<Answer, Refusal> {
        let playing = self.playing.is_some();
        let run = self.running()?;
        let picture = run.scene.picture(&run.session, run.seen, json!({ "playing": playing }))?;
        run.seen = run.session.epochs().len();
        Ok(Answer::Bytes(picture))
    }

    fn set_up(&mut self, spec: &Spec) -> Result<Vec<Answer>, Refusal> {
        spec.check()?;
        (self.run, self.playing) = (None, None);
        let (table, text, target, task) = match spec.data.as_str() {
            "table" => {
                let table = self.table.clone();
                let table = table.ok_or_else(|| Refusal::Asked("no table has been chosen yet".into()))?;
                let target = spec.target.clone().or_else(|| table.columns().pop()).unwrap_or_default();
                (table, None, target, None)
            }
            problem => {
                let (text, target) = csv(problem, spec.rows, spec.noise, spec.seed)?;
                let table = Table::from_csv(&format!("{problem}.csv"), text.clone(), &ReadOptions::default())?;
                // Few rows without noise are few different numbers, which would be taken as classes.
                (table, Some(text), target.to_owned(), (target == "y").then_some(Task::Regression))
            }
        };
        let config = spec.run(table.name(), &target, task);
        let session = Session::new(&config, &Tables::from(table), &self.device)?;
        if let Some(classes) = session.encoder().labels().map(<[String]>::len).filter(|n| *n > MOST_CLASSES) {
            return Err(Refusal::Asked(format!(
                "{classes} classes of {target:?} are too many for the playground, which takes {MOST_CLASSES}"
            )));
        }
        let scene = Scene::new(&session, spec.axes.as_ref(), &self.device)?;
        let described = Answer::Text(scene.describe(&session)?.to_string());
        self.run = Some(Run { session, scene, config, text, seen: 0 });
        Ok(vec![described, self.picture()?])
    }

    /// Takes a table from the page, and says what is in it.
    fn take(&mut self, name: &str, text: String) -> Result<Value, Refusal> {
        // A name, not a path: it goes into run files.
        let name = name.rsplit(['/', '\\']).next().filter(|n| !n.is_empty()).unwrap_or("table.csv");
        let table = Table::from_csv(name, text, &ReadOptions::default())?;
        let found = columns(&table)?;
        self.table = Some(evenly(table, MOST_ROWS));
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

    fn model(&mut self) -> Result<Answer, Refusal> {
        let run = self.running()?;
        let bytes = run.session.model()?.to_bytes()?;
        let name = stem(&run.config);
        Ok(Answer::Bytes(framed(&json!({ "type": "model", "name": format!("{name}.perceptra") }), &bytes)))
    }
}

/// What a run's files are called: the name of its table, without ending.
fn stem(config: &RunConfig) -> String {
    let stem = config.data.table.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.unwrap_or_else(|| "table".to_owned())
}

/// The columns of a table, and what could be made of them: the last as the target, the first two of numbers as axes.
pub(crate) fn columns(table: &Table) -> Result<Value, Refusal> {
    let names = table.columns();
    if names.len() > MOST_COLUMNS {
        return Err(Refusal::Asked(format!(
            "{} columns are too many for the playground, which takes {MOST_COLUMNS}",
            names.len()
        )));
    }
    let target = names.last().cloned().unwrap_or_default();
    let options = SchemaOptions { target: vec![target.clone()], ..SchemaOptions::default() };
    let schema = Schema::infer(table, &options)?;
    // A column of numbers can be an axis, also the one that is the target for now.
    let is_number = |name: &String| {
        let summary = table.summary(name, ColumnKind::Numeric);
        summary.is_ok_and(|summary| matches!(summary.values, Values::Numbers(Some(_))))
    };
    let numeric: Vec<&String> = names.iter().filter(|name| is_number(name)).collect();
    Ok(json!({
        "type": "columns",
        "name": table.name(),
        "rows": table.rows().min(MOST_ROWS),
        "all_rows": table.rows(),
        "columns": names,
        "numeric": numeric,
        "target": target,
        "dropped": schema.dropped,
    }))
}
