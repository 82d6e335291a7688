//! From an answer to the outcome of a probe. No socket, no clock.

use http::{HeaderMap, HeaderName, StatusCode};

use super::{
    ProbeOutcome, ProbeSecret,
    responder::{ARRIVED, REPLAYED},
    secret::Nonce,
};
use crate::{Code, MachineId, SessionId, claim::PROBE, http_client::Answer};

/// What a probe expects.
pub(super) struct Expected<'a> {
    pub(super) secret: &'a ProbeSecret,
    pub(super) session: SessionId,
    pub(super) owner: &'a MachineId,
    /// The machine that probes, if one does.
    pub(super) me: Option<&'a MachineId>,
}

impl Expected<'_> {
    /// Reads an answer. `redirected`: a redirect led to it.
    ///
    /// Only an arrival is signed. A refusal makes the probe fail, whichever component wrote it, so
    /// its `Ownership-Code` is read as any client reads it.
    pub(super) fn read(&self, answer: &Answer, nonce: Nonce, redirected: bool) -> ProbeOutcome {
        if let Some(arrival) = self.arrival(&answer.headers, nonce, redirected) {
            return arrival;
        }
        if answer.redirect.is_some() {
            return ProbeOutcome::Looped;
        }
        match text(&answer.headers, "ownership-code") {
            Some(code) => refused(code, answer),
            None => not_ours(answer.status),
        }
    }

    fn arrival(&self, headers: &HeaderMap, nonce: Nonce, redirected: bool) -> Option<ProbeOutcome> {
        let (what, proof) = text(headers, PROBE)?.split_once(' ')?;
        if what != ARRIVED && what != REPLAYED {
            return None;
        }
        let is_by =
            |machine: &&MachineId| self.secret.is_by(nonce, self.session, what, proof, machine);
        Some(if is_by(&self.owner) {
            ProbeOutcome::Arrived {
                machine: self.owner.clone(),
                replayed: redirected || what == REPLAYED,
            }
        } else {
            ProbeOutcome::WrongMachine {
                machine: self.me.filter(is_by).cloned(),
            }
        })
    }
}

fn refused(code: &str, answer: &Answer) -> ProbeOutcome {
    let known = Code::ALL.iter().find(|known| known.as_str() == code);
    let reason = || {
        let title = known.map_or("the answer does not say why", |known| known.title());
        detail(&answer.body).unwrap_or_else(|| title.to_owned())
    };
    match known {
        Some(Code::ReplayNotHonoured) => ProbeOutcome::NotHonoured,
        Some(Code::OwnerUnreachable) => ProbeOutcome::Unreachable { reason: reason() },
        Some(Code::ReplayLoop) => ProbeOutcome::Looped,
        Some(Code::OwnerLost) => ProbeOutcome::OwnerLost,
        Some(Code::OwnerNeverSeen) => ProbeOutcome::OwnerNeverSeen,
        _ => ProbeOutcome::Refused {
            code: code.to_owned(),
            reason: reason(),
        },
    }
}

fn not_ours(status: StatusCode) -> ProbeOutcome {
    let reason = if status.is_server_error() {
        "the proxy could not deliver the probe, or the application failed"
    } else {
        "the application or a component in front of the layer answered; the layer may be missing \
         on this path, or have another secret"
    };
    ProbeOutcome::NotOurs {
        status: status.as_u16(),
        reason: reason.to_owned(),
    }
}

/// The detail of a problem document.
fn detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    problem.get("detail")?.as_str().map(str::to_owned)
}

fn text(headers: &HeaderMap, name: impl TryInto<HeaderName>) -> Option<&str> {
    headers.get(name.try_into().ok()?)?.to_str().ok()
}
