//! `--set KEY=VALUE`: any key of a run file, by its name.

use clap::Args;
use perceptra::{ModelError, RunConfig};

use crate::CliError;

#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Set any key of a run file, also one without a flag, such as embedding_width=8 (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE, such as train.weight_decay=0.01")?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

impl SetArgs {
    /// Checks that no key is set twice. `flags` applies the other flags to a run; `searched` are the keys that a search sets, each with
    /// the flag as written.
    pub(crate) fn check(
        &self,
        flags: impl Fn(&mut RunConfig),
        searched: Vec<(&'static str, String)>,
    ) -> Result<(), CliError> {
        if self.set.is_empty() && searched.is_empty() {
            return Ok(());
        }
        // Two runs that differ in every key: a key that is equal in both afterwards was set by a flag, as was one that it changed.
        let before = [RunConfig::default(), RunConfig::with_every_key()];
        let mut runs = before.clone();
        runs.iter_mut().for_each(flags);
        let is_set = |key: &str| {
            let changed = |(a, b): (&RunConfig, &RunConfig)| a.get(key).is_some_and(|was| b.get(key) != Some(was));
            runs[0].get(key) == runs[1].get(key) || before.iter().zip(&runs).any(changed)
        };
        let set = |(name, value): &(String, String)| {
            let key = RunConfig::key(name).map_err(|e| usage(name, value, &e))?;
            Ok((key, format!("--set {name}={value}")))
        };
        let all: Vec<_> = self.set.iter().map(set).collect::<Result<_, CliError>>()?;
        let mut seen: Vec<(&str, String)> = Vec::new();
        for (key, written) in searched.into_iter().chain(all) {
            let earlier = seen.iter().find(|(known, _)| *known == key).map(|(_, written)| written.clone());
            let by_flag = || is_set(key).then(|| flag(key));
            if let Some(other) = earlier.or_else(by_flag) {
                let message = format!("{key} is set twice: by {other} and by {written}");
                return Err(CliError::usage(message, "leave out one of them"));
            }
            seen.push((key, written));
        }
        Ok(())
    }

    /// Sets the keys in a run.
    pub(crate) fn apply(&self, run: &mut RunConfig) -> Result<(), CliError> {
        self.set.iter().try_for_each(|(name, value)| run.set(name, value).map_err(|e| usage(name, value, &e)))
    }
}

fn usage(name: &str, value: &str, error: &ModelError) -> CliError {
    let reason = match error {
        ModelError::Key { reason, .. } | ModelError::Value { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    CliError::Usage {
        message: format!("--set {name}={value}: {reason}"),
        hint: error.hint().map(|hint| crate::hints::model(&hint, crate::hints::Flags::Run)),
    }
}

/// The flag that sets a key.
pub(crate) fn flag(key: &str) -> String {
    match key {
        "data.table" => "the argument TABLE".to_owned(),
        "data.header" => "--no-header".to_owned(),
        "split.stratify" => "--no-stratify".to_owned(),
        "network.bias" => "--no-bias".to_owned(),
        "output.calibrate" => "--no-calibrate".to_owned(),
        "train.target" => "--target-value".to_owned(),
        "output.model" => "--output".to_owned(),
        "checkpoint.folder" => "--checkpoint or --resume".to_owned(),
        "search.sampler" | "search.trials" => "--random, --latin-hypercube or --sobol".to_owned(),
        "search.space" => "--grid or --space".to_owned(),
        _ => format!("--{}", key.rsplit('.').next().unwrap_or_default().replace('_', "-")),
    }
}
