//! The layer's own values, as an explanation shows them.

use std::time::Duration;

use http::Response;

use super::{ArrivalRead, LeaseRead, ResponseShown, shown::Shown};
use crate::{
    Arrival, Code, LookupErrorKind, MachineId, Rejection, Session, Verdict, ownership::Lease,
};

pub(super) fn meaning(verdict: Verdict, code: Option<Code>, session: Option<&Session>) -> String {
    let owner = session.and_then(Session::owner).map(MachineId::as_str);
    match (verdict, code) {
        (Verdict::Reject(code), None) | (_, Some(code)) => {
            format!("the request is refused: {}", code.title())
        }
        (Verdict::Claim, _) if owner.is_some() => "this machine tries to take the session over \
             from its owner, which is lost; if it wins, it serves when that one can no longer be \
             serving"
            .to_owned(),
        (Verdict::Claim, _) => "this machine tries to become the owner, and serves the session if \
             it wins; whoever wins instead is handed the request"
            .to_owned(),
        (Verdict::Replay, _) => {
            format!("the request is handed to {}", owner.unwrap_or("the owner"))
        }
        (Verdict::Pass, _) => "the application serves the request here".to_owned(),
    }
}

pub(super) fn response_shown(
    shown: Shown,
    response: &Response<bytes::Bytes>,
    read: Option<&Rejection>,
) -> ResponseShown {
    let rejection = read.or_else(|| response.extensions().get::<Rejection>());
    ResponseShown {
        status: response.status().as_u16(),
        headers: shown.headers(response.headers()),
        code: rejection.map(Rejection::code),
        title: rejection.map(|rejection| rejection.code().title()),
        detail: rejection.map(|rejection| shown.text(rejection.detail())),
    }
}

pub(super) fn arrival_read(arrival: &Arrival, came_through: Option<bool>) -> ArrivalRead {
    let read = |how| ArrivalRead {
        how,
        hops: arrival.hops(),
        machine: None,
        replay_source: None,
        reason: None,
        elapsed_ms: None,
        came_through,
    };
    match arrival {
        Arrival::Fresh => read("fresh"),
        Arrival::Cached => read("cached"),
        Arrival::Replayed { .. } => read("replayed"),
        Arrival::Missed { machine, .. } => ArrivalRead {
            machine: Some(machine.clone()),
            ..read("missed")
        },
        Arrival::Failed(failure) => ArrivalRead {
            machine: failure.machine.clone(),
            replay_source: failure.replay_source.clone(),
            reason: Some(failure.reason.as_str()),
            elapsed_ms: failure.elapsed.map(milliseconds),
            ..read("failed")
        },
    }
}

pub(super) fn lease_read(lease: Lease) -> LeaseRead {
    let (lease, left_ms) = match lease {
        Lease::Valid { left } => ("valid", Some(left)),
        Lease::Pending { left } => ("pending", Some(left)),
        Lease::Released => ("released", None),
        Lease::Expired => ("expired", None),
    };
    LeaseRead { lease, left_ms }
}

pub(super) fn kind(kind: LookupErrorKind) -> &'static str {
    match kind {
        LookupErrorKind::Timeout => "timeout",
        LookupErrorKind::Unavailable => "unavailable",
        LookupErrorKind::Corrupt => "corrupt",
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
