//! What else is worth a look.

use serde_json::Value;

use super::find::Case;
use crate::{CacheStatus, Finding, OwnerStatus, RequestOrigin};

impl Case<'_> {
    /// What else is worth a look.
    pub(super) fn notes(&self, finding: Finding) -> Vec<String> {
        let mut notes = Vec::new();
        let me = self.machine;
        let Some(session) = self.session else {
            return notes;
        };
        if let Some(platform) = self.platform
            && platform.machine_id() != me
            && finding != Finding::WrongIdentity
        {
            notes.push(format!(
                "{} calls this machine {} ({}), and its layer was built as {me}.",
                platform.platform(),
                platform.machine_id(),
                platform.variable()
            ));
        }
        match session.owner() {
            Some(owner) if owner == me => {
                if matches!(
                    session.owner_status(),
                    OwnerStatus::Lost | OwnerStatus::NeverSeen
                ) {
                    notes.push(
                        "All other machines take this one for lost: its heartbeats do not run, or \
                         run under another id."
                            .to_owned(),
                    );
                }
                return notes;
            }
            Some(owner)
                if finding != Finding::WrongIdentity
                    && session.owner_status() == OwnerStatus::Unknown
                    && self.is_of_another_form(owner) =>
            {
                notes.push(format!(
                    "The owner's id {owner} is of another form than this machine's, which is {me}: \
                     is it an id that the proxy knows?"
                ));
            }
            _ => {}
        }
        if let (RequestOrigin::Replayed { hops } | RequestOrigin::Forwarded { hops }, Some(_)) =
            (self.origin, session.owner())
            && finding != Finding::ReplayLoop
        {
            notes.push(format!(
                "Another machine sent the request here, hop {hops}, and took this one for \
                 the owner: the session moved a moment ago, or the two read different directories."
            ));
        }
        notes
    }
}

/// Says that another reading than the directory's decides.
pub(super) fn note_on_cache(
    cached: Option<&Value>,
    directory: &Value,
    from: CacheStatus,
) -> Option<String> {
    let cached = cached?;
    let owner = |reading: &Value| reading["session"]["owner"].clone();
    let same = cached["verdict"] == directory["verdict"] && owner(cached) == owner(directory);
    let fails = !directory["failure"].is_null();
    let (age, left) = (&cached["ageMs"], &cached["usableForMs"]);
    match from {
        CacheStatus::Stale => Some(format!(
            "While the directory fails, this machine goes by what it read {age} ms ago."
        )),
        CacheStatus::Hit if fails => Some(format!(
            "This machine goes by what it read {age} ms ago for {left} ms more."
        )),
        CacheStatus::Hit if !same => Some(format!(
            "This machine goes by what it read {age} ms ago, which is no longer what the directory \
             says, for {left} ms more."
        )),
        _ => None,
    }
}
