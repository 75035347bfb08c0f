//! `perceptra playground`

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use clap::Args;
use perceptra::Table;
use perceptra::data::ReadOptions;
use perceptra::playground::{Options, Server};

use crate::{CliError, ReadArgs, note, print, signals};

/// Serves a page on which networks train while one looks on: data sets or a table of one's own, layers added and removed by clicking,
/// decision surfaces and weights as they change.
///
/// It is served to this machine alone, unless --host says otherwise. Ctrl-C ends it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  perceptra playground
  perceptra playground data/penguins.csv --port 8080")]
pub(crate) struct PlaygroundArgs {
    /// A table to play with
    table: Option<PathBuf>,
    /// The address to listen on; others than loopback addresses let other machines in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port, 0 for any that is free
    #[arg(long, default_value_t = 7878)]
    port: u16,
    /// auto, cpu, flex, ndarray, wgpu[:N], cuda[:N]...
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
    let options = Options { host: args.host, port: args.port, table, ..Options::new(choice.device) };
    let server =
        Server::bind(options).map_err(|error| CliError::Other { message: error.to_string(), hint: error.hint() })?;
    if !args.host.is_loopback() {
        note("warning: everyone who reaches this address can use the playground, and the device behind it");
    }
    signals::watch();
    print(&format!("http://{} (trains on {}; Ctrl-C ends it)\n", server.address(), choice.name))?;
    server
        .run(|| signals::came().is_some_and(|came| came.load(Ordering::Relaxed)))
        .map_err(|error| CliError::Other { message: error.to_string(), hint: error.hint() })?;
    Err(CliError::interrupted("the playground has ended").unwrap_or(CliError::Internal("the server ended".into())))
}
