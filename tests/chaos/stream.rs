//! Something that a client listens to until it ends.

use uuid::Uuid;

use crate::clock::At;
use crate::fault::Name;

/// A stream of events, or a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub session: Uuid,
    pub kind: StreamKind,
    /// The machine whose stream it is.
    pub machine: Name,
    /// The machine that carries it, if it is not that one.
    pub carrier: Option<Name>,
    pub opened: At,
    /// When something came by it last, other than its end.
    pub heard: At,
    pub ended: At,
    pub end: StreamEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StreamKind {
    Events,
    Socket,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// It said that the session is lost: by the event, or by the code to close with.
    Farewell(String),
    /// It ended, and did not say why.
    Silent,
    /// It broke.
    Broken(String),
    /// The client had heard enough.
    Left,
}
