//! Session ids, whole or in part as a log shows them.

use crate::{PostgresLookup, SessionId, SessionIds, SessionLookup as _};

/// What is shorter could be a part of too many ids.
const SHORTEST: usize = 3;

/// The id, if the text can be one here.
pub(super) fn whole(text: &str, ids: SessionIds) -> Option<SessionId> {
    let id = SessionId::parse(text.trim_matches('…')).ok()?;
    ids.admit(id)
}

/// The session that a text names: by its id, or by the beginning or the end of it. The error says why
/// it names none.
pub(super) async fn find(lookup: &PostgresLookup, text: &str) -> Result<Option<SessionId>, String> {
    let text = text.trim_matches('…');
    let whole = whole(text, lookup.session_ids());
    if let Some(id) = &whole
        && (id.as_uuid().is_some() || !matches!(lookup.session(id.clone()).await, Ok(None)))
    {
        return Ok(whole);
    }
    if text.chars().count() < SHORTEST {
        return Ok(whole);
    }
    // A directory that cannot be asked is found out about with the id.
    let found = lookup.find(text).await.unwrap_or_default();
    match found.as_slice() {
        [] => Ok(whole),
        [one] => Ok(Some(one.clone())),
        several => {
            let several: Vec<_> = several.iter().map(ToString::to_string).collect();
            let several = several.join(", ");
            Err(format!(
                "{text:?} is a part of several session ids: {several}"
            ))
        }
    }
}
