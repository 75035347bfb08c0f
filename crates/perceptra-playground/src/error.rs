//! What can go wrong with the playground.

use std::net::SocketAddr;

/// Why the playground cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaygroundError {
    /// The address is taken, or not one of this machine.
    #[error("{address} cannot be listened on: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The server ended.
    #[error("the server ended: {0}")]
    Server(#[from] std::io::Error),
}

impl PlaygroundError {
    /// How to mend it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                Some("another program listens there: choose another --port, or --port 0 for any".into())
            }
            _ => None,
        }
    }
}

/// What a page is told instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Model(#[from] perceptra_model::ModelError),
    #[error("{0}")]
    Asked(String),
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
            Self::Asked(_) => None,
        }
    }
}
