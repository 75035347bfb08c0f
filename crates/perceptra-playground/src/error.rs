//! Errors of the playground.

use std::net::SocketAddr;

/// Error of starting or running the playground's server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaygroundError {
    /// The address is in use, or does not belong to this machine.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was requested.
        address: SocketAddr,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The server stopped with an error.
    #[error("the server stopped: {0}")]
    Server(#[from] std::io::Error),
}

/// Reply to a request that cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Model(#[from] perceptra_model::ModelError),
    #[error("{0}")]
    Request(String),
}

impl From<perceptra_data::DataError> for Refusal {
    fn from(error: perceptra_data::DataError) -> Self {
        Self::Model(error.into())
    }
}

impl Refusal {
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Model(error) => error.hint().map(|hint| hint.to_string()),
            Self::Request(_) => None,
        }
    }
}
