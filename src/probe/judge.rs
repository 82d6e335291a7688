//! From an answer to the outcome of a probe. No socket, no clock.

use http::{HeaderMap, HeaderName, StatusCode, header};

use super::{
    ProbeOutcome, ProbeSecret,
    client::Answer,
    responder::{ARRIVED, REPLAYED},
    secret::Nonce,
};
use crate::{Address, Code, MachineId, SessionId, claim::PROBE};

/// What a probe expects.
pub(super) struct Expected<'a> {
    pub(super) secret: &'a ProbeSecret,
    pub(super) session: SessionId,
    pub(super) owner: &'a MachineId,
    /// The machine that probes, if one does.
    pub(super) me: Option<&'a MachineId>,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    Done(ProbeOutcome),
    /// The owner is said to be at this address.
    Follow(Address),
}

impl Expected<'_> {
    /// Reads an answer. `redirected`: a redirect led to it.
    ///
    /// Only an arrival is signed. A refusal makes the probe fail, whichever component wrote it, so
    /// its `Ownership-Code` is read as any client reads it.
    pub(super) fn read(&self, answer: &Answer, nonce: Nonce, redirected: bool) -> Next {
        if let Some(outcome) = self.arrival(&answer.headers, nonce, redirected) {
            return Next::Done(outcome);
        }
        if let Some(address) = redirect(answer) {
            return Next::Follow(address);
        }
        Next::Done(match text(&answer.headers, "ownership-code") {
            Some(code) => refused(code, answer),
            None => not_ours(answer.status),
        })
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

fn redirect(answer: &Answer) -> Option<Address> {
    let follow = [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let address = Address::parse(text(&answer.headers, header::LOCATION)?).ok()?;
    follow.contains(&answer.status).then_some(address)
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
