//! `perceptra playground`

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use perceptra::Table;
use perceptra::data::ReadOptions;
use perceptra::playground::{Options, PlaygroundError, Server};

use crate::{CliError, ReadArgs, note, print, read_notes, signals};

/// Serves a page on which networks train before your eyes: built-in data sets or your own table, layers added and removed by clicking,
/// decision surfaces and weights as they change.
///
/// Only this machine can open the page, unless --host says otherwise. Ctrl-C ends the server.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra playground
  perceptra playground data/penguins.csv --port 8080")]
pub(crate) struct PlaygroundArgs {
    /// Table to offer besides the built-in data sets
    table: Option<PathBuf>,
    /// Address to listen on; any but a loopback address lets other machines in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port to listen on, 0 for any free one
    #[arg(long, default_value_t = 7878)]
    port: u16,
    /// Device: auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    read: ReadArgs,
}

pub(crate) fn run(args: &PlaygroundArgs) -> Result<(), CliError> {
    let choice = perceptra::choose(&args.device)?;
    let mut read = ReadOptions::default();
    args.read.apply(&mut read);
    let table = args.table.as_ref().map(|path| Table::read(path, &read)).transpose()?;
    read_notes(table.iter().flat_map(Table::notes));
    let options = Options { host: args.host, port: args.port, device: choice.device, table };
    let server = Server::bind(options).map_err(failed)?;
    if !args.host.is_loopback() {
        note("warning: everyone who can reach this address can use the playground and its device");
    }
    signals::watch();
    print(&format!("http://{} (trains on {}; Ctrl-C ends it)\n", server.address, choice.name))?;
    server.run(|| signals::came().is_some_and(|came| came.load(Ordering::Relaxed))).map_err(failed)?;
    Err(CliError::interrupted("the playground has ended").unwrap_or(CliError::Internal("the server ended".into())))
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` passes a value")]
fn failed(error: PlaygroundError) -> CliError {
    let hint = match &error {
        PlaygroundError::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            Some("another program uses this port: choose another --port, or --port 0 for any free one".to_owned())
        }
        _ => None,
    };
    CliError::Other { message: error.to_string(), hint }
}
