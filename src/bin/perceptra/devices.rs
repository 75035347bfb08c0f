//! `perceptra devices`

use clap::Args;
use serde_json::json;

use crate::{CliError, print, print_json, tables};

#[derive(Debug, Args)]
pub(crate) struct DevicesArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &DevicesArgs) -> Result<(), CliError> {
    let found = perceptra::device::list();
    let auto = perceptra::choose("auto");
    if args.json {
        let auto = auto
            .as_ref()
            .map_or_else(|e| json!({ "error": e.to_string() }), |c| json!({ "name": c.name, "why": c.why }));
        let devices: Vec<_> =
            found.iter().map(|d| json!({ "flag": d.flag, "name": d.name, "is_gpu": d.is_gpu })).collect();
        return print_json(&json!({ "devices": devices, "auto": auto }));
    }
    let kind = |is_gpu: bool| if is_gpu { "GPU" } else { "CPU" };
    let rows = found.iter().map(|d| vec![d.flag.clone(), kind(d.is_gpu).to_owned(), d.name.clone()]).collect();
    let mut text = tables::table(&["--device", "kind", "name"], rows);
    for problem in perceptra::device::problems() {
        text += &format!("{problem}\n");
    }
    text += &match auto {
        Ok(choice) => format!("\nauto chooses {}: {}\n", choice.name, choice.why),
        Err(e) => format!("\nauto finds no device: {e}\n"),
    };
    print(&text)
}
