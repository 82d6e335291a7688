//! From an answer to the outcome of a probe. No socket, no clock.

use http::{HeaderMap, HeaderName, StatusCode};

use super::{
    ProbeOutcome, ProbeSecret,
    responder::{ARRIVED, REPLAYED},
    secret::Nonce,
};
use crate::{Finding, MachineId, SessionId, claim::PROBE, http_client::Answer};

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
            return ProbeOutcome::failed(Finding::ReplayLoop, "one redirect led to the next");
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
        let is_by = |machine: &&MachineId| {
            self.secret
                .is_by(nonce, &self.session, what, proof, machine)
        };
        Some(if is_by(&self.owner) {
            ProbeOutcome::Arrived {
                machine: self.owner.clone(),
                replayed: redirected || what == REPLAYED,
            }
        } else {
            ProbeOutcome::Failed {
                finding: Finding::WrongMachine,
                reason: "it takes itself for the owner".to_owned(),
                machine: self.me.filter(is_by).cloned(),
            }
        })
    }
}

fn refused(code: &str, answer: &Answer) -> ProbeOutcome {
    let finding = match code {
        "lookup-unavailable" => Finding::DirectoryDownThere,
        "directory-corrupt" => Finding::RowUnusable,
        code => Finding::named(code).unwrap_or(Finding::ApplicationRefused),
    };
    let detail = detail(&answer.body).unwrap_or_else(|| "the answer does not say why".to_owned());
    ProbeOutcome::failed(finding, format!("{code}: {detail}"))
}

fn not_ours(status: StatusCode) -> ProbeOutcome {
    let (finding, reason) = if status.is_server_error() {
        let reason = "the proxy could not deliver the probe, or the application failed";
        (Finding::ProxyError, reason)
    } else {
        let reason = "the layer is missing on this path, or it has another secret";
        (Finding::ApplicationRefused, reason)
    };
    ProbeOutcome::failed(finding, format!("{} ({reason})", status.as_u16()))
}

/// The detail of a problem document.
fn detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    problem.get("detail")?.as_str().map(str::to_owned)
}

fn text(headers: &HeaderMap, name: impl TryInto<HeaderName>) -> Option<&str> {
    headers.get(name.try_into().ok()?)?.to_str().ok()
}
