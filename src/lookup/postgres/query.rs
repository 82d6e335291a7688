//! The one question that a lookup asks.

use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

use crate::{LookupError, SessionId};

use super::{
    PostgresConfigError, columns::Columns, connections::Parameter, queue::Slot, table::Table,
};

/// How the session's id is written in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum IdType {
    #[default]
    Uuid,
    /// Hyphenated and in lower case.
    Text,
}

impl IdType {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Uuid => "uuid",
            Self::Text => "text",
        }
    }
}

/// Rows that are enough to see that there is more than one.
const ENOUGH: usize = 2;

/// A statement that returns a session.
#[derive(Clone, Debug)]
pub(super) struct SessionQuery {
    inner: String,
    sql: String,
    /// The same for any number of sessions.
    batch: Option<String>,
    /// How a row is read; `None`: it is one JSON document.
    columns: Option<Columns>,
    id_type: IdType,
    /// Whether each row begins with whether the server is a standby, and there is one in any case.
    tells_standby: bool,
}

impl SessionQuery {
    /// More rows are not read for a batch. Twice as many as it has sessions: if there are fewer,
    /// every row has been seen.
    pub(super) const MOST_ROWS: usize = 2 * Slot::MOST;

    pub(super) fn of_table(table: &Table, id_type: IdType) -> Self {
        let inner = table.select();
        let (batch, most) = (table.select_any(id_type), Self::MOST_ROWS);
        Self {
            sql: format!("{inner} LIMIT {ENOUGH}"),
            batch: Some(format!("{batch} LIMIT {most}")),
            inner,
            columns: Some(table.columns()),
            id_type,
            tells_standby: table.ownership.is_some(),
        }
    }

    /// Checks only what would otherwise surprise at the first request: the rest is the database's
    /// to judge, in `verify`.
    pub(super) fn custom(
        text: &str,
        batch: Option<&str>,
        id_type: IdType,
    ) -> Result<Self, PostgresConfigError> {
        let inner = checked(text)?.to_owned();
        let batch = batch.map(checked).transpose()?;
        // The line breaks keep a trailing comment of a custom query from swallowing the rest.
        // `session.*` and not `session`, which could be a column of the query. One document,
        // because a custom query may leave columns out and may return whatever types it likes:
        // the names are looked up in the document, and the database has done every conversion.
        let sql =
            format!("SELECT to_jsonb(session.*) FROM (\n{inner}\n) AS session LIMIT {ENOUGH}");
        // It may be a uuid where the parameter is a text, or the other way round.
        let id = id_type.name();
        let limit = Self::MOST_ROWS;
        let batch = batch.map(|inner| {
            format!(
                "SELECT session.id::{id}, to_jsonb(session.*) FROM (\n{inner}\n) AS session \
                 LIMIT {limit}"
            )
        });
        Ok(Self {
            inner,
            sql,
            batch,
            columns: None,
            id_type,
            tells_standby: false,
        })
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn batch(&self) -> Option<&str> {
        self.batch.as_deref()
    }

    pub(super) fn tells_standby(&self) -> bool {
        self.tells_standby
    }

    /// The rows of a lookup that are a session's, and the column that each of them begins with.
    pub(super) fn found<'a>(&self, rows: &'a [Row]) -> Result<(&'a [Row], usize), LookupError> {
        if !self.tells_standby {
            return Ok((rows, 0));
        }
        let is_there = match rows {
            [row] => row.try_get(1).map_err(|error| {
                LookupError::corrupt("the session's row cannot be read").with_source(error)
            })?,
            _ => true,
        };
        Ok((if is_there { rows } else { &[] }, 2))
    }

    pub(super) fn columns(&self) -> Option<Columns> {
        self.columns
    }

    /// The statement without its wrapping.
    pub(super) fn inner(&self) -> &str {
        &self.inner
    }

    pub(super) fn id_type(&self) -> IdType {
        self.id_type
    }

    pub(super) fn id(&self, id: SessionId) -> IdValue {
        match self.id_type {
            IdType::Uuid => IdValue::Uuid(*id.as_uuid()),
            IdType::Text => IdValue::Text(id.to_string()),
        }
    }

    /// The parameter of a batch.
    pub(super) fn ids(&self, ids: &[SessionId]) -> IdValue {
        match self.id_type {
            IdType::Uuid => IdValue::Uuids(ids.iter().map(|id| *id.as_uuid()).collect()),
            IdType::Text => IdValue::Texts(ids.iter().map(SessionId::to_string).collect()),
        }
    }

    /// The row of a batch that there is if none of its sessions is.
    pub(super) fn is_without_session(&self, row: &Row) -> bool {
        let id = match self.id_type {
            IdType::Uuid => row.try_get::<_, Option<Uuid>>(1).map(|id| id.is_none()),
            IdType::Text => row.try_get::<_, Option<&str>>(1).map(|id| id.is_none()),
        };
        self.tells_standby && id.unwrap_or(false)
    }

    /// Whose row it is, of a batch, and the column that its session begins with.
    pub(super) fn id_in_batch(&self, row: &Row) -> Option<(SessionId, usize)> {
        let at = usize::from(self.tells_standby);
        Some((self.id_at(row, at)?, at + 1))
    }

    /// The session that the first column of a row names.
    pub(super) fn id_of(&self, row: &Row) -> Option<SessionId> {
        self.id_at(row, 0)
    }

    fn id_at(&self, row: &Row, at: usize) -> Option<SessionId> {
        match self.id_type {
            IdType::Uuid => row.try_get(at).ok().map(SessionId::new),
            IdType::Text => SessionId::parse(row.try_get(at).ok()?).ok(),
        }
    }
}

/// The statement as it can stand in parentheses.
fn checked(text: &str) -> Result<&str, PostgresConfigError> {
    let text = text.trim().trim_end_matches(';').trim_end();
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.contains('\0') {
        "it contains a NUL"
    } else if !text.contains("$1") {
        "it does not ask for the session's id, which is its parameter $1"
    } else {
        return Ok(text);
    };
    Err(PostgresConfigError::Query { reason })
}

/// A session's id, or those of many, as the parameter of a query.
#[derive(Debug)]
pub(super) enum IdValue {
    Uuid(Uuid),
    Text(String),
    Uuids(Vec<Uuid>),
    Texts(Vec<String>),
}

impl IdValue {
    pub(super) fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Uuid(uuid) => (uuid as &(dyn ToSql + Sync), Type::UUID),
            Self::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
            Self::Uuids(uuids) => (uuids as &(dyn ToSql + Sync), Type::UUID_ARRAY),
            Self::Texts(texts) => (texts as &(dyn ToSql + Sync), Type::TEXT_ARRAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_query_may_end_as_people_end_them() {
        for text in [
            "select owner, status from s where id = $1;",
            "select owner, status from s where id = $1 ;\n",
            "select owner, status from s where id = $1 -- by its key",
        ] {
            let query = SessionQuery::custom(text, None, IdType::Uuid).unwrap();
            assert!(query.sql().ends_with("\n) AS session LIMIT 2"), "{text}");
            assert!(!query.sql().contains(';'), "{text}");
        }
    }

    #[test]
    fn a_query_that_cannot_find_a_session_is_refused() {
        for text in ["", " ; ", "select owner from s", "select $1 \0"] {
            assert!(
                SessionQuery::custom(text, None, IdType::Uuid).is_err(),
                "{text}"
            );
        }
    }
}
