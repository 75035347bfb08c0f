//! `perceptra search`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use perceptra::model::{Ensemble, Sampler, Trained};
use perceptra::search::{Leaderboard, Search, SearchError, SearchEvent, SearchPlace, merge};
use perceptra::train::Metric;
use perceptra::{ModelError, RunConfig, choose};
use perceptra_files::write_atomic;
use serde_json::json;

use crate::run_args::{Resolved, RunArgs, read_tables};
use crate::train::stem;
use crate::values::one_of;
use crate::{CliError, load_model, note, notes, plots, print, print_json, signals, tables};

/// Tries many settings, ranks them on rows they were not trained on, and trains the model of the best.
///
/// The test rows are used once, for the best model. Finished trials are kept: after an interruption, --resume continues.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  perceptra search data/concrete.csv --target compressive_strength --grid lr=0.01,0.003 --grid hidden=32,64x64
  perceptra search data/concrete.csv --target compressive_strength --folds 5 --random 60 \\
      --space lr=log:1e-4..1e-1 --space dropout=0..0.5 --space hidden=choice:32,64,64x64,128x64
  perceptra search --resume concrete-search
  perceptra search sales.csv --target revenue --sobol 200 --space lr=log:1e-4..1e-1 --shard 3/8 -o shard-3
  perceptra search merge shard-1 shard-2 shard-3 -o all"
)]
pub(crate) struct SearchArgs {
    #[command(subcommand)]
    command: Option<SearchCommand>,
    /// New folder for the search [default: the table's name with -search]
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Do not show a progress bar or notes
    #[arg(short, long)]
    quiet: bool,

    /// Setting with its values, such as lr=0.1,0.01 or hidden=32,64x64 (repeatable)
    #[arg(long, value_name = "KEY=VALUES", value_parser = pair, help_heading = "Search")]
    grid: Vec<(String, String)>,
    /// Setting with its range, such as lr=log:1e-4..1e-1, dropout=0..0.5, hidden=int:8..256 (repeatable)
    #[arg(long, value_name = "KEY=RANGE", value_parser = pair, help_heading = "Search")]
    space: Vec<(String, String)>,
    /// Try N random points instead of every combination
    #[arg(long, value_name = "N", group = "sampler", help_heading = "Search")]
    random: Option<usize>,
    /// Try N points of a Latin hypercube: one in each of N strata of every setting
    #[arg(long, value_name = "N", group = "sampler", help_heading = "Search")]
    latin_hypercube: Option<usize>,
    /// Try N points of a scrambled Sobol sequence
    #[arg(long, value_name = "N", group = "sampler", help_heading = "Search")]
    sobol: Option<usize>,
    /// Judge each trial by cross-validation with N folds instead of on the validation rows
    #[arg(long, value_name = "N", help_heading = "Search")]
    folds: Option<usize>,
    /// Successive halving: train all trials for a few epochs, promote the best 1 in N to N times as many, and so on
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "3", help_heading = "Search")]
    halving: Option<usize>,
    /// With --halving, keep at most N trials in progress; a new one starts when one ends [default: all]
    #[arg(long, alias = "places", value_name = "N", help_heading = "Search")]
    max_parallel: Option<usize>,
    /// Judge each trial on N different splits of the rows [default: 1]
    #[arg(long, value_name = "N", help_heading = "Search")]
    repeats: Option<usize>,
    /// Metric that ranks the trials [default: that of --monitor, else rmse or log-loss]
    #[arg(long, value_name = "METRIC", value_parser = one_of::<Metric>(), help_heading = "Search")]
    metric: Option<Metric>,
    /// Average the networks of the N best trials, or of trials selected for their average (auto)
    #[arg(long, value_name = "N|auto", help_heading = "Search")]
    ensemble: Option<Ensemble>,
    /// Trials trained at the same time [default: one per thread of the CPU]
    #[arg(long, value_name = "N", help_heading = "Search")]
    workers: Option<usize>,
    /// Run every N-th trial from the I-th on, and leave the others to other machines
    #[arg(long, value_name = "I/N", value_parser = shard, help_heading = "Search")]
    shard: Option<(usize, usize)>,
    /// Resume the search of this folder
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["output", "config", "preset", "grid", "space", "sampler"], help_heading = "Search")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum SearchCommand {
    /// Join the shards of one search, and train the model of the best trial
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// Folders of the shards
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// New folder for the joined search
    #[arg(short, long, value_name = "FOLDER")]
    output: PathBuf,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]... [default: that of the search]
    #[arg(long)]
    device: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, values)) if !key.trim().is_empty() && !values.is_empty() => {
            Ok((key.trim().to_owned(), values.to_owned()))
        }
        _ => Err("expected KEY=VALUES, such as lr=0.1,0.01".to_owned()),
    }
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.filter(|(i, n)| (1..=*n).contains(i)).ok_or_else(|| "expected I/N with I from 1 to N, such as 3/8".to_owned())
}

impl SearchArgs {
    fn resolve(&self) -> Result<Resolved, CliError> {
        let own = |run: &mut RunConfig| {
            let search = &mut run.search;
            search.space.extend(self.grid.iter().chain(&self.space).cloned());
            for (sampler, trials) in [
                (Sampler::Random, self.random),
                (Sampler::LatinHypercube, self.latin_hypercube),
                (Sampler::Sobol, self.sobol),
            ] {
                if let Some(trials) = trials {
                    (search.sampler, search.trials) = (sampler, trials);
                }
            }
            search.folds = self.folds.or(search.folds);
            search.halving = self.halving.or(search.halving);
            search.max_parallel = self.max_parallel.or(search.max_parallel);
            search.repeats = self.repeats.unwrap_or(search.repeats);
            search.ensemble = self.ensemble.or(search.ensemble);
            search.metric = self.metric.or(search.metric);
        };
        let searched = [("--grid", &self.grid), ("--space", &self.space)].into_iter().flat_map(|(flag, pairs)| {
            // A name of no key is left to the search, which says what is wrong with it.
            let key = |name: &str| Search::key(name).ok();
            pairs.iter().filter_map(move |(name, values)| Some((key(name)?, format!("{flag} {name}={values}"))))
        });
        self.run.check_keys(own, searched.collect())?;
        let quiet = self.quiet || self.json;
        match &self.resume {
            Some(folder) => {
                let file = folder.join("search.toml");
                match file.exists() {
                    true => self.run.resolve_from(RunConfig::read(&file)?, quiet, own),
                    false => Err(SearchError::NoSearch { folder: folder.clone() }.into()),
                }
            }
            None => self.run.resolve(quiet, own),
        }
    }
}

/// Advice on how to fix an error of a search, with the flags of this command; `None` if there is none.
pub(crate) fn hint(error: &SearchError) -> Option<String> {
    let text = match error {
        SearchError::EmptySpace => {
            "name what to search, as in --space lr=log:1e-4..1e-1 --random 50, or --grid hidden=32,64x64"
        }
        SearchError::NotAGrid { .. } => "list its values, or sample it with --random N",
        SearchError::TooManyTrials { .. } => "sample the space with --random N",
        SearchError::Occupied { .. } => "--resume continues it; for a new one choose another --output",
        SearchError::OtherSearch { .. } => {
            "continue with the same table and settings, or start another search without --resume"
        }
        SearchError::Lock(_) => "wait for it to end, or choose another --output",
        other => return other.hint(),
    };
    Some(text.to_owned())
}

pub(crate) fn run(args: &SearchArgs) -> Result<(), CliError> {
    if let Some(SearchCommand::Merge(args)) = &args.command {
        return join(args);
    }
    let mut resolved = args.resolve()?;
    let run = resolved.run.clone();
    let folder = args
        .resume
        .clone()
        .or_else(|| args.output.clone())
        .unwrap_or_else(|| format!("{}-search", stem(&run.data.table)).into());
    let choice = choose(&run.output.device)?;
    let tables = resolved.tables()?;
    if !args.quiet && !args.json {
        notes::columns(&resolved.run, &tables)?;
    }
    let search = Search::new(&run, &tables, &choice.device)?;
    let place = SearchPlace {
        resume: args.resume.is_some(),
        shard: args.shard.unwrap_or((1, 1)),
        workers: args.workers,
        ..SearchPlace::from(folder.as_path())
    };
    signals::watch();
    let quiet = args.quiet || args.json;
    if !quiet {
        let cases = search.cases;
        let splits = if cases > 1 { format!(", each on {cases} splits of the rows") } else { String::new() };
        let asked = run.search.trials;
        let fewer = match run.search.sampler {
            Sampler::Grid => String::new(),
            Sampler::Random | Sampler::LatinHypercube | Sampler::Sobol if search.planned == asked => String::new(),
            Sampler::Random | Sampler::LatinHypercube | Sampler::Sobol => {
                format!(", not {asked}: the other points repeat these")
            }
        };
        note(&format!("note: {}{fewer}{splits}", trials(search.planned)));
    }
    let bar = Bar::new(quiet, search.metric);
    let board = search.run(&place, &mut |event| bar.observe(event), signals::came())?;
    bar.0.finish_and_clear();
    if board.interrupted {
        let done = board.trials.len();
        let message = format!(
            "{done} of {} trials are finished; perceptra search --resume {} continues",
            board.planned,
            folder.display()
        );
        return Err(CliError::interrupted(message.clone()).unwrap_or(CliError::Other { message, hint: None }));
    }
    if place.shard != (1, 1) && board.trials.len() < board.planned {
        if !args.json {
            print(&table(&board))?;
            let (i, n) = place.shard;
            return print(&format!(
                "\nshard {i} of {n}: {} of {} trials are finished; perceptra search merge joins the shards\n",
                board.trials.len(),
                board.planned
            ));
        }
        return print_json(&json!({ "folder": folder, "metric": board.metric, "trials": board.trials }));
    }
    finish(&search, &board, &run, &folder, args.json)
}

fn join(args: &MergeArgs) -> Result<(), CliError> {
    let (board, text) = merge(&args.folders, &args.output)?;
    let mut run = RunConfig::from_toml("search.toml", &text)?;
    if let Some(device) = &args.device {
        run.output.device.clone_from(device);
    }
    if !args.json && board.trials.len() < board.planned {
        note(&format!("note: {} of {} trials are finished", board.trials.len(), board.planned));
    }
    let choice = choose(&run.output.device)?;
    let tables = read_tables(&run, args.json)?;
    let search = Search::new(&run, &tables, &choice.device)?;
    finish(&search, &board, &run, &args.output, args.json)
}

/// Trains the final model, and prints the result.
fn finish(
    search: &Search<'_>,
    board: &Leaderboard,
    run: &RunConfig,
    folder: &Path,
    json: bool,
) -> Result<(), CliError> {
    signals::watch();
    let model = folder.join("best.perceptra");
    let (members, trained) = match run.search.ensemble {
        None => {
            let (mut best_run, trained) = search.refit(board, &mut ())?;
            let file = folder.join("best.toml");
            best_run.output.model = Some(model.clone());
            write_atomic(&file, |out| std::io::Write::write_all(out, best_run.to_toml().as_bytes()))
                .map_err(|source| ModelError::Write { path: file.clone(), source })?;
            (vec![(board.trials[0].number, 1.0)], trained)
        }
        Some(which) => {
            let found = search.ensemble(board, which, signals::came())?;
            let message =
                format!("the networks are not trained; perceptra search --resume {} trains them", folder.display());
            if let Some(interrupted) = CliError::interrupted(message) {
                return Err(interrupted);
            }
            found
        }
    };
    plots::draw(search, board, folder)?;
    let before = load_model(&model, "cpu").map_or(1, |before| before.members().count());
    if before > 1 && run.search.ensemble.is_none() && !json {
        note(&format!(
            "note: {} was an ensemble of {before} networks, and is now the best one (--ensemble)",
            model.display()
        ));
    }
    trained.model.save(&model)?;
    if json {
        let members: Vec<_> = members.iter().map(|(trial, share)| json!({ "trial": trial, "share": share })).collect();
        return print_json(&json!({
            "folder": folder,
            "model": model,
            "members": members,
            "metric": board.metric,
            "positive": trained.model.about().encoder.positive(),
            "trials": board.trials,
            "test": trained.model.about().metrics,
        }));
    }
    let cases = search.cases;
    let judged = match (run.search.folds, run.search.repeats) {
        (Some(folds), 1) => format!("by cross-validation with {folds} folds"),
        (Some(folds), n) => format!("by {n} cross-validations with {folds} folds"),
        (None, _) if cases > 1 => format!("on the validation rows of {cases} splits"),
        (None, _) => "on the validation rows".to_owned(),
    };
    print(&format!("{}: {}, judged {judged}\n\n", run.data.table.display(), trials(board.trials.len())))?;
    print(&table(board))?;
    print(&summary(&trained, &members, board, &model, folder))
}

/// Maximum number of trials in the printed table.
const SHOWN: usize = 10;

/// `1 trial`, `30 trials`.
fn trials(count: usize) -> String {
    if count == 1 { "1 trial".to_owned() } else { format!("{count} trials") }
}

/// The value of a setting as a search takes it, such as `64x64` for the list `[64, 64]`.
fn shown(value: &str) -> String {
    let numbers = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match numbers.filter(|list| list.split(", ").all(|n| n.parse::<f64>().is_ok())) {
        Some(list) => list.replace(", ", "x"),
        None if value == "[]" => "none".to_owned(),
        None => value.trim_matches('"').to_owned(),
    }
}

fn table(board: &Leaderboard) -> String {
    let keys = board.keys();
    let metric = board.metric.to_string();
    let shorts = keys.iter().map(|key| key.rsplit('.').next().unwrap_or(key));
    let header: Vec<&str> = ["trial", metric.as_str()].into_iter().chain(shorts).chain(["seconds"]).collect();
    let ranked = board.trials.iter().filter(|t| t.score().is_some()).take(SHOWN);
    let rows = ranked.map(|trial| {
        let score = match (trial.score(), trial.deviation()) {
            (Some(mean), Some(deviation)) => format!("{} ± {}", tables::number(mean), tables::number(deviation)),
            (Some(mean), None) => tables::number(mean),
            (None, _) => String::new(),
        };
        let values = keys.iter().map(|key| trial.settings.get(*key).map_or_else(String::new, |v| shown(v)));
        [trial.number.to_string(), score].into_iter().chain(values).chain([format!("{:.2}", trial.seconds)]).collect()
    });
    tables::table(&header, rows.collect())
}

fn summary(trained: &Trained, members: &[(usize, f64)], board: &Leaderboard, model: &Path, folder: &Path) -> String {
    let mut text = String::new();
    let ranked = board.trials.iter().filter(|t| t.score().is_some()).count();
    if ranked > SHOWN {
        text += &format!("... and {} more\n", ranked - SHOWN);
    }
    for (reason, count) in board.failures() {
        text += &format!("{count} failed: {reason}\n");
    }
    text += &match members {
        [(trial, _)] => format!("\nbest: trial {trial}, {}\n", trained.model.network()),
        members => {
            let shares = members.iter().map(|(trial, share)| format!("{trial} ({:.0}%)", 100.0 * share));
            format!("\nensemble of the trials {}\n", shares.collect::<Vec<_>>().join(", "))
        }
    };
    if let Some(metrics) = &trained.model.about().metrics {
        let score = metrics.get(board.metric).map_or_else(String::new, tables::number);
        text += &format!("{} on {} test rows: {score}\n", board.metric, metrics.rows);
    }
    if let Some(class) = trained.model.about().encoder.positive().filter(|_| board.metric.is_of_positive_class()) {
        text += &format!("{} is of the class {class:?}\n", board.metric);
    }
    text + &format!("model: {}\nall trials: {}\n", model.display(), folder.join("leaderboard.csv").display())
}

/// A progress bar with the finished trials, the best score so far and the time left.
struct Bar(ProgressBar, Metric);

impl Bar {
    fn new(quiet: bool, metric: Metric) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("trial {pos}/{len} {bar:24} {msg}  {eta} left") {
            bar.set_style(style);
        }
        Self(bar, metric)
    }

    fn observe(&self, event: &SearchEvent<'_>) {
        match event {
            SearchEvent::Started { planned, finished } => {
                self.0.set_length(*planned as u64);
                self.0.set_position(*finished as u64);
                self.0.reset_eta();
            }
            SearchEvent::Trial { finished, best, .. } => {
                if let Some(best) = best {
                    self.0.set_message(format!("best {} {}", self.1, tables::number(*best)));
                }
                self.0.set_position(*finished as u64);
            }
            _ => {}
        }
    }
}
