//! The inputs of a decision as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Address, LookupErrorKind, MachineId, RequestOrigin, Session, SessionStatus, ownership::Lease,
};

pub(super) fn session_read(session: &Session, age: Duration, owned_here: bool) -> Value {
    let left = |life: Duration| milliseconds(life.saturating_sub(age));
    json!({
        "status": match session.status() {
            SessionStatus::Starting => "starting",
            SessionStatus::Active => "active",
            SessionStatus::Over => "over",
        },
        "owner": session.owner().map(MachineId::as_str),
        "ownedHere": owned_here,
        "presence": session.owner_status(),
        "epoch": session.epoch(),
        "released": session.released(),
        "remainingMs": session.remaining().map(left),
        "address": session.address().map(Address::authority),
        "ownerAddress": session.owner_address().map(Address::authority),
        // Their values are the application's.
        "attributes": session.attributes().keys().collect::<Vec<_>>(),
    })
}

pub(super) fn kind(kind: LookupErrorKind) -> &'static str {
    match kind {
        LookupErrorKind::Timeout => "timeout",
        LookupErrorKind::Unavailable => "unavailable",
        LookupErrorKind::Corrupt => "corrupt",
    }
}

pub(super) fn origin_read(origin: &RequestOrigin, came_through: Option<bool>) -> Value {
    let mut read = json!({ "hops": origin.hops(), "cameThrough": came_through });
    read["how"] = match origin {
        RequestOrigin::Direct => "direct",
        RequestOrigin::ReplayCache => "replay-cache",
        RequestOrigin::Replayed { .. } => "replayed",
        RequestOrigin::Forwarded { .. } => "forwarded",
        RequestOrigin::FellBack { .. } => "fell-back",
        RequestOrigin::Failed(_) => "failed",
    }
    .into();
    match origin {
        RequestOrigin::FellBack { machine, .. } => read["machine"] = json!(machine),
        RequestOrigin::Failed(failure) => {
            read["machine"] = json!(failure.machine);
            read["replaySource"] = json!(failure.replay_source);
            read["reason"] = json!(failure.reason.as_str());
            read["elapsedMs"] = json!(failure.elapsed.map(milliseconds));
        }
        _ => {}
    }
    read
}

pub(super) fn lease_read(lease: Lease) -> Value {
    let (lease, left) = match lease {
        Lease::Valid { left } => ("valid", Some(left)),
        Lease::Pending { left } => ("pending", Some(left)),
        Lease::Released => ("released", None),
        Lease::Expired => ("expired", None),
    };
    json!({ "lease": lease, "leftMs": left })
}

pub(super) fn milliseconds(duration: Duration) -> Value {
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .into()
}
