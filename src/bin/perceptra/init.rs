//! `perceptra init`

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use perceptra_files::write_atomic;

use crate::{CliError, print};

/// A run file with every key at its default value, with comments.
pub(crate) const TEMPLATE: &str = include_str!("run.toml");

#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra init penguins.toml --table data/penguins.csv --target species
  perceptra train --config penguins.toml")]
pub(crate) struct InitArgs {
    /// Run file to write, or - for standard output
    #[arg(default_value = "perceptra.toml")]
    path: PathBuf,
    /// Table to put into it
    #[arg(long)]
    table: Option<PathBuf>,
    /// Target columns to put into it
    #[arg(long, value_delimiter = ',')]
    target: Vec<String>,
    /// Overwrite an existing file
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &InitArgs) -> Result<(), CliError> {
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = TEMPLATE.to_owned();
    if let Some(table) = &args.table {
        text = text.replace("table = \"\"", &format!("table = {}", quote(&table.to_string_lossy())));
    }
    if !args.target.is_empty() {
        let targets: Vec<String> = args.target.iter().map(|t| quote(t)).collect();
        text = text.replace("target = []", &format!("target = [{}]", targets.join(", ")));
    }
    if args.path.as_os_str() == "-" {
        return print(&text);
    }
    if args.path.exists() && !args.force {
        let source = std::io::Error::other("the file exists; --force overwrites it");
        return Err(CliError::write(&args.path, source));
    }
    write_atomic(&args.path, |file| file.write_all(text.as_bytes()))
        .map_err(|source| CliError::write(&args.path, source))?;
    print(&format!("{}: edit it, then run perceptra train --config {}\n", args.path.display(), args.path.display()))
}

#[cfg(test)]
mod tests {
    use perceptra::RunConfig;

    #[test]
    fn the_template_is_the_defaults_and_names_every_key() {
        let run = RunConfig::from_toml("run.toml", super::TEMPLATE).unwrap();
        assert_eq!(run, RunConfig::default());
        // Keys without a default are commented out.
        let uncommented: String =
            super::TEMPLATE.lines().map(|l| format!("{}\n", l.strip_prefix("# > ").unwrap_or(l))).collect();
        RunConfig::from_toml("run.toml", &uncommented).unwrap();
        let of_section = |section: &str| match section {
            "" => uncommented.split("\n[").next(),
            _ => uncommented.split_once(&format!("\n[{section}]\n")).and_then(|(_, rest)| rest.split("\n[").next()),
        };
        for key in RunConfig::keys() {
            let (section, rest) = key.split_once('.').unwrap_or(("", key));
            // The keys of a table in a section stand in one line.
            let name = rest.split('.').next().unwrap_or(rest);
            let keys = of_section(section).unwrap_or_else(|| panic!("[{section}] is not in the template"));
            assert!(keys.lines().any(|line| line.starts_with(&format!("{name} = "))), "{key} is not in the template");
        }
    }
}
