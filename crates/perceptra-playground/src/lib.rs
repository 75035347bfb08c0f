//! A playground in the browser: networks that train while one looks on.
//!
//! [`Server`] serves one page, with everything it needs in it, and trains what the page asks for on a device of this machine: each page has
//! a WebSocket, and behind it a thread with a [`Session`](perceptra_model::Session) of its own.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use perceptra_playground::{Server, Options};
//!
//! let server = Server::bind(Options::new(Device::flex()))?;
//! println!("http://{}", server.address());
//! server.run(|| false)?;
//! # Ok::<(), perceptra_playground::PlaygroundError>(())
//! ```
//!
//! # What it promises
//!
//! - It listens on 127.0.0.1 unless told otherwise. A request must name the server in its `Host`, and a WebSocket must come from the page
//!   itself (`Origin`): other sites that a browser has open cannot use it.
//! - Sizes are bounded: [`MOST_LAYERS`], [`MOST_UNITS`], [`MOST_ROWS`], [`MOST_EPOCHS`], bytes of a message, messages that wait, pages at once. A
//!   page that takes no pictures is sent none, and training waits for it; one that has gone is forgotten.
//! - Whatever a page sends is an answer or an error message, and its thread ends with it.

mod error;
mod problem;
mod scene;
mod server;
mod spec;
mod worker;

pub use error::PlaygroundError;
pub use server::{Options, Server};
pub use spec::{MOST_EPOCHS, MOST_LAYERS, MOST_ROWS, MOST_UNITS};
