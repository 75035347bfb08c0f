//! A playground in the browser: watch networks train.
//!
//! [`Server`] serves a single page that loads nothing from elsewhere. Each open page has a WebSocket and a thread with its own
//! [`Session`](perceptra_model::Session), which trains the network that the page describes on a device of this machine.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use perceptra_playground::{Server, Options};
//!
//! let server = Server::bind(Options { device: Device::flex(), ..Options::default() })?;
//! println!("http://{}", server.address);
//! server.run(|| false)?;
//! # Ok::<(), perceptra_playground::PlaygroundError>(())
//! ```
//!
//! # Guarantees
//!
//! - The server listens on 127.0.0.1 unless told otherwise. A request must name it in the header `Host`, and a WebSocket must come from
//!   the page itself (header `Origin`), so that other sites open in a browser cannot use it.
//! - Everything is bounded: 6 hidden layers of 16 units, 5,000 rows and 50,000 epochs per run; bytes per message, queued messages and
//!   open pages. A page that does not acknowledge pictures is sent no more, and its training waits; a closed page is dropped.
//! - Every message of a page is answered, with a result or an error message. The thread of a page ends when the page is closed.

mod error;
mod problem;
mod scene;
mod server;
mod spec;
mod worker;

pub use self::{
    error::PlaygroundError,
    server::{Options, Server},
};
