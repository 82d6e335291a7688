//! From an answer to what became of the probe. No socket, no clock.

use http::{HeaderMap, StatusCode, header};

use super::{
    ProbeOutcome,
    answering::{ARRIVED, PROBE, REPLAY, REPLAYED},
    client::Answer,
    secret::{Nonce, ProbeSecret},
};
use crate::{Address, Code, MachineId, SessionId};

/// Who probes what, and for whom.
pub(super) struct Judge<'a> {
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

impl Judge<'_> {
    /// Reads an answer. `followed`: a redirect led to whoever gave it.
    pub(super) fn read(&self, answer: &Answer, nonce: Nonce, followed: bool) -> Next {
        let said = answer
            .headers
            .get(PROBE)
            .and_then(|said| said.to_str().ok());
        let Some((what, proof)) = said.and_then(|said| said.split_once(' ')) else {
            return Next::Done(not_ours(answer));
        };
        let is_by =
            |machine: &&MachineId| self.secret.is_by(nonce, self.session, what, proof, machine);
        match what {
            ARRIVED | REPLAYED if is_by(&self.owner) => Next::Done(ProbeOutcome::Arrived {
                machine: self.owner.clone(),
                replayed: followed || what == REPLAYED,
            }),
            ARRIVED | REPLAYED => Next::Done(ProbeOutcome::WrongMachine {
                machine: self.me.filter(is_by).cloned(),
            }),
            REPLAY => redirect(answer).map_or(Next::Done(ProbeOutcome::NotHonoured), Next::Follow),
            code => Next::Done(refused(code, answer)),
        }
    }
}

fn redirect(answer: &Answer) -> Option<Address> {
    let follow = [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    let location = text(&answer.headers, &header::LOCATION)?;
    let address = Address::parse(location).ok()?;
    follow.contains(&answer.status).then_some(address)
}

fn refused(code: &str, answer: &Answer) -> ProbeOutcome {
    let known = Code::ALL.iter().find(|known| known.as_str() == code);
    let reason = || {
        let title = known.map_or("it does not say why", |known| known.title());
        detail(&answer.body).unwrap_or_else(|| title.to_owned())
    };
    match known {
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

fn not_ours(answer: &Answer) -> ProbeOutcome {
    let code = answer.headers.get("ownership-code");
    let reason = match code.and_then(|code| code.to_str().ok()) {
        Some(code) => format!(
            "a layer wrote it ({code}) that does not know the secret, or whose request names no \
             session"
        ),
        None if answer.status.is_server_error() => {
            "a proxy could not hand the probe on, or an application failed".to_owned()
        }
        None => "the application answered, or somebody before the layer".to_owned(),
    };
    ProbeOutcome::NotOurs {
        status: answer.status.as_u16(),
        reason,
    }
}

/// The detail of a problem document.
fn detail(body: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    problem.get("detail")?.as_str().map(str::to_owned)
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
