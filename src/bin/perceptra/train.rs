//! `perceptra train`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use perceptra::data::Task;
use perceptra::model::{Checkpoint, Member, Model, Trained, resume, train};
use perceptra::train::{Batch, Engine, StopReason, TrainError};
use perceptra::{Activation, Control, Event, ModelError, Observer, RunConfig, choose};
use perceptra_files::{Lock, remove_stale, write_atomic};
use serde_json::json;

use crate::live::Live;
use crate::run_args::{Resolved, RunArgs};
use crate::{CliError, hints, note, notes, print, print_json, report, same_file, signals, tables};

/// Trains a network on a table and saves the model. Flags override the keys of the run file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra train data/penguins.csv --target species
  perceptra train diamonds.parquet --target price --hidden 256,128 --epochs 50 --device wgpu
  perceptra train sales.csv --target revenue,returns --ignore id --test-file sales-2024.csv
  perceptra train --config penguins.toml --seed 1
  perceptra train sales.csv --target revenue --checkpoint sales-run     # then, after an interruption:
  perceptra train --resume sales-run")]
pub(crate) struct TrainArgs {
    /// Model file to write [default: the table's name with .perceptra, or model.perceptra of standard input]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Do not show a progress bar or notes
    #[arg(short, long)]
    quiet: bool,
    /// Report which engine trains, and why
    #[arg(long, short)]
    verbose: bool,
    /// Train N networks with different seeds as one model that averages their predictions [default: 1]
    #[arg(long, value_name = "N")]
    ensemble: Option<usize>,
    /// Show learning curves in the terminal while training, with keys to stop and to change the learning rate
    #[arg(long, conflicts_with_all = ["quiet", "json"])]
    live: bool,
    /// Write an HTML report beside the model, on the test rows (else validation rows, else training rows)
    #[arg(long)]
    report: bool,
    /// Write checkpoints to this folder, after every epoch unless --every says otherwise
    #[arg(long, value_name = "FOLDER", help_heading = "Checkpoints")]
    checkpoint: Option<PathBuf>,
    /// Resume the run of this folder; other flags may only change when it stops, its device and its output
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["checkpoint", "config", "preset"], help_heading = "Checkpoints")]
    resume: Option<PathBuf>,
    /// Epochs between checkpoints [default: 1]
    #[arg(long, value_name = "EPOCHS", help_heading = "Checkpoints")]
    every: Option<usize>,
    /// Number of latest checkpoints to keep, besides that of the best epoch [default: 2]
    #[arg(long, value_name = "N", help_heading = "Checkpoints")]
    keep: Option<usize>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

impl TrainArgs {
    /// Combines the run of the checkpoint `from`, else the run file or the defaults, with the flags.
    pub(crate) fn resolve(&self, from: Option<&Checkpoint>) -> Result<Resolved, CliError> {
        let own = |run: &mut RunConfig| {
            if let Some(output) = &self.output {
                run.output.model = Some(output.clone());
            }
            if let Some(folder) = self.resume.as_ref().or(self.checkpoint.as_ref()) {
                run.checkpoint.folder = Some(folder.clone());
            }
            run.network.ensemble = self.ensemble.unwrap_or(run.network.ensemble);
            run.checkpoint.every = self.every.unwrap_or(run.checkpoint.every);
            run.checkpoint.keep = self.keep.unwrap_or(run.checkpoint.keep);
        };
        let quiet = self.quiet || self.json;
        match from {
            Some(checkpoint) => self.run.resolve_from(checkpoint.run.clone(), quiet, own),
            None => self.run.resolve(quiet, own),
        }
    }
}

/// Name of a table without folder and extensions, such as `penguins` for `data/penguins.csv.gz`; `model` if it has none.
pub(crate) fn stem(table: &Path) -> String {
    let name = table.file_name().map_or_else(|| "model".into(), |n| n.to_string_lossy().into_owned());
    match name.split('.').next() {
        Some(stem) if !stem.is_empty() && stem != "-" => stem.to_owned(),
        _ => "model".to_owned(),
    }
}

pub(crate) fn run(args: &TrainArgs) -> Result<(), CliError> {
    let from = match &args.resume {
        Some(folder) if folder.is_dir() => Some(Checkpoint::latest(folder)?),
        Some(folder) => return Err(ModelError::NoCheckpoint { folder: folder.clone() }.into()),
        None => None,
    };
    let mut resolved = args.resolve(from.as_ref())?;
    let mut run = resolved.run.clone();
    if let (Some((name, text)), false) = (&resolved.file, args.quiet || args.json) {
        for [key, there, here] in run.overridden(name, text)? {
            note(&format!("note: {key} is {here}, by a flag, not {there}, as in {name}"));
        }
    }
    if let Some(from) = &from {
        for problem in &from.skipped {
            note(&format!("note: {problem}"));
        }
        if !args.quiet && !args.json {
            note(&format!("note: going on after epoch {}, from {}", from.epochs, from.path.display()));
        }
    }
    let model_path = run.output.model.clone().unwrap_or_else(|| format!("{}.perceptra", stem(&run.data.table)).into());
    run.output.model = Some(model_path.clone());
    let run_path = model_path.with_extension("toml");
    let inputs = [Some(&run.data.table), run.split.test_file.as_ref(), run.split.validation_file.as_ref()];
    if inputs.into_iter().flatten().any(|input| same_file(input, &model_path) || same_file(input, &run_path)) {
        return Err(CliError::usage("the model would overwrite the table", "choose another --output"));
    }
    if run_path == model_path || args.run.config.as_deref().is_some_and(|config| same_file(config, &model_path)) {
        return Err(CliError::usage(
            "the model and its run file would be one file",
            "give --output another ending than .toml",
        ));
    }
    check_writable(&model_path)?;
    // A lock keeps apart two runs that would write the same files. Temporary files of a run that was killed are removed.
    let lock = Lock::acquire(&run_path.with_extension("toml.lock")).map_err(ModelError::from)?;
    if let Some(pid) = lock.stale {
        note(&format!("note: process {pid}, which was writing {}, has ended without doing so", model_path.display()));
    }
    remove_stale(folder_of(&model_path));
    let choice = choose(&run.output.device)?;
    let tables = resolved.tables()?;

    signals::watch();
    let live = args.live && run.network.ensemble == 1;
    let title = format!("{}: {}", run.data.table.display(), run.data.schema.target.join(", "));
    let live = live.then(|| Live::open(&title, &choice.name)).flatten();
    let mut progress = Progress::new(args.quiet || args.json || live.is_some(), args.verbose, live);
    if run.network.ensemble > 1 {
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
            progress.bar.set_style(style);
        }
        progress.bar.set_message(format!("{} networks are in training", run.network.ensemble));
        progress.bar.enable_steady_tick(Duration::from_millis(250));
    }
    let trained = match &from {
        None => train(&run, &tables, &choice.device, &mut progress),
        Some(from) => resume(from, &run, &tables, &choice.device, &mut progress),
    }?;
    let asked = progress.finish();
    save(&trained, &model_path, &run)?;
    // The run file is written beside the model, but not over the user's own.
    let own_file = args.run.config.as_deref().is_some_and(|config| same_file(config, &run_path));
    if !own_file {
        write_atomic(&run_path, |file| std::io::Write::write_all(file, run.to_toml().as_bytes()))
            .map_err(|source| CliError::write(&run_path, source))?;
    }
    let report_path = args.report.then(|| report::of_run(&trained.model, &run, &tables, &model_path)).transpose()?;

    let about = trained.model.about();
    if args.json {
        return print_json(&json!({
            "model": model_path,
            "run": run_path,
            "report": report_path,
            "device": choice.name,
            "engine": progress.engine,
            "task": about.schema.task,
            "positive": about.encoder.positive(),
            "network": trained.model.network().to_string(),
            "members": trained.model.members().count(),
            "rows": { "train": trained.rows[0], "validation": trained.rows[1], "test": trained.rows[2] },
            "task_reason": about.schema.reason,
            "dropped": about.schema.dropped,
            "notes": about.schema.notes.iter().map(ToString::to_string).chain(trained.notes.iter().map(ToString::to_string)).collect::<Vec<_>>(),
            "missing": trained.report.missing,
            "validation": trained.validation,
            "test": about.metrics,
            "calibration": trained.calibration,
            "history": about.history,
        }))
        .and(outcome(&trained, &model_path, asked));
    }
    if !args.quiet {
        choices(&trained, &run, tables.rows_without_weight());
    }
    if let Batch::Rows(rows) = run.train.batch
        && rows > trained.rows[0]
        && !args.quiet
    {
        note(&format!(
            "note: a batch of {rows} rows is more than the {} training rows, it has all of them",
            trained.rows[0]
        ));
    }
    if trained.dead {
        note(
            "warning: the network gives the same output for every row: it learned nothing, or a layer's units are all off; \
             try a lower --learning-rate, or --activation leaky-relu",
        );
    }
    print(&summary(&trained, &run, &choice.name, &model_path, &run_path))?;
    if let Some(path) = &report_path {
        print(&format!("report: {}\n", path.display()))?;
    }
    outcome(&trained, &model_path, asked)
}

/// Notes on choices that were made for the user, and on what was left out or filled in.
fn choices(trained: &Trained, run: &RunConfig, without_weight: usize) {
    let about = trained.model.about();
    about.schema.notes.iter().for_each(|choice| note(&hints::note(choice)));
    trained.notes.iter().for_each(|choice| note(&hints::part(choice)));
    notes::training(&trained.report);
    if without_weight > 0 {
        note(&format!("note: {without_weight} rows of weight 0 are left out"));
    }
    if let (None, Some([other, positive])) = (&run.data.positive, about.encoder.labels()) {
        note(&format!(
            "note: {positive:?} is the positive class, the last of {other:?} and {positive:?}; {} takes the other one",
            hints::flag("positive", other)
        ));
    }
    let activation = about.network.output_activation;
    if about.schema.task == Task::Regression && run.encoder.standardize_target && activation != Activation::Identity {
        note(&format!(
            "note: targets are divided by their standard deviation and not shifted, so that {activation} bends at 0 of the target"
        ));
    }
    if trained.unreachable > 0 {
        note(&format!(
            "warning: {} of the {} training rows have a target that --output-activation {activation} cannot give",
            trained.unreachable, trained.rows[0]
        ));
    }
}

/// Writes the model to `path`. If that fails, it is written to the folder for temporary files, so that it is not lost, and an error tells
/// where.
fn save(trained: &Trained, path: &Path, run: &RunConfig) -> Result<(), CliError> {
    let Err(error) = trained.model.save(path) else { return Ok(()) };
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let elsewhere = std::env::temp_dir().join(format!("{name}-{}.perceptra", std::process::id()));
    let mut hint = match trained.model.save(&elsewhere) {
        Ok(()) => format!("the model is in {} instead", elsewhere.display()),
        Err(also) => format!("{also}"),
    };
    if let Some(folder) = &run.checkpoint.folder {
        hint += &format!("; perceptra train --resume {} --output FILE writes it again", folder.display());
    }
    Err(CliError::Other { message: error.to_string(), hint: Some(hint) })
}

/// The error of a run that diverged or was interrupted, although its model is kept. An interruption is no error if the user `asked` for it
/// by a key.
fn outcome(trained: &Trained, path: &Path, asked: bool) -> Result<(), CliError> {
    let early = |m: &Member<'_>| match m.history.stop {
        StopReason::Interrupted => !asked,
        stop => stop == StopReason::Diverged,
    };
    let Some(Member { history, .. }) = trained.model.members().find(early) else { return Ok(()) };
    let kept = format!("the model of epoch {}, the best one, is in {}", history.best_epoch, path.display());
    match history.stop {
        StopReason::Interrupted => Err(CliError::interrupted(kept.clone())
            .unwrap_or(CliError::Other { message: format!("interrupted; {kept}"), hint: None })),
        StopReason::Diverged => {
            let last = history.epochs.last().map_or(f64::NAN, |epoch| epoch.train_loss);
            let epoch = history.epochs.len() + 1;
            Err(CliError::Other {
                message: format!(
                    "the training loss or the weights became NaN or infinite in epoch {epoch}, after a loss of {last:.6} in the \
                     epoch before; {kept}"
                ),
                hint: hints::train(&TrainError::Diverged { epoch }),
            })
        }
        _ => Ok(()),
    }
}

fn summary(trained: &Trained, run: &RunConfig, device: &str, model_path: &Path, run_path: &Path) -> String {
    let model = &trained.model;
    let about = model.about();
    let history = &about.history;
    let [train, validation, test] = trained.rows;
    let target = about.schema.targets.join(", ");
    let classes = about.encoder.labels().map_or_else(String::new, |l| format!(", {} classes", l.len()));
    let members = model.members().count();
    let network = match members {
        1 => model.network().to_string(),
        n => format!("{n} networks, whose predictions are averaged; the first: {}", model.network()),
    };
    let reason = about.schema.reason.as_ref().map_or_else(String::new, |why| format!(" ({why}; --task changes it)"));
    let mut text = format!(
        "{}: {} of {target}{classes}{reason}\n{train} training, {validation} validation and {test} test rows, {} features as {} \
         inputs, on {device}\n{network}\n{} epochs, {}; best epoch {}\n\n",
        if run.data.table == Path::new("-") { "standard input".into() } else { run.data.table.to_string_lossy() },
        about.schema.task,
        about.encoder.features().count(),
        about.encoder.width(),
        history.epochs.len(),
        stopped(model),
        history.best_epoch,
    );
    let parts = [("validation", trained.validation.as_ref()), ("test", about.metrics.as_ref())];
    let parts: Vec<_> = parts.into_iter().filter_map(|(name, m)| m.map(|m| (name, m))).collect();
    text += &tables::metrics_table(&parts);
    if !parts.is_empty() {
        text += "\n";
    }
    if let Some(c) = &trained.calibration {
        let change = |[before, after]: [f64; 2]| format!("{} → {}", tables::number(before), tables::number(after));
        text += &format!(
            "temperature scaling {:.3}, fitted on the validation rows: log loss {}, calibration error {}\n\n",
            c.temperature,
            change(c.log_loss),
            change(c.calibration_error)
        );
    }
    text += &format!("model: {}\nrun file: {}\n", model_path.display(), run_path.display());
    text
}

/// Why the training ended, with the setting that ended it.
pub(crate) fn stopped(model: &Model) -> String {
    let about = model.about();
    match (about.history.stop, about.training.patience, about.training.no_progress) {
        (StopReason::Patience, Some(epochs), _) => format!("stopped early: no improvement for {}", count(epochs)),
        (StopReason::NoProgress, _, Some(epochs)) => {
            format!("stopped early: the training loss has not fallen for {}", count(epochs))
        }
        (stop, ..) => stop.to_string(),
    }
}

/// `1 epoch`, `30 epochs`.
fn count(epochs: usize) -> String {
    if epochs == 1 { "1 epoch".to_owned() } else { format!("{epochs} epochs") }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Checks, before training, whether the model can be written after it.
fn check_writable(path: &Path) -> Result<(), CliError> {
    let fail = |source| Err(CliError::write(path, source));
    if path.is_dir() {
        return fail(std::io::Error::other("it is a folder"));
    }
    if path.metadata().is_ok_and(|m| m.permissions().readonly()) {
        return fail(std::io::Error::other("the file is read-only"));
    }
    let folder = folder_of(path);
    // At the end, the model is first written to a temporary file beside it: tries to create such a file.
    match tempfile::Builder::new().prefix(".perceptra-").suffix(".tmp").tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(e) => {
            let why = match folder.is_dir() {
                true => format!("the folder {} does not take files: {}", folder.display(), e.kind()),
                false => format!("there is no folder {}", folder.display()),
            };
            fail(std::io::Error::new(e.kind(), why))
        }
    }
}

/// A progress bar with losses, rows per second and time left, hidden unless standard error is a terminal; or the live view.
struct Progress {
    bar: ProgressBar,
    rows: usize,
    verbose: bool,
    engine: Engine,
    live: Option<Live>,
    /// A note to print once the live view is closed.
    later: Option<String>,
}

impl Progress {
    fn new(quiet: bool, verbose: bool, live: Option<Live>) -> Self {
        let target = match !quiet && std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Self {
            bar: ProgressBar::with_draw_target(None, target),
            rows: 0,
            verbose,
            engine: Engine::Auto,
            live,
            later: None,
        }
    }

    /// Restores the terminal, and returns whether a key ended the run.
    fn finish(&mut self) -> bool {
        self.bar.finish_and_clear();
        let asked = self.live.as_mut().is_some_and(|live| {
            live.close();
            live.asked()
        });
        if let Some(text) = self.later.take() {
            note(&text);
        }
        asked
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event<'_>) -> Control {
        match event {
            Event::Started { epochs, rows, steps, engine, obstacle } => {
                (self.rows, self.engine) = (*rows, *engine);
                if self.verbose {
                    let why = obstacle.map_or_else(String::new, |o| format!(", not by the fused one: {o}"));
                    let text = format!("note: {steps} steps an epoch by the {} engine{why}", engine.name());
                    match self.live {
                        // Printed once the live view is closed.
                        Some(_) => self.later = Some(text),
                        None => note(&text),
                    }
                }
                self.bar.set_length(*epochs as u64);
                if let Ok(style) = ProgressStyle::with_template("epoch {pos}/{len} {bar:24} {msg}  at most {eta} left")
                {
                    self.bar.set_style(style);
                }
                self.bar.enable_steady_tick(Duration::from_millis(250));
            }
            Event::Epoch { epoch, improved, .. } => {
                let validation = epoch.validation_loss.map_or_else(String::new, |v| format!(", validation {v:.4}"));
                let monitored = epoch.monitored.map_or_else(String::new, |v| format!(" ({v:.4})"));
                let mark = if *improved { " *" } else { "  " };
                let speed = self.rows as f64 / epoch.seconds.max(1e-9);
                self.bar.set_message(format!(
                    "training {:.4}{validation}{monitored}{mark} {} rows/s",
                    epoch.train_loss,
                    tables::thousands(speed as u64)
                ));
                self.bar.set_position(epoch.epoch as u64);
            }
            Event::Checkpoint { path, error: Some(error) } if self.live.is_none() => {
                self.bar.suspend(|| note(&format!("warning: no checkpoint {}: {error}", path.display())));
            }
            Event::Stopped { .. } => self.bar.finish_and_clear(),
            _ => {}
        }
        self.live.as_mut().map_or(Control::Continue, |live| live.observe(event))
    }

    fn interrupt(&self) -> Option<&AtomicBool> {
        match &self.live {
            Some(live) => live.interrupt(),
            None => signals::came(),
        }
    }
}
