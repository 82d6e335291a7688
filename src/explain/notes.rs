//! What else is worth a look.

use super::{Finding, Reading, circumstances::Circumstances};
use crate::{Arrival, Presence, Session, Source};

pub(super) fn notes_on_owner(
    notes: &mut Vec<String>,
    circumstances: &Circumstances<'_>,
    finding: Finding,
    session: &Session,
) {
    let me = circumstances.machine;
    let not_said = finding != Finding::WrongIdentity;
    if let Some(platform) = circumstances.platform
        && platform.machine_id() != me
        && not_said
    {
        notes.push(format!(
            "{} calls this machine {} ({}), and its layer was built as {me}.",
            platform.platform(),
            platform.machine_id(),
            platform.variable()
        ));
    }
    let Some(owner) = session.owner() else { return };
    if owner == me {
        if matches!(session.presence(), Presence::Lost | Presence::NeverSeen) {
            notes.push(
                "This machine is not heard of in the directory, so all others take it for lost: \
                 its presence does not run, or runs under another id."
                    .to_owned(),
            );
        }
        return;
    }
    if not_said
        && session.presence() == Presence::Unknown
        && circumstances.is_of_another_form(owner)
    {
        notes.push(format!(
            "The owner's id {owner} is of another form than this machine's, which is {me}: is it \
             an id that the proxy knows?"
        ));
    }
    if let Arrival::Replayed { hops } = circumstances.arrival
        && finding != Finding::ReplayLoop
    {
        notes.push(format!(
            "Another machine had the request replayed here, hop {hops}, and took this one for the \
             owner: the session moved a moment ago, or the two read different directories."
        ));
    }
}

pub(super) fn notes_on_cache(
    cached: Option<&Reading>,
    directory: &Reading,
    answered_from: Source,
) -> Option<String> {
    let cached = cached?;
    let owner = |reading: &Reading| reading.session.as_ref().and_then(|seen| seen.owner.clone());
    let same = cached.verdict == directory.verdict && owner(cached) == owner(directory);
    match answered_from {
        Source::Stale => Some(format!(
            "While the directory fails, this machine goes by what it read {} ms ago.",
            cached.age_ms
        )),
        Source::Cache if directory.failure.is_some() => Some(format!(
            "This machine goes by what it read {} ms ago for {} ms more.",
            cached.age_ms,
            cached.usable_for_ms.unwrap_or(0)
        )),
        Source::Cache if !same => Some(format!(
            "This machine goes by what it read {} ms ago, which is no longer what the directory \
             says, for {} ms more.",
            cached.age_ms,
            cached.usable_for_ms.unwrap_or(0)
        )),
        _ => None,
    }
}
