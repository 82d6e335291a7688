//! What the log says of changes of owner: the story of a session.
//!
//! | level | what |
//! | --- | --- |
//! | WARN | a session is taken over from a lost owner, or ends with it; a drain that left sessions behind |
//! | INFO | claimed, registered, moved here, lost, released, ended, and what a drain gave up, in one event |

use tracing::{info, warn};

use crate::{MachineId, Session, SessionId, SessionStatus, directory::Claimed};

/// The target of these events.
pub(crate) const TARGET: &str = "tower_ownership::ownership";

/// Whether a change is logged, so that what the log needs is worth being kept.
pub(crate) fn are_logged() -> bool {
    tracing::enabled!(target: TARGET, tracing::Level::INFO)
}

/// A claim by `machine` came back. One that another machine won is that machine's to log.
pub(super) fn claimed(machine: &MachineId, seen: &Session, claimed: &Claimed) {
    let Claimed {
        session,
        silent_for,
    } = claimed;
    if session.owner() != Some(machine) {
        return;
    }
    let (session_id, epoch) = (session.id().short(), session.epoch());
    let machine = machine.as_str();
    match seen.owner() {
        None => info!(
            target: TARGET,
            machine,
            session_id = %session_id,
            epoch,
            "this machine claimed the session"
        ),
        Some(before) => warn!(
            target: TARGET,
            machine,
            session_id = %session_id,
            epoch,
            previous_owner = before.as_str(),
            silent_seconds = silent_for.map(|time| time.as_secs_f64()),
            "this machine took the session over from its lost owner"
        ),
    }
}

/// `after`: how a session is that ended because its owner was lost, or that has another owner meanwhile.
pub(super) fn ended_with_owner(machine: &MachineId, after: &Session) {
    if after.status() == SessionStatus::Over {
        warn!(
            target: TARGET,
            machine = machine.as_str(),
            session_id = %after.id().short(),
            epoch = after.epoch(),
            previous_owner = after.owner().map(MachineId::as_str),
            "the session ended with its lost owner"
        );
    }
}

pub(super) fn registered(machine: &MachineId, session: &Session) {
    info!(
        target: TARGET,
        machine = machine.as_str(),
        session_id = %session.id().short(),
        epoch = session.epoch(),
        "this machine registered the session"
    );
}

pub(super) fn ended(machine: &MachineId, session: &SessionId, epoch: u64) {
    info!(
        target: TARGET,
        machine = machine.as_str(),
        session_id = %session.short(),
        epoch,
        "this machine ended the session"
    );
}

pub(super) fn released(machine: &MachineId, session: &SessionId, epoch: u64) {
    info!(
        target: TARGET,
        machine = machine.as_str(),
        session_id = %session.short(),
        epoch,
        "this machine released the session"
    );
}

/// A session was this machine's when it was last read, and is not any more.
pub(crate) fn lost(machine: &MachineId, session: &Session) {
    info!(
        target: TARGET,
        machine = machine.as_str(),
        session_id = %session.id().short(),
        epoch = session.epoch(),
        owner = session.owner().map(MachineId::as_str),
        "this machine lost the session"
    );
}

/// A session was not this machine's when it was last read, and is now, without a claim.
pub(crate) fn moved_here(machine: &MachineId, before: Option<&MachineId>, session: &Session) {
    info!(
        target: TARGET,
        machine = machine.as_str(),
        session_id = %session.id().short(),
        epoch = session.epoch(),
        previous_owner = before.map(MachineId::as_str),
        "the session was moved to this machine"
    );
}

/// What a drain gave up.
#[cfg(feature = "membership")]
pub(super) fn drained(machine: &MachineId, drained: &super::Drained) {
    let (released, ended) = (drained.released.len(), drained.ended.len());
    let machine = machine.as_str();
    if drained.is_empty {
        info!(
            target: TARGET,
            machine,
            released,
            ended,
            "this machine gave all of its sessions up"
        );
    } else {
        warn!(
            target: TARGET,
            machine,
            released,
            ended,
            "the drain left sessions to this machine; their next owners wait until it counts as lost"
        );
    }
}

/// A drain gave nothing up.
#[cfg(feature = "membership")]
pub(super) fn not_drained(machine: &MachineId, error: &crate::LookupError) {
    warn!(
        target: TARGET,
        machine = machine.as_str(),
        cause = %crate::observe::Chain(error),
        "the drain gave no session up; their next owners wait until this machine counts as lost"
    );
}
