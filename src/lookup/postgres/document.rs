//! A session as the database tells it, and what we make of it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::{Address, LookupError, MachineId, Presence, Session, SessionId, SessionStatus};

use super::{columns::Facts, statuses::Statuses};

/// Reads the documents of a session query.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// `None`: the table has no status, and every row is active.
    pub(super) statuses: Option<Statuses>,
}

impl Reader {
    pub(super) fn session(&self, id: SessionId, document: Value) -> Result<Session, LookupError> {
        let Value::Object(mut document) = document else {
            return Err(LookupError::corrupt("the session query returned no row"));
        };
        let remaining = remaining(document.get("remaining_seconds"))?;
        let mut session = life(id, self.status(&document)?, remaining);
        if let Some(owner) = owner(&document)? {
            session = session.with_owner(owner);
        }
        if let Some(address) = address(&document)? {
            session = session.with_address(address);
        }
        if let Some(epoch) = epoch(&document)? {
            session = session.with_epoch(epoch);
        }
        if let Some(released) = released(&document)? {
            session = session.with_released(released);
        }
        session = session.with_presence(presence(&document)?);
        match document.remove("attributes") {
            None | Some(Value::Null) => Ok(session),
            Some(Value::Object(attributes)) => Ok(session.with_attributes(attributes)),
            Some(_) => Err(LookupError::corrupt(
                "the session's attributes are no JSON object",
            )),
        }
    }

    /// The same for a row of the table.
    pub(super) fn session_of(
        &self,
        id: SessionId,
        facts: Facts<'_>,
    ) -> Result<Session, LookupError> {
        let status = match (&self.statuses, facts.status) {
            (None, _) => SessionStatus::Active,
            (Some(statuses), Some(word)) => meaning(statuses, word)?,
            (Some(_), None) => return Err(LookupError::corrupt("the session's status is NULL")),
        };
        let remaining = facts.remaining.map(duration).transpose()?.flatten();
        let mut session = life(id, status, remaining);
        // A session that is over is served by no machine, so its epoch has nothing to prove.
        if facts.drifted && session.status() != SessionStatus::Over {
            return Err(drifted());
        }
        if let Some(owner) = facts.owner {
            session = session.with_owner(owner_of(owner)?);
        }
        if let Some(address) = facts.address {
            session = session.with_address(address_of(address)?);
        }
        if let Some(epoch) = facts.epoch {
            session = session.with_epoch(u64::try_from(epoch).map_err(|_| no_epoch())?);
        }
        if let Some(released) = facts.released {
            session = session.with_released(u64::try_from(released).map_err(|_| no_release())?);
        }
        if let Some(seen) = facts.seen {
            session = session.with_presence(seen.presence);
        }
        Ok(match facts.attributes {
            Some(attributes) => session.with_attributes(attributes),
            None => session,
        })
    }

    fn status(&self, document: &Map<String, Value>) -> Result<SessionStatus, LookupError> {
        let Some(statuses) = &self.statuses else {
            return Ok(SessionStatus::Active);
        };
        let word = match document.get("status") {
            None => Err("the session query returns no column `status`"),
            Some(Value::String(word)) => Ok(word),
            Some(Value::Null) => Err("the session's status is NULL"),
            Some(_) => Err("the session's status is no text"),
        };
        let word = word.map_err(LookupError::corrupt)?;
        meaning(statuses, word)
    }
}

/// The owner is not the one for which the epoch was set, so the epoch proves nothing.
pub(super) fn drifted() -> LookupError {
    LookupError::corrupt(
        "the session's owner changed while the ownership triggers were missing or disabled: apply \
         the migration of the directory",
    )
}

fn meaning(statuses: &Statuses, word: &str) -> Result<SessionStatus, LookupError> {
    statuses.read(word).ok_or_else(|| {
        LookupError::corrupt("the session's status is none of those that were configured")
    })
}

fn life(id: SessionId, status: SessionStatus, remaining: Option<Duration>) -> Session {
    match remaining {
        None => Session::new(id, status),
        Some(Duration::ZERO) => {
            Session::new(id, SessionStatus::Over).with_remaining(Duration::ZERO)
        }
        Some(remaining) => Session::new(id, status).with_remaining(remaining),
    }
}

fn owner(document: &Map<String, Value>) -> Result<Option<MachineId>, LookupError> {
    let text = match document.get("owner") {
        // Without this, a misspelt column would look like a fleet without owners.
        None => Err("the session query returns no column `owner`"),
        Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => Ok(text.clone()),
        // A query of the user's own may return a number; a column is cast by ours.
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => Err("the session's owner is no text"),
    };
    let text = text.map_err(LookupError::corrupt)?;
    owner_of(&text).map(Some)
}

fn owner_of(text: &str) -> Result<MachineId, LookupError> {
    MachineId::parse(text).map_err(|invalid| {
        LookupError::corrupt("the session's owner cannot be a machine id").with_source(invalid)
    })
}

fn address(document: &Map<String, Value>) -> Result<Option<Address>, LookupError> {
    match document.get("address") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => address_of(text).map(Some),
        Some(_) => Err(LookupError::corrupt("the session's address is no text")),
    }
}

fn address_of(text: &str) -> Result<Address, LookupError> {
    Address::parse(text).map_err(|invalid| {
        LookupError::corrupt("the session's address cannot be a machine's").with_source(invalid)
    })
}

/// What is left of the session's life: `None` without an end, zero if it is over.
fn remaining(value: Option<&Value>) -> Result<Option<Duration>, LookupError> {
    let seconds = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        // What JSON has no number for.
        Some(Value::String(word)) => match word.as_str() {
            "Infinity" | "infinity" => Some(f64::INFINITY),
            "-Infinity" | "-infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        Some(_) => None,
    };
    duration(seconds.unwrap_or(f64::NAN))
}

fn duration(seconds: f64) -> Result<Option<Duration>, LookupError> {
    if seconds.is_nan() {
        Err(LookupError::corrupt(
            "the session's remaining life is no number of seconds",
        ))
    } else if seconds <= 0.0 {
        Ok(Some(Duration::ZERO))
    } else {
        // More than a Duration can hold is as good as no end.
        Ok(Duration::try_from_secs_f64(seconds).ok())
    }
}

fn epoch(document: &Map<String, Value>) -> Result<Option<u64>, LookupError> {
    match document.get("epoch") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(no_epoch),
    }
}

fn no_epoch() -> LookupError {
    LookupError::corrupt("the session's epoch is no whole number from 0 up")
}

fn released(document: &Map<String, Value>) -> Result<Option<u64>, LookupError> {
    match document.get("released") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or_else(no_release),
    }
}

fn no_release() -> LookupError {
    LookupError::corrupt("the session's release proof is no whole number from 0 up")
}

fn presence(document: &Map<String, Value>) -> Result<Presence, LookupError> {
    const ALL: [Presence; 6] = [
        Presence::Unknown,
        Presence::Alive,
        Presence::Draining,
        Presence::Silent,
        Presence::Lost,
        Presence::NeverSeen,
    ];
    let word = match document.get("presence") {
        None | Some(Value::Null) => return Ok(Presence::Unknown),
        Some(Value::String(word)) => word,
        Some(_) => return Err(LookupError::corrupt("the owner's presence is no text")),
    };
    let known = ALL.into_iter().find(|known| known.as_str() == word);
    known.ok_or_else(|| {
        LookupError::corrupt(
            "the owner's presence is none of alive, draining, silent, lost, never-seen and unknown",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::LookupErrorKind;

    fn read(document: Value) -> Result<Session, LookupError> {
        let id = SessionId::parse("807efe44-d63e-4a24-88f5-dbe96112830a").unwrap();
        let statuses = Some(Statuses::default());
        Reader { statuses }.session(id, document)
    }

    #[test]
    fn a_life_that_has_run_out_is_over_whatever_the_status_says() {
        for seconds in [json!(0), json!(-0.001), json!(-1e300), json!("-Infinity")] {
            let session =
                read(json!({"status": "starting", "owner": "m1", "remaining_seconds": seconds}));
            assert_eq!(session.unwrap().status(), SessionStatus::Over);
        }
    }

    #[test]
    fn a_life_too_long_to_count_has_no_end() {
        for seconds in [json!("Infinity"), json!(1e300), json!(null)] {
            let session =
                read(json!({"status": "active", "owner": "m1", "remaining_seconds": seconds}));
            assert_eq!(session.unwrap().remaining(), None);
        }
    }

    #[test]
    fn what_cannot_be_true_is_corrupt() {
        for document in [
            json!(null),
            json!({"owner": "m1"}),
            json!({"status": "active"}),
            json!({"status": null, "owner": "m1"}),
            json!({"status": 1, "owner": "m1"}),
            json!({"status": "active", "owner": ""}),
            json!({"status": "active", "owner": ["m1"]}),
            json!({"status": "active", "owner": "m1\r\nset-cookie: x"}),
            json!({"status": "over", "owner": "m1", "address": ""}),
            json!({"status": "active", "owner": "m1", "address": "https://a@b"}),
            json!({"status": "active", "owner": "m1", "remaining_seconds": "soon"}),
            json!({"status": "active", "owner": "m1", "remaining_seconds": "NaN"}),
            json!({"status": "active", "owner": "m1", "epoch": -1}),
            json!({"status": "active", "owner": "m1", "epoch": 1.5}),
            json!({"status": "active", "owner": "m1", "attributes": [1]}),
            json!({"status": "active", "owner": "m1", "released": -1}),
            json!({"status": "active", "owner": "m1", "presence": "well"}),
            json!({"status": "active", "owner": "m1", "presence": 1}),
        ] {
            let error = read(document.clone()).unwrap_err();
            assert_eq!(error.kind(), LookupErrorKind::Corrupt, "{document}");
        }
    }
}
