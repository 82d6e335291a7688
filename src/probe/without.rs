//! In the place of [`probe`](self) without its feature: nobody asks.

use bytes::Bytes;
use http::{Response, request::Parts};

use crate::{Arrival, MachineId, SessionId};

/// Answers no probe.
#[derive(Clone, Debug)]
pub(crate) struct Answering;

/// A request that is a probe: none is.
#[derive(Debug)]
pub(crate) enum Asked {}

impl Answering {
    pub(crate) fn none() -> Self {
        Self
    }

    pub(crate) fn asked(&self, _: &Parts, _: SessionId) -> Option<Asked> {
        let Self = self;
        None
    }
}

impl Asked {
    pub(crate) fn arrived(&self, _: &MachineId, _: &Arrival) -> Response<Bytes> {
        match *self {}
    }

    pub(crate) fn signed(&self, _: Response<Bytes>, _: &MachineId) -> Response<Bytes> {
        match *self {}
    }
}
