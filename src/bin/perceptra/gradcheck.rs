//! `perceptra gradcheck`

use clap::Args;
use perceptra::choose;
use perceptra::model::check_gradients;
use perceptra::train::{GradientCheck, TensorCheck};
use serde_json::json;

use crate::run_args::RunArgs;
use crate::{CliError, note, print, print_json, tables};

/// Checks the gradients of a network with its initial weights on rows of a table: the gradients of Burn's autodiff and of the fused
/// engine are compared with central differences in 64-bit floats.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  perceptra gradcheck data/penguins.csv --target species --hidden 16,8 --activation tanh")]
pub(crate) struct GradcheckArgs {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Number of rows to check on
    #[arg(long, value_name = "ROWS", default_value_t = 32, help_heading = "Check")]
    rows: usize,
    /// Maximum number of values checked per tensor
    #[arg(long, value_name = "N", default_value_t = 200, help_heading = "Check")]
    numbers: usize,
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) fn run(args: &GradcheckArgs) -> Result<(), CliError> {
    let mut resolved = args.run.resolve(args.json, |_| ())?;
    // GPUs have no 64-bit numbers.
    if resolved.run.output.device == "auto" {
        resolved.run.output.device = "cpu".into();
    }
    let choice = choose(&resolved.run.output.device)?;
    let tables = resolved.tables()?;
    let (network, check) = check_gradients(&resolved.run, &tables, &choice.device, args.rows, args.numbers)?;
    let right = check.worst <= GradientCheck::TOLERANCE;
    if args.json {
        let tensors: Vec<_> = check
            .tensors
            .iter()
            .map(|t| {
                json!({ "name": t.name, "numbers": t.numbers, "checked": t.checked, "largest": t.largest,
                    "autodiff": t.autodiff, "fused": t.fused })
            })
            .collect();
        let json = json!({ "network": network.to_string(), "loss": check.loss, "right": right,
                           "worst": check.worst, "not_fused": check.obstacle, "tensors": tensors });
        print_json(&json)?;
    } else {
        if let Some(obstacle) = &check.obstacle {
            note(&format!("note: the fused engine is not checked: {obstacle}"));
        }
        print(&format!("{network}\nloss {} on {} rows\n\n", tables::number(check.loss), args.rows))?;
        let header = ["gradient of", "numbers", "checked", "largest", "error of autodiff", "error of fused"];
        print(&tables::table(&header, check.tensors.iter().map(row).collect()))?;
    }
    match right {
        true if args.json => Ok(()),
        true => print(&format!("\nright: no error is above {:.0e}\n", GradientCheck::TOLERANCE)),
        false => Err(CliError::Other {
            message: format!("a gradient is {:.1e} of its size away from central differences", check.worst),
            hint: Some(
                "a kink of an activation such as relu can be to blame: try another --seed, or a smooth activation"
                    .to_owned(),
            ),
        }),
    }
}

fn row(tensor: &TensorCheck) -> Vec<String> {
    let error = |e: f64| format!("{e:.1e}");
    vec![
        tensor.name.clone(),
        tensor.numbers.to_string(),
        tensor.checked.to_string(),
        tables::number(tensor.largest),
        error(tensor.autodiff),
        tensor.fused.map_or_else(String::new, error),
    ]
}
