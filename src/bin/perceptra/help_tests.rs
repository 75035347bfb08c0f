//! Tests that help, template and README agree with the program.

use std::collections::BTreeSet;

use clap::{Args, Command, CommandFactory, FromArgMatches};
use perceptra::{Activation, Metric, RunConfig};

use crate::Cli;
use crate::init::TEMPLATE;
use crate::train::TrainArgs;
use crate::values::Named;

fn command(name: &str) -> Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(name).unwrap().clone()
}

fn train() -> Command {
    command("train")
}

/// The run that these flags of `train` describe.
fn run(flags: &[&str]) -> Result<RunConfig, clap::Error> {
    let command = TrainArgs::augment_args(Command::new("train"));
    let args = [&["train", "t.csv", "--target", "y"], flags].concat();
    let matches = command.try_get_matches_from(args)?;
    Ok(TrainArgs::from_arg_matches(&matches)?.resolve(None).unwrap().run)
}

#[test]
fn defaults_in_the_help_are_those_of_a_run() {
    let plain = run(&[]).unwrap();
    let mut checked = 0;
    for arg in train().get_arguments() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let Some((_, default)) = help.split_once("[default: ") else { continue };
        let default = default.trim_end_matches(']');
        // A default that depends on something is a sentence.
        if default.contains(' ') {
            continue;
        }
        let flag = format!("--{}={default}", arg.get_long().unwrap());
        assert_eq!(run(&[&flag]).unwrap_or_else(|e| panic!("{flag}: {e}")), plain, "{flag} is not the default");
        checked += 1;
    }
    assert!(checked >= 25, "{checked}");
}

#[test]
fn the_readme_lists_the_flags_of_train() {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("## The flags of `train`").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let listed: BTreeSet<&str> =
        table.split('`').filter_map(|flag| flag.strip_prefix("--")?.split(' ').next()).collect();
    let command = train();
    let flags = command.get_arguments().filter_map(clap::Arg::get_long).filter(|flag| *flag != "help");
    assert_eq!(listed, flags.collect::<BTreeSet<_>>());
}

#[test]
fn every_flag_that_sets_a_key_is_the_flag_of_a_key() {
    // Flags that set no key of their own; `--set` and `--config` name keys themselves.
    let own = ["help", "config", "set", "json", "quiet", "verbose", "live", "report", "workers", "shard"];
    let worded: BTreeSet<String> = RunConfig::keys()
        .flat_map(|key| crate::set_args::flag(key).split([' ', ',']).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    for command in ["train", "search", "compare", "gradcheck"].map(command) {
        let own_of_command: &[&str] = match command.get_name() {
            "compare" => &["folds", "svm-c", "svm-epsilon", "svm-rows", "presets"],
            "gradcheck" => &["rows", "numbers"],
            _ => &[],
        };
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            let sets_no_key = own.contains(&flag) || own_of_command.contains(&flag);
            assert!(
                sets_no_key || worded.contains(&format!("--{flag}")),
                "{}: set_args::flag has no key for --{flag}",
                command.get_name()
            );
        }
    }
}

#[test]
fn the_help_and_errors_list_every_value() {
    let help = train().render_long_help().to_string();
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for names in [Activation::names(), Metric::names()] {
        let listed = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        assert!(words.contains(&format!("[possible values: {listed}]")), "{listed}");
    }
    // Hidden layers have all but softmax.
    let hidden: Vec<&str> = Activation::names().iter().map(String::as_str).filter(|name| *name != "softmax").collect();
    assert!(words.contains(&format!("[possible values: {}]", hidden.join(", "))), "{words}");
    let error = run(&["--optimizer", "adma"]).unwrap_err().to_string();
    assert!(
        error.contains(&format!("{}]", perceptra::train::Optimizer::names().join(", "))) && error.contains("'adam'"),
        "{error}"
    );
    let error = run(&["--loss", "huber:-1"]).unwrap_err().to_string();
    assert!(error.contains("the delta of huber"), "{error}");
    assert!(run(&["--loss", "huber:1.5", "--activation", "relu,dendritic"]).is_ok());
}

#[test]
fn compare_lists_every_preset() {
    let mut cli = Cli::command();
    let help = cli.find_subcommand_mut("compare").unwrap().render_long_help().to_string();
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let presets = perceptra::model::Preset::names().iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    assert!(words.contains(&format!("separated by commas: {presets}; or none")), "{presets}");
}

#[test]
fn the_guide_describes_every_preset() {
    let guide = include_str!("../../../docs/accuracy.md");
    for preset in perceptra::model::Preset::names() {
        assert!(guide.contains(&format!("\n| `{preset}` | ")), "docs/accuracy.md does not describe {preset}");
    }
}

#[test]
fn the_help_fits_its_width() {
    let mut cli = Cli::command().term_width(110);
    cli.build();
    for command in cli.get_subcommands_mut() {
        let help = command.render_long_help().to_string();
        // Examples are printed as they are.
        let help = help.split("\nExample").next().unwrap();
        for line in help.lines() {
            assert!(line.chars().count() <= 110, "{}: {line}", command.get_name());
        }
    }
}

/// The comment in front of a key of the template, whether the key is commented out or not.
fn comment(key: &str) -> String {
    let lines: Vec<&str> = TEMPLATE.lines().collect();
    let is_key = |line: &&str| line.trim_start_matches("# > ").starts_with(&format!("{key} = "));
    let at = lines.iter().position(is_key).unwrap_or_else(|| panic!("{key} is not in the template"));
    let comment = lines[..at].iter().rev().take_while(|line| line.starts_with('#') && !line.starts_with("# >"));
    comment.copied().collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join(" ")
}

fn names_all<T: Named>(key: &str, but: &[&str]) {
    let comment = comment(key);
    let words: BTreeSet<&str> =
        comment.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty()).collect();
    let missing: Vec<&String> =
        T::names().iter().filter(|name| !words.contains(name.as_str()) && !but.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "the template does not name {missing:?} at `{key}`: {comment}");
}

#[test]
fn the_template_names_every_value() {
    names_all::<perceptra::model::Preset>("preset", &[]);
    names_all::<perceptra::data::Task>("task", &[]);
    names_all::<perceptra::data::Scaling>("scaling", &[]);
    names_all::<perceptra::data::Tails>("tails", &[]);
    names_all::<Activation>("activation", &["softmax"]);
    names_all::<Activation>("output_activation", &[]);
    names_all::<perceptra::nn::Initializer>("initializer", &[]);
    names_all::<perceptra::nn::Norm>("norm", &[]);
    names_all::<perceptra::model::EmbeddingKind>("embedding", &[]);
    names_all::<perceptra::nn::Loss>("loss", &[]);
    names_all::<perceptra::train::Reduction>("reduction", &[]);
    names_all::<perceptra::train::Optimizer>("optimizer", &[]);
    names_all::<perceptra::train::Schedule>("schedule", &[]);
    names_all::<Metric>("monitor", &[]);
    names_all::<perceptra::train::Engine>("engine", &[]);
    names_all::<perceptra::model::Sampler>("sampler", &[]);
}
