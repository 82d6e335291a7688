//! The layer's side: telling a probe from a request, and answering it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header, request::Parts};

use super::secret::{Nonce, ProbeSecret};
use crate::{Arrival, MachineId, Rejection, SessionId};

/// Asks, and answers.
pub(super) const PROBE: HeaderName = HeaderName::from_static("ownership-probe");

/// What an answer says: the probe is at the session's owner, as it thinks itself.
pub(super) const ARRIVED: &str = "arrived";
/// The same, after a replay.
pub(super) const REPLAYED: &str = "replayed";
/// The probe is not at the owner, and somebody is asked to take it there.
pub(super) const REPLAY: &str = "replay";

/// Answers probes, if the layer was given a secret.
#[derive(Clone, Debug)]
pub(crate) struct Answering(Option<ProbeSecret>);

impl Answering {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn with(secret: ProbeSecret) -> Self {
        Self(Some(secret))
    }

    pub(super) fn secret(&self) -> Option<&ProbeSecret> {
        self.0.as_ref()
    }

    /// Whether the request is a probe for this session. What cannot prove that it is one is a
    /// request like any other.
    pub(crate) fn asked(&self, head: &Parts, session: SessionId) -> Option<Asked> {
        let secret = self.0.as_ref()?;
        let nonce = secret.asked(head.headers.get(PROBE)?.to_str().ok()?, session)?;
        Some(Asked {
            secret: secret.clone(),
            nonce,
            session,
        })
    }
}

/// A request that is a probe.
#[derive(Debug)]
pub(crate) struct Asked {
    secret: ProbeSecret,
    nonce: Nonce,
    session: SessionId,
}

impl Asked {
    /// Answers in the application's place.
    pub(crate) fn arrived(&self, me: &MachineId, arrival: &Arrival) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        let what = if arrival.hops() > 0 {
            REPLAYED
        } else {
            ARRIVED
        };
        self.sign(response, what, me)
    }

    /// Adds to an answer of the layer's who gave it.
    pub(crate) fn signed(&self, response: Response<Bytes>, me: &MachineId) -> Response<Bytes> {
        let rejection = response.extensions().get::<Rejection>();
        let what = rejection.map_or(REPLAY, |rejection| rejection.code().as_str());
        self.sign(response, what, me)
    }

    fn sign(&self, mut response: Response<Bytes>, what: &str, me: &MachineId) -> Response<Bytes> {
        let answer = self.secret.answer(self.nonce, self.session, what, me);
        // Letters, digits, hyphens and a space.
        if let Ok(answer) = HeaderValue::try_from(answer) {
            response.headers_mut().insert(PROBE, answer);
        }
        response
    }
}
