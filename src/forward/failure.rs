//! Why a request did not get to the owner.

use std::{borrow::Cow, io, time::Duration};

use crate::{MachineId, NotReplayable, Rejection, RejectionCode};

#[derive(Debug)]
pub(crate) enum Failure {
    /// What is carried needs tokio, and the service is driven by something else.
    NoRuntime,
    /// As many requests as allowed are being carried to the owner.
    Full(usize),
    /// The name in the owner's address led to no address that may be connected to.
    Forbidden,
    NoSuchName(io::Error),
    NotConnected(io::Error),
    NotConnectedWithin(Duration),
    #[cfg(feature = "tls")]
    Tls(io::Error),
    /// The connection was made, and there was no answer.
    NoAnswerWithin(Duration),
    Broken(hyper::Error),
    /// It did not say that streams of HTTP/2 may switch protocols.
    NoTunnelWithin(Duration),
    /// It switched protocols, and was not asked to.
    Unasked,
}

impl Failure {
    pub(crate) fn rejection(&self, machine: MachineId) -> Rejection {
        if let Self::Forbidden = self {
            return Rejection::not_replayable(machine, NotReplayable::ForbiddenAddress);
        }
        let why: Cow<'_, str> = match self {
            Self::NoRuntime => "this machine does not run on tokio (runtime)".into(),
            Self::Full(limit) => {
                format!("this machine takes {limit} requests there already, its limit (full)")
                    .into()
            }
            Self::NoSuchName(_) | Self::Forbidden => "its name has no address (connect)".into(),
            Self::NotConnected(error) => {
                format!("it could not be connected to, {} (connect)", error.kind()).into()
            }
            Self::NotConnectedWithin(limit) => {
                format!("it was not connected to within {limit:?} (connect)").into()
            }
            #[cfg(feature = "tls")]
            Self::Tls(_) => "the TLS handshake failed (tls)".into(),
            Self::NoAnswerWithin(limit) => {
                format!("it was connected to, and did not answer within {limit:?} (timeout)").into()
            }
            Self::NoTunnelWithin(limit) => format!(
                "it did not say within {limit:?} that it takes other protocols over HTTP/2 (timeout)"
            )
            .into(),
            Self::Unasked => "it switched protocols, and was not asked to (reset)".into(),
            Self::Broken(error) if error.is_parse() => {
                "it was connected to, and its answer is no HTTP (reset)".into()
            }
            Self::Broken(_) => {
                "it was connected to, and the connection ended before an answer came (reset)".into()
            }
        };
        let detail = format!("The request could not be taken to the session's machine: {why}.");
        Rejection::new(RejectionCode::OwnerUnreachable, machine, detail)
    }

    /// Whether the owner may be another one by now, or be lost.
    pub(super) fn casts_doubt(&self) -> bool {
        !matches!(self, Self::NoRuntime | Self::Full(_) | Self::Forbidden)
    }

    /// What an operator reads beyond the rejection.
    pub(crate) fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoSuchName(error) | Self::NotConnected(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Broken(error) => Some(error),
            _ => None,
        }
    }
}
