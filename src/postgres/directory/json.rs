//! How what the directory tells is written in JSON.

#![allow(
    clippy::trivially_copy_pass_by_ref,
    clippy::ref_option,
    reason = "serde passes a field by reference, whatever it is"
)]

use std::time::Duration;

use serde::{Serialize as _, Serializer};

use crate::{OwnerStatus, SessionId};

/// The whole id, for use in further commands.
pub(super) fn id<S: Serializer>(id: &SessionId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

pub(super) fn id_if_any<S: Serializer>(
    id: &Option<SessionId>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let id = id.as_ref().map(ToString::to_string);
    id.serialize(serializer)
}

pub(super) fn presence<S: Serializer>(
    presence: &OwnerStatus,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(presence.as_str())
}

pub(super) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

pub(super) fn seconds_if_any<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let seconds = duration.as_ref().map(Duration::as_secs_f64);
    seconds.serialize(serializer)
}
