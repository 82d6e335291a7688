//! A row that tells of a session, read by the names of its columns.

use std::{error::Error, fmt, time::Duration};

use serde_json::{Map, Value};
use tokio_postgres::{
    Row,
    row::RowIndex,
    types::{FromSql, Type},
};
use uuid::Uuid;

use crate::{Address, LookupError, MachineId, Session, SessionId, SessionStatus};

use super::{
    ownership::{Seen, presence_named, seen_of},
    statuses::Statuses,
};

/// What a row tells, before it is judged. A column that the statement does not return is `None`.
pub(super) struct Facts<'a> {
    pub(super) owner: Option<&'a str>,
    pub(super) status: Option<&'a str>,
    pub(super) address: Option<&'a str>,
    pub(super) remaining: Option<f64>,
    pub(super) epoch: Option<i64>,
    pub(super) seen: Option<Seen<'a>>,
    attributes: Option<Map<String, Value>>,
    released: Option<i64>,
    /// Whether the owner changed while the triggers were missing or disabled.
    drifted: bool,
}

impl<'a> Facts<'a> {
    pub(super) fn of(row: &'a Row) -> Result<Self, LookupError> {
        // Without this, a misspelt column would look like a fleet without owners.
        if column(row, "is_complete", UNREADABLE)? == Some(false) {
            return Err(LookupError::corrupt(
                "the session query returns no column `owner`, or none `status`",
            ));
        }
        let number = |Number(number)| number;
        let whole = |Whole(number)| number;
        let remaining = "the session's remaining life is no number of seconds";
        let seen = "the owner's presence is none of alive, draining, silent, lost, never-seen and \
                    unknown";
        Ok(Self {
            owner: column(row, "owner", "the session's owner is no text")?,
            status: column(row, "status", "the session's status is no text")?,
            address: column(row, "address", "the session's address is no text")?,
            remaining: column(row, "remaining_seconds", remaining)?.map(number),
            epoch: column(row, "epoch", NO_EPOCH)?.map(whole),
            seen: match (column(row, "seen", seen)?, column(row, "presence", seen)?) {
                (None, None) => None,
                (Some(text), _) => Some(seen_of(text).ok_or_else(|| LookupError::corrupt(seen))?),
                (None, Some(name)) => {
                    let presence = presence_named(name);
                    let presence = presence.ok_or_else(|| LookupError::corrupt(seen))?;
                    Some(Seen {
                        presence,
                        ..Seen::default()
                    })
                }
            },
            attributes: match column(row, "attributes", NO_ATTRIBUTES)? {
                None | Some(Value::Null) => None,
                Some(Value::Object(attributes)) => Some(attributes),
                Some(_) => return Err(LookupError::corrupt(NO_ATTRIBUTES)),
            },
            released: column(row, "released", NO_RELEASE)?.map(whole),
            drifted: column(row, "drifted", UNREADABLE)?.unwrap_or(false),
        })
    }

    /// `statuses`: `None` where the table has no status, and every row is active.
    pub(super) fn into_session(
        self,
        id: SessionId,
        statuses: Option<&Statuses>,
    ) -> Result<Session, LookupError> {
        let status = match (statuses, self.status) {
            (None, _) => SessionStatus::Active,
            (Some(statuses), Some(word)) => statuses
                .read(word)
                .inspect(|status| {
                    if *status == SessionStatus::Over {
                        statuses.note_over(word);
                    }
                })
                .ok_or_else(|| {
                    LookupError::corrupt(
                        "the session's status is none of those that were configured",
                    )
                })?,
            (Some(_), None) => {
                return Err(LookupError::corrupt(
                    "the session's status is NULL or no text",
                ));
            }
        };
        let mut session = match self.remaining.map(duration).transpose()?.flatten() {
            None => Session::new(id, status),
            Some(Duration::ZERO) => {
                Session::new(id, SessionStatus::Over).with_remaining(Duration::ZERO)
            }
            Some(remaining) => Session::new(id, status).with_remaining(remaining),
        };
        // A session that is over is served by no machine, so its epoch has nothing to prove.
        if self.drifted && session.status() != SessionStatus::Over {
            return Err(drifted());
        }
        if let Some(owner) = self.owner {
            session = session.with_owner(MachineId::parse(owner).map_err(|invalid| {
                LookupError::corrupt("the session's owner cannot be a machine id")
                    .with_source(invalid)
            })?);
        }
        if let Some(address) = self.address {
            session = session.with_address(Address::parse(address).map_err(|invalid| {
                LookupError::corrupt("the session's address cannot be a machine's")
                    .with_source(invalid)
            })?);
        }
        if let Some(epoch) = self.epoch {
            session = session.with_epoch(not_negative(epoch, NO_EPOCH)?);
        }
        if let Some(released) = self.released {
            session = session.with_released(not_negative(released, NO_RELEASE)?);
        }
        if let Some(seen) = self.seen {
            session = session.with_owner_status(seen.presence);
            // A heartbeat writes no other text than an address. Where a hand wrote one, the owner goes on
            // serving, and is not reached by it.
            let address = seen.address.filter(|_| seen.address != self.address);
            if let Some(address) = address.and_then(|address| Address::parse(address).ok()) {
                session = session.with_owner_address(address);
            }
        }
        Ok(match self.attributes {
            Some(attributes) => session.with_attributes(attributes),
            None => session,
        })
    }
}

const UNREADABLE: &str = "the session's row cannot be read";
const NO_EPOCH: &str = "the session's epoch is no whole number from 0 up";
const NO_RELEASE: &str = "the session's release proof is no whole number from 0 up";
const NO_ATTRIBUTES: &str = "the session's attributes are no JSON object";

/// The owner is not the one for which the epoch was set, so the epoch proves nothing.
pub(crate) const DRIFTED: &str = "the session's owner changed while the ownership triggers were \
    missing or disabled: apply the migration of the directory";

pub(super) fn drifted() -> LookupError {
    LookupError::corrupt(DRIFTED)
}

/// The epoch in a column of a whole number.
pub(super) fn epoch(number: i64) -> Result<u64, LookupError> {
    not_negative(number, NO_EPOCH)
}

fn not_negative(number: i64, wrong: &'static str) -> Result<u64, LookupError> {
    u64::try_from(number).map_err(|_| LookupError::corrupt(wrong))
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

/// The session that the column `id` names. `None`: it is NULL, or no client can ask for it.
pub(super) fn id(row: &Row) -> Option<SessionId> {
    let id: Option<Id> = row.try_get("id").ok()?;
    id.map(|Id(id)| id)
}

/// Whether the row is that of a session, whatever its id.
pub(super) fn is_session(row: &Row) -> bool {
    !matches!(row.try_get::<_, Option<Id>>("id"), Ok(None))
}

/// A column of any statement.
pub(super) fn value<'a, T: FromSql<'a>>(
    row: &'a Row,
    column: impl RowIndex + fmt::Display,
) -> Result<T, LookupError> {
    row.try_get(column).map_err(|error| {
        LookupError::corrupt("PostgreSQL's answer cannot be read").with_source(error)
    })
}

fn column<'a, T: FromSql<'a>>(
    row: &'a Row,
    name: &str,
    wrong: &'static str,
) -> Result<Option<T>, LookupError> {
    let mut columns = row.columns().iter();
    let Some(at) = columns.position(|column| column.name() == name) else {
        return Ok(None);
    };
    row.try_get(at)
        .map_err(|error| LookupError::corrupt(wrong).with_source(error))
}

/// A number, which the document of a custom query holds as a text.
struct Number(f64);

struct Whole(i64);

struct Id(SessionId);

type Read<T> = Result<T, Box<dyn Error + Sync + Send>>;

impl<'a> FromSql<'a> for Number {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Read<Self> {
        Ok(Self(match *kind {
            Type::FLOAT8 => f64::from_sql(kind, raw)?,
            _ => <&str>::from_sql(kind, raw)?.parse()?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::FLOAT8 | Type::TEXT)
    }
}

impl<'a> FromSql<'a> for Whole {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Read<Self> {
        Ok(Self(match *kind {
            Type::INT8 => i64::from_sql(kind, raw)?,
            _ => <&str>::from_sql(kind, raw)?.parse()?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::TEXT)
    }
}

impl<'a> FromSql<'a> for Id {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Read<Self> {
        Ok(Self(match *kind {
            Type::UUID => SessionId::new(Uuid::from_sql(kind, raw)?),
            Type::INT8 => SessionId::parse(&i64::from_sql(kind, raw)?.to_string())?,
            Type::BYTEA => SessionId::parse_bytes(raw)?,
            _ => SessionId::parse(<&str>::from_sql(kind, raw)?)?,
        }))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::UUID | Type::TEXT | Type::INT8 | Type::BYTEA)
    }
}
